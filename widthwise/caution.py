"""Cautions: what to know before trusting a plan or an estimate."""

from typing import NamedTuple


class Caution(NamedTuple):
    """A warning: a stable code for programs, a sentence for people."""

    code: str
    message: str
