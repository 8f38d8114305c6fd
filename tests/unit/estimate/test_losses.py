"""Finite losses of diverged runs: recognised in any sweep, said, and never taken from a run that trained."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.asjson import fit_calibration, fit_gamma, fit_horizon, fit_optima, surfaces_by_width
from tests.unit.estimate.synthetic import SPEC, Floats, trial
from widthwise.estimate import fit_optimum
from widthwise.estimate.losses import finite_divergences

GRID = np.arange(-12.0, -6.9, 0.5)
TRUTH = -9.3
UNTRAINED = 7.8  # nats


def basin(x: Floats, truth: float = TRUTH, scale: float = 0.02) -> Floats:
    return np.asarray(2.5 + scale * (np.exp(x - truth) - 1 - (x - truth)))


@pytest.mark.parametrize("above", [[-8.5], [-9.0], [-8.5, -8.0, -7.5, -7.0]])
def test_finite_losses_of_diverged_runs_do_not_move_the_optimum(above: list[float]) -> None:
    loss = basin(GRID)
    lost = np.isin(GRID, above)
    marked = fit_optimum(2.0**GRID, np.where(lost, np.nan, loss))
    found = fit_optimum(2.0**GRID, np.where(lost, UNTRAINED, loss))
    assert found == marked


def trials(width: int, *, untrained: tuple[tuple[float, int], ...], **more: Any) -> list[dict[str, Any]]:
    return [
        {**trial(width, float(2.0**x), seed, UNTRAINED if (x, seed) in untrained else float(loss)), **more}
        for x, loss in zip(GRID, basin(GRID), strict=True)
        for seed in range(2)
    ]


LOST = ((-7.5, 1), (-7.0, 0), (-7.0, 1))


def test_a_width_counts_them_as_diverged_and_says_so() -> None:
    swept = [*trials(64, untrained=LOST), *trials(128, untrained=())]
    surface = surfaces_by_width(swept)[64]
    assert (surface.completed_count, surface.diverged_count, int(np.isfinite(surface.recognised).sum())) == (19, 3, 3)
    body = fit_optima(swept)[0].to_dict()
    assert body is not None
    assert (body["completed"], body["diverged"]) == (19, 3)
    result = fit_calibration(SPEC, swept)
    (message,) = [caution.message for caution in result.warnings if caution.code == "finite_divergence"]
    assert message.startswith("Width 64: 3 trials from learning rate 0.00552 up ended with losses of 7.8 or more")
    marked = [{**t, "loss": None, "status": "diverged"} if t["loss"] == UNTRAINED else t for t in swept]
    assert fit_calibration(SPEC, marked).to_dict()["candidates"] == result.to_dict()["candidates"]


def test_horizons_and_gammas_say_so_too() -> None:
    spec = SPEC | {"measure": ["learning_rate", "horizon"], "horizons": [100, 200]}
    branched = [t for h in (100, 200) for t in trials(64, untrained=LOST, horizon=h)]
    result = fit_horizon(spec, branched)
    assert result is not None
    assert [c.message[:24] for c in result.warnings if c.code == "finite_divergence"] == [
        "Horizon 100 at width 64:",
        "Horizon 200 at width 64:",
    ]
    swept = [
        {**t, "gamma": t["learning_rate"] * 2.0**9, "learning_rate": 2.0**-9, "role": "hidden"}
        for t in trials(64, untrained=LOST)
    ]
    gammas = fit_gamma(SPEC | {"measure": ["learning_rate", "gamma"]}, swept, ())
    assert gammas is not None
    assert [c.message[:27] for c in gammas.warnings if c.code == "finite_divergence"] == ["Width 64, γ of hidden: 3 tr"]


@settings(deadline=None)
@given(
    truth=st.floats(-13, -3),
    scale=st.floats(1e-3, 1.0),
    spacing=st.sampled_from([0.1, 0.25, 0.5, 1.0, 1.585, 2.0]),
    noise=st.sampled_from([0.0, 1e-3, 0.01]),
    seed=st.integers(0, 2**16),
)
def test_a_run_that_trained_is_never_taken_for_a_divergence(
    truth: float, scale: float, spacing: float, noise: float, seed: int
) -> None:
    """At any distance from the optimum, on parabolas and on curves steep towards divergence, under some noise."""
    x = np.arange(-13, -2.9, spacing)
    rng = np.random.default_rng(seed)
    for loss in (basin(x, truth, scale), 2.5 + scale * (x - truth) ** 2):
        noisy = loss[:, None] + noise * scale * rng.standard_normal((x.size, 2))
        assert not finite_divergences(x, noisy).any()


def test_noise_that_hides_the_curve_is_seldom_taken_for_a_divergence() -> None:
    """With noise as large as the rise over the first octave; the module's docstring has the share."""
    rng, taken = np.random.default_rng(1), 0
    for _ in range(500):
        x = np.arange(-13, -2.9, rng.choice([0.25, 0.5, 1.0, 1.585]))
        loss = 2.5 + (x - rng.uniform(-13, -3)) ** 2
        taken += int(finite_divergences(x, loss[:, None] + rng.standard_normal((x.size, 2))).any())
    assert taken <= 5


def test_a_plateau_and_losses_that_were_rounded_show_no_rise_to_judge_by() -> None:
    x = np.arange(-12.0, -3.9, 0.5)
    level = np.where(np.abs(x + 8) > 2.5, 2.5, 2.0)
    assert not finite_divergences(x, level[:, None]).any()
    assert not finite_divergences(x, np.where(x > -5, 2.01, 2.0)[:, None]).any()
    assert not finite_divergences(x, np.round(basin(x, -9.0, 1e-3), 3)[:, None]).any()


def test_losses_below_the_best_learning_rate_and_a_short_sweep_are_left_alone() -> None:
    """Slow training does not diverge, and three learning rates show too little."""
    x = np.arange(-11.0, -6.9)
    assert not finite_divergences(x, np.array([UNTRAINED, 2.2, 2.1, 2.0, 2.1])[:, None]).any()
    assert not finite_divergences(x[:3], np.array([2.1, 2.0, UNTRAINED])[:, None]).any()
