"""A cache of calibration plots and fits: each fits the trials again, and the page asks every few seconds."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from service.store import StoredCalibration

KEPT = 64  # plots and fits of about 50 kB, with their numbers (chosen): all of every calibration that a page shows

T = TypeVar("T")

_Key = tuple[str, str, int]


class Pictures:
    """The most recent plots and fits, by kind, calibration and the calibration's newest event.

    Everything that changes a plot (a trial, an upload, the end) is a new event of the calibration with a new number,
    so a cached plot is never out of date. Safe to share between threads.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._drawn: OrderedDict[_Key, Any] = OrderedDict()
        self._lock = Lock()

    def kept(self, kind: str, calibration: StoredCalibration) -> Any:
        """Return the plot of a calibration as it was read if it is cached, else None."""
        key = kind, calibration.id, calibration.last_event
        with self._lock:
            if key in self._drawn:
                self._drawn.move_to_end(key)
            return self._drawn.get(key)

    def of(self, kind: str, calibration: StoredCalibration, draw: Callable[[], T]) -> T:
        """Return the plot of a calibration as it was read; `draw` is called only if it is not cached."""
        kept = self.kept(kind, calibration)
        if kept is not None:
            return kept  # type: ignore[no-any-return]  # what `draw` returned for this kind
        key = kind, calibration.id, calibration.last_event
        picture = draw()  # outside the lock, so that others need not wait for a fit
        with self._lock:
            self._drawn[key] = picture
            while len(self._drawn) > self._kept:
                self._drawn.popitem(last=False)
        return picture
