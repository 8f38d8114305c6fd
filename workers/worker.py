"""A worker: claims shards, supervises and counts them, and does maintenance on a separate thread."""

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from service.observability.tracing import start_tracing
from service.settings import Settings
from service.store import Store, StoreUnavailableError
from workers.lifetime import Lifetime
from workers.preparing import Preparing
from workers.probe import PROBE_COMMAND, Probe
from workers.standby import Standby
from workers.supervisor import CHILD_COMMAND, EXTENSIONS_PER_LEASE, Supervisor
from workers.totals import Totals

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 10.0  # longest time between reports: a worker counts as stale after six missed ones
HOUSEKEEPING_SECONDS = 5.0  # between checks whether it is due (chosen): one worker at a time does it for all
FORGET_SECONDS = 3600.0  # between checks for workers that have been gone for a week (chosen)
DATABASE_SECONDS = 1.0  # before the next try if the database does not answer (chosen)
STOP_SECONDS = 2.0  # for the maintenance thread to end: its longest write takes less if the database answers


class Worker:
    """One worker of a store: one shard at a time, from whichever thread asks; a context manager around its work."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        worker_id: str,
        stop: threading.Event,
        *,
        command: Sequence[str] = CHILD_COMMAND,
        probe_command: Sequence[str] = PROBE_COMMAND,
    ) -> None:
        self.worker_id = worker_id
        self.stop = stop
        self.totals = Totals()
        self._store = store
        self._standby = Standby(
            command,
            Lifetime(
                shards=settings.child_shards,
                seconds=settings.child_seconds,
                idle_seconds=settings.child_idle_seconds,
                growth_bytes=settings.child_growth_mib << 20,
            ),
        )
        self._preparing = Preparing(self._standby, store.work.begun_widths)
        self._supervisor = Supervisor(
            store=store,
            worker_id=worker_id,
            stop=stop,
            lease_seconds=settings.lease_seconds,
            deadline_seconds=settings.shard_deadline_seconds,
            cache_dir=settings.cache_dir,
            corpora_dir=settings.corpora_dir,
            standby=self._standby,
            totals=self.totals,
        )
        self._heartbeat_seconds = min(HEARTBEAT_SECONDS, settings.lease_seconds / EXTENSIONS_PER_LEASE)
        self._one_at_a_time = threading.Lock()
        self._probe = Probe(probe_command)
        self._tracing = start_tracing(settings, "widthwise-worker")
        self._maintenance = threading.Thread(target=self._maintain, daemon=True, name="maintenance")

    def __enter__(self) -> "Worker":
        """Start; SchemaError if the database needs a migration. Waits for a database that does not answer."""
        while not self.stop.is_set():
            if self._reached(self._begin):
                break
            self.stop.wait(DATABASE_SECONDS)
        self._maintenance.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._maintenance.join(STOP_SECONDS)
        with self._one_at_a_time:  # a shard that is being returned
            self._probe.end()
            self._standby.end()
            self._reached(lambda: self._store.workers.stop(self.worker_id, totals=self.totals.to_dict()))
        self._tracing.stop()

    def work(self, *, wait: bool = True) -> bool:
        """Claim the next shard and run it to its end; return whether there was one.

        wait: for the shard that another thread is running; otherwise return False in that case.
        """
        if not self._one_at_a_time.acquire(blocking=wait):
            return False
        try:
            with structlog.contextvars.bound_contextvars(worker_id=self.worker_id):
                return self._work()
        finally:
            self._one_at_a_time.release()

    def _work(self) -> bool:
        if self.stop.is_set():
            return False
        try:
            left = self._supervisor.backoff
            claim = self._store.work.claim(
                self.worker_id,
                without=left.calibrations,
                without_owners=left.owners,
                prefer=self._standby.calibration_id,  # its child is warm
            )
        except StoreUnavailableError as error:
            log.warning("database_unavailable", worker_id=self.worker_id, error=str(error))
            self.stop.wait(DATABASE_SECONDS)
            return False
        if claim is None:
            self._describe()
            self._reached(self._preparing.look)
            return False
        self._probe.end()  # before the shard's child: some accelerators serve only one program
        with self._tracing.shard(claim) as ended:
            outcome = self._supervisor.run(claim)
            ended(outcome.value)
        return True

    @property
    def probing(self) -> bool:
        """Whether a probe of the device is running, so that `work` should be called soon for its result."""
        return self._probe.running

    def _describe(self) -> None:
        """While there is nothing to run, find out which device this worker has."""
        if self._supervisor.described.is_set() or self._probe.failed:
            return
        found = self._probe.look()
        if found is not None:
            self._reached(lambda: self._supervisor.heartbeat(found))

    def _begin(self) -> None:
        """Check the schema, free what an earlier process of the same name held (it is dead), and report."""
        self._store.check_ready()
        self._store.workers.abandon(self.worker_id)
        self._supervisor.heartbeat(begins=True)

    def _maintain(self) -> None:
        """Report and do maintenance until told to stop."""
        duties: list[tuple[float, Callable[[], object]]] = [
            (self._heartbeat_seconds, self._supervisor.heartbeat),
            (HOUSEKEEPING_SECONDS, lambda: self.totals.count_republished(self._store.housekeeping.run(self.worker_id))),
            (FORGET_SECONDS, self._store.workers.forget),
        ]
        due = [0.0] * len(duties)
        while not self.stop.wait(max(0.0, min(due) - time.monotonic())):
            for number, (seconds, duty) in enumerate(duties):
                if time.monotonic() >= due[number] and not self.stop.is_set():
                    try:
                        self._reached(duty)
                    except Exception:  # an error in one duty must not end the others, such as reports
                        log.exception("maintenance_failed", worker_id=self.worker_id)
                    due[number] = time.monotonic() + seconds

    def _reached(self, act: Callable[[], object]) -> bool:
        """Do something with the database; return whether it answered."""
        try:
            act()
        except StoreUnavailableError as error:
            log.warning("database_unavailable", worker_id=self.worker_id, error=str(error))
            return False
        return True
