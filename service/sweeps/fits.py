"""The latest fits of sweeps, kept by revision: the runs of a revision never change, so neither does its fit."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import TypeVar, cast

KEPT = 16  # fits and scores (chosen): a fit of 1,000 cells takes some 10 MB

T = TypeVar("T")


class Fits:
    """What was computed of a revision, the most recent ones; safe to share between threads."""

    def __init__(self, kept: int = KEPT) -> None:
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
