"""How a worker's process is told to stop, and made to end in any case."""

import os
import signal
import threading

import structlog

log = structlog.get_logger(__name__)

END_SECONDS = 5.0  # for a graceful stop (chosen), which takes 1 s unless the database is silent; then the process ends


def stop_on_signals(stop: threading.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT, however often they arrive."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())


def end_in_time(stop: threading.Event, seconds: float = END_SECONDS) -> None:
    """End this process with status 1 if it still runs some seconds after `stop` was set."""

    def end() -> None:
        stop.wait()
        threading.Event().wait(seconds)
        log.error(
            "worker_did_not_end", seconds=seconds
        )  # its lease expires by itself, and its child ends with the process
        os._exit(1)

    threading.Thread(target=end, daemon=True, name="end-in-time").start()
