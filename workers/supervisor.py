"""The supervisor of one claim: finds it a child process, stores what that reports, and kills it when it must.

It kills the child when the lease is lost, cancellation is requested, the deadline passes or the worker must stop; every
write carries the claim's epoch, so a child that outlives its claim changes nothing. A silent database may block the
supervisor forever, so a thread that never uses it enforces the deadline and the lease's end. A child that has finished
may wait for the next shard of its calibration (`standby`); a claim that ends in any other way ends its child.
"""

import contextvars
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from service.store import Claim, Lease, Store, StoreUnavailableError
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Outcome
from workers.backoff import Backoff
from workers.process import ChildProcess, Ended
from workers.protocol import (
    ErrorKind,
    Event,
    Failed,
    Finished,
    Job,
    MeasurementDone,
    ProtocolError,
    Started,
    StepProgress,
    TrialDone,
)
from workers.standby import Standby, Ties
from workers.totals import Totals

log = structlog.get_logger(__name__)

CHILD_COMMAND = (sys.executable, "-m", "workers.child")
MESSAGE_SECONDS = 0.1  # longest wait for a message, and so the longest delay in noticing the stop event
CHECK_SECONDS = 1.0  # between checks of the cancel flag: a person waits for it
EXTENSIONS_PER_LEASE = 6  # a lease of 60 s is extended every 10 s and survives five failures
#: Errors that the other shards of a calibration would meet as well.
OF_ALL = (ErrorKind.INVALID_INPUT, ErrorKind.OUT_OF_MEMORY)
RETRY_SECONDS = 0.5  # between attempts to reach a database that does not answer


@dataclass(frozen=True)
class Supervisor:
    """What all claims of one worker have in common."""

    store: Store
    worker_id: str
    stop: threading.Event
    lease_seconds: float
    deadline_seconds: float
    standby: Standby  #: where its child comes from, and waits
    cache_dir: Path | None = None
    corpora_dir: Path | None = None
    totals: Totals = field(default_factory=Totals)
    backoff: Backoff = field(default_factory=Backoff)  #: what failed lately, for the next claim
    described: threading.Event = field(default_factory=threading.Event)  #: device and versions have been reported

    def run(self, claim: Claim) -> Outcome:
        """Run one claim to its end; its child is then dead or on standby. Every log line names the claim."""
        whose = {"worker_id": self.worker_id, "calibration_id": claim.calibration_id, "shard_id": claim.shard_id}
        if claim.request_id is not None:
            whose["request_id"] = claim.request_id
        with structlog.contextvars.bound_contextvars(**whose):
            try:
                outcome = self._run(claim)
            except Exception as error:
                # a bug: without this the shard would stay claimed until its lease ends
                log.exception("supervisor_failed")
                outcome = self.report_failure(claim, f"The worker failed ({error!r}); see its log.", retryable=True)
            log.info("shard_ended", outcome=outcome.value)
        if outcome is Outcome.SUCCEEDED:
            self.backoff.succeeded(claim.calibration_id, claim.owner)
        self.totals.count_shard(outcome)
        return outcome

    def _run(self, claim: Claim) -> Outcome:
        try:
            job = Job(
                claim.spec,
                claim.shard,
                claim.done,
                cache_dir=None if self.cache_dir is None else str(self.cache_dir),
                corpora_dir=None if self.corpora_dir is None else str(self.corpora_dir),
            )
            ties = Ties.of(job, owner=claim.owner, calibration_id=claim.calibration_id)
            child = self.standby.take(job, ties, fresh=claim.attempt > 1)
        except InvalidInputError as error:
            return self.report_failure(claim, f"invalid_input: {error}", retryable=False, pause=False, of_all=True)
        except OSError as error:
            return self.report_failure(claim, f"The child process could not be started ({error}).", retryable=True)
        shard = claim.shard
        log.info(
            "shard_started",
            kind=shard.kind,
            width=shard.width,
            seeds=list(shard.seeds),
            attempt=claim.attempt,
            child_pid=child.pid,
            child_shards=child.jobs,
        )
        watch = _Watch(self, claim, job, child)
        try:
            outcome = watch.until_the_end()
        except BaseException:
            watch.child.kill()
            raise
        if outcome is Outcome.SUCCEEDED and not watch.overdue:
            self.standby.keep(watch.child, ties)
        else:
            watch.child.kill()
        return outcome

    def heartbeat(self, environment: Mapping[str, Any] | None = None, *, begins: bool = False) -> None:
        """Report that this worker is alive, its totals, and its device and versions once known."""
        known = environment or {}
        versions = known.get("versions")
        self.store.workers.report(
            self.worker_id,
            host=socket.gethostname(),
            device=_device(known),
            versions=versions if isinstance(versions, dict) else None,
            totals=self.totals.to_dict(),
            begins=begins,
        )
        if environment is not None:
            self.described.set()

    def report_failure(
        self, claim: Claim, reason: str, *, retryable: bool, pause: bool = True, of_all: bool = False
    ) -> Outcome:
        """Report a failed attempt. pause: leave the calibration alone for a while; false for a wrong specification."""
        if pause:
            self.backoff.failed(claim.calibration_id, claim.owner)
        log.warning("shard_failed", reason=reason, retryable=retryable)
        lease = self.insist(lambda: self.store.work.fail(claim, reason, retryable=retryable, of_all=of_all))
        return Outcome.LOST if lease is Lease.LOST else Outcome.FAILED

    def seen(self, lease: Lease) -> Lease:
        """Count a lease that the store reports as lost."""
        if lease is Lease.LOST:
            self.totals.count_lease_loss()
            log.warning("lease_lost")
        return lease

    def insist(self, write: Callable[[], Lease]) -> Lease:
        """Make a last write, waiting for the database while the lease may still hold, but not after a stop."""
        give_up = time.monotonic() + self.lease_seconds
        while True:
            try:
                return self.seen(write())
            except StoreUnavailableError as error:
                log.warning("database_unavailable", error=str(error))
                if time.monotonic() > give_up or self.stop.wait(RETRY_SECONDS):
                    return Lease.LOST


@dataclass
class _Watch:
    """Watches one child; holds everything that changes while it runs."""

    supervisor: Supervisor
    claim: Claim
    job: Job
    child: ChildProcess
    unstored: Event | None = None  #: an event that could not be stored because the database did not answer
    error: Failed | None = None  #: the error that the child reported
    finished: bool = False
    overdue: bool = False  #: the child was killed because its time was up
    over: threading.Event = field(default_factory=threading.Event)  #: the watch has ended
    deciding: threading.Lock = field(default_factory=threading.Lock)  #: whether the child is over, overdue or another
    deadline: float = field(init=False)
    held_until: float = field(init=False)
    next_check: float = field(init=False)
    next_extension: float = field(init=False)

    def __post_init__(self) -> None:
        now = time.monotonic()
        self.deadline = now + self.supervisor.deadline_seconds
        self.held_until = now + self.supervisor.lease_seconds
        self.next_check = now + self._check_seconds
        self.next_extension = now + self.supervisor.lease_seconds / EXTENSIONS_PER_LEASE

    @property
    def _check_seconds(self) -> float:
        return min(CHECK_SECONDS, self.supervisor.lease_seconds / EXTENSIONS_PER_LEASE)

    def until_the_end(self) -> Outcome:
        """Watch until the child has ended or must be killed."""
        keep_time = contextvars.copy_context().run  # its log lines name the claim, too
        threading.Thread(target=keep_time, args=(self._keep_time,), daemon=True, name="deadline").start()
        try:
            return self._watch()
        finally:
            with self.deciding:
                self.over.set()

    def _keep_time(self) -> None:
        """Kill the child at its deadline or its lease's end, whichever comes first; runs on a separate thread.

        The watch may wait forever for the database: a frozen one keeps its connections open.
        """
        while (left := min(self.deadline, self.held_until) - time.monotonic()) > 0:
            if self.over.wait(left):
                return
        with self.deciding:
            if self.over.is_set():  # the child may run another shard by now
                return
            self.overdue = True
            self.child.send_kill()
        log.warning("child_overdue", of="deadline" if time.monotonic() >= self.deadline else "lease")

    def _watch(self) -> Outcome:
        while True:
            if self.supervisor.stop.is_set():
                return self._release()
            if self.overdue:
                return self._too_late()
            try:
                lease = self._step()
            except Ended:
                if (outcome := self._ended()) is not None:
                    return outcome
                continue
            except (ProtocolError, InvalidInputError) as error:
                if self._replace():
                    continue
                return self._fail(f"The child process broke its protocol: {error}", retryable=False)
            if lease is not Lease.HELD:
                return self._give_way(lease)
            if self.finished:
                return self._finish()

    def _release(self) -> Outcome:
        """Return the shard to the queue, because the worker must stop."""
        self.child.kill()
        lease = self.supervisor.insist(lambda: self.supervisor.store.work.release(self.claim))
        return Outcome.LOST if lease is Lease.LOST else Outcome.RELEASED

    def _too_late(self) -> Outcome:
        """Handle a child that ran out of time: by its deadline, or because another worker may have its shard by now."""
        if time.monotonic() < self.deadline:
            return self._give_way(Lease.LOST)
        reason = f"The attempt took longer than its deadline of {self.supervisor.deadline_seconds:g} s."
        return self._fail(reason, retryable=True, of_all=True)

    def _fail(self, reason: str, *, retryable: bool, pause: bool = True, of_all: bool = False) -> Outcome:
        """End the attempt and say why."""
        self.child.kill()
        return self.supervisor.report_failure(self.claim, reason, retryable=retryable, pause=pause, of_all=of_all)

    def _give_way(self, lease: Lease) -> Outcome:
        """Stop because another worker has the shard, or because the user cancelled it."""
        self.child.kill()
        if lease is Lease.CANCEL_REQUESTED:
            lease = self.supervisor.insist(lambda: self.supervisor.store.work.cancel(self.claim))
        return Outcome.LOST if lease is Lease.LOST else Outcome.CANCELLED

    def _step(self) -> Lease:
        """Check the lease if it is due, and handle one event; HELD while all is well."""
        try:
            lease = self.supervisor.seen(self._look_at_lease())
            if lease is not Lease.HELD:
                return lease
            if self.unstored is None:
                self.unstored = self.child.next_event(MESSAGE_SECONDS)
            if self.unstored is not None:
                lease = self.supervisor.seen(self._take(self.unstored))
                self.unstored = None
        except StoreUnavailableError as error:
            log.warning("database_unavailable", error=str(error))
            self.supervisor.stop.wait(RETRY_SECONDS)
            return Lease.HELD if time.monotonic() < self.held_until else Lease.LOST
        return lease

    def _look_at_lease(self) -> Lease:
        store, now = self.supervisor.store, time.monotonic()
        if now >= self.next_extension:
            lease = store.work.extend(self.claim)
            self.held_until = now + self.supervisor.lease_seconds
            self.next_extension = now + self.supervisor.lease_seconds / EXTENSIONS_PER_LEASE
        elif now >= self.next_check:
            lease = store.work.check(self.claim)
        else:
            return Lease.HELD
        self.next_check = time.monotonic() + self._check_seconds
        return lease

    def _take(self, event: Event) -> Lease:
        """Handle one event of the child."""
        store = self.supervisor.store
        match event:
            case TrialDone(trial):
                lease = store.work.record_trial(self.claim, trial.to_dict())
                if lease is not Lease.LOST:
                    self.supervisor.totals.count_trial(trial.to_dict())
                return lease
            case MeasurementDone(measurement):
                return store.work.record_measurement(self.claim, measurement.to_dict())
            case Started(environment):
                self.supervisor.heartbeat(environment)
                return store.work.record_environment(self.claim, dict(environment))
            case Failed():
                self.error = event
            case Finished():
                self.finished = True
            case StepProgress(trial=index, of=of, step=step, steps=steps):
                log.debug("progress", trial=index, of=of, step=step, steps=steps)
            case _:
                raise ProtocolError(f"{event!r} is not an event of a shard")
        return Lease.HELD

    def _finish(self) -> Outcome:
        lease = self.supervisor.insist(lambda: self.supervisor.store.work.finish(self.claim))
        return Outcome.LOST if lease is Lease.LOST else Outcome.SUCCEEDED

    def _ended(self) -> Outcome | None:
        """Handle a child that has reported an error or died; None if another one took its place."""
        status = self.child.wait()
        if self._replace():
            return None
        if self.error is not None:
            final, of_all = self.error.is_final, self.error.kind in OF_ALL
            reason = f"{self.error.kind}: {self.error.message}"
            return self._fail(reason, retryable=not final, pause=not final, of_all=of_all)
        if self.overdue:
            return self._too_late()
        words = self.child.last_words()
        said = f"Its last output:\n{words}" if words else "It printed nothing."
        reason = f"The child process ended {_in_words(status)} before it finished. {said}"
        return self._fail(reason, retryable=True, of_all=status == -signal.SIGKILL)  # the kernel's, out of memory

    def _replace(self) -> bool:
        """Start a fresh child instead of one that ended before it started this shard, which is not at fault."""
        if not self.child.unstarted:
            return False
        self.child.kill()
        with self.deciding:
            if self.overdue:
                return False
            try:
                child = ChildProcess(self.supervisor.standby.command)
            except OSError as error:
                log.warning("child_not_replaced", error=str(error))
                return False
            log.warning("child_replaced", child_pid=child.pid, died=self.child.pid, said=self.child.last_words())
            self.child = child
        child.send(self.job)
        return True


def _device(environment: Mapping[str, Any]) -> str | None:
    """Name a device by its platform and, if that says more, its kind: "cpu", "gpu (NVIDIA H100 80GB HBM3)"."""
    device, kind = environment.get("device"), environment.get("device_kind")
    if device is None:
        return None
    return str(device) if kind in (None, device) else f"{device} ({kind})"


def _in_words(status: int) -> str:
    """Return an exit status as text."""
    if status >= 0:
        return f"with exit status {status}"
    try:
        return f"by signal {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"
