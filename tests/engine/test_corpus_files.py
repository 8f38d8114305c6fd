"""Files in the worker's folder of corpora: they are read as they are, and nothing outside the folder ever is."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.engine.jobs import run_any
from widthwise.errors import InvalidInputError
from workers.engine.corpus_files import MAX_FILE_BYTES, MIN_FILE_BYTES, read_corpus_file, read_regular
from workers.engine.data import load_corpus

LINE = b"forty bytes of a text make just one line\n"
TEXT = LINE * (MIN_FILE_BYTES // len(LINE) + 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good file, next to a secret that must never be read."""
    inside = tmp_path / "corpora"
    inside.mkdir()
    (inside / "notes.txt").write_bytes(TEXT)
    (tmp_path / "secret.txt").write_bytes(TEXT)
    return inside


def test_a_file_is_a_corpus_of_whole_lines(folder: Path) -> None:
    corpus = load_corpus("file:notes.txt", str(folder))
    assert corpus.train.tobytes() + corpus.held_out.tobytes() == TEXT
    assert corpus.sha256 == hashlib.sha256(TEXT).hexdigest()
    assert corpus.train.size % len(LINE) == 0
    assert 0.1 <= corpus.held_out.size / len(TEXT) < 0.1 + len(LINE) / len(TEXT)


def test_a_text_without_lines_is_cut_at_a_byte(folder: Path) -> None:
    (folder / "bytes.bin").write_bytes(bytes(MIN_FILE_BYTES))
    assert load_corpus("file:bytes.bin", str(folder)).held_out.size == MIN_FILE_BYTES // 10


@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt", "..", ".", "", "/etc/passwd", "a/b", "./notes.txt", "sub/../notes.txt", ".hidden",
        "notes.txt\n", "notes.txt\0", "nötes.txt", "-rf", "~", "a" * 60, "..\\secret.txt", "%2e%2e",
    ],
)  # fmt: skip
def test_only_plain_names_are_names(folder: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="plain file name") as raised:
        load_corpus(f"file:{name}", str(folder))
    assert raised.value.field == "proxy.dataset"


def test_links_are_not_followed_wherever_they_lead(folder: Path) -> None:
    (folder / "out.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "in.txt").symlink_to(folder / "notes.txt")
    (folder / "nowhere.txt").symlink_to(folder / "gone")
    (folder / "up").symlink_to(folder.parent, target_is_directory=True)
    for name in ("out.txt", "in.txt", "nowhere.txt", "up"):
        with pytest.raises(InvalidInputError, match="is a link"):
            load_corpus(f"file:{name}", str(folder))


def test_what_takes_the_place_of_a_file_after_the_look_is_neither_followed_nor_waited_for(folder: Path) -> None:
    """`read_regular` stands alone against an exchange between the look and the open."""
    (folder / "link").symlink_to(folder.parent / "secret.txt")
    os.mkfifo(folder / "pipe")
    (folder / "sub").mkdir()
    opened = os.open(folder, os.O_RDONLY)
    try:
        with pytest.raises(InvalidInputError, match="can't be opened"):
            read_regular("link", opened)
        for name in ("pipe", "sub"):
            with pytest.raises(InvalidInputError, match="not a regular file"):
                read_regular(name, opened)
    finally:
        os.close(opened)


def test_folders_and_devices_are_no_files(folder: Path) -> None:
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    for name, where in (("sub", folder), ("pipe", folder), ("null", Path("/dev")), ("zero", Path("/dev"))):
        with pytest.raises(InvalidInputError, match="not a regular file"):
            read_corpus_file(f"file:{name}", where)


def test_no_refusal_names_another_file_or_the_folder(folder: Path) -> None:
    """Any holder of a key reads it, and the operator's files may have telling names."""
    (folder / "link.txt").symlink_to(folder / "notes.txt")
    (folder / "sub").mkdir()
    for name in ("other.txt", "link.txt", "sub"):
        with pytest.raises(InvalidInputError, match=re.escape(repr(name))) as raised:
            load_corpus(f"file:{name}", str(folder))
        assert "notes" not in str(raised.value)
        assert str(folder) not in str(raised.value)


@pytest.mark.parametrize("size", [0, MIN_FILE_BYTES - 1, MAX_FILE_BYTES + 1])
def test_a_file_of_a_useless_or_dangerous_size_is_refused(folder: Path, size: int) -> None:
    with (folder / "sized").open("wb") as file:
        file.truncate(size)  # a hole: no disk is used
    with pytest.raises(InvalidInputError, match=f"has {size} bytes; give one of {MIN_FILE_BYTES}"):
        load_corpus("file:sized", str(folder))


def test_a_worker_without_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no folder of corpora; start it with one"):
        load_corpus("file:notes.txt")
    with pytest.raises(InvalidInputError, match="can't be opened"):
        load_corpus("file:notes.txt", str(tmp_path / "gone"))


@pytest.mark.parametrize("kind", ["sweep", "gamma", "horizon", "measure"])
def test_every_kind_of_shard_reads_from_the_folder(folder: Path, spec: dict[str, Any], kind: str) -> None:
    spec["proxy"]["dataset"] = "file:gone.txt"
    shard = {"kind": kind, "width": 8, "learning_rates": [0.01], "seeds": [0], "role": "hidden", "gammas": [2.0],
             "horizons": [10], "measure": ["epsilon"]}  # fmt: skip
    with pytest.raises(InvalidInputError, match=r"no file 'gone\.txt'"):
        list(run_any(spec, shard, corpora_dir=str(folder)))
