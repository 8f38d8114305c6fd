"""A child process that a test steers: it speaks the protocol without JAX, and waits at a gate if it is told to.

python steered_child.py run                 every trial at once
python steered_child.py gate FOLDER [SHIFT] the first trial, a note of its process id in FOLDER/at_gate, and the
                                            rest once FOLDER/go is there; SHIFT is added to every loss
python steered_child.py dies FOLDER SIGNAL  the first trial, then the signal; later processes run to the end
python steered_child.py deaf                says nothing, and does not look at its standard input
"""

import json
import math
import os
import sys
import threading
import time
from pathlib import Path

GATE_SECONDS = 0.01  # between looks (chosen)
HANG_SECONDS = 600.0  # longer than any test waits


def send(event: str, **fields: object) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def leave_note(path: Path) -> None:
    """Leave our process id, whole or not at all."""
    half = path.with_suffix(f".{os.getpid()}")
    half.write_text(str(os.getpid()), encoding="utf-8")
    half.replace(path)


def exit_with_parent() -> None:
    """End when stdin does."""
    while os.read(0, 4096):
        pass
    os._exit(3)


def main(behaviour: str, *arguments: str) -> None:
    """Run the job on stdin."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(0, 1)
    folder = Path(arguments[0]) if arguments else Path()
    if behaviour == "deaf" and not (folder / "at_gate").exists():
        leave_note(folder / "at_gate")
        time.sleep(HANG_SECONDS)
    threading.Thread(target=exit_with_parent, daemon=True).start()
    job = json.loads(line)
    shard, done = job["shard"], {tuple(one) for one in job["done"]}
    shift = 0.0
    send("started", device="cpu", platform="test", versions={"python": "3"}, dataset_sha256="0" * 64)
    for rate in shard["learning_rates"]:
        for seed in shard["seeds"]:
            if (rate, seed, None, 1.0, None) in done:
                continue
            loss = shard["width"] + math.log2(rate / 0.01) ** 2 + shift
            trial = {"width": shard["width"], "learning_rate": rate, "seed": seed, "status": "completed", "loss": loss}
            send("trial", trial={**trial, "seconds": 0.0, "steps": 1, "flops": 1.0})
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
