"""What a child without a shard compiles: the program of the next width that its calibration will train.

Searches go from narrow widths to wide ones, so the next is the narrowest that has not begun. An information search may
never reach the widest.
"""

from collections import deque
from collections.abc import Callable, Collection

from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.vocabulary import Measured
from workers.protocol import Job
from workers.standby import Standby, Ties

TRIED_MAXIMUM = 1000  # widths that a worker remembers (chosen): more than those of all calibrations that run at once


def next_width(spec: CalibrationSpec, begun: Collection[int]) -> int | None:
    """Return the narrowest width that is swept and not among those that have begun; None if there is none."""
    if not {Measured.LEARNING_RATE, Measured.GAMMA} & set(spec.measure):
        return None  # nothing is swept, or horizons at the first width alone
    return min(set(spec.widths) - set(begun), default=None)


def preparation(ties: Ties, width: int) -> Job:
    """Return the job that compiles the program with which sweeps of a width are trained, and trains nothing."""
    shard = ShardSpec(width, ties.spec.learning_rates[:1], (0,))
    return Job(ties.spec, shard, cache_dir=ties.cache_dir, corpora_dir=ties.corpora_dir, only_compile=True)


class Preparing:
    """What the child of one worker compiles while the worker finds no shard; used by one thread at a time."""

    def __init__(self, standby: Standby, begun_widths: Callable[[str], Collection[int] | None]) -> None:
        """begun_widths: those of a calibration, by its id; None unless it runs on."""
        self._standby = standby
        self._begun_widths = begun_widths
        self._tried: deque[tuple[str, int]] = deque(maxlen=TRIED_MAXIMUM)  # of calibrations, by id

    def look(self) -> None:
        """Let the child that waits compile the next width of its calibration, and no longer than this runs.

        One width, and once: the shards of that width may come at any time, and find no child that compiles for another.
        """
        ties = self._standby.ties
        if ties is None:
            return
        begun = self._begun_widths(ties.calibration_id)
        if begun is None:
            if self._standby.compiles:
                self._standby.end()
            return
        width = next_width(ties.spec, begun)
        if width is None or (ties.calibration_id, width) in self._tried:
            return
        if self._standby.prepare(preparation(ties, width)):
            self._tried.append((ties.calibration_id, width))
