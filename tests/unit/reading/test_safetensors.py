"""Names and shapes come from the header alone, and a malformed file is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from widthwise.errors import InvalidInputError
from widthwise.reading.parameter import ParameterUse
from widthwise.reading.safetensors import LARGEST_HEADER, read_header


def header(**shapes: list[int]) -> dict[str, Any]:
    return {
        "__metadata__": {"format": "pt"},
        **{name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 2]} for name, shape in shapes.items()},
    }


def write(path: Path, content: Any, *, length: int | None = None) -> Path:
    text = json.dumps(content).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text)
    return path


def test_names_and_shapes_are_read_and_no_weights(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", header(b=[3, 4], a=[], c=[0, 2]))
    found = read_header(path)  # the file ends after the header: no weights are needed
    assert dict(found.shapes) == {"b": (3, 4), "a": (), "c": (0, 2)}
    assert found.names == ("b", "a", "c")
    first = found.reading().parameters[0]
    assert (first.name, first.use, first.role, first.question) == ("b", ParameterUse.UNKNOWN, None, None)


def test_an_index_reads_the_files_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "one.safetensors", header(a=[2]))
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    found = read_header(index)
    assert (dict(found.shapes), found.without_shape) == ({"a": (2,)}, ("b",))
    with pytest.raises(InvalidInputError, match=r"'b' first; put the \.safetensors files next to the index"):
        found.reading()
    write(tmp_path / "two.safetensors", header(b=[5, 1]))
    assert dict(read_header(index).shapes) == {"a": (2,), "b": (5, 1)}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "ends within the length of its header"),
        (b"\x01\x00\x00", "ends within the length of its header"),
        ((LARGEST_HEADER + 1).to_bytes(8, "little"), "states a header of 100000001 bytes"),
        (b"\xff" * 8, "is it a .safetensors file"),
        (b"\x00" * 8, "states a header of 0 bytes"),
        ((50).to_bytes(8, "little") + b"{}", "ends within its header of 50 bytes"),
        ((2).to_bytes(8, "little") + b"{x", "holds no JSON"),
        ((2).to_bytes(8, "little") + b"\xff\xff", "holds no JSON"),
        ((100_000).to_bytes(8, "little") + b"[" * 100_000, "holds no JSON"),
        ((2).to_bytes(8, "little") + b"[]", "holds list"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=says):
        read_header(path)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ([1], "give an object"),
        ({}, "shape is missing"),
        ({"shape": 3}, "give a list"),
        ({"shape": [-1]}, "give an integer"),
        ({"shape": [True]}, "give an integer"),
    ],
)
def test_a_malformed_entry_is_refused(tmp_path: Path, entry: Any, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        read_header(write(tmp_path / "model.safetensors", {"w": entry}))


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ({}, "no weight_map"),
        ({"weight_map": {"a": 1}}, "no weight_map"),
        ({"weight_map": {"a": "../one.safetensors"}}, "only files next to the index"),
        ({"weight_map": {"z": "one.safetensors"}}, "which it does not"),
        ([], "holds list"),
    ],
)
def test_a_malformed_index_is_refused(tmp_path: Path, index: Any, says: str) -> None:
    write(tmp_path / "one.safetensors", header(a=[2]))
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    with pytest.raises(InvalidInputError, match=says):
        read_header(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"model.safetensors can't be read \(No such file"):
        read_header(tmp_path / "model.safetensors")
