"""Sliding windows in memory: how many requests of each name came in the last minute, and when the next may come.

The `limits` library counts in Redis (`service.auth.limits`). Its storages in memory do not serve here: the threaded one
starts a thread at nearly every hit of a quiet service, 1.4 ms where a transfer takes 0.1 ms; the one for asyncio looks
at every name after each hit (10,000 names: 2.2 ms of the event loop, this module 0.04 ms) and keeps any number of them,
so a client with many addresses could stop the process with wrong keys (measured on two busy cores with limits 5.8).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_SECONDS = 60.0
MANY = 10_000  # names counted at once (chosen): 2 MB, and more than one process has callers in two minutes


def seconds_until_allowed(
    previous: int, previous_seconds: float, current: int, current_seconds: float, limit: int
) -> float:
    """Return 0 if one more request is allowed, else the seconds until it is.

    The last minute holds this window and the end of the one before it, whose requests count by that share.
    previous_seconds, current_seconds: how long either continues to count in full or in part, up to WINDOW_SECONDS.

    >>> seconds_until_allowed(60, 30.0, 29, 30.0, 60), seconds_until_allowed(60, 30.0, 30, 30.0, 60)
    (0.0, 0.001)
    >>> seconds_until_allowed(0, 0.0, 60, 30.0, 60)
    30.001
    """
    if math.floor(previous * previous_seconds / WINDOW_SECONDS) + current < limit:
        return 0.0
    if current < limit:
        seconds = previous_seconds - (limit - current) / previous * WINDOW_SECONDS
    else:
        seconds = current_seconds + (1 - limit / current) * WINDOW_SECONDS
    return max(seconds, 0.0) + 0.001  # at the very moment it is refused still


@dataclass(slots=True)
class _Count:
    window: int  #: number of the window that `current` counts
    previous: int
    current: int


class Windows:
    """Counts by name; each method is one step of the event loop, so it needs no lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, _Count] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def take(self, name: str, limit: int) -> float:
        """Count one request if `limit` a minute allow it and give 0, else give the seconds until they do."""
        wait, count = self._look(name, limit)
        if wait == 0:
            count.current += 1
        return wait

    def wait(self, name: str, limit: int) -> float:
        """Return the seconds until one more request is allowed, counting none."""
        return self._look(name, limit)[0]

    def _look(self, name: str, limit: int) -> tuple[float, _Count]:
        window, passed = divmod(self._clock(), WINDOW_SECONDS)
        count = self._counts.get(name)
        if count is None or count.window != window:
            follows = count is not None and count.window == window - 1
            fresh = _Count(int(window), count.current if count is not None and follows else 0, 0)
            self._counts.pop(name, None)  # so that the oldest stand first
            self._make_room(int(window))
            self._counts[name] = count = fresh
        left = WINDOW_SECONDS - passed
        return seconds_until_allowed(count.previous, left, count.current, left, limit), count

    def _make_room(self, window: int) -> None:
        if len(self._counts) < MANY:
            return
        for name in [name for name, count in self._counts.items() if count.window < window - 1]:
            del self._counts[name]
        while len(self._counts) >= MANY:
            del self._counts[next(iter(self._counts))]
