"""A bank of trials: every training run that a benchmark made, on file, so that none is made twice.

One file of JSON lines for each specification; an interrupted benchmark continues where it stopped.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import commit
from widthwise.calibration.grids import HALF_OCTAVE
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.errors import EstimateError
from widthwise.estimate.optimum import Optimum, fit_optimum
from widthwise.estimate.surface import Surface, surfaces_by_width
from workers.child import SINGLE_THREADED

#: The proxy of docs/theory.md's measurements: seconds a run on one core, and it shows the theory.
MLP = {
    "architecture": "mlp",
    "depth": 2,
    "head_dim": 16,
    "sequence_length": 8,
    "batch_size": 256,
    "dataset": "python_docs",
}
BEYOND = 2  # points wanted on each side of the best one, half an octave apart: what the fit of an optimum reads
MOST_POINTS = 20  # of one sweep: 10 octaves; an optimum that still lies at the edge then stays a bound


def specification(**members: Any) -> dict[str, Any]:
    """A specification of the MLP proxy; the base width is the first of `widths`.

    `beyond_width` says what else than the width differs from the base (`workers.engine.beyond_width`).
    """
    return {
        "alignment": "full",
        "readout_omega": None,
        "form": "table_9",
        "epsilon": 1e-12,
        "steps": 200,
        "early_stopping": False,
        "proxy": MLP,
        **members,
    }


class Bank:
    """Trials on file below `folder`, run here and now where they are missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._commit = commit()  # of the code that is loaded now: the tree may move on while trials run
        folder.mkdir(parents=True, exist_ok=True)

    def trials(self, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every trial of `spec` on file."""
        path = self._path(spec)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def commits(self, specs: Sequence[Mapping[str, Any]] | None = None) -> str:
        """The commits at which the trials on file were run, in words: a bank may outlive a version.

        specs: those whose trials count; None: all on file.
        """
        paths = self._folder.glob("*.jsonl") if specs is None else {self._path(spec) for spec in specs}
        lines = [line for path in paths for line in path.read_text().splitlines()]
        return ", ".join(sorted({json.loads(line)["commit"] for line in lines}))

    def run(
        self, spec: Mapping[str, Any], width: int, rates: Sequence[float], seeds: Sequence[int]
    ) -> list[dict[str, Any]]:
        """The trials of `spec` at `width` for every learning rate and seed: those on file, and the missing ones."""
        for name, value in SINGLE_THREADED.items():  # as a worker's child sets them, before JAX is imported
            os.environ.setdefault(name, value)
        from workers.engine.beyond_width import BeyondWidth
        from workers.engine.sweep import run_shard

        done = {(trial["width"], trial["learning_rate"], trial["seed"]) for trial in self.trials(spec)}
        beyond = BeyondWidth.from_dict(spec.get("beyond_width", {}))
        for seed in seeds:
            missing = [rate for rate in rates if (width, rate, seed) not in done]
            if missing:
                shard = ShardSpec(width, tuple(missing), (seed,))
                with self._path(spec).open("a") as lines:
                    for trial in run_shard(CalibrationSpec.from_dict(spec), shard, beyond=beyond):
                        lines.write(json.dumps({**trial.to_dict(), "commit": self._commit}) + "\n")
                        lines.flush()
        asked = {(width, rate, seed) for rate in rates for seed in seeds}
        return [
            trial
            for trial in self.trials(spec)
            if (trial["width"], trial["learning_rate"], trial["seed"]) in asked and not trial.get("role")
        ]

    def sweep_around(
        self, spec: Mapping[str, Any], width: int, centre: float, seeds: Sequence[int], cover: Sequence[float] = ()
    ) -> tuple[Surface, Optimum]:
        """A sweep in half octaves around `centre` (log2), widened until its optimum has BEYOND points on each side.

        It also covers the log2 learning rates of `cover`. Raises EstimateError where nothing trains.
        """
        spots = [centre, *cover]
        low = math.floor(min(spots) / HALF_OCTAVE) - 1
        high = math.ceil(max(spots) / HALF_OCTAVE) + 1
        while True:
            points = range(low, high + 1)
            found = self.run(spec, width, [2.0 ** (HALF_OCTAVE * k) for k in points], seeds)
            surface = surfaces_by_width([Trial.from_dict(trial) for trial in found])[width]
            try:
                optimum = fit_optimum(surface.learning_rates, surface.losses, surface.diverged, surface.stopped)
            except EstimateError:
                if len(points) >= MOST_POINTS:
                    raise
                low -= BEYOND
                continue
            best = int(np.nanargmin(_means(surface)))
            below, above = best, len(points) - 1 - best
            if surface.diverged[best + 1 :].any():
                above = BEYOND  # bounded by divergence
            if (below >= BEYOND and above >= BEYOND) or len(points) >= MOST_POINTS:
                return surface, optimum
            low -= max(0, BEYOND - below)
            high += max(0, BEYOND - above)

    def _path(self, spec: Mapping[str, Any]) -> Path:
        # what decides a loss and no more: other widths than the smallest and the length of a grid do not
        names = ("parameterization", "optimizer", "alignment", "readout_omega", "form", "epsilon", "steps", "proxy")
        rules = {name: spec.get(name, "per_layer") for name in ("learning_rate_rule", "epsilon_rule")}
        key = {name: spec[name] for name in names} | rules | {"base_width": min(spec["widths"])}
        key |= {name: spec[name] for name in ("beyond_width",) if spec.get(name)}
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
        return self._folder / f"{spec['parameterization']}_{spec['optimizer']}_{digest}.jsonl"


def _means(surface: Surface) -> Any:
    """Mean loss by learning rate; NaN where a seed has none."""
    return surface.losses.mean(axis=1)
