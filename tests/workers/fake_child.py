"""A child process that speaks the protocol without JAX; its argument says how it behaves."""

import itertools
import json
import math
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

HANG_SECONDS = 600.0  # longer than any test waits (a child is a program of its own: it imports nothing of the tests)


def send(event: str, **fields: object) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def leave_note(path: str) -> None:
    """Leave our process id, whole or not at all."""
    half = Path(f"{path}.half")
    half.write_text(str(os.getpid()), encoding="utf-8")
    half.replace(path)


def exit_with_parent() -> None:
    """End when stdin does."""
    while os.read(0, 4096):
        pass
    os._exit(3)


def measure(job: dict[str, Any], done: set[tuple[Any, ...]]) -> None:
    """Report every measurement that is not stored."""
    shard = job["shard"]
    for kind, seed in itertools.product(shard["measure"], shard["seeds"]):
        if (kind, seed) not in done:
            data = {"corpora_dir": job["corpora_dir"]}
            send("measurement", measurement={"width": shard["width"], "seed": seed, "kind": kind, "data": data})


def main(behaviour: str, *arguments: str) -> None:
    """Run the job on stdin."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(0, 1)
    job = json.loads(line)
    threading.Thread(target=exit_with_parent, daemon=True).start()
    sys.stderr.write(f"pid {os.getpid()}\n")
    send("started", device="cpu", platform="test", versions={"python": "3"}, dataset_sha256="0" * 64)
    if behaviour == "pid":  # leave the process id where the test finds it, then hang
        leave_note(arguments[0])
        time.sleep(HANG_SECONDS)
    if behaviour == "hang":
        time.sleep(HANG_SECONDS)
    if behaviour == "garbage":
        sys.stdout.write("Traceback: this is no JSON\n")
        sys.stdout.flush()
        time.sleep(HANG_SECONDS)
    if behaviour == "invalid":
        send("error", kind="invalid_input", message="no such dataset")
        sys.exit(1)
    done = {tuple(trial) for trial in job["done"]}
    shard = job["shard"]
    measure(job, done)
    for rate in () if shard["kind"] == "measure" else shard["learning_rates"]:
        for seed in shard["seeds"]:
            if (rate, seed, None, 1.0, None) in done:
                continue
            loss = float("nan") if behaviour == "nan" else shard["width"] + math.log2(rate / 0.01) ** 2
            send(
                "trial",
                trial={
                    "width": shard["width"],
                    "learning_rate": rate,
                    "seed": seed,
                    "status": "completed",
                    "loss": loss,
                    "seconds": 0.0,
                    "steps": 1,
                    "flops": 1.0,
                },
            )
            if behaviour == "slow":  # time to be killed in
                leave_note(arguments[0])
                time.sleep(HANG_SECONDS)
            if behaviour == "abort":
                sys.stderr.write("XLA: RESOURCE_EXHAUSTED\n")
                sys.stderr.flush()
                os.abort()
            if behaviour == "once" and not Path(arguments[0]).exists():  # fails the first time, then runs
                leave_note(arguments[0])
                sys.exit(7)
    if behaviour != "silent":
        send("finished")


if __name__ == "__main__":
    main(*sys.argv[1:])
