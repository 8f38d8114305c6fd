"""Worker processes of one machine: started together, restarted when one dies, ended with their parent process."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import structlog

from service.settings import Settings, without_settings
from workers.gpus import gpu_environment
from workers.identity import machine_id

log = structlog.get_logger(__name__)

WORKER_COMMAND = (sys.executable, "-m", "workers")
WATCH_SECONDS = 0.5  # between checks of the processes (chosen)
FIRST_PAUSE_SECONDS = 1.0  # before a restart (chosen), doubled each time
LAST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 60.0  # a process that lived this long is restarted after the first pause again (chosen)
STOP_SECONDS = 5.0  # for a graceful stop (chosen), which takes under 1 s; then SIGKILL


@dataclass
class _Member:
    """One slot of the pool and the process that fills it now."""

    worker_id: str
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes]
    started: float
    pause: float = FIRST_PAUSE_SECONDS
    restart_at: float | None = None


class WorkerPool:
    """`count` workers (settings.workers by default), or one for each GPU; a context manager, or start() and stop()."""

    def __init__(
        self,
        settings: Settings,
        *,
        count: int | None = None,
        gpus: Sequence[str] = (),
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        self._command = tuple(command)
        environment = without_settings(os.environ) | settings.as_environment()
        numbers = range(settings.workers if count is None else count)
        places = {f"gpu{gpu}": gpu_environment(gpu) for gpu in gpus} or {str(number): {} for number in numbers}
        self._places = {name: environment | own for name, own in places.items()}
        self._members: list[_Member] = []
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="worker-pool")

    def start(self) -> None:
        """Start every worker, and the thread that restarts those that die."""
        prefix = machine_id()  # a restarted worker keeps the name, and so frees at once what the dead one held
        for name, environment in self._places.items():
            worker_id = f"{prefix}-{name}"
            process = self._spawn(worker_id, environment)
            self._members.append(_Member(worker_id, environment, process, time.monotonic()))
        self._watcher.start()
        log.info("workers_started", count=len(self._members))

    def stop(self) -> None:
        """Stop every worker: each returns its shard to the queue, or is killed. May be called twice."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        for member in self._members:
            member.process.terminate()
        give_up = time.monotonic() + STOP_SECONDS
        for member in self._members:
            with suppress(subprocess.TimeoutExpired):
                member.process.wait(max(0.0, give_up - time.monotonic()))
            if member.process.poll() is None:
                log.warning("worker_killed", worker_id=member.worker_id)
                member.process.kill()  # its child sees its stdin close, and ends too
                member.process.wait()
            if member.process.stdin is not None:
                member.process.stdin.close()
        self._members.clear()

    def pids(self) -> tuple[int, ...]:
        """Return the process ids of the workers, in order."""
        return tuple(member.process.pid for member in self._members)

    def __enter__(self) -> "WorkerPool":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self, worker_id: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        # Nothing is written to stdin: its end tells the worker that we died. A separate session keeps Ctrl-C
        # from the workers; stop() stops them.
        return subprocess.Popen(  # noqa: S603  # the command is ours; no shell is involved
            [*self._command, "--exit-with-parent", "--id", worker_id],
            stdin=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            for member in self._members:
                self._tend(member, time.monotonic())

    def _tend(self, member: _Member, now: float) -> None:
        """Restart a worker that died, after a pause that grows while it keeps dying."""
        status = member.process.poll()
        if status is None:
            return
        if member.restart_at is None:
            if now - member.started > HEALTHY_SECONDS:
                member.pause = FIRST_PAUSE_SECONDS
            member.restart_at = now + member.pause
            log.warning("worker_died", worker_id=member.worker_id, status=status, restart_in_seconds=member.pause)
        elif now >= member.restart_at:
            member.pause = min(2 * member.pause, LAST_PAUSE_SECONDS)
            try:
                process = self._spawn(member.worker_id, member.environment)
            except OSError as error:  # out of memory, or too many processes: this must not end the thread
                member.restart_at = now + member.pause
                log.warning(
                    "worker_not_started", worker_id=member.worker_id, error=str(error), again_in_seconds=member.pause
                )
                return
            if member.process.stdin is not None:
                member.process.stdin.close()
            member.process, member.started, member.restart_at = process, now, None
