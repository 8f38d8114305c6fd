"""How far the optimum of one model scatters about the law, and what that adds to predictions."""

import numpy as np
import pytest

from tests.asjson import fit_calibration
from tests.unit.estimate.synthetic import SPEC, sweep
from widthwise.estimate import fit_candidates
from widthwise.estimate.scatter import OMEGA_G, PRIOR_G, fit_scattered

WIDTHS = np.array([64.0, 128.0, 256.0, 512.0, 1024.0])


def test_the_intervals_of_predictions_hold_the_optima_of_new_models() -> None:
    """Optima lie 0.15 octave about a law and are known better than that; the law's own intervals are for the law."""
    rng = np.random.default_rng(0)
    cells, laws, widths = [], [], []
    for _ in range(200):
        drift, error = rng.uniform(-0.2, 0.2), 0.05
        at = np.append(WIDTHS, 4096.0)
        law = -8 - drift * np.log2(at / 64)
        truth = law + 0.15 * rng.standard_normal(at.size)
        seen = truth[:-1] + error * rng.standard_normal(WIDTHS.size)
        found = fit_candidates(WIDTHS, seen, np.full(WIDTHS.size, error)).predict(4096)
        assert found.interval is not None
        assert found.law_interval is not None
        assert found.interval[0] <= found.law_interval[0] <= found.log2_learning_rate
        assert found.log2_learning_rate <= found.law_interval[1] <= found.interval[1]
        cells.append(found.interval[0] <= truth[-1] <= found.interval[1])
        laws.append(found.law_interval[0] <= law[-1] <= found.law_interval[1])
        widths.append(found.interval[1] - found.interval[0])
    assert 0.9 < np.mean(cells) <= 0.99
    assert 0.9 < np.mean(laws) <= 0.99
    assert np.median(widths) < 1.4


@pytest.mark.parametrize("true", [0.0, 0.1, 0.3])
def test_many_widths_decide_how_far_optima_scatter(true: float) -> None:
    rng = np.random.default_rng(1)
    h = np.arange(60.0)
    scatter = rng.standard_normal(h.size)
    y = 0.3 * h + 0.02 * rng.standard_normal(h.size) + true * scatter / scatter.std()
    assert fit_scattered(h, y, np.full(h.size, 0.02), 0.5).scatter == pytest.approx(true, abs=0.06)


def test_the_probability_of_a_scatter_is_that_of_the_normal_equations() -> None:
    """The marginal density from the whole covariance of the points, with a level of any size."""
    rng = np.random.default_rng(2)
    h, error = np.array([0.0, 1.0, 2.0, 3.5]), np.array([0.05, 0.1, 0.05, 0.2])
    y = rng.standard_normal(4) * 0.2
    density = []
    for each in OMEGA_G:
        covariance = np.diag(error**2 + each**2) + 1e6 + 0.25 * np.outer(h, h)
        _, log_determinant = np.linalg.slogdet(covariance)
        density.append(-(log_determinant + y @ np.linalg.solve(covariance, y)) / 2)
    weight = PRIOR_G * np.exp(np.array(density) - max(density))
    found = fit_scattered(h, y, error, 0.5)
    assert found.probabilities == pytest.approx(weight / weight.sum(), abs=1e-6)
    assert found.scatter == pytest.approx(weight @ OMEGA_G / weight.sum(), abs=1e-6)


def test_half_of_the_prior_is_no_scatter_and_half_that_of_public_sweeps() -> None:
    assert PRIOR_G.sum() == pytest.approx(1)
    assert PRIOR_G[OMEGA_G == 0].sum() == 0.5
    log, weight = np.log(OMEGA_G[1:] / 0.15), PRIOR_G[1:] / 0.5
    assert [weight @ log, weight @ log**2, weight @ log**4] == pytest.approx([0, 0.25, 3 * 0.25**2], abs=1e-9)


def test_the_interval_of_a_drift_holds_it_if_optima_scatter() -> None:
    """What the errors of the optima alone explain holds it far less often."""
    rng = np.random.default_rng(3)
    held, plain = [], []
    for _ in range(200):
        drift = rng.uniform(-1, 1)
        y = -8 - drift * np.log2(WIDTHS / 64) + 0.15 * rng.standard_normal(WIDTHS.size)
        found = fit_candidates(WIDTHS, y, np.full(WIDTHS.size, 0.05)).drift
        assert found.interval is not None
        held.append(found.interval[0] <= drift <= found.interval[1])
        half = 1.96 * 0.05 / np.sqrt(10)  # Σ(h − h̄)² = 10 over four doublings
        plain.append(abs(found.log2_learning_rate - drift) < half)
    assert np.mean(held) > 0.9
    assert np.mean(plain) < 0.5


def test_a_prediction_of_a_calibration_states_both_intervals() -> None:
    result = fit_calibration(SPEC, sweep(np.random.default_rng(0), noise=0.003))
    for row in result.to_dict()["predictions"]:
        found = result.predict(row["width"])
        assert np.log2(row["law_interval"]) == pytest.approx(found.law_interval)
        assert row["interval"][0] < row["law_interval"][0] < row["learning_rate"]
        assert row["learning_rate"] < row["law_interval"][1] < row["interval"][1]
    for one in result.to_dict()["candidates"]:
        assert 0 < one["cell_scatter"] < 0.2
    assert result.drift.interval == result.candidates.drift.interval  # of the law: exponents have no scatter
    assert result.candidates.drift.law_interval == result.drift.interval
