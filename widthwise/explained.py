"""An enumeration whose members say what they mean: help, documents and pages are written from it."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Self


class Explained(StrEnum):
    """A vocabulary of which each member is its word, with its meaning."""

    meaning: str  #: in a few words

    def __new__(cls, word: str, meaning: str = "") -> Self:
        """A member with its word and its meaning; a look-up by the word alone needs none."""
        member = str.__new__(cls, word)
        member._value_, member.meaning = word, meaning
        return member


def listed(words: Iterable[Explained], quote: str = "") -> str:
    """Return every word with its meaning, the words in quotes.

    >>> class Fruit(Explained):
    ...     APPLE = "apple", "grows on trees"
    ...     MELON = "melon", "grows on the ground"
    >>> listed(Fruit, "`")
    '`apple`: grows on trees; `melon`: grows on the ground'
    """
    return "; ".join(f"{quote}{word.value}{quote}: {word.meaning}" for word in words)
