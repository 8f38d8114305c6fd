"""The latest fits of sweeps, kept by revision, and the turns of those who wait for one.

The runs of a revision never change, so neither does its fit.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar, cast

from fastapi import Request

from service.http.lanes import Lane, sender_of

#: For a turn (chosen): the largest fit takes half a minute. One runs at a time: computing holds the interpreter's lock,
#: so two would only hold each other up.
PATIENCE_SECONDS = 60.0
KEPT = 16  # fits and scores (chosen): a fit of 1,000 cells takes some 10 MB

T = TypeVar("T")


class Fits:
    """What was computed of a revision, the most recent ones; safe to share between threads."""

    def __init__(self, kept: int = KEPT) -> None:
        self.lane = Lane(in_all=1, of_one=1, patience_seconds=PATIENCE_SECONDS)
        self._kept = kept
        self._found: OrderedDict[tuple[Hashable, ...], object] = OrderedDict()
        self._lock = Lock()

    def find(self, *key: Hashable) -> object | None:
        """Return what is kept under a key, or None."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def of(self, *key: Hashable, compute: Callable[[], T]) -> T:
        """Return what is kept under a key; `compute` is called only if there is nothing."""
        kept = self.find(*key)
        if kept is not None:
            return cast(T, kept)
        computed = compute()  # outside the lock, so that others need not wait for it
        with self._lock:
            self._found[key] = computed
            while len(self._found) > self._kept:
                self._found.popitem(last=False)
        return computed


@dataclass(frozen=True, slots=True)
class FitsForSender:
    """The fits, for a request of one sender."""

    kept: Fits
    sender: str

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, once it is the sender's turn; TooManyRequestsError (429) if it never came."""
        return await self.kept.lane.run(self.sender, work)


def fits_for(request: Request) -> FitsForSender:
    """Return the service's fits for a request that was admitted."""
    return FitsForSender(request.app.state.fits, sender_of(request))
