"""The soak's child process: it speaks the protocol of workers/child.py, and its losses are a formula.

    python -m benchmarks.soak_child SECONDS      how long each trial takes

A loss depends on width, learning rate and seed alone, to the last bit, so that a disturbed run can be compared with an
undisturbed one. A job of REAL_STEPS steps is handed to the real engine as it stands. Only the standard library is
imported: a start takes some tens of milliseconds instead of the engine's seconds.
"""

import json
import math
import os
import subprocess
import sys
import threading
import time
import zlib
from typing import Any

REAL_STEPS = 3  # of a calibration that the real engine is to run: the soak's others have more (chosen)
OPTIMUM = 2.0**-7  # best learning rate of the narrowest width (chosen: inside every grid that the soak asks for)
NARROWEST = 16
DRIFT = 0.25  # exponent by which the optimum falls with the width (chosen)
DIVERGES = 2.5  # octaves above the optimum from which on a trial diverges (chosen: some trials of most grids)
PARENT_GONE = 3


def loss_of(width: int, learning_rate: float, seed: int) -> float | None:
    """Give the loss of a trial; None: it diverges.

    >>> loss_of(16, 2.0**-7, 0) == loss_of(16, 2.0**-7, 0) < 3.0
    True
    >>> loss_of(16, 1.0, 0) is None
    True
    """
    octaves = math.log2(learning_rate / OPTIMUM) + DRIFT * math.log2(width / NARROWEST)
    if octaves > DIVERGES:
        return None
    noise = zlib.crc32(f"{width} {learning_rate!r} {seed}".encode()) / 2**32
    return 2.0 + 8.0 / width + 0.05 * octaves**2 + 0.001 * noise


def send(event: str, **fields: object) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"event": event, **fields}, allow_nan=False) + "\n")
    sys.stdout.flush()


def main(seconds: float) -> int:
    """Run the job on stdin; give the exit status."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return PARENT_GONE
        line += byte
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    job = json.loads(line)
    if job["spec"]["steps"] == REAL_STEPS:
        return _real(line)
    shard, done = job["shard"], {tuple(one) for one in job["done"]}
    if shard["kind"] != "sweep":
        send("error", kind="invalid_input", message=f"the soak's child runs no shard of kind {shard['kind']!r}")
        return 1
    send("started", device="cpu", platform="soak", versions={}, dataset_sha256="0" * 64)
    for rate in shard["learning_rates"]:
        for seed in shard["seeds"]:
            if (rate, seed, None, 1.0, None) not in done:
                time.sleep(seconds)
                send("trial", trial=_trial(shard["width"], rate, seed))
    send("finished")
    return 0


def _trial(width: int, rate: float, seed: int) -> dict[str, Any]:
    loss = loss_of(width, rate, seed)
    outcome = {"status": "diverged" if loss is None else "completed", "loss": loss}
    return {"width": width, "learning_rate": rate, "seed": seed, **outcome, "seconds": 0.0, "steps": 1, "flops": 1.0}


def _real(line: bytes) -> int:
    """Let the real engine run the job: it answers on our standard output, and ends with us."""
    engine = subprocess.Popen([sys.executable, "-m", "workers.child"], stdin=subprocess.PIPE)
    assert engine.stdin is not None
    engine.stdin.write(line)
    engine.stdin.flush()
    return engine.wait()


def _exit_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(PARENT_GONE)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
