"""The child between two shards: kept while it may be of use to the next one, and ended when it may not.

A child is inherited only within one calibration, so only by an equal owner, specification, cache, folder of texts and
environment. A shard that failed before gets a fresh child, since its last one may be why. While it waits, it may
compile for a later shard (`preparing`). No shard waits for that, except one that needs what is compiled.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from widthwise.calibration.spec import CalibrationSpec
from widthwise.vocabulary import ShardKind
from workers.conversation import Phase
from workers.lifetime import Lifetime
from workers.process import ChildProcess, Ended, child_environment
from workers.protocol import Failed, Job, ProtocolError

log = structlog.get_logger(__name__)


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


@dataclass(slots=True)
class _Waiting:
    """A child without a shard."""

    child: ChildProcess
    ties: Ties
    until: float  #: when it ends if it still has none, by the clock of this process
    compiles: Job | None = None  #: what it does meanwhile


class Standby:
    """The one child of a worker: it runs a shard, or waits here for the next one."""

    def __init__(self, command: Sequence[str], lifetime: Lifetime) -> None:
        self.command = tuple(command)
        self._lifetime = lifetime
        self._lock = threading.Lock()  # the timer's thread ends a child, too
        self._waiting: _Waiting | None = None
        self._timer: threading.Timer | None = None

    def take(self, job: Job, ties: Ties, *, fresh: bool = False) -> ChildProcess:
        """Return a child that was sent the job: the one that waits, if it has these ties, else a fresh one.

        The one that waits ends in the second case: an accelerator may serve only one program. So does one that compiles
        for another width. Raises OSError if a child can't be started.
        """
        child = self._leave(job, ties, fresh=fresh)
        if child is None:
            child = ChildProcess(self.command)
        child.send(job)
        return child

    def keep(self, child: ChildProcess, ties: Ties) -> None:
        """Let a child that has finished its shard wait for the next one, or end it if it has lived long enough."""
        if child.phase is not Phase.IDLE or not self._may_go_on(child):
            child.kill()
            return
        now = time.monotonic()
        seconds = min(self._lifetime.idle_seconds, self._lifetime.seconds - (now - child.born))
        with self._lock:
            self._end()
            self._waiting = _Waiting(child, ties, until=now + seconds)
            self._end_after(seconds)

    def prepare(self, job: Job) -> bool:
        """Let the child that waits compile for a later shard; return whether it begins to.

        It does not if a shard could then find no child here any more: what it compiles counts as one. The limit on idle
        time does not interrupt it, and the limit on age does, so that nothing is compiled for ever.
        """
        with self._lock:
            self._hear()
            waiting = self._waiting
            if waiting is None or waiting.compiles is not None:
                return False
            child = waiting.child
            if not self._may_go_on(child, further=1) or not _is_as_it_was(child):
                return False
            child.send(job)
            waiting.compiles = job
            self._end_after(self._lifetime.seconds - (time.monotonic() - child.born))
        log.info("width_compiles", **_named(waiting.ties, job), child_pid=child.pid)
        return True

    @property
    def ties(self) -> Ties | None:
        """Those of the child that waits, if there is one."""
        with self._lock:
            self._hear()
            return None if self._waiting is None else self._waiting.ties

    @property
    def calibration_id(self) -> str | None:
        """The calibration whose next shard would find a child here."""
        ties = self.ties
        return None if ties is None else ties.calibration_id

    @property
    def compiles(self) -> bool:
        """Whether the child that waits compiles meanwhile, as far as it was heard."""
        waiting = self._waiting
        return waiting is not None and waiting.compiles is not None

    def end(self) -> None:
        """End the child that waits, if there is one."""
        with self._lock:
            self._end()

    def _leave(self, job: Job, ties: Ties, *, fresh: bool) -> ChildProcess | None:
        """Return the child that waits if it can run a job with these ties, and end it if it can't."""
        with self._lock:
            self._hear()
            waiting = self._waiting
            if waiting is None:
                return None
            suits = waiting.ties == ties and _is_of_use(waiting.compiles, job)
            if fresh or not suits or not self._may_go_on(waiting.child) or not _is_as_it_was(waiting.child):
                self._end()
                return None
            self._forget()
            return waiting.child

    def _hear(self) -> None:
        """Hear what a child that compiles has said: it only waits once it has finished, and ends if it has failed."""
        waiting, failure = self._waiting, None
        if waiting is None or waiting.compiles is None:
            return
        child = waiting.child
        try:
            while child.phase is Phase.PREPARING and (event := child.next_event(0.0)) is not None:
                if isinstance(event, Failed):
                    failure = f"{event.kind}: {event.message}"
        except Ended:
            child.kill()  # its last words have been read then
            failure = child.last_words() or "it printed nothing"
        except ProtocolError as error:
            failure = str(error)
        if failure is not None:
            log.warning("width_not_compiled", **_named(waiting.ties, waiting.compiles), reason=failure)
            self._end()
        elif child.phase is Phase.IDLE:
            log.info("width_compiled", **_named(waiting.ties, waiting.compiles), child_pid=child.pid)
            waiting.compiles = None
            seconds = waiting.until - time.monotonic()
            if seconds > 0.0 and self._may_go_on(child):
                self._end_after(seconds)
            else:
                self._end()

    def _may_go_on(self, child: ChildProcess, *, further: int = 0) -> bool:
        """Whether a child may take another job, and so many further ones."""
        age = time.monotonic() - child.born
        return self._lifetime.allows(shards=child.jobs + further, seconds=age, growth_bytes=child.growth_bytes())

    def _end_after(self, seconds: float) -> None:
        """End the child that waits after this time."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(max(0.0, seconds), self._end_late)
        self._timer.daemon = True
        self._timer.start()

    def _end_late(self) -> None:
        with self._lock:
            if self._timer is threading.current_thread():  # nothing was changed while this thread started
                self._end()

    def _end(self) -> None:
        if self._waiting is not None:
            self._waiting.child.kill()
        self._forget()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._waiting, self._timer = None, None


def _is_as_it_was(child: ChildProcess) -> bool:
    """Whether a child is alive and has said nothing new, and one that started now would have its environment."""
    try:
        is_same = child.lives and child.environment == child_environment()
        return is_same and (child.phase is Phase.PREPARING or child.next_event(0.0) is None)
    except (Ended, ProtocolError):
        return False


def _is_of_use(compiles: Job | None, job: Job) -> bool:
    """Whether a child may have a job although it compiles: only if the job's program is what it compiles."""
    return compiles is None or (job.shard.kind is ShardKind.SWEEP and job.shard.width == compiles.shard.width)


def _named(ties: Ties, job: Job) -> dict[str, object]:
    return {"calibration_id": ties.calibration_id, "width": job.shard.width}
