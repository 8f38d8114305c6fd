"""Early stopping: the rule by itself, and that a shard decides the same however often it is interrupted."""

import math
from typing import Any

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.jobs import run_sweep
from widthwise.calibration.trial import TrialIdentity
from widthwise.vocabulary import Optimizer, Role
from workers.engine.early_stopping import (
    FIRST_TENTH,
    LAST_TENTH,
    SHORTEST,
    Reference,
    comparable,
    hopeless,
    likely_first,
    varied,
)
from workers.engine.optimizers import OPTIMIZERS

FLAT = Reference(learning_rate=1.0, curve=(2.0,) * 10)


def stops(rate: float, excess: float, tenths: int, optimizer: Optimizer = Optimizer.ADAM, steps: int = 200) -> bool:
    curve = [2.0] * (tenths - 1) + [2.0 + excess]
    return hopeless(
        TrialIdentity(8, rate, 0),
        curve,
        FLAT,
        OPTIMIZERS[optimizer].margins,
        step=tenths * steps // 10,
        steps=steps,
    )


@pytest.mark.parametrize("tenths", range(1, 11))
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_side_has_its_margin(optimizer: Optimizer, tenths: int) -> None:
    margins, inside = OPTIMIZERS[optimizer].margins, FIRST_TENTH <= tenths <= LAST_TENTH
    for rate, margin in ((0.1, margins.below[tenths - FIRST_TENTH] if inside else 1.0), (10.0, margins.above)):
        assert not stops(rate, min(margin, 9.0) - 0.01, tenths, optimizer)
        assert stops(rate, margin + 0.01, tenths, optimizer) == (inside and margin < math.inf)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_margins_never_grow_on_the_side_that_catches_up(optimizer: Optimizer) -> None:
    below = OPTIMIZERS[optimizer].margins.below
    assert len(below) == LAST_TENTH - FIRST_TENTH + 1
    assert list(below) == sorted(below, reverse=True)


def test_sgd_above_and_short_runs_are_never_stopped() -> None:
    assert not stops(10.0, 5.0, 5, Optimizer.SGD)
    assert stops(0.1, 5.0, 5, Optimizer.SGD)
    assert not stops(0.1, 5.0, 5, steps=SHORTEST - 10)


@given(st.lists(st.floats(1e-4, 1e3), min_size=1, max_size=15, unique=True), st.randoms())
def test_the_order_starts_in_the_middle_and_never_skips_a_neighbour(rates: list[float], random: Any) -> None:
    group = [TrialIdentity(8, rate, 0) for rate in rates]
    random.shuffle(group)
    order = likely_first(group)
    assert sorted(order, key=varied) == sorted(group, key=varied)
    ranks = [sorted(rates).index(trial.learning_rate) for trial in order]
    assert ranks[0] == (len(rates) - 1) // 2
    for count in range(1, len(ranks) + 1):
        assert max(ranks[:count]) - min(ranks[:count]) == count - 1


def test_trials_are_compared_within_a_seed_and_a_sweep_of_gamma() -> None:
    plain = [TrialIdentity(8, rate, seed) for seed in (0, 1) for rate in (0.1, 0.2)]
    assert comparable(plain) == [plain[:2], plain[2:]]
    gammas = [TrialIdentity(8, rate, 0, Role.HIDDEN, gamma) for rate in (0.1, 0.2) for gamma in (0.5, 1.0, 2.0)]
    assert comparable(gammas) == [gammas[:3], gammas[3:]]
    assert [trial.gamma for trial in likely_first(gammas[:3])] == [1.0, 0.5, 2.0]


@pytest.fixture
def long(spec: dict[str, Any]) -> dict[str, Any]:
    return {**spec, "steps": SHORTEST}


RATES = [1e-5, 1e-3, 0.03, 0.04, 0.06, 1e38]
SHARD: dict[str, Any] = {"width": 16, "learning_rates": RATES, "seeds": [0, 1]}


@pytest.mark.usefixtures("relaxed_promotion")
def test_hopeless_trials_are_stopped_and_the_others_are_those_of_a_full_sweep(long: dict[str, Any]) -> None:
    stopped = {(t.seed, t.learning_rate): t for t in run_sweep(long, SHARD)}
    full = {(t.seed, t.learning_rate): t for t in run_sweep({**long, "early_stopping": False}, SHARD)}
    assert {key: trial.status for key, trial in stopped.items()} == {
        (seed, rate): status
        for seed in (0, 1)
        for rate, status in zip(RATES, ["stopped", "stopped", *["completed"] * 3, "diverged"], strict=True)
    }
    for key, trial in stopped.items():
        if trial.status == "stopped":
            assert trial.loss is None
            assert trial.steps < SHORTEST
            assert trial.flops < full[key].flops
            assert full[key].loss is not None
            assert full[key].loss > full[(trial.seed, 0.03)].loss + 0.1  # type: ignore[operator]
        else:
            assert trial.loss == full[key].loss


@pytest.mark.usefixtures("relaxed_promotion")
def test_the_few_learning_rates_of_a_telescope_are_not_stopped(long: dict[str, Any]) -> None:
    """Without its outer points a width would have no parabola, only a bracket of two octaves."""
    trials = list(run_sweep(long, {**SHARD, "learning_rates": [1e-5, 0.03, 0.06], "seeds": [0]}))
    assert [trial.status for trial in trials] == ["completed"] * 3


@pytest.mark.usefixtures("relaxed_promotion")
def test_a_resumed_shard_stops_the_same_trials(long: dict[str, Any]) -> None:
    shard = {**SHARD, "seeds": [0]}
    whole = {t.learning_rate: (t.status, t.loss, t.steps) for t in run_sweep(long, shard)}
    heard: list[tuple[int, ...]] = []
    # the reference alone is stored; others without it; all but one
    for stored in ([0.03], [1e-5, 1e-3], [0.03, 0.06, 1e-3, 1e38]):
        done = [[rate, 0, None, 1.0, None] for rate in stored]
        heard.clear()
        rest = list(run_sweep(long, shard, done, on_progress=lambda *progress: heard.append(progress)))
        assert {t.learning_rate: (t.status, t.loss, t.steps) for t in rest} == {
            rate: outcome for rate, outcome in whole.items() if rate not in stored
        }
        missing = len(whole) - len(stored)
        assert {trial for trial, *_ in heard} == set(range(1, missing + 1))
        assert {of for _, of, *_ in heard} == {missing}


@pytest.fixture
def relaxed_promotion(strict_promotion: None) -> Any:
    with jax.numpy_dtype_promotion("standard"):  # optax's own counters
        yield
