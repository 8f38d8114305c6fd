"""An answer of the service: a typed, read-only object over the JSON that it was read from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from widthwise.notebook import described

JsonObject = dict[str, Any]
Reader = Callable[[Any], Any]


class UnexpectedAnswerError(ValueError):
    """The JSON is not what the type says; the message begins with the place in it."""


@dataclass(frozen=True, eq=False)
class Answer(Mapping[str, Any]):
    """A JSON object with typed attributes; it is also a mapping of the JSON, and equal to it.

    Members that only a newer service knows are in `raw`, and otherwise ignored.
    """

    raw: Mapping[str, Any] = field(repr=False)  #: the JSON as it came

    @classmethod
    def read(cls, value: Any) -> Self:
        """Read JSON. Raises UnexpectedAnswerError for a missing member or one of another type."""
        if not isinstance(value, Mapping):
            raise UnexpectedAnswerError(f": {type(value).__name__} instead of an object")
        return cls(raw=value, **_read_fields(cls, value))

    def __getitem__(self, name: str) -> Any:
        return self.raw[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def _repr_html_(self) -> str:
        shown = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "raw"}
        return described(type(self).__name__, shown)


def _read_fields(cls: type, value: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, reader, required in _readers(cls):
        if name in value:
            try:
                found[name] = reader(value[name])
            except UnexpectedAnswerError as error:
                raise UnexpectedAnswerError(f".{name}{error}") from None
        elif required:
            raise UnexpectedAnswerError(f".{name}: missing")
    return found


@cache
def _readers(cls: type) -> tuple[tuple[str, Reader, bool], ...]:
    """Return name, reader and whether it is required, of each field of a dataclass or a named tuple."""
    hints = get_type_hints(cls)
    if issubclass(cls, Answer):
        own = [each for each in fields(cls) if each.name != "raw"]
        required = {each.name: each.default is MISSING and each.default_factory is MISSING for each in own}
    else:
        defaults = getattr(cls, "_field_defaults", {})
        required = {name: name not in defaults for name in getattr(cls, "_fields", ())}
    return tuple((name, _reader(hints[name]), needed) for name, needed in required.items())


def _reader(hint: Any) -> Reader:
    """Return what reads a value of an annotated type."""
    arguments = get_args(hint)
    match get_origin(hint):
        case origin if origin in (Union, UnionType):
            return _optional([_reader(one) for one in arguments if one is not NoneType], NoneType in arguments)
        case origin if origin is tuple:
            return _sequence(_reader(arguments[0]), None if arguments[-1] is Ellipsis else len(arguments))
        case origin if origin is Mapping:
            return _mapping(_reader(arguments[1]))
    return _plain_reader(hint)


def _plain_reader(hint: Any) -> Reader:
    if hint is Any:
        return lambda value: value
    if hint is datetime:
        return _time
    if hint is float:
        return lambda value: float(_checked(value, int | float))
    if issubclass(hint, Answer):
        read: Reader = hint.read
        return read
    if hasattr(hint, "_fields"):
        return lambda value: hint(**_read_fields(hint, _checked(value, Mapping)))
    return lambda value: _checked(value, hint)


def _checked(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UnexpectedAnswerError(f": {type(value).__name__} instead of {getattr(kind, '__name__', kind)}")
    return value


def _optional(readers: list[Reader], may_be_null: bool) -> Reader:
    def read(value: Any) -> Any:
        if value is None and may_be_null:
            return None
        for one in readers[:-1]:
            try:
                return one(value)
            except UnexpectedAnswerError:
                continue
        return readers[-1](value)

    return read


def _sequence(reader: Reader, length: int | None) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        found = _checked(value, list | tuple)
        if length is not None and len(found) != length:
            raise UnexpectedAnswerError(f": {len(found)} values instead of {length}")
        return tuple(reader(one) for one in found)

    return read


def _mapping(reader: Reader) -> Reader:
    return lambda value: {name: reader(one) for name, one in _checked(value, Mapping).items()}


def _time(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(_checked(value, str))
    except ValueError as error:
        raise UnexpectedAnswerError(f": {error}") from None
