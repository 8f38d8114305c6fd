"""What a planned run is worth: by formula as by brute force, and as the estimator then finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widthwise.estimate.information import (
    JointPrior,
    covariance_after,
    curve_information,
    target_variance,
)
from widthwise.estimate.shape import CurveShape, phi
from widthwise.sweeps.cell import LOST, SweepCell
from widthwise.sweeps.planning import NOISE_FACTOR
from widthwise.sweeps.shape import cell_log_likelihood

SHAPE = CurveShape(0.002, 0.1, 0.5, 0.012, 0.4, 0.25)
X = np.arange(-12.0, -3.9, 0.5)
LOSS = 2.5


def about(counts: np.ndarray, optimum: float = -8.0, shape: CurveShape = SHAPE) -> float:
    curves = curve_information(
        X, np.array([optimum]), shape, noise=NOISE_FACTOR * shape.noise**2, lost=(LOST - 1) * LOSS
    )
    return float(curves.about_optimum(counts[None])[0, 0])


def at(*xs: float) -> np.ndarray:
    return np.isin(X, xs).astype(float)


def test_it_is_the_information_of_all_parameters_but_those_that_are_no_matter() -> None:
    counts, optimum = at(-9.0, -8.5, -7.0, -6.5), -8.0

    def losses(parameters: np.ndarray) -> np.ndarray:
        x_star, level, log_kappa, skew = parameters
        return np.asarray(level + np.exp(log_kappa) * phi(X - x_star, skew))

    centre = np.array([optimum, LOSS, np.log(SHAPE.curvature), SHAPE.skew])
    slopes = [(losses(centre + step) - losses(centre - step)) / 2e-5 for step in 1e-5 * np.eye(4)]
    rise = SHAPE.curvature * phi(X - optimum, SHAPE.skew)
    noise = curve_information(
        X, np.array([optimum]), SHAPE, noise=NOISE_FACTOR * SHAPE.noise**2, lost=(LOST - 1) * LOSS
    ).noise
    weight = counts / (noise + (SHAPE.misfit * rise) ** 2)
    whole = np.einsum("il,jl,l->ij", slopes, slopes, weight) + np.diag([0, 0, 0.4**-2, 0.25**-2])
    assert about(counts) == pytest.approx(1 / np.linalg.inv(whole)[0, 0], rel=1e-4)


def test_one_rate_says_nothing_and_three_say_enough() -> None:
    assert about(at(-8.0)) < 1e-3
    assert about(at(-9.0, -8.0, -7.0)) > 10
    assert about(at(-9.0, -8.0, -7.0)) > about(at(-9.0, -8.0))


def test_a_rate_that_diverges_adds_nothing() -> None:
    three = at(-9.0, -8.0, -7.0)
    assert about(three + at(-4.0), optimum=-11.0) == about(three, optimum=-11.0)


@given(st.lists(st.sampled_from(list(X)), min_size=3, max_size=8), st.sampled_from(list(X)), st.floats(-10, -6))
def test_a_run_more_never_says_less(xs: list[float], more: float, optimum: float) -> None:
    before = np.array([float(xs.count(x)) for x in X])
    after = before + at(more)
    assert about(after, optimum) >= about(before, optimum) - 1e-6 - 1e-9 * about(before, optimum)


@pytest.mark.parametrize("xs", [(-9.0, -8.0, -7.0), (-9.5, -8.5, -8.0, -7.5, -6.5)])
def test_the_estimator_finds_what_it_says(xs: tuple[float, ...]) -> None:
    """The spread of the posterior mean over drawn losses is that of the information, within a third."""
    random, grid = np.random.default_rng(0), np.arange(-12.0, -4.0, 0.05)
    x, found = np.array(xs), []
    for _ in range(60):
        kappa = SHAPE.curvature * np.exp(SHAPE.curvature_spread * random.normal())
        rise = kappa * phi(x + 8.0, SHAPE.skew + SHAPE.skew_spread * random.normal())
        losses = LOSS + rise + np.hypot(SHAPE.noise, SHAPE.misfit * rise) * random.normal(size=x.size)
        log = cell_log_likelihood(SweepCell({}, x, losses, np.ones(x.size), None, None), SHAPE, grid)
        weight = np.exp(log - log.max())
        found.append(float(weight @ grid / weight.sum()))
    assert np.std(found) == pytest.approx(about(at(*xs)) ** -0.5, rel=0.35)


COVARIANCE = np.array([[2.0, 1.5, 1.0], [1.5, 2.5, 1.2], [1.0, 1.2, 3.0]])


def test_information_lowers_the_covariance_as_the_inverse_says() -> None:
    information = np.array([4.0, 0.5, 0.0])
    expected = np.linalg.inv(np.linalg.inv(COVARIANCE) + np.diag(information))
    assert covariance_after(JointPrior(1.0, COVARIANCE), information) == pytest.approx(expected)


def test_the_gain_is_what_the_variance_loses() -> None:
    priors = [JointPrior(0.3, COVARIANCE), JointPrior(0.7, COVARIANCE + 0.4 * np.eye(3))]
    before = target_variance(priors, np.array([4.0, 0.5, 0.0]), 2)
    after = target_variance(priors, np.array([4.0, 2.5, 0.0]), 2)
    assert before.gain(1, np.array([[2.0]]))[0] == pytest.approx(before.mean - after.mean)
