"""Worker processes: `python -m workers [--id ID | --count N] [--exit-with-parent]`, configured by WIDTHWISE_*.

Without --count this process is one worker; with it, it starts and watches N worker processes, as for `widthwise serve`.
"""

import argparse
import os
import sys
import threading
from collections.abc import Sequence

import structlog

from service.observability.structured_logs import configure_logging
from service.settings import load_settings
from widthwise.errors import WidthwiseError
from workers.identity import machine_id
from workers.pool import WorkerPool
from workers.stopping import end_in_time, stop_on_signals

log = structlog.get_logger(__name__)

CANNOT_START = 2  # exit status: settings or schema are wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one or more workers until SIGTERM, SIGINT or, if requested, the parent's death; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m workers", description="Run Widthwise workers.")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--count", type=int, default=None, help="run this many workers, each in a separate process")
    kind.add_argument(
        "--id", default=None, help="name of the worker, unique among living workers (default: host-pid-random)"
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="stop when stdin closes, as it does when the parent dies"
    )
    parser.add_argument("--child", nargs="+", default=None, help="command of the child process (for tests)")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    stop_on_signals(stop)
    if options.count is None:  # a pool's workers end by themselves in time, and the pool kills any that do not
        end_in_time(stop)
    if options.exit_with_parent:
        threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True, name="parent").start()
    try:
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format)
        if options.count is not None:
            with WorkerPool(settings, count=options.count):
                stop.wait()
            return 0
        from workers.node import run_worker  # the store and its libraries, which a pool does not need

        worker_id = options.id or machine_id()
        # a child used in tests can't describe its device
        chosen = {} if options.child is None else {"command": options.child, "probe_command": ()}
        run_worker(settings, worker_id, stop, **chosen)
    except WidthwiseError as error:
        log.error("worker_cannot_start", error=str(error))
        return CANNOT_START
    return 0


def _stop_with_parent(stop: threading.Event) -> None:
    """Stop once stdin closes: only the parent holds its other end, so it closes with the parent."""
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
