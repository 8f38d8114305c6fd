"""The workers of `widthwise serve`: one child process runs them all and is restarted if it dies."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

import structlog

from service.settings import Settings, without_settings

log = structlog.get_logger(__name__)

POOL_COMMAND = (sys.executable, "-m", "workers")
WATCH_SECONDS = 0.5  # between checks of the process (chosen)
PAUSE_SECONDS = 5.0  # before a restart (chosen): the cause, such as full memory, may last
STOP_SECONDS = 8.0  # for the pool to stop its workers, which get 5 s (workers/pool.py); then SIGKILL (chosen)


class LocalWorkers:
    """Context manager that runs `settings.workers` workers as `python -m workers --count N`.

    The service never imports the workers, since it must run where accelerator packages can't be installed. If this
    process is killed, the pool sees the end of its standard input and stops, and so do its workers.
    """

    def __init__(
        self, settings: Settings, *, command: Sequence[str] = POOL_COMMAND, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._pause_seconds = pause_seconds
        self._command = (*command, "--count", str(settings.workers), "--exit-with-parent")
        self._environment = without_settings(os.environ) | settings.as_environment()
        self._wanted = settings.workers > 0
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="local-workers")

    def __enter__(self) -> "LocalWorkers":
        if self._wanted:
            self._process = self._spawn()
            self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._end(self._process)

    @property
    def pid(self) -> int | None:
        """The process id of the pool, or None while it is not running."""
        return None if self._process is None else self._process.pid

    def _spawn(self) -> subprocess.Popen[bytes]:
        # Nothing is written to stdin: its end tells the pool that we died. In a separate session the pool gets no
        # Ctrl-C; __exit__ stops it in order.
        return subprocess.Popen(  # noqa: S603  # the command is ours; no shell is involved
            self._command, stdin=subprocess.PIPE, env=self._environment, start_new_session=True
        )

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            if self._process is not None and self._process.poll() is not None:
                status = self._process.returncode
                log.warning("local_workers_died", status=status, restart_in_seconds=self._pause_seconds)
                self._end(self._process)
                self._process = None
                if self._stopping.wait(self._pause_seconds):
                    return
            if self._process is None:
                try:
                    self._process = self._spawn()
                except OSError as error:  # out of memory, or too many processes: this must not end the thread
                    log.warning("local_workers_not_started", error=str(error), again_in_seconds=self._pause_seconds)
                    self._stopping.wait(self._pause_seconds)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the pool if it still runs, and forget it; its workers see their standard input end."""
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
