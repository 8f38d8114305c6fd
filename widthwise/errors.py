"""Errors that a user of Widthwise can cause; each message says what to do.

WidthwiseError                  any of those below; never a bug
├── InvalidInputError           a value outside its range or of the wrong kind
│   └── UnplacedTensorsError    tensors with a role or fan axes that don't follow from the input
├── EstimateError               too little data for the estimate
└── ServiceError                the HTTP service answered with an error, or could not be reached
"""

from collections.abc import Sequence


class WidthwiseError(Exception):
    """Base of all errors that a user's input or environment can cause."""


class InvalidInputError(WidthwiseError, ValueError):
    """A value is outside its range; the message names it, its value and what to give instead."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field  #: dotted path of the offending input, such as "base.width"


class UnplacedTensorsError(InvalidInputError):
    """Some tensors can't be placed; `problems` lists each as (name, what is unknown and what to add)."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        shown = "; ".join(f"{name!r}: {why}" for name, why in problems[:5])
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        super().__init__(f"{len(problems)} tensor(s) can't be placed: {shown}{more}", field="tensors")
        self.problems = tuple(problems)


class EstimateError(WidthwiseError, ValueError):
    """The data can't support the requested estimate; the message says what is missing."""


class ServiceError(WidthwiseError):
    """The service answered with a problem, or could not be reached."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        problem: dict[str, object] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status  #: HTTP status, None if the service could not be reached
        self.problem = problem or {}  #: the RFC 9457 body, if there was one
        self.retry_after_seconds = retry_after_seconds  #: how long the service asks to wait, if it does
