"""What every stand-in for the engine's child process has in common: the protocol of workers/child.py.

Only the standard library is imported, so that a stand-in starts in some tens of milliseconds instead of the engine's
seconds. A stand-in is a script that is run by its path.
"""

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HANG_SECONDS = 600.0  # longer than any test waits
PARENT_GONE = 3


def jobs() -> Iterator[dict[str, Any]]:
    """Yield each job as it arrives; the process ends when stdin does, except before the first job is asked for."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    while True:
        yield json.loads(lines.get())


def _read(lines: "queue.SimpleQueue[bytes]") -> None:
    rest = b""
    while read := os.read(0, 4096):
        *whole, rest = (rest + read).split(b"\n")
        for line in whole:
            lines.put(line)
    os._exit(PARENT_GONE)


def send(event: str, **fields: object) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def send_started(platform: str) -> None:
    """Say what runs the job."""
    send("started", device="cpu", platform=platform, versions={"python": "3"}, dataset_sha256="0" * 64)


def send_trial(width: int, rate: float, seed: int, loss: float | None) -> None:
    """Report a trial; without a loss it has diverged."""
    outcome = {"status": "diverged" if loss is None else "completed", "loss": loss}
    trial = {"width": width, "learning_rate": rate, "seed": seed, **outcome, "seconds": 0.0, "steps": 1, "flops": 1.0}
    send("trial", trial=trial)


def missing(job: Mapping[str, Any]) -> Iterator[tuple[float, int]]:
    """Return learning rate and seed of each trial of a sweep that is not stored yet; a job may only compile."""
    if job.get("only_compile"):
        return
    done = {tuple(one) for one in job["done"]}
    for rate in job["shard"]["learning_rates"]:
        for seed in job["shard"]["seeds"]:
            if (rate, seed, None, 1.0, None) not in done:
                yield rate, seed


def leave_note(path: Path) -> None:
    """Leave our process id, whole or not at all."""
    half = path.with_suffix(f".{os.getpid()}")
    half.write_text(str(os.getpid()), encoding="utf-8")
    half.replace(path)
