"""Reads JSON objects strictly: a value of the wrong type or range raises an error that names its field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any, TypeVar

from widthwise.errors import InvalidInputError
from widthwise.vocabulary import known_word

Word = TypeVar("Word", bound=StrEnum)

LARGEST_INTEGER = 2**63 - 1  # a BIGINT
LARGEST_WIDTH = 2**31 - 1  # an INTEGER; far beyond any model
LARGEST_FLOAT = 1e308  # below the largest double, so that no CHECK of a database accepts an infinity


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object and its place (`path`), for errors such as "spec.proxy.depth is 0; …".

    Every reader raises InvalidInputError with the dotted path as its `field`. A null counts as a missing field.
    """

    values: Mapping[str, Any]
    path: str

    @classmethod
    def of(cls, value: Any, path: str) -> "Fields":
        """The fields of `value`, which must be a mapping."""
        if not isinstance(value, Mapping):
            raise InvalidInputError(f"{path} is {value!r}; give an object", field=path)
        return cls(value, path)

    def has(self, key: str) -> bool:
        """Whether the field exists and is not null."""
        return self.values.get(key) is not None

    def any(self, key: str) -> Any:
        """The value of a required field."""
        value = self.values.get(key)
        if value is None:
            raise self.error(key, "is missing")
        return value

    def object(self, key: str) -> "Fields":
        """The fields of an object inside this one."""
        return Fields.of(self.any(key), f"{self.path}.{key}")

    def text(self, key: str) -> str:
        """A string."""
        value = self.any(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, f"is {value!r}; give a string")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.any(key)
        if not isinstance(value, bool):
            raise self.error(key, f"is {value!r}; give true or false")
        return value

    def word(self, kind: type[Word], key: str) -> Word:
        """A member of a vocabulary."""
        return known_word(kind, self.any(key), f"{self.path}.{key}")

    def integer(self, key: str, low: int = 1, high: int = LARGEST_WIDTH) -> int:
        """An integer from `low` to `high`."""
        return self._integer(key, self.any(key), low, high)

    def number(self, key: str) -> float:
        """A finite number."""
        return self._number(key, self.any(key))

    def positive(self, key: str) -> float:
        """A finite number above 0."""
        return self._positive(key, self.any(key))

    def integers(self, key: str, low: int = 1, high: int = LARGEST_WIDTH) -> tuple[int, ...]:
        """A list of integers from `low` to `high`; empty if the field is missing."""
        return tuple(self._integer(key, value, low, high) for value in self.sequence(key))

    def positives(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers above 0; empty if the field is missing."""
        return tuple(self._positive(key, value) for value in self.sequence(key))

    def words(self, kind: type[Word], key: str) -> tuple[Word, ...]:
        """A list of members of a vocabulary; empty if the field is missing."""
        return tuple(known_word(kind, value, f"{self.path}.{key}") for value in self.sequence(key))

    def sequence(self, key: str) -> Sequence[Any]:
        """A list; empty if the field is missing."""
        value = self.values.get(key)
        if value is None:
            return ()
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self.error(key, f"is {value!r}; give a list")
        return value

    def error(self, key: str, what: str) -> InvalidInputError:
        """Return the error about one field: its path, and `what` is wrong."""
        return InvalidInputError(f"{self.path}.{key} {what}", field=f"{self.path}.{key}")

    def _integer(self, key: str, value: Any, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.error(key, f"is {value!r}; give an integer from {low} to {high}")
        return value

    def _number(self, key: str, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not isfinite(value) or abs(value) >= LARGEST_FLOAT:
            raise self.error(key, f"is {value!r}; give a finite number")
        return float(value)

    def _positive(self, key: str, value: Any) -> float:
        number = self._number(key, value)
        if number <= 0:
            raise self.error(key, f"is {value!r}; give a number above 0")
        return number
