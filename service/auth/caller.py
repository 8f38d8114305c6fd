"""Who sent a request, and what a scope allows."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Scope(StrEnum):
    """What a key may do; each includes those before it."""

    READ = "read"  #: every GET of the owner's calibrations and sweeps, transfers and predictions
    #: submit, extend, upload, finish, cancel, retry and delete its calibrations; create, extend and delete its sweeps
    CALIBRATE = "calibrate"
    ADMIN = "admin"  #: the same for everyone's

    def includes(self, needed: "Scope") -> bool:
        """Return whether this scope includes the needed one.

        >>> Scope.CALIBRATE.includes(Scope.READ), Scope.READ.includes(Scope.CALIBRATE)
        (True, False)
        """
        return _RANK[self] >= _RANK[needed]


_RANK = {scope: rank for rank, scope in enumerate(Scope)}


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a valid key."""

    key_id: str
    owner: str
    scope: Scope | None  #: the widest of the key's scopes; None if this version knows none of them

    @classmethod
    def of(cls, key_id: str, owner: str, scopes: Iterable[str]) -> Self:
        """Return the caller with the widest of these scopes."""
        held = [scope for scope in Scope if scope in tuple(scopes)]
        return cls(key_id, owner, held[-1] if held else None)

    def may(self, needed: Scope) -> bool:
        """Return whether the caller's scope includes the needed one."""
        return self.scope is not None and self.scope.includes(needed)

    @property
    def everyone(self) -> bool:
        """Whether the caller also sees what belongs to others."""
        return self.may(Scope.ADMIN)
