"""Laplace's approximation is exact where everything is normal."""

from dataclasses import replace

import numpy as np
import pytest

from widthwise.estimate.shape import CurveShape
from widthwise.sweeps import SweepRun
from widthwise.sweeps.cell import cells_of
from widthwise.sweeps.law import law_over
from widthwise.sweeps.optimum import cell_optima
from widthwise.sweeps.posterior import SweepData, fit_posterior
from widthwise.sweeps.residual import correlation, residual_features

PLACES = [{"tokens": 2.0**k, "parameters": 2.0 ** (k % 3)} for k in range(8)]
VERTEX = np.array([-9.0, -9.3, -9.1, -9.6, -9.9, -9.7, -10.2, -10.3])
ERROR = np.array([0.1, 0.2, 0.1, 0.3, 0.1, 0.1, 0.2, 0.1])
CELLS = cells_of(
    [
        SweepRun(2.0 ** (x + k), 3 + 0.1 * k * k, place)
        for x, place in zip(VERTEX, PLACES, strict=True)
        for k in (-1, 0, 1)
    ]
)
SHAPE = CurveShape(0.002, 0.15, 0.4, 0.1, 0.4, 0.2)


@pytest.fixture(scope="module")
def data() -> SweepData:
    """Cells with a normal likelihood at each vertex."""
    grid = np.arange(-16, -3, 0.02)
    law = law_over(CELLS)
    log = -((grid - VERTEX[:, None]) ** 2) / (2 * ERROR[:, None] ** 2)
    return SweepData(law, law.at(PLACES), residual_features(PLACES), grid, log)


@pytest.fixture(scope="module")
def components(data):
    return fit_posterior(data)


def kernel(data, one):
    """The prior covariance of f at the cells."""
    linear = data.law.linear(PLACES)
    return (linear * data.law.prior_sd**2) @ linear.T + one.alpha**2 * correlation(PLACES, PLACES)


def test_every_component_is_the_regression_at_its_scales(data, components) -> None:
    assert len(components) > 3
    for one in components:
        prior = kernel(data, one)
        observed = prior + np.diag(ERROR**2 + one.omega**2)
        mean = data.law.linear(PLACES) @ data.law.prior_mean
        exact = mean + prior @ np.linalg.solve(observed, VERTEX - mean)
        variance = np.diag(prior - prior @ np.linalg.solve(observed, prior))
        assert one.centre == pytest.approx(exact, abs=2e-3)
        assert np.diag(one.design @ one.covariance @ one.design.T) == pytest.approx(variance, rel=0.02)


def test_weights_are_the_evidence_times_the_priors(data, components) -> None:
    mean = data.law.linear(PLACES) @ data.law.prior_mean
    logs = []
    for one in components:
        observed = kernel(data, one) + np.diag(ERROR**2 + one.omega**2)
        away = VERTEX - mean
        evidence = -(away @ np.linalg.solve(observed, away) + np.linalg.slogdet(observed)[1]) / 2
        prior = -((one.omega / 0.2) ** 2 + (one.alpha / 0.3) ** 2) / 2 + np.log(one.omega * max(one.alpha, 0.1))
        logs.append(evidence + prior)
    weights = np.exp(np.array(logs) - max(logs))
    assert sum(one.weight for one in components) == pytest.approx(1)
    assert [one.weight for one in components] == pytest.approx((weights / weights.sum()).tolist(), rel=0.03)


def test_an_optimum_is_its_curve_and_its_neighbours(data, components) -> None:
    """With one component, the optimum of a cell is the regression's, its own error and the scatter included."""
    one = max(components, key=lambda each: each.weight)
    found = cell_optima(CELLS, SHAPE, data, [replace(one, weight=1.0)])
    prior = kernel(data, one) + one.omega**2 * np.eye(len(PLACES))
    observed = prior + np.diag(ERROR**2)
    mean = data.law.linear(PLACES) @ data.law.prior_mean
    exact = mean + prior @ np.linalg.solve(observed, VERTEX - mean)
    deviation = np.sqrt(np.diag(prior - prior @ np.linalg.solve(observed, prior)))
    assert np.log2([each.learning_rate for each in found]) == pytest.approx(exact, abs=0.01)
    width = [np.log2(each.interval[1] / each.interval[0]) for each in found]
    assert width == pytest.approx((2 * 1.96 * deviation).tolist(), rel=0.05)
