"""Errors that a user of Widthwise can cause; each message says what to do.

WidthwiseError                  any of those below; never a bug
├── InvalidInputError           a value outside its range or of the wrong kind
│   └── UnplacedTensorsError    tensors with a role or fan axes that don't follow from the input
├── EstimateError               too little data for the estimate
└── ServiceError                the HTTP service answered with an error, or could not be reached
    ├── UnreachableServiceError no answer came
    ├── ServiceAccessError      401, 403: the API key is missing, not accepted, or lacks a scope
    ├── ServiceNotFoundError    404: there is nothing under that identifier
    ├── ServiceConflictError    409: the state of the resource does not allow it now
    ├── ServiceLimitError       429: over a limit or a quota; `retry_after` says how long
    ├── ServiceRequestError     any other 4xx, 422 above all: `errors` lists each fault
    ├── ServiceFailureError     5xx: the service failed or is not ready
    ├── CalibrationEndedError   `wait`: the calibration failed or was cancelled
    └── StillRunningError       `wait`: the calibration had not ended in time
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class WidthwiseError(Exception):
    """Base of all errors that a user's input or environment can cause."""


class InvalidInputError(WidthwiseError, ValueError):
    """A value is outside its range; the message names it, its value and what to give instead."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field  #: dotted path of the offending input, such as "base.width"


@dataclass(frozen=True, slots=True)
class LikeTensors:
    """Tensors with one problem whose names differ in nothing but numbers."""

    name: str  #: with `*` for each number that differs; it matches all of them as a pattern
    count: int
    problem: str


class UnplacedTensorsError(InvalidInputError):
    """Some tensors can't be placed; `problems` lists each as (name, what is unknown and what to add)."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        groups = like_tensors(problems)
        lines = [f"{g.name!r}{f' (×{g.count})' if g.count > 1 else ''}: {g.problem}" for g in groups[:MAX_GROUPS]]
        if len(groups) > MAX_GROUPS:
            lines.append(f"and {len(groups) - MAX_GROUPS} more kinds of tensors")
        listed = " " + lines[0] if len(lines) == 1 else "".join(f"\n  {line}" for line in lines)
        super().__init__(f"{len(problems)} tensor(s) can't be placed:{listed}", field="tensors")
        self.problems = tuple(problems)
        self.groups = groups  #: the same, like tensors together


MAX_GROUPS = 100  # kinds of tensors in one message (chosen): more than any published model has
_NUMBERS = re.compile(r"(\d+)")


def like_tensors(problems: Sequence[tuple[str, str]]) -> tuple[LikeTensors, ...]:
    """Problems with like tensors together, in the order of the first of each kind.

    >>> like_tensors([("h.0.fc1", "?"), ("h.1.fc1", "?"), ("head", "?")])[0]
    LikeTensors(name='h.*.fc1', count=2, problem='?')
    """
    found: dict[tuple[str, str], list[list[str]]] = {}
    for name, problem in problems:
        found.setdefault((_NUMBERS.sub("*", name), problem), []).append(_NUMBERS.split(name))
    groups = []
    for (_, problem), names in found.items():
        parts = [part if all(each[at] == part for each in names) else "*" for at, part in enumerate(names[0])]
        groups.append(LikeTensors("".join(parts), len(names), problem))
    return tuple(groups)


class EstimateError(WidthwiseError, ValueError):
    """The data can't support the requested estimate; the message says what is missing."""


class ServiceError(WidthwiseError):
    """The service answered with a problem, or could not be reached."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        problem: dict[str, Any] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status  #: HTTP status, None if the service could not be reached
        self.problem = problem or {}  #: the RFC 9457 body, if there was one
        self.retry_after_seconds = retry_after_seconds  #: how long the service asks to wait, if it does
        self.attempts = 1  #: how often the request was sent

    @property
    def slug(self) -> str:
        """The kind of problem, such as "invalid-request"; the service explains it at /problems/<slug>."""
        return str(self.problem.get("type", "")).rpartition("/")[2]

    @property
    def detail(self) -> str:
        """What was wrong this time, in the service's words; the whole message if it said nothing."""
        return str(self.problem.get("detail") or self)

    @property
    def errors(self) -> tuple[Mapping[str, Any], ...]:
        """Each fault of the request: `pointer` or `field`, `message`, and `value` if it is small."""
        return tuple(self.problem.get("errors") or ())

    @property
    def retry_after(self) -> float | None:
        """How many seconds the service asks to wait, if it does."""
        return self.retry_after_seconds


class UnreachableServiceError(ServiceError):
    """No answer came; `refused` if nothing was sent, since nobody listens there."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class ServiceAccessError(ServiceError):
    """401 or 403: the API key is missing, not accepted, or lacks a scope."""


class ServiceNotFoundError(ServiceError):
    """404: there is nothing under that identifier."""


class ServiceConflictError(ServiceError):
    """409: the state of the resource does not allow it now."""


class ServiceLimitError(ServiceError):
    """429: over a limit or a quota; `retry_after` says how long to wait."""


class ServiceRequestError(ServiceError):
    """Any other 4xx, 422 above all: the request is not valid, and `errors` lists each fault."""


class ServiceFailureError(ServiceError):
    """5xx: the service failed or is not ready."""


class CalibrationEndedError(ServiceError):
    """The calibration failed or was cancelled; `calibration` is its last state."""

    def __init__(self, message: str, calibration: Any) -> None:
        super().__init__(message)
        self.calibration = calibration


class StillRunningError(ServiceError, TimeoutError):
    """The calibration had not ended in time; it keeps running."""
