"""Pictures of calibrations, kept once drawn: drawing one fits its trials again, and the page asks every few seconds."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from service.store.database.records import StoredCalibration

KEPT = 64  # pictures of some 30 kB (chosen): the two of every calibration that a page shows

_Key = tuple[str, str, int]


class Pictures:
    """The pictures drawn last, by kind, calibration and its newest event.

    Whatever changes a picture (a trial, an upload, the end) is an event of the calibration with a new number, so a
    picture that is found is never out of date. Safe to share between threads.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._drawn: OrderedDict[_Key, str] = OrderedDict()
        self._lock = Lock()

    def of(self, kind: str, calibration: StoredCalibration, draw: Callable[[], str]) -> str:
        """Return the picture of a calibration as it was read; `draw` is called only if it was not drawn before."""
        key = kind, calibration.id, calibration.last_event
        with self._lock:
            if key in self._drawn:
                self._drawn.move_to_end(key)
                return self._drawn[key]
        picture = draw()  # outside the lock: others need not wait for a fit
        with self._lock:
            self._drawn[key] = picture
            while len(self._drawn) > self._kept:
                self._drawn.popitem(last=False)
        return picture
