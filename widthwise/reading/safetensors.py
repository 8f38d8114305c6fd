"""Names and shapes of a model's weights, from the header of a .safetensors file or an index of several.

A .safetensors file begins with the length of its header in 8 bytes, little-endian, and then the header, a JSON object
of {name: {"dtype", "shape", "data_offsets"}}; weights follow. Only the length and the header are read. An index
(`*.safetensors.index.json`) names the file that holds each weight; those that lie next to it are read for shapes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.fields import Fields
from widthwise.reading.model import ModelReading
from widthwise.reading.parameter import Parameter, ParameterUse

LARGEST_HEADER = 100_000_000  # bytes; the limit of the format's own reader
LARGEST_INDEX = LARGEST_HEADER  # chosen: an index holds less for each weight than a header does
LARGEST_AXIS = 2**63 - 1  # what the readers of the format hold


@dataclass(frozen=True, slots=True)
class Header:
    """What a .safetensors file or an index says about its weights.

    An index without its files knows names alone.
    """

    shapes: Mapping[str, tuple[int, ...]]  #: by name, in order of the file
    without_shape: tuple[str, ...] = ()  #: names whose file does not lie next to the index

    @property
    def names(self) -> tuple[str, ...]:
        """All names, those without a shape last."""
        return (*self.shapes, *self.without_shape)

    def reading(self) -> ModelReading:
        """Return the weights as parameters of which only the shape is known.

        Raises InvalidInputError if shapes are missing.
        """
        if self.without_shape:
            raise InvalidInputError(
                f"the index names {len(self.without_shape)} weights whose files do not lie next to it, "
                f"{self.without_shape[0]!r} first; put the .safetensors files next to the index",
                field="path",
            )
        return ModelReading(
            source="safetensors header",
            parameters=tuple(
                Parameter(name, shape, ParameterUse.UNKNOWN, None, (), (), tuple(range(len(shape))))
                for name, shape in self.shapes.items()
            ),
        )


def read_header(path: Path | str) -> Header:
    """Return names and shapes of the weights in a .safetensors file, or in those of an index (`*.index.json`).

    Raises InvalidInputError for a file that can't be read or is not what its name says.
    """
    path = Path(path)
    return _of_index(path) if path.name.endswith(".index.json") else Header(_shapes(path))


def _of_index(path: Path) -> Header:
    index = _object(path, _bytes(path, 0, LARGEST_INDEX, "the index"))
    places = index.get("weight_map")
    if not isinstance(places, Mapping) or not all(isinstance(file, str) for file in places.values()):
        raise _error(
            path, "has no weight_map of names to files; give the index that lies next to the .safetensors files"
        )
    shapes: dict[str, tuple[int, ...]] = {}
    without = []
    shards = {file: _shard(path, file) for file in dict.fromkeys(places.values())}
    for name, file in places.items():
        shard = shards[file]
        if shard is None:
            without.append(name)
        elif name in shard:
            shapes[name] = shard[name]
        else:
            raise _error(path, f"says that {file} holds {name!r}, which it does not; download both again")
    return Header(shapes, tuple(without))


def _shard(index: Path, file: str) -> Mapping[str, tuple[int, ...]] | None:
    """The shapes in one file of an index; None if it does not lie there."""
    if Path(file).name != file:
        raise _error(index, f"names the file {file!r}; only files next to the index are read")
    path = index.parent / file
    return _shapes(path) if path.exists() else None


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    start = _bytes(path, 0, 8, "the length of its header", exactly=True)
    length = int.from_bytes(start, "little")
    if not 2 <= length <= LARGEST_HEADER:
        raise _error(
            path,
            f"states a header of {length} bytes, and one has 2 to {LARGEST_HEADER}; is it a .safetensors file?",
        )
    header = _object(path, _bytes(path, 8, length, f"its header of {length} bytes", exactly=True))
    header.pop("__metadata__", None)
    return {name: _shape(path, name, entry) for name, entry in header.items()}


def _shape(path: Path, name: str, entry: Any) -> tuple[int, ...]:
    fields = Fields.of(entry, f"{path.name}: {name}")
    fields.any("shape")
    return fields.integers("shape", low=0, high=LARGEST_AXIS)


def _bytes(path: Path, start: int, count: int, what: str, *, exactly: bool = False) -> bytes:
    """At most `count` bytes. exactly: fewer are an error; else more are."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            found = file.read(count if exactly else count + 1)
    except OSError as error:
        raise _error(
            path, f"can't be read ({error.strerror or error}); give a .safetensors file or its index"
        ) from error
    if exactly and len(found) < count:
        raise _error(path, f"ends within {what}; download it again")
    if len(found) > count:
        raise _error(path, f"is larger than {count} bytes, the most that {what} has; is it the right file?")
    return found


def _object(path: Path, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _error(
            path, f"holds no JSON where its names and shapes should be ({error}); download it again"
        ) from error
    if not isinstance(found, dict):
        raise _error(path, f"holds {type(found).__name__} where an object of names should be; download it again")
    return found


def _error(path: Path, what: str) -> InvalidInputError:
    return InvalidInputError(f"{path.name} {what}", field="path")
