"""A worker node: one worker that polls for work, and is woken sooner if there is a broker."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack

import structlog

from service.doorbell import make_doorbell
from service.settings import Settings
from service.store import Retention, open_store
from workers.listener import Listener
from workers.probe import PROBE_COMMAND
from workers.supervisor import CHILD_COMMAND
from workers.worker import HOUSEKEEPING_SECONDS, Worker

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5  # between polls without a broker (chosen): each is two indexed reads, and two while a child waits


def run_worker(
    settings: Settings,
    worker_id: str,
    stop: threading.Event,
    *,
    command: Sequence[str] = CHILD_COMMAND,
    probe_command: Sequence[str] = PROBE_COMMAND,
) -> None:
    """Work until `stop` is set; a shard in progress is then returned to the queue within a second.

    worker_id: unique among living processes. command, probe_command: the child that runs a shard, and the one that
    describes the device (not run if empty). Raises SchemaError if the database needs a migration.
    """
    doorbell = make_doorbell(settings)
    with ExitStack() as stack:
        store = open_store(
            settings.database_url,
            lease_seconds=settings.lease_seconds,
            doorbell=doorbell,
            running_of_one=settings.owner_running_shards,
            retention=Retention(settings.keep_unsuccessful_days, settings.keep_succeeded_days),
        )
        stack.callback(store.close)
        worker = stack.enter_context(
            Worker(store, settings, worker_id, stop, command=command, probe_command=probe_command)
        )
        if doorbell is not None:
            stack.enter_context(Listener(settings, worker))
        log.info("worker_started", worker_id=worker_id, broker=doorbell is not None)
        # with a broker, this is the delay after a lost message or a flushed or dead Redis
        pause = POLL_SECONDS if doorbell is None else HOUSEKEEPING_SECONDS
        while not stop.is_set():
            if not worker.work(wait=False):
                stop.wait(POLL_SECONDS if worker.probing else pause)
    log.info("worker_stopped", worker_id=worker_id)
