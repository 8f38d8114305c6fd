"""The points that an optimum is fitted to, and the error that follows from them."""

import math

import numpy as np
import pytest

from tests.unit.estimate.synthetic import parabola
from widthwise.estimate import fit_optimum
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.parabola import adjusted_means, fit_parabola

GRID = np.arange(-12, -3.9, 0.5)


def window(found: Optimum) -> list[float]:
    assert found.window is not None
    return [float(end) for end in np.log2(found.window)]


def test_three_points_around_the_lowest_have_the_vertex_of_their_differences() -> None:
    """Around 2^−8 the second difference is 0.8 and the first −0.2; the points beyond do not count."""
    found = fit_optimum(2.0 ** np.arange(-9, -6.9, 0.5), [2.01, 2.5, 2.0, 2.3, 2.01])
    assert found.log2_learning_rate == pytest.approx(-8 + 0.5 * 0.2 / (2 * 0.8))
    assert found.curvature == pytest.approx(0.8 / 2 / 0.5**2)
    assert found.loss == pytest.approx(2.0 - 0.2**2 / (8 * 0.8))
    left, right = 0.5625, 0.4375  # to the ends of the bracket: a uniform distribution about the vertex
    assert found.standard_error == pytest.approx(math.sqrt((left**3 + right**3) / 3))
    assert window(found) == [-8.5, -7.5]


@pytest.mark.parametrize("mirror", [1, -1])
def test_a_neighbour_more_than_an_octave_away_is_in_the_window(mirror: int) -> None:
    x = np.sort(mirror * np.array([-4.0, -2.0, 0.0, 0.5, 1.0, 1.5]))
    found = fit_optimum(2.0**x, parabola(x, mirror * -0.1))
    assert found.log2_learning_rate == pytest.approx(mirror * -0.1)
    assert window(found) == sorted([mirror * -2.0, mirror * 1.0])


def test_a_window_ends_an_octave_away_however_the_rates_are_rounded() -> None:
    """Rates written with few digits lie a little off the octave, and are within it."""
    x = np.log2([0.0005, 0.001, 0.002, 0.004, 0.008])
    assert window(fit_optimum(2.0**x, parabola(x, np.log2(0.002)))) == pytest.approx(np.log2([0.001, 0.004]))


@pytest.mark.parametrize("digits", [3, 4, 5, 9])
@pytest.mark.parametrize("offset", [-0.2, 0.0, 0.2])
def test_learning_rates_rounded_to_a_few_digits_stay_in_the_window(digits: int, offset: float) -> None:
    """Half octaves from 2^−12 written as 2.441e-4, 3.453e-4, 4.883e-4 …: the octave's ends lie 1.0003 octaves away."""
    x = np.arange(-12, -6.9, 0.5)
    rates = [float(f"{2.0**at:.{digits - 1}e}") for at in x]
    found = fit_optimum(rates, np.exp(x + 9.3 - offset) - x)
    assert len(set(rates)) == x.size
    assert found.degrees_of_freedom == 5 - 3


def test_what_rounding_adds_to_a_window_is_less_than_a_grid_point() -> None:
    """On a grid finer than the tolerance of 0.02 octaves, a quarter of its spacing."""
    x = -8 + 0.01 * np.arange(-105, 106)
    assert window(fit_optimum(2.0**x, parabola(x, -8.0))) == pytest.approx([-9.0, -7.0], abs=0.001)
    coarse = np.array([-9.021, -8.5, -8.0, -7.5, -7.019])
    assert window(fit_optimum(2.0**coarse, parabola(coarse, -8.0))) == pytest.approx([-8.5, -7.019])


@pytest.mark.parametrize(("flat", "octaves"), [(1.5, 2), (2.5, 4)])
def test_a_window_that_shows_no_curvature_is_doubled(flat: float, octaves: int) -> None:
    x = np.arange(-14, -1.9, 0.5)
    loss = np.where(np.abs(x + 8) > flat, 2.5, 2.0)
    loss[x == -8] = 2.0 - 1e-13  # the lowest, by less than rounding
    found = fit_optimum(2.0**x, loss)
    assert window(found) == [-8 - octaves, -8 + octaves]
    assert found.log2_learning_rate == pytest.approx(-8)


@pytest.mark.parametrize(("points", "share"), [(3, 0.05), (4, 0.01)])
def test_the_floor_is_lower_where_a_fourth_point_tests_the_shape(points: int, share: float) -> None:
    x = np.array([-9.0, -8.0, -7.0, -7.1])[:points]
    found = fit_optimum(2.0**x, np.repeat(parabola(x, -8.0)[:, None], 2, axis=1))
    assert found.standard_error == pytest.approx(share * {3: 1.0, 4: 0.9}[points])


def test_no_error_exceeds_a_guess_within_the_range() -> None:
    """Two seeds whose optima lie octaves apart: at most the spread of a uniform distribution over the grid."""
    x = np.arange(-9.0, -6.9, 0.5)
    found = fit_optimum(2.0**x, np.column_stack([parabola(x, -16), parabola(x, 0.2)]))
    assert found.seed_error == pytest.approx(2 / math.sqrt(12))
    assert found.standard_error == found.seed_error
    assert found.interval == (2.0**-9, 2.0**-7)


@pytest.mark.parametrize("x", [[-9.0, -8.6, -8.0, -7.2, -7.0, -6.0], [-9.0, -8.5, -8.0, -7.5]])
def test_the_error_of_a_vertex_is_that_of_the_delta_method_on_an_uneven_grid(x: list[float]) -> None:
    """Here slope and curvature are correlated: var = gᵀ C g with g by differences of −b/2a."""
    at = np.array(x) + 8
    y = parabola(at, 0.4) + np.random.default_rng(1).normal(0, 0.01, at.size)
    found = fit_parabola(np.array(x), y[:, None])
    assert found is not None
    coefficients, covariance = np.polyfit(at, y, 2, cov="unscaled")
    residual = y - np.polyval(coefficients, at)

    def vertex(each: np.ndarray) -> float:
        return float(-each[1] / (2 * each[0]))

    step = 1e-6 * np.eye(3)
    gradient = np.array([(vertex(coefficients + e) - vertex(coefficients - e)) / 2e-6 for e in step])
    variance = gradient @ covariance @ gradient * (residual @ residual) / (at.size - 3)
    assert found.residual_variance == pytest.approx(variance, rel=1e-4)
    assert found.variance == found.residual_variance


def test_seeds_with_gaps_state_nothing_of_their_spread() -> None:
    """Only seeds that ran at every point are compared, and it takes two. Each is one Newton step from the pool's."""
    x = np.arange(-9.0, -6.9, 0.5)
    losses = np.column_stack([parabola(x, -8.4), parabola(x, -7.8), parabola(x, -8.0)])
    losses[0, 2] = np.nan
    found = fit_parabola(x, losses)
    assert found is not None
    steps = np.array([-8.4, -7.8]) * 0.06 / found.curvature  # slope of the seed over curvature of the pool
    assert found.seed_variance == pytest.approx(np.var(steps, ddof=1) / 2)
    losses[0, 1] = np.nan
    found = fit_parabola(x, losses)
    assert found is not None
    assert found.seed_variance == 0.0
    assert found.degrees_of_freedom == 13 - 5


def test_means_with_gaps_are_those_of_levels_and_seeds() -> None:
    """Loss = level of the learning rate + of the seed: with one cell missing the levels are exact all the same."""
    levels, seeds = np.array([2.0, 1.5, 1.8]), np.array([-0.3, 0.1, 0.2])
    losses = levels[:, None] + seeds
    losses[1, 0] = np.nan
    assert adjusted_means(losses) == pytest.approx(levels)
    losses[:, 0] = np.nan  # a seed that never ran is none
    assert adjusted_means(losses) == pytest.approx(levels + 0.15)
    apart = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, 5.0]])  # no seed ran on both sides
    assert adjusted_means(apart) == pytest.approx([1.0, 2.0, 5.0])


@pytest.mark.parametrize("centre", [-13.0, -3.0])
def test_a_bound_states_a_place_and_nothing_else(centre: float) -> None:
    found = fit_optimum(2.0**GRID, parabola(GRID, centre))
    assert (found.standard_error, found.interval, found.degrees_of_freedom) == (None, None, 0)
    assert (found.curvature, found.window, found.residual_error) == (None, None, None)
    assert (found.seed_error, found.skew_shift, found.shared_error, found.next_to_divergence) == (0, 0, 0, False)
    assert Optimum(0.25, -2.0, "upper_bound", 2.0, 0.5).next_to_divergence is False


@pytest.mark.parametrize(("lost", "beside"), [(-10.0, False), (-9.5, True), (-8.5, True), (-8.0, False)])
def test_a_divergence_is_next_to_the_best_on_either_side_and_no_further(lost: float, beside: bool) -> None:
    loss = parabola(GRID, -9.0)
    loss[lost == GRID] = np.nan
    assert fit_optimum(2.0**GRID, loss).next_to_divergence is beside


def test_a_divergence_at_the_ends_of_the_grid_is_seen() -> None:
    """Next to a bound, or at the first or last learning rate next to the best."""
    for centre, lost in ((-13.0, 1), (-3.0, -2), (-11.5, 0), (-4.5, -1)):
        loss = parabola(GRID, centre)
        loss[lost] = np.nan
        assert fit_optimum(2.0**GRID, loss).next_to_divergence
