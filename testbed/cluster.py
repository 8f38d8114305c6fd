"""A small cluster: an API process, worker processes, a database and perhaps a broker, all of them real."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from service.store import Store, open_store
from testbed.processes import processes_marked
from testbed.waiting import LONG_SECONDS, PATIENCE_SECONDS, free_port, until
from widthwise.client import Client

ROOT = Path(__file__).resolve().parents[1]
#: In the environment of everything that one cluster starts, whichever session it puts itself in.
MARK = "WIDTHWISE_DATA_DIR"
START_SECONDS = 60.0  # an API process takes 2 s on a quiet machine
WORKER = (sys.executable, "-m", "workers")
SERVE = (sys.executable, "-m", "widthwise.cli", "serve", "--workers", "0")

Process = subprocess.Popen[bytes]


class Cluster:
    """One API process and some workers; a context manager that leaves no process behind."""

    def __init__(
        self, folder: Path, database_url: str, redis_url: str | None = None, *, lease_seconds: float = LONG_SECONDS
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lease_seconds = lease_seconds
        self.store: Store = open_store(database_url, lease_seconds=lease_seconds)
        self.client = Client(self.url)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WIDTHWISE_")}
        self.environment = {
            **clean,
            MARK: str(folder),
            "WIDTHWISE_DATABASE_URL": database_url,
            "WIDTHWISE_LEASE_SECONDS": str(lease_seconds),
            **({} if redis_url is None else {"WIDTHWISE_REDIS_URL": redis_url}),
        }
        self.api: Process | None = None
        self._processes: list[Process] = []

    def start(self, command: tuple[str, ...], log: str, **environment: str) -> Process:
        """Start any process of the cluster; what it says goes to a file of that name."""
        with (self.folder / f"{log}.log").open("ab") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**self.environment, **environment}, stdout=out, stderr=subprocess.STDOUT
            )
        self._processes.append(process)
        return process

    def start_api(self) -> Process:
        """Start the API on the cluster's port and wait until it answers."""
        process = self.start((*SERVE, "--port", str(self.port)), "api")

        def answers() -> bool:
            assert process.poll() is None, self.log("api")
            try:
                return httpx.get(f"{self.url}/livez", trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        until(answers, START_SECONDS)
        self.api = process
        return process

    def restart_api(self, number: int = signal.SIGKILL) -> None:
        """End the API process and start another on its port."""
        if self.api is not None:
            stop(self.api, number)
        self.start_api()

    def start_worker(self, name: str, *child: str, **environment: str) -> Process:
        """Start a worker whose child process is this command; without one the real engine."""
        return self.start((*WORKER, "--id", name, *(("--child", *child) if child else ())), name, **environment)

    def post(self, path: str, body: str) -> httpx.Response:
        """POST these very characters as JSON."""
        headers = {"Content-Type": "application/json"}
        return httpx.post(f"{self.url}{path}", content=body, headers=headers, timeout=60.0, trust_env=False)

    def log(self, name: str) -> str:
        """Return what a process has said."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def children(self) -> dict[int, str]:
        """Return the child processes of the cluster's workers that live, whoever their parent is by now."""
        marked = processes_marked(MARK, self.folder)
        return {pid: line for pid, line in marked.items() if "child" in line and " -m workers --" not in line}

    def ended(self, identifier: str) -> bool:
        """Whether a calibration has ended."""
        return self.store.calibrations.get(identifier).finished_at is not None

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.store.close()
        while marked := processes_marked(MARK, self.folder):  # again for what was being started
            for pid in marked:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            for process in self._processes:
                process.wait()
            time.sleep(0.01)  # a process that was killed is seen for a moment more


def stop(process: Process, number: int = signal.SIGKILL) -> int:
    """Send a process a signal, wait for its end and return its exit status."""
    process.send_signal(number)
    return process.wait(PATIENCE_SECONDS)
