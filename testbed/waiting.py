"""Waiting for other processes: until a condition holds, and whether a process lives."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

#: How long any condition may take on a loaded machine. It measures nothing: the leases, deadlines and sleeps of these
#: tests are LONG_SECONDS, so what comes about within this came about by the mechanism and not by one of them.
PATIENCE_SECONDS = 60.0
LONG_SECONDS = 600.0


def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS, every: float = 0.02) -> None:
    """Wait for a condition; it fails after this time."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"the condition did not come about within {seconds:g} s"
        time.sleep(every)


def free_port() -> int:
    """Return a port that nothing listens on, so that a server can come back where it was."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
