"""Cautions: what to know before trusting a plan or an estimate."""

from typing import NamedTuple


class Caution(NamedTuple):
    """A warning: a stable code for programs and a sentence for people."""

    code: str
    message: str
