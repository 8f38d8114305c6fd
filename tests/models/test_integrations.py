"""A sweep as a sampler of Optuna and as a searcher of Ray Tune: the objective runs what the sweep asks for."""

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from ray.tune.search import Searcher

from widthwise.errors import InvalidInputError
from widthwise.integrations.optuna import SweepSampler
from widthwise.integrations.ray import SweepSearcher
from widthwise.sweeps import Sweep

WIDTHS = (64, 128, 256)
LOW, HIGH = 2.0**-13, 2.0**-4


def sweep(**options: Any) -> Sweep:
    defaults: dict[str, Any] = {"precision": 2.0, "learning_rates": (LOW, HIGH), "ratio": 2.0}
    return Sweep(axes={"width": WIDTHS}, target={"width": 1024}, **{**defaults, **options})


def loss(width: float, learning_rate: float) -> float:
    """A parabola about an optimum that falls as the square root of the width."""
    away = math.log2(learning_rate) + 8 + 0.5 * math.log2(width / 64)
    return math.inf if away > 4 else 2.5 + 0.01 * away**2


def right(asked: Sweep) -> bool:
    low, high = asked.predict().interval
    return low < 2.0**-10 < high


def test_optuna_runs_what_the_sweep_asks_for() -> None:
    asked = sweep()

    def objective(trial: optuna.Trial) -> float:
        width = trial.suggest_categorical("width", WIDTHS)
        dropout = trial.suggest_float("dropout", 0, 1)  # not the sweep's: at random
        return loss(width, trial.suggest_float("learning_rate", LOW, HIGH, log=True)) + 0 * dropout

    study = optuna.create_study(sampler=SweepSampler(asked, seed=0))
    study.optimize(objective, n_trials=100)
    assert asked.done == "precision"
    assert len(study.trials) == len(asked.runs) < 30
    assert right(asked)
    assert {trial.params["width"] for trial in study.trials} == {run.axes["width"] for run in asked.runs}


def test_optuna_tells_divergence_from_failure() -> None:
    asked = sweep()

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_int("width", 64, 256)
        trial.suggest_float("learning_rate", LOW, HIGH, log=True)
        if trial.number == 0:
            return math.inf
        if trial.number == 1:
            trial.report(math.nan, step=1)
            raise optuna.TrialPruned
        if trial.number == 2:
            raise optuna.TrialPruned
        raise RuntimeError

    study = optuna.create_study(sampler=SweepSampler(asked))
    study.optimize(objective, n_trials=4, catch=RuntimeError)
    assert [run.diverged for run in asked.runs] == [True, True]
    (other,) = asked.ask()
    tried = [(trial.params["width"], trial.params["learning_rate"]) for trial in study.trials]
    assert (other.axes["width"], other.learning_rate) not in tried


def test_optuna_refuses_what_a_sweep_cannot_do() -> None:
    study = optuna.create_study(sampler=SweepSampler(sweep()), direction="maximize")
    with pytest.raises(InvalidInputError, match="maximizes"):
        study.ask().suggest_float("learning_rate", LOW, HIGH, log=True)
    study = optuna.create_study(sampler=SweepSampler(sweep()))
    with pytest.raises(InvalidInputError, match="does not hold"):
        study.ask().suggest_float("learning_rate", 1.0, 2.0)


def test_ray_runs_what_the_sweep_asks_for(tmp_path: Path) -> None:
    asked = sweep()
    searcher, count = SweepSearcher(asked), 0
    while (config := searcher.suggest(f"trial {count}")) != Searcher.FINISHED:
        assert isinstance(config, dict)
        if count == 2:  # a restart of Ray
            searcher.save(str(tmp_path / "searcher.json"))
            searcher = SweepSearcher(asked)
            searcher.restore(str(tmp_path / "searcher.json"))
        result = {"loss": loss(config["width"], config["learning_rate"]), "seed": config["seed"]}
        searcher.on_trial_complete(f"trial {count}", result)
        count += 1
    assert asked.done == "precision"
    assert count == len(asked.runs) < 30
    assert right(asked)


def test_ray_tells_nothing_of_a_trial_that_failed() -> None:
    asked = sweep()
    searcher = SweepSearcher(asked)
    first = searcher.suggest("a")
    searcher.on_trial_complete("a", error=True)
    assert asked.runs == ()
    assert searcher.suggest("b") != first
