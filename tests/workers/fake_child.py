"""A child process that speaks the protocol without JAX; its argument says how it behaves.

FAKE_FROM in its environment says from which of its jobs on, counted from 1: it runs those before to their end.
FAKE_GATE names a folder in which a job that only compiles leaves a note, named by its width, and waits for a file "go".
"""

import itertools
import math
import os
import signal
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

PROGRAM_BYTES = 64 << 20  # chosen: much more than a stand-in takes besides
LOOK_SECONDS = 0.01  # between looks for a file of another process (chosen)


def measure(job: dict[str, Any]) -> None:
    """Report every measurement that is not stored."""
    shard, done = job["shard"], {tuple(one) for one in job["done"]}
    for kind, seed in itertools.product(shard["measure"], shard["seeds"]):
        if (kind, seed) not in done:
            data = {"corpora_dir": job["corpora_dir"]}
            send("measurement", measurement={"width": shard["width"], "seed": seed, "kind": kind, "data": data})


def meet(folder: Path, name: str) -> None:
    """Wait until a second child has come, of another shard."""
    leave_note(folder / f"{name}.here")
    while len(list(folder.glob("*.here"))) < 2:
        time.sleep(LOOK_SECONDS)


def compile_program(job: dict[str, Any], gate: Path) -> bytes:
    """Take memory, and as long as the test wants."""
    program = b"x" * PROGRAM_BYTES
    leave_note(gate / str(job["shard"]["width"]))
    while not (gate / "go").exists():
        time.sleep(LOOK_SECONDS)
    return program


def main(behaviour: str, *arguments: str) -> None:
    """Run the jobs on stdin."""
    programs = []
    for number, job in enumerate(jobs(), start=1):
        now = behaviour if number >= int(os.environ.get("FAKE_FROM", "1")) else "run"
        sys.stderr.write(f"pid {os.getpid()}\n")
        if now == "unstarted":  # dies before it has started its job
            os.abort()
        send_started("test")
        if job.get("only_compile") and "FAKE_GATE" in os.environ:
            programs.append(compile_program(job, Path(os.environ["FAKE_GATE"])))
        run(job, now, Path(*arguments))


def run(job: dict[str, Any], behaviour: str, note: Path) -> None:
    """Run one job."""
    shard = job["shard"]
    if behaviour == "pid":  # leave the process id where the test finds it, then hang
        leave_note(note)
        time.sleep(HANG_SECONDS)
    if behaviour == "hang":
        time.sleep(HANG_SECONDS)
    if behaviour == "garbage":
        sys.stdout.write("Traceback: this is no JSON\n")
        sys.stdout.flush()
        time.sleep(HANG_SECONDS)
    if behaviour == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "no_memory":
        send("error", kind="out_of_memory", message="no memory is left")
        sys.exit(1)
    if behaviour == "invalid":
        send("error", kind="invalid_input", message="no such dataset")
        sys.exit(1)
    if behaviour == "meet":
        meet(note, f"{shard['width']}")
    if shard["kind"] == "measure":
        measure(job)
    else:
        sweep(job, behaviour, note)
    if behaviour == "silent":
        sys.exit(0)
    send("finished")
    if behaviour == "leaves":  # ends by itself between two shards
        sys.exit(0)


def sweep(job: dict[str, Any], behaviour: str, note: Path) -> None:
    """Report every trial that is not stored: the best learning rate is 0.01."""
    width = job["shard"]["width"]
    for rate, seed in missing(job):
        send_trial(width, rate, seed, math.nan if behaviour == "nan" else width + math.log2(rate / 0.01) ** 2)
        if behaviour == "slow":  # time to be killed in
            leave_note(note)
            time.sleep(HANG_SECONDS)
        if behaviour == "abort":
            sys.stderr.write("XLA: RESOURCE_EXHAUSTED\n")
            sys.stderr.flush()
            os.abort()
        if behaviour == "dies_at_64" and width == 64:
            sys.exit(7)
        if behaviour == "once" and not note.exists():  # fails the first time, then runs
            leave_note(note)
            sys.exit(7)


if __name__ == "__main__":
    main(*sys.argv[1:])
