"""Limits on open event streams, per key and in total; a stream beyond a limit is refused.

An open stream reads the database every second, but counts as one request to a key's rate limit. Without a separate
limit, streams would take the threads from everyone else's requests.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import TooManyRequestsError

OF_A_KEY = 20  # chosen: enough for a person's open pages, one stream each, or a script's calibrations
IN_ALL = 200  # per process (chosen): each reads once a second, and requests still get threads
RETRY_SECONDS = 10  # chosen: streams end after ten minutes, and pages may close at any time


class Streams:
    """The open event streams of one process; each method is one step of the event loop, so no lock is needed."""

    def __init__(self, *, of_a_key: int = OF_A_KEY, in_all: int = IN_ALL) -> None:
        """of_a_key, in_all: the most that may be open at once."""
        self.of_a_key = of_a_key
        self.in_all = in_all
        self.refused = 0
        self._of: Counter[str | None] = Counter()

    @property
    def open(self) -> int:
        """How many are open now."""
        return self._of.total()

    @contextmanager
    def one_more(self, key_id: str | None) -> Iterator[None]:
        """Count a stream while it is open; TooManyRequestsError (429) if there are too many.

        key_id: the caller's; None if API keys are disabled, and then only the limit in total applies.
        """
        if key_id is not None and self._of[key_id] >= self.of_a_key:
            raise self._refusal(f"This key has {self.of_a_key} event streams open, which is the limit; close one")
        if self.open >= self.in_all:
            raise self._refusal(
                f"The service has {self.in_all} event streams open, which is the limit; poll the state instead"
            )
        self._of[key_id] += 1
        try:
            yield
        finally:
            self._of[key_id] -= 1
            if not self._of[key_id]:
                del self._of[key_id]

    def _refusal(self, found: str) -> TooManyRequestsError:
        self.refused += 1
        detail = f"{found}, or try again in {RETRY_SECONDS} s."
        return TooManyRequestsError(detail, headers={"Retry-After": str(RETRY_SECONDS)})
