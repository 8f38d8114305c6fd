"""A worker: claims shards one after another and supervises each, until it is told to stop."""

import threading
import time
from collections.abc import Sequence

import structlog

from service.settings import Settings
from service.store import Store, StoreUnavailableError, open_store
from workers.supervisor import CHILD_COMMAND, EXTENSIONS_PER_LEASE, Outcome, Supervisor

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5  # between looks for work when there is none: one indexed read (chosen)
SWEEP_SECONDS = 5.0  # between looks for what a crash left unfinished (chosen)
FIRST_PAUSE_SECONDS = 1.0  # after a failed attempt, doubled while failures follow each other: a broken machine
LAST_PAUSE_SECONDS = 30.0  # must not use up the attempts of every shard in the queue (chosen)


def run_worker(
    settings: Settings, worker_id: str, stop: threading.Event, *, command: Sequence[str] = CHILD_COMMAND
) -> None:
    """Work until `stop` is set; a shard in progress is then given back within a second.

    worker_id: unique among living processes. Raises SchemaError if the database needs a migration.
    """
    store = open_store(settings.database_url, lease_seconds=settings.lease_seconds)
    supervisor = Supervisor(
        store=store,
        worker_id=worker_id,
        stop=stop,
        lease_seconds=settings.lease_seconds,
        deadline_seconds=settings.shard_deadline_seconds,
        cache_dir=settings.cache_dir,
        corpora_dir=settings.corpora_dir,
        command=command,
    )
    try:
        _begin(store, supervisor)
        log.info("worker_started", worker_id=worker_id)
        _work(store, supervisor, settings.lease_seconds / EXTENSIONS_PER_LEASE)
    finally:
        store.close()
    log.info("worker_stopped", worker_id=worker_id)


def _begin(store: Store, supervisor: Supervisor) -> None:
    """Check the schema, and free what an earlier process of this name held: it is dead."""
    while not supervisor.stop.is_set():
        try:
            store.check_ready()
            store.abandon_worker(supervisor.worker_id)
            return
        except StoreUnavailableError as error:
            log.warning("database_unavailable", worker_id=supervisor.worker_id, error=str(error))
            supervisor.stop.wait(FIRST_PAUSE_SECONDS)


def _work(store: Store, supervisor: Supervisor, heartbeat_seconds: float) -> None:
    next_sweep = next_heartbeat = 0.0
    pause = FIRST_PAUSE_SECONDS
    while not supervisor.stop.is_set():
        try:
            now = time.monotonic()
            if now >= next_sweep:
                store.finish_ready_calibrations()
                next_sweep = now + SWEEP_SECONDS
            if now >= next_heartbeat:
                supervisor.heartbeat()
                next_heartbeat = now + heartbeat_seconds
            claim = store.claim_shard(supervisor.worker_id)
        except StoreUnavailableError as error:
            log.warning("database_unavailable", worker_id=supervisor.worker_id, error=str(error))
            supervisor.stop.wait(FIRST_PAUSE_SECONDS)
            continue
        if claim is None:
            supervisor.stop.wait(POLL_SECONDS)
        elif supervisor.run(claim) is Outcome.FAILED:
            supervisor.stop.wait(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)
        else:
            pause = FIRST_PAUSE_SECONDS
