"""The optimum of one sweep."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.estimate.synthetic import parabola
from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate import Optimum, fit_optimum

GRID = np.arange(-12, -3.9, 0.5)  # log2 learning rates

noise_seeds = st.integers(0, 2**32 - 1)


def noisy(seed: int, seeds: int = 3, optimum: float = -8.2, noise: float = 0.01) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return parabola(GRID, optimum)[:, None] + noise * rng.standard_normal((GRID.size, seeds))


@settings(deadline=None)
@given(
    optimum=st.floats(-10.5, -5.5),
    curvature=st.floats(1e-3, 10),
    spacing=st.sampled_from([0.25, 0.5, 1.0, 1.7]),
    seeds=st.integers(1, 4),
)
def test_an_exact_parabola_is_recovered(optimum: float, curvature: float, spacing: float, seeds: int) -> None:
    x = np.arange(-13, -2.9, spacing)
    loss = np.repeat(parabola(x, optimum, curvature)[:, None], seeds, axis=1)
    found = fit_optimum(2.0**x, loss)
    assert found.kind == "interior"
    assert found.log2_learning_rate == pytest.approx(optimum, abs=1e-9)
    assert found.curvature == pytest.approx(curvature, rel=1e-6)
    assert found.loss == pytest.approx(2.0, abs=1e-9)


def test_unequal_spacing_is_no_obstacle() -> None:
    x = np.array([-11.0, -9.5, -9.0, -8.1, -7.9, -7.0, -5.5])
    assert fit_optimum(2.0**x, parabola(x, -8.3)).log2_learning_rate == pytest.approx(-8.3, abs=1e-9)


@settings(deadline=None)
@given(noise_seeds, st.randoms(use_true_random=False))
def test_the_order_of_learning_rates_and_seeds_changes_nothing(seed: int, random: object) -> None:
    loss = noisy(seed)
    rows, columns = np.random.default_rng(seed).permutation(GRID.size), [2, 0, 1]
    ordered, shuffled = fit_optimum(2.0**GRID, loss), fit_optimum(2.0 ** GRID[rows], loss[rows][:, columns])
    assert shuffled.kind == ordered.kind
    assert shuffled.log2_learning_rate == pytest.approx(ordered.log2_learning_rate, abs=1e-10)
    if ordered.standard_error is not None:
        assert shuffled.standard_error == pytest.approx(ordered.standard_error, rel=1e-7)


@settings(deadline=None)
@given(noise_seeds, st.integers(-40, 40))
def test_scaling_all_learning_rates_shifts_the_optimum_by_exactly_that(seed: int, octaves: int) -> None:
    loss = noisy(seed)
    here, there = fit_optimum(2.0**GRID, loss), fit_optimum(2.0 ** (GRID + octaves), loss)
    assert there.log2_learning_rate - here.log2_learning_rate == pytest.approx(octaves, abs=1e-9)
    assert (there.kind, there.standard_error) == (here.kind, pytest.approx(here.standard_error, rel=1e-9))


@settings(deadline=None)
@given(noise_seeds, st.floats(-100, 100), st.floats(0.01, 100))
def test_the_unit_and_origin_of_the_loss_do_not_matter(seed: int, shift: float, scale: float) -> None:
    loss = noisy(seed)
    plain, other = fit_optimum(2.0**GRID, loss), fit_optimum(2.0**GRID, shift + scale * loss)
    assert other.log2_learning_rate == pytest.approx(plain.log2_learning_rate, abs=1e-6)


@settings(deadline=None)
@given(noise_seeds, st.integers(0, GRID.size - 1), st.integers(0, 2))
def test_a_learning_rate_at_which_any_seed_diverged_never_wins(seed: int, row: int, column: int) -> None:
    loss = noisy(seed)
    loss[row] = -100.0  # by far the best, were it not for the one seed that diverged
    loss[row, column] = np.nan
    found = fit_optimum(2.0**GRID, loss)
    if found.kind == "interior" and found.curvature is not None:
        assert found.window is not None
        assert not found.window[0] <= 2.0 ** GRID[row] <= found.window[1]
    assert found.learning_rate != 2.0 ** GRID[row]
    assert found.loss > 0


@settings(deadline=None)
@given(noise_seeds, st.lists(st.tuples(st.integers(0, GRID.size - 1), st.integers(0, 2)), max_size=40))
def test_gaps_and_divergences_never_yield_a_number_that_is_not_finite(seed: int, holes: list[tuple[int, int]]) -> None:
    loss = noisy(seed)
    for row, column in holes:
        loss[row, column] = np.nan
    missing = np.isnan(loss)
    diverged = missing & (np.random.default_rng(seed).random(loss.shape) < 0.3)
    try:
        found = fit_optimum(2.0**GRID, loss, diverged)
    except EstimateError:
        return
    assert math.isfinite(found.log2_learning_rate)
    assert math.isfinite(found.loss)
    assert GRID[0] <= found.log2_learning_rate <= GRID[-1]
    if found.kind == "interior":
        assert found.standard_error is not None
        assert 0 < found.standard_error < math.inf
        assert found.interval is not None
        assert found.interval[0] <= found.learning_rate <= found.interval[1]
    else:
        assert found.standard_error is None


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinite_losses_stop_at_the_door(value: float) -> None:
    loss = noisy(0)
    loss[3, 1] = value
    with pytest.raises(InvalidInputError, match="infinity"):
        fit_optimum(2.0**GRID, loss)


def test_none_is_a_missing_loss() -> None:
    rates, loss = [1e-3, 2e-3, 4e-3, 8e-3], [[2.2], [2.1], [2.3], [None]]
    assert fit_optimum(rates, loss).learning_rate < 2e-3


@pytest.mark.parametrize(
    ("rates", "losses", "diverged", "problem"),
    [
        ([1e-3, -1e-3], [2.0, 2.0], None, "positive"),
        ([1e-3, math.nan], [2.0, 2.0], None, "positive finite"),
        ([1e-3, 1e-3], [2.0, 2.0], None, "distinct"),
        ([1e-3, 2e-3], [2.0, 2.0, 2.0], None, "shape"),
        ([], [], None, "shape"),
        ([1e-3, 2e-3], [2.0, 2.0], [True, False], "diverged and has a loss"),
        ([1e-3, 2e-3], [2.0, 2.0], [False], "same shape"),
    ],
)
def test_malformed_sweeps_are_refused(rates: object, losses: object, diverged: object, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        fit_optimum(rates, losses, diverged)  # type: ignore[arg-type]


def test_nothing_but_divergence_has_no_optimum() -> None:
    with pytest.raises(EstimateError, match=r"none of the 2 learning rates from 0\.001 to 0\.003 .*; try smaller ones"):
        fit_optimum([1e-3, 3e-3], [[None], [None]])


def test_one_learning_rate_has_no_optimum() -> None:
    with pytest.raises(EstimateError, match="only learning rate"):
        fit_optimum([1e-3, 2e-3], [[2.0], [None]], [[False], [False]])


@pytest.mark.parametrize(("optimum", "kind", "edge"), [(-13.0, "upper_bound", 0), (-2.0, "lower_bound", -1)])
def test_an_optimum_at_the_edge_of_the_grid_is_a_bound(optimum: float, kind: str, edge: int) -> None:
    found = fit_optimum(2.0**GRID, noisy(1, optimum=optimum))
    assert found.kind == kind
    assert found.learning_rate == 2.0 ** GRID[edge]
    assert (found.standard_error, found.interval) == (None, None)


@pytest.mark.parametrize("offset", [-3.0, -0.2, 0.0, 0.1, 0.24])
@pytest.mark.parametrize("side", [1, -1])
def test_an_optimum_at_the_edge_is_bounded_by_the_second_learning_rate(offset: float, side: int) -> None:
    """A truth within half a spacing inside the grid still makes the learning rate at its edge the best."""
    edge, second = (GRID[0], GRID[1]) if side > 0 else (GRID[-1], GRID[-2])
    truth = edge + side * offset
    found = fit_optimum(2.0**GRID, parabola(GRID, truth))
    assert found.learning_rate == 2.0**edge
    assert found.bound == 2.0**second
    assert side * (truth - math.log2(found.bound)) < 0
    assert fit_optimum(2.0**GRID, parabola(GRID, -8.0)).bound is None


def test_a_learning_rate_that_diverged_or_was_stopped_bounds_the_optimum_and_a_gap_does_not() -> None:
    loss = parabola(GRID, -13.0)
    loss[1] = np.nan
    assert fit_optimum(2.0**GRID, loss).bound == 2.0 ** GRID[1]
    assert fit_optimum(2.0**GRID, loss, None, np.isnan(loss)).bound == 2.0 ** GRID[1]
    assert fit_optimum(2.0**GRID, loss, np.zeros(loss.size, bool)).bound == 2.0 ** GRID[2]


def test_a_gap_above_the_best_learning_rate_does_not_bracket_it() -> None:
    loss = noisy(1, optimum=-6.0)
    above = GRID > -6.4
    loss[above] = np.nan
    assert fit_optimum(2.0**GRID, loss, np.zeros(loss.shape, bool)).kind == "lower_bound"


def test_a_divergence_above_the_best_learning_rate_brackets_it_with_a_wide_error() -> None:
    loss = noisy(1, optimum=-6.0, noise=1e-3)
    loss[GRID > -6.4] = np.nan
    found = fit_optimum(2.0**GRID, loss)
    assert (found.kind, found.next_to_divergence, found.learning_rate) == ("interior", True, 2.0**-6.5)
    assert found.interval == (2.0**-7, 2.0**-6)
    assert found.standard_error == pytest.approx(0.5 / math.sqrt(3))
    assert found.degrees_of_freedom == 0


def test_a_divergence_two_steps_above_leaves_a_parabola_of_the_points_below() -> None:
    loss = parabola(GRID, -6.4)
    loss[GRID > -5.9] = np.nan
    found = fit_optimum(2.0**GRID, loss)
    assert found.log2_learning_rate == pytest.approx(-6.4, abs=1e-9)
    assert not found.next_to_divergence
    assert found.window == (2.0**-7.5, 2.0**-6)


def test_finite_losses_beyond_a_divergence_stay_out_of_the_fit() -> None:
    loss = parabola(GRID, -7.1)
    loss[GRID == -6.0] = np.nan
    loss[GRID > -6.0] = 2.5  # trained by luck, and shaped nothing like the curve below
    assert fit_optimum(2.0**GRID, loss).log2_learning_rate == pytest.approx(-7.1, abs=1e-9)


def test_without_residual_degrees_of_freedom_the_error_comes_from_the_spacing() -> None:
    found = fit_optimum(2.0 ** np.array([-9.0, -8.0, -7.0]), [2.1, 2.0, 2.1])
    assert found.log2_learning_rate == pytest.approx(-8.0)
    assert found.standard_error == pytest.approx(1 / math.sqrt(3))
    assert found.degrees_of_freedom == 0


def test_without_a_convex_parabola_the_best_point_and_its_neighbours_speak_alone() -> None:
    x = np.arange(-9, -6.9, 0.5)
    found = fit_optimum(2.0**x, np.array([2.01, 2.5, 2.0, 2.5, 2.01]))
    assert found.log2_learning_rate == pytest.approx(-8.0)
    assert found.interval == pytest.approx((2.0**-8.5, 2.0**-7.5))
    assert found.standard_error == pytest.approx(0.5 / math.sqrt(3))
    assert found.degrees_of_freedom == 0


def test_a_wide_plateau_is_bridged_by_a_wider_window() -> None:
    loss = np.full(GRID.size, 2.0)
    loss[[0, -1]] = 3.0
    found = fit_optimum(2.0**GRID, loss)
    assert found.window is not None
    assert math.log2(found.window[1] / found.window[0]) > 4
    assert found.log2_learning_rate == pytest.approx(-8, abs=1)
    assert found.standard_error is not None
    assert found.standard_error > 0.3


def test_a_seed_that_is_worse_everywhere_does_not_move_the_optimum_where_it_is_missing() -> None:
    loss = np.repeat(parabola(GRID, -8.0)[:, None], 2, axis=1)
    loss[:, 1] += 10.0
    loss[-1, 1] = np.nan  # the plain mean is now the lowest at the edge of the grid
    found = fit_optimum(2.0**GRID, loss, np.zeros(loss.shape, bool))
    assert found.kind == "interior"
    assert found.log2_learning_rate == pytest.approx(-8.0, abs=1e-9)


def test_seeds_that_share_no_learning_rate_are_fitted_as_one_curve() -> None:
    loss = np.full((GRID.size, GRID.size), np.nan)
    np.fill_diagonal(loss, parabola(GRID, -8.2))
    found = fit_optimum(2.0**GRID, loss, np.zeros(loss.shape, bool))
    assert found.log2_learning_rate == pytest.approx(-8.2, abs=1e-9)


def test_exact_data_claim_no_more_than_a_hundredth_of_the_spacing() -> None:
    found = fit_optimum(2.0**GRID, parabola(GRID, -8.2))
    assert found.standard_error == pytest.approx(0.01 * 0.5)
    coarse = fit_optimum(2.0 ** GRID[::3], np.repeat(parabola(GRID[::3], -8.2)[:, None], 2, axis=1))
    assert coarse.standard_error == pytest.approx(0.05 * 1.5)


def test_seeds_that_disagree_about_the_optimum_widen_the_error() -> None:
    def error(half_distance: float) -> float:
        curves = [parabola(GRID, -8 - half_distance), parabola(GRID, -8 + half_distance)]
        found: Optimum = fit_optimum(2.0**GRID, np.column_stack(curves))
        assert found.standard_error is not None
        return found.standard_error

    # Two optima at ±d have a standard deviation of √2 d and their mean a standard error of d.
    assert error(0.2) == pytest.approx(0.2, rel=0.05)
    assert error(0.4) == pytest.approx(0.4, rel=0.05)


def test_the_interval_of_an_optimum_covers() -> None:
    covered = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        optimum = rng.uniform(-8.5, -7.5)
        found = fit_optimum(2.0**GRID, noisy(seed, optimum=optimum))
        assert found.interval is not None
        covered.append(found.interval[0] <= 2.0**optimum <= found.interval[1])
    assert 0.90 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize("spacing", [0.25, 0.5, 1.0])
def test_a_curve_steeper_towards_divergence_shifts_the_optimum_by_the_same_amount_on_every_grid(spacing: float) -> None:
    shifts = []
    for offset in np.linspace(0, spacing, 21):
        x = np.arange(-4, 3, spacing) + offset
        shifts.append(fit_optimum(2.0**x, 2 + 0.12 * (np.exp(x) - 1 - x)).log2_learning_rate)
    assert np.mean(shifts) == pytest.approx(-0.12, abs=0.02)
    assert np.std(shifts) < 0.06 * spacing


def test_a_vertex_beyond_the_bracket_is_not_believed_without_degrees_of_freedom() -> None:
    loss = [[0.9, -0.7], [0.0, -1.1], [1.1, 0.0], [-1.3, 0.0], [None, -0.7], [None, -0.3]]  # vertex at 2^4.14
    found = fit_optimum(2.0 ** np.arange(6), loss, np.zeros((6, 2), bool))
    assert found.learning_rate == 8
    assert found.interval == (4, 16)


def test_seeds_that_ran_on_different_halves_of_the_grid_are_compared_as_they_are() -> None:
    loss = np.full((GRID.size, 2), np.nan)
    loss[:6, 0], loss[6:, 1] = parabola(GRID, -10.8)[:6], 4.0
    loss[-1, 1] = 3.0  # the best of its seed, and worse than all of the other seed's
    found = fit_optimum(2.0**GRID, loss, np.zeros(loss.shape, bool))
    assert found.log2_learning_rate == pytest.approx(-10.8, abs=1e-9)


def stopped_above(loss: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Trials whose loss exceeds the best of their seed by more than `limit`, ended early."""
    stopped = loss > loss.min(axis=0) + limit
    return np.where(stopped, np.nan, loss), stopped


def test_a_stopped_trial_bounds_the_range_and_is_no_divergence() -> None:
    loss, stopped = stopped_above(noisy(1, optimum=-4.4, noise=1e-3), 0.05)
    stopped[-1], loss[-1] = True, np.nan  # beyond the best: without the stop it would be a gap
    found = fit_optimum(2.0**GRID, loss, np.zeros(loss.shape, bool), stopped)
    assert (found.kind, found.next_to_divergence, found.learning_rate) == ("interior", False, 2.0**-4.5)
    assert found.interval == (2.0**-5, 2.0**-4)
    gap = fit_optimum(2.0**GRID, loss, np.zeros(loss.shape, bool))
    assert gap.kind == "lower_bound"


def test_stopped_trials_far_from_the_best_change_nothing() -> None:
    loss = noisy(2)
    early, stopped = stopped_above(loss, 0.3)
    assert stopped.sum() > 10
    whole, pruned = fit_optimum(2.0**GRID, loss), fit_optimum(2.0**GRID, early, None, stopped)
    assert pruned == whole


def test_a_learning_rate_at_which_only_a_lucky_seed_completed_never_wins() -> None:
    loss = noisy(3)
    stopped = np.zeros(loss.shape, bool)
    loss[-3] = [-50.0, np.nan, np.nan]
    stopped[-3, 1:] = True
    found = fit_optimum(2.0**GRID, loss, None, stopped)
    assert found.log2_learning_rate == pytest.approx(-8.2, abs=0.2)
    assert found.loss > 0


def test_where_every_learning_rate_lost_a_seed_those_that_lost_fewest_are_compared() -> None:
    loss = np.repeat(parabola(GRID, -8.0)[:, None], 3, axis=1)
    stopped = np.zeros(loss.shape, bool)
    stopped[:, 2] = True
    stopped[:3, 1] = True
    loss[stopped] = np.nan
    assert fit_optimum(2.0**GRID, loss, None, stopped).log2_learning_rate == pytest.approx(-8.0, abs=1e-9)


def test_a_trial_is_not_both_stopped_and_something_else() -> None:
    with pytest.raises(InvalidInputError, match="stopped and has a loss"):
        fit_optimum([1e-3, 2e-3], [2.0, 2.0], None, [True, False])
    with pytest.raises(InvalidInputError, match="diverged and stopped"):
        fit_optimum([1e-3, 2e-3], [2.0, None], [False, True], [False, True])
