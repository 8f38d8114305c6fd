"""A child process that a test steers: it speaks the protocol without JAX, and waits at a gate if it is told to.

python steered_child.py run                 every trial at once
python steered_child.py gate FOLDER [SHIFT] the first trial, a note of its process id in FOLDER/at_gate, and the
                                            rest once FOLDER/go is there; SHIFT is added to every loss
python steered_child.py dies FOLDER SIGNAL  the first trial, then the signal; later processes run to the end
python steered_child.py deaf FOLDER         says nothing about its job

STEERED_WIDTH in its environment limits this to shards of that width: it runs others to their end.
"""

import math
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # it is run by its path

from testbed.child import (
    HANG_SECONDS,
    jobs,
    leave_note,
    missing,
    send,
    send_started,
    send_trial,
)

GATE_SECONDS = 0.01  # between looks (chosen)


def main(behaviour: str, *arguments: str) -> None:
    """Run the jobs on stdin."""
    for job in jobs():
        steered = str(job["shard"]["width"]) == os.environ.get("STEERED_WIDTH", str(job["shard"]["width"]))
        run(job, behaviour if steered else "run", *arguments)


def run(job: dict[str, Any], behaviour: str, *arguments: str) -> None:
    """Run one job."""
    folder = Path(*arguments[:1])
    if behaviour == "deaf" and not (folder / "at_gate").exists():
        leave_note(folder / "at_gate")
        time.sleep(HANG_SECONDS)
    width, shift = job["shard"]["width"], 0.0
    send_started("test")
    for rate, seed in missing(job):
        send_trial(width, rate, seed, width + math.log2(rate / 0.01) ** 2 + shift)
        if behaviour == "gate" and not (folder / "go").exists():
            leave_note(folder / "at_gate")
            while not (folder / "go").exists():
                time.sleep(GATE_SECONDS)
            shift = float(arguments[1]) if len(arguments) > 1 else 0.0
        if behaviour == "dies" and not (folder / "died").exists():
            leave_note(folder / "died")
            os.kill(os.getpid(), int(arguments[1]))
    send("finished")


if __name__ == "__main__":
    main(*sys.argv[1:])
