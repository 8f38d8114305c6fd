"""Where the seconds of a calibration go: starts of processes, compilation, training, waiting, and the database."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.store import open_store, upgrade
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from workers.protocol import Event, Started, TrialDone

#: Prints the seconds that the imports and the text take in a child; its parent measures the rest of its start.
START = """
import json, time
begun = time.perf_counter()
import workers.child, workers.engine.dispatch
from workers.engine.data import load_corpus
from workers.engine.device import describe_device
describe_device()
imported = time.perf_counter()
load_corpus({dataset!r})
print(json.dumps([imported - begun, time.perf_counter() - imported]), flush=True)
"""


@dataclass
class Shares:
    """Adds up what came between the events of a calibration: an `on_event` of `run_calibration`."""

    compile_seconds: float = 0.0  #: from the start of a shard to its first trial, without that trial's training
    training_seconds: float = 0.0
    _started: dict[ShardSpec, float] = field(default_factory=dict)

    def __call__(self, shard: ShardSpec, event: Event) -> None:
        """Take an event that came now."""
        now = time.monotonic()
        if isinstance(event, Started):
            self._started[shard] = now
        if isinstance(event, TrialDone):
            trained = event.trial.seconds or 0.0
            self.training_seconds += trained
            begun = self._started.pop(shard, None)
            if begun is not None:
                self.compile_seconds += max(0.0, now - begun - trained)


def start_parts(dataset: str) -> dict[str, float]:
    """Return the seconds of one child's start: the process, its imports, and its text; measured once, now."""
    import json

    begun = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-c", START.format(dataset=dataset)], capture_output=True, text=True, check=True
    )
    whole = time.perf_counter() - begun
    imports, text = json.loads(ran.stdout)
    return {"process": whole - imports - text, "imports": imports, "text": text}


def database_seconds(spec: CalibrationSpec, trials: Sequence[Trial]) -> float:
    """Return what the store takes for a calibration with these outcomes: claims, trials, rounds and the fit, in SQLite.

    The search is a pure function of the outcomes, so it asks for these trials again.
    """
    known: Mapping[Any, Trial] = {trial.identity: trial for trial in trials}
    with tempfile.TemporaryDirectory(prefix="widthwise-") as folder:
        url = f"sqlite:///{Path(folder) / 'cost.db'}"
        upgrade(url)
        store = open_store(url)
        begun = time.monotonic()
        store.calibrations.create(spec.to_dict())
        while (claim := store.work.claim("benchmark")) is not None:
            store.work.record_environment(claim, {"device": "cpu"})
            for identity in sorted(claim.shard.trials() - set(claim.done), key=repr):
                store.work.record_trial(claim, known[identity].to_dict())
            store.work.finish(claim)
        seconds = time.monotonic() - begun
        store.close()
    return seconds
