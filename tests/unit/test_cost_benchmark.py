"""The cost benchmark on a made loss: what it counts, and how far off it says each way is. No training, no PyTorch."""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import cost
from benchmarks.record import machine, recorded
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

    return cost.measure(cost.QUESTION, torch=False, processes=2, calibrate=calibrate, sweep=sweep, draws=4)


def test_every_way_answers_near_the_known_optimum(report: dict[str, Any]) -> None:
    assert report["reference"]["log2_optima"] == pytest.approx([BEST] * 4, abs=0.05)
    for row in report["rows"]:
        assert row["log2_optima"][-1] == pytest.approx(BEST, abs=0.05)
        assert row["error_octaves"] < 0.1
        assert abs(row["slope"]) < 0.05
        assert row["typical"]["octaves"] < 0.1
        assert 0 <= row["regret_percent"] < 0.01


def test_the_factors_are_ratios_of_what_was_counted(report: dict[str, Any]) -> None:
    grid, telescope, stopping, living, information, loose = report["rows"]
    assert (grid["trials"], telescope["trials"]) == (4 * 13 * 3, 13 * 3 + 3 * 6)
    factors = list(report["factors"].values())
    assert factors[0] == pytest.approx(2.0)
    assert factors[1] == pytest.approx(grid["seconds"] / telescope["seconds"])
    assert factors[3] == pytest.approx(stopping["cpu_seconds"] / (stopping["cpu_seconds"] - 10.0))
    assert factors[4] == pytest.approx(living["seconds"] / information["seconds"])
    assert factors[5] == pytest.approx(living["seconds"] / loose["seconds"])
    assert loose["trials"] <= information["trials"] < telescope["trials"]
    assert [row["trials_at_largest"] for row in (grid, telescope, loose)] == [39, 6, 0]
    assert living["parts"]["start"] == 5.0
    assert living["parts"]["training"] > 0
    assert 0 < living["parts"]["database"] < 60


def test_the_page_and_its_data_can_be_written(report: dict[str, Any]) -> None:
    json.dumps(report, allow_nan=False)
    page = "\n".join(cost.lines(report))
    assert all(f"| {row['way']} |" in page for row in report["rows"])


def test_typical_errors_are_those_of_whole_searches_over_the_references_runs(report: dict[str, Any]) -> None:
    grid, telescope, stopping, living, information, _ = (row["typical"] for row in report["rows"])
    assert telescope == stopping == living != information
    assert grid["draws"] == telescope["draws"] == information["draws"] == 4
    assert all(0 < each["slope"] < 0.05 for each in (grid, telescope, information))


def test_a_length_that_is_measured_again_leaves_the_others_on_the_page(
    report: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cost.json").write_text(json.dumps({"question": {}, "rows": []}))  # of an older form
    assert cost.on_page(recorded("cost", tmp_path)) == {}

    def measured(steps: int, told: str) -> dict[str, Any]:
        where = {**machine(), "commit": "abc1234", "command": told}
        return {**report, "question": {**report["question"], "steps": steps}, "measured": where, "seconds": 600.0}

    options = argparse.Namespace(dry=False, commit="abc1234", command="python -m benchmarks.cost --steps 1000")
    cost.write({250: measured(250, "first"), 1000: measured(1000, "second")}, options, tmp_path)
    cost.write({**cost.on_page(recorded("cost", tmp_path)), 1000: measured(1000, "third")}, options, tmp_path)
    assert sorted(cost.on_page(recorded("cost", tmp_path))) == [250, 1000]
    page = (tmp_path / "cost.md").read_text()
    assert page.index("## Runs of 250 steps") < page.index("`first`") < page.index("## Runs of 1000 steps")
    assert "`third` on " in page
    assert "second" not in page.split()
    assert page.splitlines()[2] == "    python -m benchmarks.cost"  # what makes all of it
    assert json.loads((tmp_path / "cost.json").read_text())["command"] == "python -m benchmarks.cost"
    capsys.readouterr()


def test_a_grid_takes_the_lowest_mean_and_never_a_divergence() -> None:
    def trial(rate: float, seed: int, loss: float | None) -> dict[str, Any]:
        return {"width": 8, "learning_rate": rate, "seed": seed, "loss": loss}

    trials = [trial(0.25, 0, 2.0), trial(0.25, 1, 2.2), trial(0.5, 0, 1.0), trial(0.5, 1, None), trial(1.0, 0, 2.15)]
    assert cost._argmin(trials, 8) == -2.0  # the rule that stands for what users do


def test_all_of_it_is_the_product_of_the_parts(report: dict[str, Any]) -> None:
    torch = {"way": cost.TORCH, "seconds": 1000.0, "cpu_seconds": 1500.0}
    factors = cost._factors([torch, *report["rows"]])
    *parts, whole = list(factors.items())[:6]
    assert whole == ("all of it", pytest.approx(math.prod(factor for _, factor in parts)))
    tight, loose = report["rows"][-2:]
    assert factors["all of it, information to ±0.6"] == pytest.approx(1000.0 / tight["seconds"])
    assert factors["all of it, information to ±0.8"] == pytest.approx(1000.0 / loose["seconds"])
