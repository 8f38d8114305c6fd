"""When a request is sent again, and after how long."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from widthwise.errors import ServiceError, UnreachableServiceError

#: Answers that another attempt may better; 500 is a bug, which happens again.
PASSING = frozenset({429, 502, 503, 504})
#: Problems that come before anything was done, so any request may be sent again.
BEFORE_ANYTHING = frozenset({"too-many-requests", "busy"})
QUOTA = "quota-exceeded"  # it passes when work has ended or something was deleted, not within a minute


@dataclass(frozen=True)
class Retries:
    """How often a request that failed for a passing reason is sent again."""

    attempts: int = 5  # chosen: with the pauses below about 8 s, as long as a service takes to restart
    total_seconds: float = 60.0  # chosen: a limit is counted by the minute
    first_seconds: float = 0.5  # chosen; doubled with each attempt

    def pause_seconds(self, attempt: int, asked_seconds: float | None, jitter: Callable[[], float]) -> float:
        """Return how long to wait after an attempt, counted from 1: at least as long as the service asks.

        jitter: returns a number from 0 to 1. Without Retry-After the pause is between half of the exponential one and
        all of it, so that clients that failed together do not come back together.
        """
        if asked_seconds is not None:
            return asked_seconds
        return float(self.first_seconds * 2 ** (attempt - 1) * (0.5 + 0.5 * jitter()))


NO_RETRIES = Retries(attempts=1)


def is_passing(failure: ServiceError, *, repeatable: bool, seen: bool) -> bool:
    """Return whether another attempt is safe and may succeed.

    repeatable: sending the request twice does no more than sending it once.
    seen: the service has answered before. A refused connection is then a restart; otherwise probably nothing
    serves there, which is said at once.
    """
    if isinstance(failure, UnreachableServiceError):
        return seen if failure.refused else repeatable
    if failure.status not in PASSING or failure.slug == QUOTA:
        return False
    return repeatable or failure.slug in BEFORE_ANYTHING


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date (RFC 9110, 10.2.3); None if it says nothing.

    >>> retry_after_seconds("2.5", datetime.now(UTC))
    2.5
    >>> retry_after_seconds("Wed, 21 Oct 2026 07:28:00 GMT", datetime(2026, 10, 21, 7, 27, tzinfo=UTC))
    60.0
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            until = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
    return max(seconds, 0.0) if seconds < float("inf") else None


jitter = random.SystemRandom().random
