"""Waiting for other processes: until a condition holds, and whether a process lives."""

import time
from collections.abc import Callable
from pathlib import Path

#: How long any condition may take on a loaded machine. It measures nothing: the leases, deadlines and sleeps of these
#: tests are LONG_SECONDS, so what comes about within this came about by the mechanism and not by one of them.
PATIENCE_SECONDS = 30.0
LONG_SECONDS = 600.0


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; it fails after PATIENCE_SECONDS."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "the condition did not come about"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
