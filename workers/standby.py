"""The child between two shards: kept while it may be of use to the next one, and ended when it may not.

A child is inherited only within one calibration, so only by an equal owner, specification, cache, folder of texts and
environment. A shard that failed before gets a fresh child, since its last one may be why.
"""

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from widthwise.calibration.spec import CalibrationSpec
from workers.conversation import Phase
from workers.lifetime import Lifetime
from workers.process import ChildProcess, Ended, child_environment
from workers.protocol import Job, ProtocolError


class Ties(NamedTuple):
    """What two shards must have in common for one child to run both."""

    owner: str
    calibration_id: str
    spec: CalibrationSpec
    cache_dir: str | None
    corpora_dir: str | None

    @classmethod
    def of(cls, job: Job, *, owner: str = "", calibration_id: str = "") -> "Ties":
        """Return the ties of a job; a calibration without a service has no owner and no id."""
        return cls(owner, calibration_id, job.spec, job.cache_dir, job.corpora_dir)


class Standby:
    """The one child of a worker: it runs a shard, or waits here for the next one."""

    def __init__(self, command: Sequence[str], lifetime: Lifetime) -> None:
        self.command = tuple(command)
        self._lifetime = lifetime
        self._lock = threading.Lock()  # the timer's thread ends a child, too
        self._waiting: tuple[ChildProcess, Ties] | None = None
        self._timer: threading.Timer | None = None

    def take(self, job: Job, ties: Ties, *, fresh: bool = False) -> ChildProcess:
        """Return a child that was sent the job: the one that waits, if it has these ties, else a fresh one.

        The one that waits ends in the second case: an accelerator may serve only one program. Raises OSError if a child
        can't be started.
        """
        child = self._leave(ties, fresh=fresh)
        if child is None:
            child = ChildProcess(self.command)
        child.send(job)
        return child

    def keep(self, child: ChildProcess, ties: Ties) -> None:
        """Let a child that has finished its shard wait for the next one, or end it if it has lived long enough."""
        age = time.monotonic() - child.born
        if child.phase is not Phase.IDLE or not self._lifetime.allows(
            shards=child.jobs, seconds=age, growth_bytes=child.growth_bytes()
        ):
            child.kill()
            return
        seconds = min(self._lifetime.idle_seconds, self._lifetime.seconds - age)
        with self._lock:
            self._end()
            self._waiting = child, ties
            self._timer = threading.Timer(max(0.0, seconds), self._end_idle, (child,))
            self._timer.daemon = True
            self._timer.start()

    @property
    def calibration_id(self) -> str | None:
        """The calibration whose next shard would find a child here."""
        waiting = self._waiting
        return None if waiting is None else waiting[1].calibration_id

    def end(self) -> None:
        """End the child that waits, if there is one."""
        with self._lock:
            self._end()

    def _leave(self, ties: Ties, *, fresh: bool) -> ChildProcess | None:
        """Return the child that waits if it can run a job with these ties, and end it if it can't."""
        with self._lock:
            if self._waiting is None:
                return None
            child, its = self._waiting
            if fresh or its != ties or child.environment != child_environment() or not _is_silent(child):
                self._end()
                return None
            self._forget()
            return child

    def _end_idle(self, child: ChildProcess) -> None:
        with self._lock:
            if self._waiting is not None and self._waiting[0] is child:  # not taken while this thread started
                self._end()

    def _end(self) -> None:
        if self._waiting is not None:
            self._waiting[0].kill()
        self._forget()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._waiting, self._timer = None, None


def _is_silent(child: ChildProcess) -> bool:
    """Whether a child that waits is alive and has said nothing since it finished."""
    try:
        return child.lives and child.next_event(0.0) is None
    except (Ended, ProtocolError):
        return False
