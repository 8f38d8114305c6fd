"""The curve that sweeps share, fitted a second time by general least squares; and which points it is fitted to."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime, brentq, least_squares

from tests.unit.estimate.synthetic import Floats
from widthwise.estimate.curve import shared_errors
from widthwise.estimate.intervals import quantile
from widthwise.estimate.optimum import Optimum, fit_optimum
from widthwise.estimate.shape import phi, phi_derivatives
from widthwise.estimate.surface import Surface


def rise(t: Floats, skew: float, curvature: float = 0.06) -> Floats:
    """κ·φ(t; s) of the module's docstring."""
    return np.asarray(curvature * (t**2 if skew == 0 else 2 * (np.exp(skew * t) - 1 - skew * t) / skew**2))


def surface(
    x: Floats, losses: Floats, diverged: Sequence[int] = (), stopped: Sequence[int] = (), gaps: Sequence[int] = ()
) -> Surface:
    """One width's sweep; the learning rates of these places have no loss."""
    loss_LxS = losses.reshape(x.size, -1).copy()
    lost, ended = np.zeros(loss_LxS.shape, bool), np.zeros(loss_LxS.shape, bool)
    lost[list(diverged)], ended[list(stopped)] = True, True
    loss_LxS[[*diverged, *stopped, *gaps]] = np.nan
    seeds = tuple(range(loss_LxS.shape[1]))
    none = np.full(loss_LxS.shape, np.nan)
    return Surface(64, tuple(float(2.0**each) for each in x), seeds, loss_LxS, lost, ended, none)


def swept(x: Floats, at: float, *, skew: float = 0.8, noise: float = 0.0, seeds: int = 1, draw: int = 0) -> Surface:
    """A sweep whose optimum lies at `at`, with noise and a level for each of its seeds."""
    rng = np.random.default_rng(draw)
    level = 2.5 + 0.1 * rng.standard_normal((1, seeds))
    return surface(x, level + rise(x - at, skew)[:, None] + noise * rng.standard_normal((x.size, seeds)))


def optimum_of(each: Surface) -> Optimum:
    return fit_optimum(each.learning_rates, each.losses, each.diverged, each.stopped)


def shared(*surfaces: Surface) -> tuple[Optimum, ...]:
    return shared_errors(surfaces, [optimum_of(each) for each in surfaces])


def second(surfaces: Sequence[Surface], plain: Sequence[Optimum]) -> tuple[Floats, Floats, int]:
    """θ = (s, then log κ and x* of each sweep, then every level), its covariance, and the degrees of freedom.

    Noise and fit in turn, six times: χ² of the residuals then equals its degrees of freedom, where a residual's
    variance is noise² + (0.15 · rise)². Priors: s about 0 by 1, log κ about its mean by 0.45.
    """
    count = len(surfaces)
    sweep_N, x_N, y_N, level_N, levels = [], [], [], [], 0
    for k, each in enumerate(surfaces):
        row, column = np.nonzero(np.isfinite(each.losses))
        sweep_N += [k] * row.size
        x_N += list(np.log2(each.learning_rates)[row])
        y_N += list(each.losses[row, column])
        level_N += list(1 + 2 * count + levels + column)
        levels += each.losses.shape[1]
    sweep, x, y, level = np.array(sweep_N), np.array(x_N), np.array(y_N), np.array(level_N)
    dof = x.size - 1 - 2 * count - levels

    def rises(theta: Floats) -> Floats:
        return rise(x - theta[2 + 2 * sweep], theta[0], np.exp(theta[1 + 2 * sweep]))

    def residuals(theta: Floats) -> Floats:
        return np.asarray(y - theta[level] - rises(theta))

    least = 1e-3 * min((one.curvature or 0.0) * one.spacing**2 for one in plain)
    noise = 10 * least
    theta = np.zeros(1 + 2 * count + levels)
    theta[0] = 0.3  # anything but 0, where the formula has no value
    for k, one in enumerate(plain):
        theta[1 + 2 * k], theta[2 + 2 * k] = math.log(one.curvature or math.nan), one.log2_learning_rate
    theta[1 + 2 * count :] = y.mean()

    def weighted(theta: Floats, error: Floats) -> Floats:
        log_curvature = theta[1 : 1 + 2 * count : 2]
        prior = np.append(theta[0] / 1.0, (log_curvature - log_curvature.mean()) / 0.45)
        return np.concatenate([residuals(theta) / error, prior])

    exactly = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "x_scale": "jac"}
    misfit = 0.15 * parabolas(plain, sweep, x)
    for _ in range(6):
        theta = least_squares(weighted, theta, args=(np.hypot(noise, misfit),), **exactly).x
        found, misfit = residuals(theta), 0.15 * rises(theta)

        def excess(size: float, found: Floats = found, misfit: Floats = misfit) -> float:
            return float(np.sum((found / np.hypot(size, misfit)) ** 2)) - dof

        noise = brentq(excess, least, 10.0, xtol=1e-14) if excess(least) > 0 else least
    jacobian = approx_fprime(theta, weighted, 1e-6, np.hypot(noise, misfit))
    return theta, np.linalg.inv(jacobian.T @ jacobian), dof


def parabolas(plain: Sequence[Optimum], sweep: Floats, x: Floats) -> Floats:
    """How far each point lies above the vertex of its sweep's parabola."""
    at = np.array([one.log2_learning_rate for one in plain])[sweep]
    return np.asarray(np.array([one.curvature for one in plain])[sweep] * (x - at) ** 2)


OCTAVES = np.arange(-10.0, -5.9)


def check(surfaces: Sequence[Surface]) -> tuple[Optimum, ...]:
    """Compare every coarse sweep's position, error and interval with the second fit's."""
    plain = [optimum_of(each) for each in surfaces]
    found = shared_errors(surfaces, plain)
    theta, covariance, dof = second(surfaces, plain)
    moved = 0
    for k, (before, after) in enumerate(zip(plain, found, strict=True)):
        if before.degrees_of_freedom:
            assert after == before
            continue
        moved += 1
        at, place = theta[2 + 2 * k], 2 + 2 * k
        x = np.log2(surfaces[k].learning_rates)
        error = max(math.sqrt(covariance[place, place]), 0.05 * before.spacing)
        assert after.log2_learning_rate == pytest.approx(at, abs=1e-4)
        assert after.learning_rate == pytest.approx(2.0**at, rel=1e-4)
        assert after.skew_shift == pytest.approx(at - before.log2_learning_rate, abs=1e-4)
        assert after.standard_error == pytest.approx(error, rel=1e-3)
        assert after.degrees_of_freedom == dof
        assert after.shared_error == pytest.approx(abs(covariance[place, 0]) / math.sqrt(covariance[0, 0]), rel=3e-3)
        half = quantile(dof) * error
        assert after.interval is not None
        assert np.log2(after.interval) == pytest.approx((max(at - half, x[0]), min(at + half, x[-1])), abs=1e-3)
    assert moved
    return found


@pytest.mark.parametrize(("skew", "noise"), [(0.8, 0.0), (0.8, 2e-3), (-0.5, 8e-3), (0.02, 2e-3)])
def test_the_shared_curve_is_the_most_probable_one(skew: float, noise: float) -> None:
    """Three sweeps of octaves with one seed, and one of three seeds that lends its curve and its scatter."""
    check(
        [
            swept(OCTAVES, -8.2, skew=skew, noise=noise, draw=0),
            swept(OCTAVES, -7.9, skew=skew, noise=noise, draw=1),
            swept(OCTAVES, -8.03, skew=skew, noise=noise, seeds=3, draw=2),
            swept(OCTAVES + 1, -7.4, skew=skew, noise=noise, draw=3),
        ]
    )


def test_an_interval_ends_with_the_learning_rates_tried() -> None:
    low, high = np.arange(-9.0, -5.9), np.arange(-11.0, -7.9)
    found = check([swept(x, at, noise=0.03, draw=k) for k, x, at in ((2, low, -8.4), (3, high, -8.6), (11, low, -8.2))])
    assert found[0].interval is not None
    assert found[1].interval is not None
    assert found[0].interval[0] == 2.0**-9
    assert found[1].interval[1] == 2.0**-8


LENT = (swept(OCTAVES, -8.2, draw=1), swept(OCTAVES, -7.9, draw=2))  # with 2 × 5 points


def points_of(lent: Surface) -> int:
    """How many points of a third sweep, of one seed, the fit takes in: as many as degrees of freedom are left."""
    found = shared(*LENT, lent)[0]
    assert found.degrees_of_freedom  # points − (1 + 2 · 3 + 3)
    return found.degrees_of_freedom


def regular(spacing: float, count: int = 12, **lost: Sequence[int]) -> Surface:
    """A sweep about its optimum, a learning rate at the place `count`."""
    x = -8 + spacing * np.arange(-count, count + 1)
    return surface(x, 2.5 + rise(x + 8, 0.1), **lost)


@pytest.mark.parametrize(
    ("spacing", "points"), [(0.2999, 11), (0.3001, 9), (1.0, 5), (1.6, 5), (1.62, 5), (1.63, 3), (2.0, 3)]
)
def test_the_curve_is_fitted_to_an_octave_and_a_half_and_to_two_neighbours_within_two_steps_of_three(
    spacing: float, points: int
) -> None:
    assert points_of(regular(spacing)) == points


def test_a_gap_is_not_one_of_the_two_neighbours() -> None:
    """At 1 above the best: the neighbours lie at 2 and 3, since only learning rates with a loss count."""
    assert points_of(regular(1.0, 4, gaps=[5])) == 5
    assert points_of(regular(1.0, 4, gaps=[3])) == 5
    assert points_of(regular(1.2, 4, gaps=[5])) == 4  # 3.6 octaves are too far


def test_nothing_beyond_a_divergence_is_fitted_and_something_beyond_a_stop_is() -> None:
    """The best is at place 4."""
    assert points_of(regular(1.0, 4, diverged=[6])) == 4
    assert points_of(regular(1.0, 4, diverged=[2])) == 4
    assert points_of(regular(1.0, 4, diverged=[2, 6])) == 3
    assert points_of(regular(1.0, 4, stopped=[6])) == 5
    assert points_of(regular(1.0, 4, stopped=[2])) == 5


def test_the_points_are_those_about_the_nearest_learning_rate_with_a_loss() -> None:
    """It is 1.3 octaves below an optimum in a gap; the learning rate 3 octaves below it is in reach."""
    x = np.array([-12.5, -11.0, -9.5, -8.0, -6.5])
    assert points_of(surface(x, 2.5 + rise(x + 8.2, 0.1), gaps=[3])) == 4


def test_the_noise_needs_two_degrees_of_freedom() -> None:
    """Sweeps of five and three learning rates leave 8 − 7 of them; with a fourth learning rate there are two."""
    five = swept(OCTAVES, -8.2)
    for few, dof in ((OCTAVES[1:4], 0), (OCTAVES[1:], 2)):
        both = shared(five, swept(few, -7.9))
        assert [one.degrees_of_freedom for one in both] == [dof, dof]
        assert all(((one.standard_error or 0.0) < 0.3) == (dof > 0) for one in both)


def test_a_bound_between_them_is_left_alone_and_changes_nothing() -> None:
    rising = swept(OCTAVES, -12.0)
    first, bound, last = shared(LENT[0], rising, LENT[1])
    assert (first, last) == shared(*LENT)
    assert bound == optimum_of(rising)
    assert bound.kind == "upper_bound"


@pytest.mark.parametrize("spacing", [0.5, 1.0])
def test_a_grid_with_more_than_three_learning_rates_in_the_window_keeps_its_bracket(spacing: float) -> None:
    """Noise hides its curve; no window of it has a parabola, so the bracket alone is known."""
    x = -8 + np.array([-7.0, -5.0, -1.0, -0.25, 0.0, 0.25, 1.0, 5.0, 7.0])
    x = np.unique([*x, -8 - spacing, -8 + spacing])
    loss = np.full(x.size, 2.502)
    loss[np.abs(x + 8) == 1] = 2.5001
    loss[x == -8] = 2.5
    hidden = surface(x, loss)
    plain = optimum_of(hidden)
    assert plain.degrees_of_freedom == 0
    assert plain.curvature is not None
    first, _, kept = shared(*LENT, hidden)
    assert first.degrees_of_freedom
    assert kept == plain


def test_a_grid_of_thirds_without_noise_has_the_smallest_noise() -> None:
    """A thousandth of the rise over a grid step, which weighs the points at a vertex."""
    thirds = -8 + 1.55 * np.arange(-2.0, 2.1)
    check([swept(thirds, at, skew=0.4) for at in (-8.01, -7.98, -8.02)])


def test_noise_without_a_curve_ends_in_finite_numbers() -> None:
    """No exponential overflows on the way, since every optimum is held among its points."""
    rng = np.random.default_rng(5)
    for _ in range(30):
        surfaces = [surface(OCTAVES, 2.5 + 0.01 * rng.standard_t(2, OCTAVES.size)) for _ in range(3)]
        for one, each in zip(shared(*surfaces), surfaces, strict=True):
            assert each.learning_rates[0] <= one.learning_rate <= each.learning_rates[-1]
            assert np.isfinite([one.loss, one.standard_error or 0.0, one.shared_error]).all()


def test_a_rise_and_its_derivatives_are_those_of_their_power_series() -> None:
    """φ = 2 Σ sᵏ⁻² tᵏ/k! from k = 2; close to s = 0, too, where the closed forms lose digits."""
    for skew in (0.0, 1e-9, -1e-3, 0.014, 0.0149, 0.0151, -0.3, 1.0, 2.9):
        for t in (-2.0, -1.3, 0.4, 2.0):
            terms = [(k, 2 / math.factorial(k)) for k in range(2, 40)]
            rise = sum(each * skew ** (k - 2) * t**k for k, each in terms)
            by_t = sum(each * skew ** (k - 2) * k * t ** (k - 1) for k, each in terms)
            by_s = sum(each * (k - 2) * skew ** (k - 3) * t**k for k, each in terms if k > 2)
            found = phi(np.array([t, 0.0]), skew), *phi_derivatives(np.array([t, 0.0]), skew)
            assert [float(each[0]) for each in found] == pytest.approx([rise, by_t, by_s], rel=3e-6)
            assert [float(each[1]) for each in found] == [0, 0, 0]


def restated(**other: object) -> tuple[Optimum, Optimum]:
    """What the shared curve makes of the first of two optima, of which something is as stated; and of that alone."""
    plain = [optimum_of(each) for each in LENT]
    usual = shared_errors(LENT, plain)[0]
    return shared_errors(LENT, [replace(plain[0], **other), plain[1]])[0], usual  # type: ignore[arg-type]


def test_a_bracket_that_excludes_the_shared_optimum_is_kept() -> None:
    _, usual = restated()
    at = usual.learning_rate
    for interval, moved in (((at / 1.01, at * 1.01), True), ((at * 1.01, 1.0), False), ((1e-9, at / 1.01), False)):
        found, _ = restated(interval=interval)
        assert (found.degrees_of_freedom > 0) == moved
        assert found.interval == (usual.interval if moved else interval)


def test_an_error_of_the_bracket_that_is_smaller_is_kept() -> None:
    error = restated()[1].standard_error or 0.0
    assert restated(standard_error=1.01 * error)[0].standard_error == error
    assert restated(standard_error=0.99 * error)[0].standard_error == 0.99 * error


def test_a_skew_that_was_corrected_before_is_counted_on() -> None:
    plain = optimum_of(LENT[0]).log2_learning_rate
    found, usual = restated(skew_shift=0.25)
    assert usual.skew_shift == pytest.approx(usual.log2_learning_rate - plain)
    assert found.skew_shift == pytest.approx(0.25 + usual.skew_shift)
