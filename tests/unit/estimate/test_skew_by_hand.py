"""The skew that sweeps share, and where it moves each optimum, computed a second time with numpy's polynomials."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.estimate.synthetic import Floats
from widthwise.estimate.intervals import quantile
from widthwise.estimate.optimum import Optimum, fit_optimum
from widthwise.estimate.skew import corrected, unshared_errors
from widthwise.estimate.surface import Surface


def swept(x: Floats, at: float, *, skew: float = 0.2, noise: float = 0.0, seeds: int = 2, draw: int = 0) -> Surface:
    """A sweep of t² + ρ·t³ with noise and a level for each seed."""
    rng = np.random.default_rng(draw)
    t = x - at
    loss_LxS = 2 + 0.1 * (t**2 + skew * t**3)[:, None] + 0.1 * rng.standard_normal((1, seeds))
    loss_LxS = loss_LxS + noise * rng.standard_normal((x.size, seeds))
    none = np.zeros(loss_LxS.shape, bool)
    rates = tuple(float(2.0**each) for each in x)
    return Surface(64, rates, tuple(range(seeds)), loss_LxS, none, none, np.full(loss_LxS.shape, np.nan))


def optimum_of(each: Surface) -> Optimum:
    return fit_optimum(each.learning_rates, each.losses, each.diverged, each.stopped)


def skew_about(surfaces: Sequence[Surface], optima: Sequence[float]) -> tuple[float, float]:
    """Mean and error of ρ: a regression of each sweep's cubic on its quadratic coefficient, and a prior 0 ± 1/3.

    The points lie within an octave and a half of an optimum, or within two octaves if those are fewer than four.
    """
    quadratic, cubic, variance, squares, dof = [], [], [], 0.0, 0
    for each, at in zip(surfaces, optima, strict=True):
        x = np.log2(each.learning_rates)
        near = np.abs(x - at) <= 1.5
        near = near if near.sum() >= 4 else np.abs(x - at) <= 2.0
        row, column = np.nonzero(np.isfinite(each.losses) & near[:, None])
        t = x[row] - at
        design = np.column_stack([t**3, t**2, t, np.eye(each.losses.shape[1])[column]])
        y = each.losses[row, column]
        found = np.linalg.solve(design.T @ design, design.T @ y)
        cubic.append(found[0])
        quadratic.append(found[1])
        variance.append(np.linalg.inv(design.T @ design)[0, 0])
        squares += float(np.sum((y - design @ found) ** 2))
        dof += y.size - design.shape[1]
    error = np.sqrt(np.array(variance) * squares / dof)
    precision = float(np.sum((np.array(quadratic) / error) ** 2)) + 3.0**2
    return float(np.sum(np.array(quadratic) * np.array(cubic) / error**2)) / precision, 1 / math.sqrt(precision)


def vertex(points: Floats, at: float, skew: float, counts: Floats) -> float:
    """How far the vertex of a parabola through t² + ρ·t³ at these points lies from the minimum at `at`."""
    t = points - at
    a, b, _ = np.polyfit(t, t**2 + skew * t**3, 2, w=np.sqrt(counts))
    return float(-b / (2 * a))


def check(surfaces: Sequence[Surface]) -> tuple[Optimum, ...]:
    """Compare every optimum with the second computation: two passes, since ρ is about the optimum, which moves."""
    plain = [optimum_of(each) for each in surfaces]
    found = corrected(surfaces, plain)
    inside, counts = [], []
    for each, one in zip(surfaces, plain, strict=True):
        x = np.log2(each.learning_rates)
        low, high = np.log2(one.window or ())
        within = (x > low - 1e-6) & (x < high + 1e-6)
        inside.append(x[within])
        counts.append(np.isfinite(each.losses[within]).sum(axis=1))
    optima = [one.log2_learning_rate for one in plain]
    skew = error = 0.0
    for _ in range(2):
        skew, error = skew_about(surfaces, optima)
        optima = [one.log2_learning_rate for one in plain]
        for _ in range(2):
            optima = [
                one.log2_learning_rate - vertex(points, at, skew, count)
                for one, points, at, count in zip(plain, inside, optima, counts, strict=True)
            ]
    for before, after, at, points, count, each in zip(plain, found, optima, inside, counts, surfaces, strict=True):
        shared = abs(vertex(points, at, skew + error, count) - vertex(points, at, skew, count))
        whole = math.hypot(before.standard_error or 0.0, shared)
        assert after.log2_learning_rate == pytest.approx(at, abs=1e-9)
        assert after.learning_rate == pytest.approx(2.0**at)
        assert after.skew_shift == pytest.approx(at - before.log2_learning_rate, abs=1e-9)
        assert after.shared_error == pytest.approx(shared)
        assert after.standard_error == pytest.approx(whole)
        assert after.own_error == pytest.approx(before.standard_error)
        if before.degrees_of_freedom:
            half, x = quantile(before.degrees_of_freedom) * whole, np.log2(each.learning_rates)
            ends = max(at - half, x[0]), min(at + half, x[-1])
            assert np.log2(after.interval or ()) == pytest.approx(ends)
        else:
            assert after.interval == before.interval
    return found


HALVES, COARSE = np.arange(-10.0, -5.9, 0.5), -8 + 0.9 * np.arange(-2.0, 2.1)


@pytest.mark.parametrize("skew", [0.2, -0.3])
@pytest.mark.parametrize("noise", [1e-3, 1e-2])
def test_every_optimum_moves_by_what_the_common_skew_does_to_its_window(skew: float, noise: float) -> None:
    gaps = swept(HALVES + 0.2, -8.3, skew=skew, noise=noise, seeds=3, draw=3)
    gaps.losses[[3, 4], [0, 2]] = np.nan  # a point with fewer seeds counts less
    check(
        [
            swept(HALVES, -8.1, skew=skew, noise=noise, draw=1),
            swept(COARSE, -7.9, skew=skew, noise=noise, draw=2),  # five within two octaves
            gaps,
            swept(HALVES, -7.4, skew=skew, noise=noise, seeds=1, draw=4),
        ]
    )


def test_sweeps_of_one_seed_and_few_learning_rates_keep_their_bracket() -> None:
    """Three points have no degrees of freedom: their optimum moves, and the bracket still holds it."""
    found = check([swept(COARSE, -8.1, noise=1e-3, seeds=1, draw=k) for k in (1, 2, 3)])
    assert {one.degrees_of_freedom for one in found} == {0}
    assert all(one.skew_shift > 0.02 for one in found)


def test_the_end_of_an_interval_is_the_last_learning_rate() -> None:
    """Noise hides where these optima lie, near the first and the last learning rate."""
    low, high = HALVES[2:], HALVES[:-2]
    first, _ = check([swept(low, -8.1, noise=0.06, draw=3), swept(high, -7.9, noise=0.06, draw=4)])
    _, last = check([swept(low, -8.1, noise=0.06, draw=4), swept(high, -7.9, noise=0.06, draw=5)])
    assert first.interval is not None
    assert last.interval is not None
    assert (first.interval[0], last.interval[1]) == (2.0**-9, 2.0**-7)


def test_a_skew_takes_two_sweeps_and_a_degree_of_freedom() -> None:
    """A cubic takes four learning rates; with four of one seed each, nothing shows the noise."""
    one, other = swept(HALVES, -8.1), swept(HALVES, -7.8)
    four = np.array([-9.4, -8.6, -7.7, -6.8])
    few = [swept(four, -8.1, seeds=1), swept(four, -8.2, seeds=1)]
    three = swept(HALVES[2:5], -8.4)
    for surfaces, moves in (
        ([one], False),
        ([one, three], False),
        ([one, other], True),
        ([one, other, three], True),
        (few, False),
        ([few[0], one], True),
    ):
        plain = [optimum_of(each) for each in surfaces]
        assert all(each.window is not None for each in plain)
        found = corrected(surfaces, plain)
        assert [each.skew_shift != 0 for each in found] == [moves] * len(surfaces)
        assert moves or found == tuple(plain)


def test_a_bound_has_no_skew_and_stays() -> None:
    falling = swept(HALVES, -4.0, skew=0.0)
    plain = [optimum_of(each) for each in (falling, swept(HALVES, -8.1), swept(HALVES, -7.8))]
    assert plain[0].kind == "lower_bound"
    found = corrected([falling, swept(HALVES, -8.1), swept(HALVES, -7.8)], plain)
    assert found[0] == plain[0]
    assert found[1:] == corrected([swept(HALVES, -8.1), swept(HALVES, -7.8)], plain[1:])


def test_what_an_optimum_shares_is_taken_out_and_what_differs_is_its_own() -> None:
    optimum = optimum_of(swept(HALVES, -8.1))
    own, shared = unshared_errors([replace(optimum, shared_error=each) for each in (0.1, 0.3)], np.array([0.2, 0.05]))
    assert shared == pytest.approx(0.2)
    assert own == pytest.approx([math.hypot(0.2, 0.1), math.hypot(0.05, 0.1)])
