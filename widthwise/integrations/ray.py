"""A searcher of Ray Tune that takes the next run of a `widthwise.Sweep`.

    sweep = Sweep(axes={"width": [64, 128, 256]}, learning_rates=(1e-4, 1e-1), ratio=2**0.5,
                  target={"width": 4096}, path="sweep.jsonl")
    tuner = tune.Tuner(train, tune_config=tune.TuneConfig(search_alg=SweepSearcher(sweep), num_samples=60))
    tuner.fit()  # ends when the sweep is done
    sweep.predict()

Ray copies its searcher, so give the sweep a path: this `sweep` then reads there what the copy wrote.
The trainable finds `learning_rate`, the axes and `seed` in its config and reports the loss, NaN or infinity if it
diverged. A trial that ends in an error says nothing, and its run is not asked for again.
"""

import json
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from widthwise.sweeps import AskedRun, Sweep


class SweepSearcher(Searcher):
    """Suggests the runs that a sweep asks for.

    metric: the name under which the trainable reports its loss. learning_rate: the name in its config.
    """

    def __init__(self, sweep: Sweep, *, metric: str = "loss", learning_rate: str = "learning_rate") -> None:
        super().__init__(metric=metric, mode="min")
        self._sweep, self._learning_rate = sweep, learning_rate
        self._runs: dict[str, AskedRun] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the config of the next trial, `FINISHED` if the sweep is done, or None while others run the rest."""
        found = self._sweep.ask(1, worker=trial_id)
        if not found:
            return Searcher.FINISHED if self._sweep.done else None
        run = self._runs[trial_id] = found[0]
        return {**run.axes, self._learning_rate: run.learning_rate, "seed": run.seed}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the sweep how a trial ended."""
        run = self._runs.pop(trial_id, None)
        if run is None:
            return
        if error or result is None or self.metric not in result:
            self._sweep.drop(run)
        else:
            self._sweep.tell(run, float(result[self.metric]))

    def save(self, checkpoint_path: str) -> None:
        """Write which trial has which run; the sweep itself is in its journal."""
        Path(checkpoint_path).write_text(json.dumps({name: run.to_dict() for name, run in self._runs.items()}))

    def restore(self, checkpoint_path: str) -> None:
        """Read what `save` wrote."""
        found = json.loads(Path(checkpoint_path).read_text())
        self._runs = {name: AskedRun(**run) for name, run in found.items()}
