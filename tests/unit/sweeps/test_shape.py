"""The shape of a curve: φ, the likelihood of an optimum, and what the shape costs away from it."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from tests.unit.sweeps.simulated import CURVATURE, NOISE, SKEW, simulated
from widthwise.estimate.shape import CurveShape, phi, phi_derivatives
from widthwise.sweeps import SweepRun
from widthwise.sweeps.cell import cells_of
from widthwise.sweeps.learning import learn_shape
from widthwise.sweeps.shape import (
    NOISY,
    Nodes,
    cell_log_likelihood,
    curve_log_likelihood,
    curves_of,
)

SHAPE = CurveShape(NOISE, 0.15, SKEW, CURVATURE, 0.4, 0.2)
OPTIMA = np.array([-9.3])


def nine(place):
    """The optimum of every cell."""
    return -9.0


def cell(rates, losses):
    (found,) = cells_of([SweepRun(2.0**rate, loss, {}) for rate, loss in zip(rates, losses, strict=True)])
    return found


def test_phi_is_a_parabola_that_is_steeper_towards_divergence() -> None:
    t = np.linspace(-0.01, 0.01, 5)
    assert phi(t, 0.5) == pytest.approx(t**2, rel=0.01)
    assert phi(t, 1e-9) == pytest.approx(t**2)
    assert phi(np.array([2.0]), 0.5) > phi(np.array([-2.0]), 0.5) > 0
    assert phi(np.array([2.0]), -0.5) == pytest.approx(phi(np.array([-2.0]), 0.5))


@pytest.mark.parametrize("s", [-0.7, 0.0, 2e-4, 0.5])
def test_the_derivatives_of_phi_are_those_of_differences(s: float) -> None:
    t, step = np.array([-2.0, -0.3, 0.0, 0.4, 1.5]), 1e-3
    by_t, by_s = phi_derivatives(t, s)
    assert by_t == pytest.approx((phi(t + step, s) - phi(t - step, s)) / (2 * step), abs=1e-5)
    assert by_s == pytest.approx((phi(t, s + step) - phi(t, s - step)) / (2 * step), abs=1e-5)


def test_the_level_is_integrated_out() -> None:
    """The likelihood is, up to a constant, that of the two-node sums with the level integrated numerically."""
    x, y = np.array([-10.0, -9.0, -8.0, -7.0]), np.array([2.51, 2.5, 2.52, 2.6])
    plain = CurveShape(0.01, 0.15, SKEW, CURVATURE, 1e-9, 1e-9)
    grid = np.array([[-9.6, -9.2, -8.5]])
    found = curve_log_likelihood(curves_of([cell(x, y)]), plain, grid, Nodes(1, 1))[0]

    def density(level, optimum):
        rise = CURVATURE * phi(x - optimum, SKEW)
        shares = [
            share * np.prod(norm.pdf(y, level + rise, np.hypot(h * plain.noise, plain.misfit * rise)))
            for h, share in NOISY
        ]
        return sum(shares)

    brute = [np.log(quad(density, 2.2, 2.8, args=(at,), points=[2.5], limit=200)[0]) for at in grid[0]]
    assert found - found[0] == pytest.approx(np.array(brute) - brute[0], abs=1e-4)


def test_cells_are_computed_together_as_alone() -> None:
    one = cell([-10, -9, -8, -7], [2.52, 2.5, 2.51, 2.6])
    other = cell([-11, -10, -9], [2.53, 2.5, 2.51])
    grid = np.array([np.linspace(-10, -8, 7), np.linspace(-11, -9, 7)])
    both = curve_log_likelihood(curves_of([one, other]), SHAPE, grid, Nodes())
    for row, single in enumerate((one, other)):
        alone = curve_log_likelihood(curves_of([single]), SHAPE, grid[row : row + 1], Nodes())[0]
        assert both[row] == pytest.approx(alone)


def test_the_likelihood_peaks_at_the_optimum_and_more_runs_sharpen_it() -> None:
    rates = np.arange(-11, -6.9, 0.5)
    losses = 2.5 + CURVATURE * phi(rates + 9.1, SKEW)
    grid = np.arange(-14, -4, 0.05)
    once = cell_log_likelihood(cell(rates, losses), SHAPE, grid)
    assert grid[np.argmax(once)] == pytest.approx(-9.1, abs=0.05)
    noisy = losses + 0.002 * np.resize([1, -1, 0], rates.size)
    plain = CurveShape(0.004, 0.01, SKEW, CURVATURE, 0.4, 0.2)
    once = cell_log_likelihood(cell(rates, noisy), plain, grid)
    often = cell_log_likelihood(cell(np.tile(rates, 9), np.tile(noisy, 9)), plain, grid)
    width = [np.ptp(grid[found > found.max() - 2]) for found in (once, often)]
    assert width[1] < width[0]


def test_an_edge_is_open_and_a_divergence_is_a_wall() -> None:
    grid = np.arange(-15, -3, 0.05)
    falling = [2.6, 2.55, 2.52, 2.5]
    log = cell_log_likelihood(cell([-12, -11, -10, -9], falling), SHAPE, grid)
    assert log[-1] == pytest.approx(log[grid <= -7.5][-1])
    assert log[-1] > log[0] + 3
    walled = cell_log_likelihood(cell([-12, -11, -10, -9, -8], [*falling, None]), SHAPE, grid)
    assert walled[grid > -7].max() < walled.max() - 15
    flat = cell_log_likelihood(cell([-10, -9], [2.501, 2.5]), SHAPE, grid)
    slow = cell_log_likelihood(cell([-13, -10, -9], [4.0, 2.501, 2.5]), SHAPE, grid)
    assert slow[0] == pytest.approx(flat[0] - 20 * 2)
    assert slow[grid > -13] == pytest.approx(flat[grid > -13])


def test_the_expected_excess_is_the_mean_over_the_distance() -> None:
    random = np.random.default_rng(0)
    t = 0.4 + 0.5 * random.standard_normal(400_000)
    kappa = CURVATURE * np.exp(0.4**2 / 2)
    assert SHAPE.excess(0.4, 0.25) == pytest.approx(kappa * phi(t, SKEW).mean(), rel=0.01)
    flat = CurveShape(NOISE, 0.15, 0.0, CURVATURE, 0.4, 0.2)
    assert flat.excess(0.4, 0.25) == pytest.approx(kappa * (0.16 + 0.25))
    assert SHAPE.excess(0.0) == 0.0


def test_the_shape_is_learnt_from_many_cells() -> None:
    places = [{"tokens": 2.0**k} for k in range(24)]
    runs, _ = simulated(places, nine, seed=3)
    shape = learn_shape(cells_of(runs))
    assert shape.noise == pytest.approx(NOISE, rel=0.35)
    assert CURVATURE / 1.6 < shape.curvature < CURVATURE * 1.6  # a few nodes of κ tell k₀ and ν badly apart
    assert shape.skew == pytest.approx(SKEW, abs=0.25)
    assert 0.15 < shape.curvature_spread < 0.8


def test_few_rates_hold_what_they_cannot_tell() -> None:
    places = [{"tokens": 2.0**k} for k in range(12)]
    runs, _ = simulated(places, nine, spacing=1.0, half_width=1.0)
    shape = learn_shape(cells_of(runs))
    assert shape.misfit == pytest.approx(0.15, rel=0.25)
    assert shape.skew == pytest.approx(0.5, abs=0.25)
    lone = learn_shape(cells_of([SweepRun(0.1, 2.0, {})]))
    assert lone.noise == pytest.approx(0.0008)
