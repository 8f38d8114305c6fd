"""The skew that the loss curves of all widths share."""

from typing import Any

import numpy as np
import pytest

from tests.asjson import fit_calibration, fit_optima
from tests.unit.estimate.synthetic import SPEC, sweep, trial

OPTIMUM = -8.1


def skewed(widths: dict[int, np.ndarray], noise: float = 0.0, seed: int = 0) -> list[dict[str, Any]]:
    """Sweeps of eˣ − 1 − x over the given log2 learning rates, two seeds a width."""
    rng = np.random.default_rng(seed)
    return [
        trial(width, float(2.0**x), s, 2 + 0.12 * float(np.exp(x - OPTIMUM) - 1 - (x - OPTIMUM)) + noise * rng.normal())
        for width, grid in widths.items()
        for x in grid
        for s in range(2)
    ]


def log_optima(trials: list[dict[str, Any]]) -> list[float]:
    return [entry.optimum.log2_learning_rate for entry in fit_optima(trials) if entry.optimum]


GRID = np.arange(-12, -5.4, 0.5)


def test_a_curve_steeper_towards_divergence_no_longer_moves_the_optimum() -> None:
    found = fit_optima(skewed({64: GRID, 128: GRID}))
    for entry in found:
        assert entry.optimum is not None
        assert entry.optimum.log2_learning_rate == pytest.approx(OPTIMUM, abs=0.03)  # the fifth power is left
        assert entry.optimum.skew_shift == pytest.approx(0.12, abs=0.03)


def test_narrow_and_wide_windows_agree() -> None:
    """A telescope's three points lie within half an octave, the full grid's window is an octave each side."""
    few = np.array([-8.5, -8.0, -7.5])
    found = log_optima(skewed({64: GRID, 128: GRID, 256: few}))
    assert found[2] == pytest.approx(found[0], abs=0.02)
    exponent = fit_calibration(SPEC, skewed({64: GRID, 128: GRID, 256: few})).drift
    assert exponent is not None
    assert exponent.value == pytest.approx(0, abs=0.02)


def test_one_width_alone_shows_no_skew_to_trust() -> None:
    assert log_optima(skewed({64: GRID}))[0] == pytest.approx(OPTIMUM - 0.12, abs=0.03)


def test_a_symmetric_curve_stays_where_it_is() -> None:
    trials = sweep(np.random.default_rng(1), noise=1e-9)
    for entry in fit_optima(trials):
        assert entry.optimum is not None
        assert entry.optimum.log2_learning_rate == pytest.approx(-8, abs=1e-6)
        assert entry.optimum.shared_error < 1e-6


def test_what_is_not_known_of_the_skew_is_an_error_that_all_widths_share() -> None:
    quiet, loud = (fit_optima(skewed({64: GRID, 128: GRID}, noise)) for noise in (1e-4, 0.02))
    for before, after in zip(quiet, loud, strict=True):
        assert before.optimum is not None
        assert after.optimum is not None
        assert before.optimum.shared_error < after.optimum.shared_error
        assert after.optimum.standard_error is not None
        assert after.optimum.standard_error > after.optimum.shared_error
    errors = [entry.optimum.shared_error for entry in loud if entry.optimum]
    assert errors[0] == pytest.approx(errors[1], rel=0.5)


def apart(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first seed's trials, each under a separate seed: they share no learning rate, so no cubic is determined."""
    return [{**record, "seed": k} for k, record in enumerate(t for t in trials if t["seed"] == 0)]


def bound(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those above the optimum: the smallest is the best."""
    return [record for record in trials if record["learning_rate"] > 2.0**OPTIMUM]


@pytest.mark.parametrize("silent", [apart, bound])
def test_a_narrow_width_that_shows_no_skew_keeps_no_other_from_showing_it(silent: Any) -> None:
    shown = skewed({128: GRID, 256: GRID})
    moved = log_optima(shown)
    found = log_optima([*silent(skewed({64: GRID})), *shown])
    assert found[1:] == pytest.approx(moved)
    assert moved == pytest.approx([OPTIMUM, OPTIMUM], abs=0.03)


def test_a_width_without_a_parabola_stays_where_it_is() -> None:
    trials = [*bound(skewed({64: GRID})), *skewed({128: GRID, 256: GRID})]
    first = fit_optima(trials)[0].optimum
    assert first is not None
    assert (first.kind, first.skew_shift, first.standard_error) == ("upper_bound", 0.0, None)
    assert first.learning_rate == 2.0**-8


def test_the_skew_of_a_cubic_is_recovered_from_each_width_by_its_own_weight() -> None:
    """Loss = c·(t² + t³/5): exactly the model, so each vertex comes back to the optimum but for the prior's share."""
    t = GRID - OPTIMUM
    near = np.abs(t) < 2.2
    trials = [
        trial(width, float(2.0**x), seed, float(2 + curvature * (at**2 + at**3 / 5)))
        for width, curvature in ((64, 0.06), (128, 0.3))
        for x, at in zip(GRID[near], t[near], strict=True)
        for seed in range(2)
    ]
    assert log_optima(trials) == pytest.approx([OPTIMUM, OPTIMUM], abs=2e-3)


@pytest.mark.parametrize(("points", "shown"), [((4, 4), False), ((4, 5), True), ((5, 5), True)])
def test_one_degree_of_freedom_over_all_widths_is_enough_to_show_a_skew(points: tuple[int, int], shown: bool) -> None:
    """Four learning rates fit a cubic exactly, so two widths of four say nothing of its noise."""
    offsets = {4: np.array([-1.3, -0.4, 0.5, 1.3]), 5: np.array([-1.3, -0.7, 0.0, 0.6, 1.2])}
    trials = skewed({64 * 2**k: OPTIMUM + offsets[count] for k, count in enumerate(points)})
    found = [entry.optimum for entry in fit_optima([t for t in trials if t["seed"] == 0])]
    assert [each is not None and each.skew_shift != 0.0 for each in found] == [shown, shown]
