"""The cost benchmark on a made loss: what it counts, and how far off it says each way is. No training, no PyTorch."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from benchmarks import cost
from tests.asjson import fit_calibration, next_round
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from workers.lifetime import Lifetime
from workers.local import LocalResult, OnEvent
from workers.protocol import Started, TrialDone

BEST = -5.1
SECONDS = 2.0  # of one made run


def made(shards: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Trials of a parabola around BEST, with a little noise that their names decide."""
    trials = []
    for shard in shards:
        for rate in shard["learning_rates"]:
            for seed in shard["seeds"]:
                noise = np.random.default_rng([shard["width"], round(8 * math.log2(rate)) + 1000, seed]).normal(0, 1e-3)
                loss = 2 + 0.03 * (math.log2(rate) - BEST) ** 2 + noise
                trials.append(
                    {"width": shard["width"], "learning_rate": rate, "seed": seed, "role": None, "gamma": 1.0}
                    | {"horizon": None, "status": "completed", "loss": loss, "flops": 1e9, "steps": 10, "seconds": 1.0}
                )
    return trials


def calibrate(spec: CalibrationSpec, processes: int, lifetime: Lifetime, on_event: OnEvent) -> LocalResult:
    trials: list[dict[str, Any]] = []
    rounds = 0
    while shards := next_round(spec.to_dict(), trials):
        for shard in shards:
            on_event(ShardSpec.from_dict(shard), Started({}))
            trials += made([shard])
            on_event(ShardSpec.from_dict(shard), TrialDone(Trial.from_dict(trials[-1])))
        rounds += 1
    took, fitted = SECONDS * len(trials), fit_calibration(spec.to_dict(), trials)
    took += 10.0 * (lifetime.shards == 1)  # of starts
    done = tuple(map(Trial.from_dict, trials))
    return LocalResult(done, (), fitted, None, took / processes, took, rounds, (), children=2, starting_seconds=5.0)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    def sweep(spec: CalibrationSpec, shards: list[ShardSpec], processes: int) -> list[Trial]:
        return [Trial.from_dict(trial) for trial in made([shard.to_dict() for shard in shards])]

    question = {**cost.QUESTION, "widths": [32, 64, 128]}
    return cost.measure(question, torch=False, processes=2, calibrate=calibrate, sweep=sweep, draws=20)


def test_every_way_answers_near_the_known_optimum(report: dict[str, Any]) -> None:
    assert report["reference"]["log2_optima"] == pytest.approx([BEST] * 3, abs=0.05)
    for row in report["rows"]:
        assert row["log2_optima"][-1] == pytest.approx(BEST, abs=0.05)
        assert row["error_octaves"] < 0.1
        assert abs(row["slope"]) < 0.05
        assert row["typical"]["octaves"] < 0.1
        assert 0 <= row["regret_percent"] < 0.01


def test_the_factors_are_ratios_of_what_was_counted(report: dict[str, Any]) -> None:
    grid, telescope, stopping, living = report["rows"]
    assert (grid["trials"], telescope["trials"]) == (3 * 13 * 3, 13 * 3 + 2 * 6)
    factors = list(report["factors"].values())
    assert factors[0] == pytest.approx(2.0)
    assert factors[1] == pytest.approx(grid["seconds"] / telescope["seconds"])
    assert factors[3] == pytest.approx(stopping["cpu_seconds"] / (stopping["cpu_seconds"] - 10.0))
    assert living["parts"]["start"] == 5.0
    assert living["parts"]["training"] > 0
    assert 0 < living["parts"]["database"] < 60


def test_the_page_and_its_data_can_be_written(report: dict[str, Any]) -> None:
    json.dumps(report, allow_nan=False)
    page = "\n".join(cost.lines(report))
    assert all(f"| {row['way']} |" in page for row in report["rows"])


def test_a_grid_takes_the_lowest_mean_and_never_a_divergence() -> None:
    def trial(rate: float, seed: int, loss: float | None) -> dict[str, Any]:
        return {"width": 8, "learning_rate": rate, "seed": seed, "loss": loss}

    trials = [trial(0.25, 0, 2.0), trial(0.25, 1, 2.2), trial(0.5, 0, 1.0), trial(0.5, 1, None), trial(1.0, 0, 2.15)]
    assert cost._argmin(trials, 8) == -2.0  # the rule that stands for what users do
