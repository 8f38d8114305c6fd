"""How many event streams are open, of each key and in all: one more than there may be is refused.

An open stream reads the database every second. It is one request to the limits of a key, so without a bound of their
own streams would take the threads from everyone else's requests.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import TooManyRequestsError

OF_A_KEY = 20  # chosen: a person's pages, one stream each, or a script's calibrations
IN_ALL = 200  # of a process (chosen): each reads once a second, and requests still find threads
RETRY_SECONDS = 10  # chosen: streams end after ten minutes, and pages are closed at any time


class Streams:
    """The open event streams of one process; each method is one step of the event loop, so it needs no lock."""

    def __init__(self, *, of_a_key: int = OF_A_KEY, in_all: int = IN_ALL) -> None:
        """of_a_key, in_all: open at once."""
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
        """Count a stream for as long as it is open; TooManyRequestsError (429) if there are too many.

        key_id: of whom; None where no keys are asked for, and then the bound in all holds alone.
        """
        if key_id is not None and self._of[key_id] >= self.of_a_key:
            raise self._refusal(f"This key has {self.of_a_key} event streams open, the most at once; close one")
        if self.open >= self.in_all:
            raise self._refusal(
                f"The service has {self.in_all} event streams open, the most at once; ask for the state"
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
