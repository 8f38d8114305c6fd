"""The listener: a Celery worker on a thread, which treats every message as a wake-up, not as an assignment."""

import logging
import threading
import time
from typing import Any

import structlog

from service.settings import Settings
from workers.celery_app import make_app
from workers.worker import Worker

log = structlog.get_logger(__name__)

#: Before a restart if Celery ended by itself (chosen): one malformed message ends it, and so does a fault that stays.
#: So the pause doubles up to the second, and begins again after Celery has run for that long.
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.1, 5.0
STOP_SECONDS = 1.0  # chosen: for Celery to disconnect from the broker; unacknowledged messages are sent again

#: Celery's loggers that log every message; the shard's own lines say more.
QUIET = ("celery.worker.strategy", "celery.app.trace", "celery.worker.consumer.tasks")


class Listener:
    """Wakes a worker for each message; a context manager.

    Celery runs on a thread and not as a separate program, so the process keeps its signal handlers and logs, and ends
    in time whatever the broker does. Its pool of one thread keeps the connection alive while a shard runs.
    """

    def __init__(self, settings: Settings, worker: Worker) -> None:
        self._settings = settings
        self._worker = worker
        self._controller: Any = None
        self._thread = threading.Thread(target=self._listen, daemon=True, name="listener")

    def __enter__(self) -> "Listener":
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        from celery.worker import state

        self._worker.stop.set()
        state.should_stop = 0
        hub = getattr(self._controller, "hub", None)
        if hub is not None:
            hub.call_soon(lambda: None)  # wake it, so that it sees the flag
        self._thread.join(STOP_SECONDS)

    def _listen(self) -> None:
        from celery.worker import state

        pause = FIRST_PAUSE_SECONDS
        while not self._worker.stop.is_set():
            began = time.monotonic()
            state.should_stop = None  # one of Celery's flags, global to the process
            try:
                self._controller = self._make_controller()
                self._controller.start()
            except Exception:
                log.exception("listener_failed", worker_id=self._worker.worker_id)
            if time.monotonic() - began > LAST_PAUSE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            if self._worker.stop.wait(pause):
                return
            pause = min(2 * pause, LAST_PAUSE_SECONDS)
            log.warning("listener_restarts", worker_id=self._worker.worker_id)

    def _make_controller(self) -> Any:
        from celery.worker import WorkController

        app = make_app(self._settings, self._worker.work)
        app.finalize()
        app.set_default()  # the pool's thread looks for its task there, and fails silently if it finds none
        return WorkController(
            app=app,
            hostname=f"widthwise@{self._worker.worker_id}",
            pool_cls="threads",
            concurrency=1,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,  # no events, since nobody reads them
        )
