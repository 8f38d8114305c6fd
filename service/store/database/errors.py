"""Errors of the store; values out of range are widthwise's InvalidInputError.

WidthwiseError
└── StoreError
    ├── NotFoundError               no such row
    ├── StateConflictError          the row exists, but its state does not allow what was asked
    ├── IdempotencyConflictError    the key was used before, for another specification
    ├── ContradictionError          a run is stored with another loss
    ├── QuotaExceededError          the owner would have more than a quota allows
    ├── SchemaError                 the database's schema is not the one this version needs
    └── StoreUnavailableError       the database can't be reached, or is busy; the same call may work later
"""

from widthwise.errors import WidthwiseError


class StoreError(WidthwiseError):
    """Base of every error of the store."""


class NotFoundError(StoreError):
    """There is no row with this identifier."""

    def __init__(self, noun: str, identifier: str) -> None:
        super().__init__(f"There is no {noun} {identifier!r}; check the id, or list what exists.")
        self.noun = noun
        self.identifier = identifier


class StateConflictError(StoreError):
    """The row's state does not allow the request; the message names the state."""


class IdempotencyConflictError(StoreError):
    """An idempotency key was reused with another specification; nothing was created."""

    def __init__(self, key: str, identifier: str, *, noun: str = "calibration") -> None:
        super().__init__(
            f"Idempotency key {key!r} already created {noun} {identifier!r} from another "
            "specification; use a new key, or send the same specification again."
        )
        self.noun = noun
        self.identifier = identifier


class ContradictionError(StoreError):
    """A run is stored with another loss; nothing of the request was stored."""

    def __init__(self, index: int, run: str, stored: str, sent: str) -> None:
        super().__init__(
            f"Run {index + 1} ({run}) is stored with loss {stored}, and this request says {sent}; nothing of it was "
            "stored. Leave the run out, or give repeats a seed each."
        )
        self.index = index  #: of the run in the request
        self.stored = stored
        self.sent = sent


class QuotaExceededError(StoreError):
    """An owner would have more than a quota allows; nothing was stored."""

    def __init__(self, what: str, *, asked: float, limit: float, in_use: float, remedy: str) -> None:
        super().__init__(
            f"You have {in_use:,.6g} {what} and ask for {asked:,.6g} more, and at most {limit:,.6g} are allowed: "
            f"{remedy}."
        )
        self.asked = asked
        self.limit = limit
        self.in_use = in_use


class SchemaError(StoreError):
    """The database's schema revision is not the one this version of the code needs."""


class StoreUnavailableError(StoreError):
    """The database did not answer in time; nothing was written, and a retry may succeed."""
