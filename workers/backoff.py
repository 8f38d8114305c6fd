"""What a worker leaves alone for a while, because it failed: a calibration, or all of an owner's.

A failure holds up its own calibration alone. If another of the same owner's fails before one succeeds, the machine may
be at fault, and that owner's others wait too: a broken machine must not use up the attempts of every shard in the
queue, and no owner's mistakes may hold up another's work.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_PAUSE_SECONDS = 1.0  # doubled while failures follow each other (chosen)
LAST_PAUSE_SECONDS = 30.0  # chosen: a machine that works again is found soon


@dataclass(slots=True)
class _Pauses:
    """Pauses by name: how long each was, and until when it lasts."""

    clock: Callable[[], float]
    known: dict[str, tuple[float, float]] = field(default_factory=dict)

    def begin(self, name: str) -> None:
        """Begin a pause, twice as long as the last one."""
        now = self.clock()
        # forgotten once it has been over for the longest pause, so that there are few
        self.known = {each: pause for each, pause in self.known.items() if now < pause[1] + LAST_PAUSE_SECONDS}
        last = self.known.get(name)
        seconds = FIRST_PAUSE_SECONDS if last is None else min(2 * last[0], LAST_PAUSE_SECONDS)
        self.known[name] = seconds, now + seconds

    def running(self) -> frozenset[str]:
        """The names whose pause is not over."""
        now = self.clock()
        return frozenset(name for name, (_, until) in self.known.items() if now < until)


class Backoff:
    """The pauses of one worker; used by one thread at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._calibrations, self._owners = _Pauses(clock), _Pauses(clock)
        self._failed_last: dict[str, str] = {}  #: an owner's calibration that failed since one succeeded

    def failed(self, calibration_id: str, owner: str) -> None:
        """Leave a calibration alone, and its owner's others if one of them failed before it."""
        self._calibrations.begin(calibration_id)
        if self._failed_last.get(owner, calibration_id) != calibration_id:
            self._owners.begin(owner)
        self._failed_last[owner] = calibration_id

    def succeeded(self, calibration_id: str, owner: str) -> None:
        """Begin again with the shortest pauses."""
        self._calibrations.known.pop(calibration_id, None)
        self._owners.known.pop(owner, None)
        self._failed_last.pop(owner, None)

    @property
    def calibrations(self) -> frozenset[str]:
        """The calibrations to leave alone now."""
        return self._calibrations.running()

    @property
    def owners(self) -> frozenset[str]:
        """The owners whose calibrations to leave alone now."""
        return self._owners.running()
