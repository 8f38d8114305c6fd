"""The soak's child process: it speaks the protocol of workers/child.py, and its losses are a formula.

    python -m benchmarks.soak_child SECONDS      how long each trial takes

A loss depends on width, learning rate and seed alone, to the last bit, so that a disturbed run can be compared with an
undisturbed one. A job of REAL_STEPS steps is handed to the real engine as it stands.
"""

import json
import math
import os
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # it is run by its path

from testbed.child import jobs, missing, send, send_started, send_trial

REAL_STEPS = 3  # of a calibration that the real engine is to run: the soak's others have more (chosen)
OPTIMUM = 2.0**-7  # best learning rate of the narrowest width (chosen: inside every grid that the soak asks for)
NARROWEST = 16
DRIFT = 0.25  # exponent by which the optimum falls with the width (chosen)
DIVERGES = 2.5  # octaves above the optimum from which on a trial diverges (chosen: some trials of most grids)


def loss_of(width: int, learning_rate: float, seed: int) -> float | None:
    """Return the loss of a trial; None: it diverges.

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


def main(seconds: float) -> int:
    """Run the jobs on stdin until one fails; return the exit status."""
    engine: subprocess.Popen[bytes] | None = None
    for job in jobs():
        shard = job["shard"]
        if job["spec"]["steps"] == REAL_STEPS:
            engine = engine or _engine()
            _forward(job, engine)
            continue
        if shard["kind"] != "sweep":
            send("error", kind="invalid_input", message=f"the soak's child runs no shard of kind {shard['kind']!r}")
            return 1
        send_started("soak")
        for rate, seed in missing(job):
            time.sleep(seconds)
            send_trial(shard["width"], rate, seed, loss_of(shard["width"], rate, seed))
        send("finished")
    return 0


def _engine() -> "subprocess.Popen[bytes]":
    """Start the real engine: it answers on our standard output, and we end with it as it ends with us."""
    engine = subprocess.Popen([sys.executable, "-m", "workers.child"], stdin=subprocess.PIPE)
    threading.Thread(target=lambda: os._exit(engine.wait()), daemon=True).start()
    return engine


def _forward(job: dict[str, Any], engine: "subprocess.Popen[bytes]") -> None:
    assert engine.stdin is not None
    engine.stdin.write(json.dumps(job).encode() + b"\n")
    engine.stdin.flush()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
