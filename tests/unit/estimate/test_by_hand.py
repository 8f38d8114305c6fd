"""The statistics of a calibration, computed a second time in another way."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.asjson import fit_calibration, fit_optima
from tests.unit.estimate import test_horizon as horizon
from tests.unit.estimate.measured import records
from tests.unit.estimate.synthetic import SPEC, parabola, sweep, trial
from tests.unit.estimate.test_skew import skewed
from widthwise.errors import InvalidInputError
from widthwise.estimate import fit_candidates
from widthwise.estimate.candidates import Candidates
from widthwise.estimate.intervals import mixture_interval, moderated_errors, quantile
from widthwise.estimate.line import fit_line
from widthwise.estimate.mixture import STUDENT
from widthwise.estimate.optimum import fit_optimum
from widthwise.estimate.parabola import fit_parabola
from widthwise.estimate.scatter import OMEGA_G, PRIOR_G
from widthwise.estimate.skew import unshared_errors
from widthwise.estimate.slopes import fit_slope

finite = st.floats(-3, 3)


@settings(deadline=None)
@given(
    st.lists(st.tuples(finite, finite, st.floats(0.1, 2)), min_size=1, max_size=6),
    st.floats(0.2, 2),
    st.floats(-5, 5),
)
def test_a_line_is_the_posterior_of_a_linear_model(
    points: list[tuple[float, float, float]], prior: float, at: float
) -> None:
    """Mean, covariance and shrinkage by the normal equations in (intercept, slope) instead of the centred form."""
    h_W, y_W, error_W = np.array(points).T
    line = fit_line(h_W, y_W, error_W, prior)
    # The intercept of the centred form has a flat prior and is independent of the slope's.
    centred = h_W - np.average(h_W, weights=error_W**-2)
    design, weight = np.column_stack([np.ones_like(h_W), centred]), np.diag(error_W**-2)
    covariance = np.linalg.inv(design.T @ weight @ design + np.diag([0, prior**-2]))
    mean = covariance @ design.T @ weight @ y_W
    row = np.array([1.0, at - (h_W - centred)[0]])
    assert line.at(at) == pytest.approx(row @ mean, abs=1e-9)
    assert line.variance(at) == pytest.approx(row @ covariance @ row)
    assert line.slope_variance == pytest.approx(covariance[1, 1])
    assert line.shrinkage == pytest.approx(covariance[1, 1] / prior**2)


def candidates() -> Candidates:
    return fit_candidates([64, 128, 256, 512], [-8.0, -8.3, -8.5, -8.9], [0.1, 0.12, 0.1, 0.15])


def test_theory_alone_has_no_slope_and_nothing_to_shrink() -> None:
    none = candidates().all[0]
    assert (none.name, none.slope, none.slope_error, none.shrinkage) == ("none", 0.0, 0.0, 0.0)


def test_a_level_is_the_optimum_at_the_base_width() -> None:
    for one in candidates().all:
        line = one.fit.lines
        level = line.mean - line.slope * line.centre
        assert one.to_dict()["parameters"]["log2_optimum_at_base"] == pytest.approx(one.fit.probabilities @ level)


@pytest.mark.parametrize("theory", [0.0, 0.7])
@pytest.mark.parametrize("width", [64.0, 700.0, 2048.0])
def test_what_a_law_predicts_is_generalized_least_squares_for_every_scatter(theory: float, width: float) -> None:
    """Level and slope from numpy's solution of the normal equations; a model's optimum scatters about that."""
    widths, errors, shared = np.array([64.0, 128.0, 256.0, 512.0]), np.array([0.1, 0.12, 0.1, 0.15]), 0.07
    x = np.array([-8.0, -8.3, -8.5, -8.9])
    found = fit_candidates(widths, x, errors, base_width=32, theory_drift=theory, shared_error=shared)
    regressors = {"none": lambda n: 0 * n, "shift": lambda n: 1 - 32 / n, "power": lambda n: np.log2(n / 32)}
    for one in found.all:
        design = np.column_stack([np.ones(4), regressors[one.name](widths)])
        row = np.array([1.0, float(regressors[one.name](width))])
        prior = np.diag([0.0, {"none": 1e12}.get(one.name, 0.5**-2)])
        law, cell = one.law_at(width), one.cell_at(width)
        for k, omega in enumerate(OMEGA_G):
            weight = np.diag(1 / (errors**2 + omega**2))
            covariance = np.linalg.inv(design.T @ weight @ design + prior)
            fitted = covariance @ design.T @ weight @ (x + theory * np.log2(widths / 32))
            assert law.centres[k] == pytest.approx(row @ fitted - theory * np.log2(width / 32), abs=1e-9)
            assert law.variances[k] == pytest.approx(row @ covariance @ row + shared**2)
            assert cell.variances[k] == pytest.approx(law.variances[k] + omega**2)
        assert cell.centres == pytest.approx(law.centres)
        assert one.predict(width) == pytest.approx((law.mean, math.sqrt(law.variance)))
        assert one.drift == pytest.approx(theory - (one.slope if one.name == "power" else 0.0))
        assert one.shift == pytest.approx(32 * one.slope if one.name == "shift" else 0.0)


def test_the_errors_of_a_prediction_and_of_the_drift_are_those_of_the_mixture() -> None:
    found = candidates()
    prediction, drift = found.predict(2048), found.drift
    parts = [one.cell_at(2048) for one in found.all]
    variance = sum(
        weight * ((part.mean - prediction.log2_learning_rate) ** 2 + part.variance)
        for weight, part in zip(found.weights, parts, strict=True)
    )
    assert prediction.standard_error == pytest.approx(math.sqrt(variance), rel=1e-3)  # negligible parts are left out
    # Theory and the shift know the drift exactly: it is theory's.
    _, shift, power = found.weights
    variance = shift * drift.log2_learning_rate**2 + power * (
        (found.all[2].drift - drift.log2_learning_rate) ** 2 + found.all[2].slope_error ** 2
    )
    assert drift.standard_error == pytest.approx(math.sqrt(variance), rel=1e-3)


def test_the_variance_of_a_vertex_is_that_of_the_delta_method() -> None:
    """numpy's covariance of a quadratic's coefficients, carried over to the vertex by differences."""
    rng = np.random.default_rng(0)
    x = np.arange(-9.0, -6.9, 0.5)
    y = parabola(x, -7.8) + rng.normal(0, 0.01, x.size)
    found = fit_parabola(x, y[:, None])
    assert found is not None
    coefficients, covariance = np.polyfit(x + 8, y, 2, cov="unscaled")
    residual = y - np.polyval(coefficients, x + 8)
    covariance = covariance * (residual @ residual) / (x.size - 3)
    step = 1e-6
    gradient = np.array(
        [(_vertex(coefficients + e) - _vertex(coefficients - e)) / (2 * step) for e in np.eye(3) * step]
    )
    assert found.vertex == pytest.approx(_vertex(coefficients) - 8)
    assert found.residual_variance == pytest.approx(gradient @ covariance @ gradient, rel=1e-5)
    assert found.degrees_of_freedom == x.size - 3
    assert found.seed_variance == 0.0  # one seed says nothing about seeds


def _vertex(coefficients: np.ndarray) -> float:
    return float(-coefficients[1] / (2 * coefficients[0]))


@pytest.mark.parametrize(
    ("optimum", "window"),
    [(-8.1, (-9.0, -7.0)), (-4.6, (-5.5, -4.0)), (-11.4, (-12.0, -10.5))],
    ids=["in the middle", "next to the last", "next to the first"],
)
def test_the_window_is_an_octave_on_each_side_of_the_vertex(optimum: float, window: tuple[float, float]) -> None:
    x = np.arange(-12, -3.9, 0.5)
    found = fit_optimum(2.0**x, parabola(x, optimum))
    assert found.log2_learning_rate == pytest.approx(optimum)
    assert found.window is not None
    assert np.log2(found.window).tolist() == list(window)


def test_an_optimum_between_divergences_is_fitted_between_them() -> None:
    """Neither side of the run of usable learning rates reaches over a divergence."""
    x = np.arange(-12, -3.9, 0.5)
    losses = parabola(x, -8.1)
    losses[[5, 11]] = np.nan  # at 2^−9.5 and 2^−6.5
    found = fit_optimum(2.0**x, losses)
    assert found.window is not None
    assert np.log2(found.window).tolist() == [-9.0, -7.0]
    losses[[6, 10]] = np.nan  # at 2^−9 and 2^−7: three points are left
    found = fit_optimum(2.0**x, losses)
    assert found.window is not None
    assert np.log2(found.window).tolist() == [-8.5, -7.5]


def test_three_widths_and_one_seed_have_one_degree_of_freedom_and_an_interval() -> None:
    slope = fit_slope([(64, 0, 1.0), (128, 0, 2.1), (256, 0, 2.9)])
    assert slope is not None
    assert slope.degrees_of_freedom == 1
    assert slope.interval is not None
    x, y = np.log([64, 128, 256]), np.array([1.0, 2.1, 2.9])
    (value, _), covariance = np.polyfit(x, y, 1, cov=True)
    assert slope.value == pytest.approx(value)
    assert slope.standard_error == pytest.approx(math.sqrt(covariance[0, 0]))
    assert slope.interval == pytest.approx(
        (value - 12.7062 * math.sqrt(covariance[0, 0]), value + 12.7062 * math.sqrt(covariance[0, 0])), rel=1e-4
    )


def test_a_result_has_the_parts_that_were_asked_for_and_no_other() -> None:
    tensors = {
        "embedding": {"output": 0.0},
        "first": {"output": 0.0},
        "second": {"output": 0.0},
        "readout": {"output": 0.0},
    }
    found = records("coordinates", {0: tensors})
    spec = SPEC | {"proxy": {"architecture": "mlp"}, "steps": 100}
    for measure in (["learning_rate"], ["learning_rate", "coordinates"]):
        result = fit_calibration(spec | {"measure": measure}, sweep(np.random.default_rng(0)), found)
        assert list(result.parts) == measure[1:]


def exact(*optima: float) -> list[dict[str, Any]]:
    x = np.arange(-12, -3.9, 0.5)
    return [
        trial(64 * 2**k, float(2.0**rate), seed, float(parabola(rate, optimum)))
        for k, optimum in enumerate(optima)
        for rate in x
        for seed in range(3)
    ]


def test_warnings_name_the_numbers_that_they_are_about() -> None:
    drifting = fit_calibration(SPEC, sweep(np.random.default_rng(1), slope=-0.6))
    low, high = drifting.drift.interval or (0, 0)
    message = dict(drifting.warnings)["drift"]
    assert f"width^({-drifting.drift.value:+.2f}) (95 % interval {-high:+.2f} to {-low:+.2f})" in message
    shifted = dict(fit_calibration(SPEC, exact(-8, -7.5, -7.25, -7.125)).warnings)["finite_width_shift"]
    assert "+64/n octaves below its limit: at 64 by +1.00" in shifted
    assert "theory's, not refuted: the optima alone go as width^(+0.2" in shifted


def test_seeds_with_optima_apart_state_how_sure_their_mean_is() -> None:
    x = np.arange(-9.0, -6.9, 0.5)
    found = fit_parabola(x, np.column_stack([parabola(x, -8.3), parabola(x, -7.9)]))
    assert found is not None
    assert found.vertex == pytest.approx(-8.1)
    assert found.seed_variance == pytest.approx(np.var([-8.3, -7.9], ddof=1) / 2)


def test_three_points_fit_a_parabola_that_states_no_variance() -> None:
    x = np.array([-9.0, -8.0, -7.0])
    found = fit_parabola(x, parabola(x, -8.2)[:, None])
    assert found is not None
    assert found.vertex == pytest.approx(-8.2)
    assert (found.degrees_of_freedom, found.residual_variance, found.seed_variance) == (0, None, 0.0)


def test_the_interval_of_an_optimum_moved_by_the_skew_is_its_error_about_it() -> None:
    """It ends at the smallest and the largest learning rate tried."""
    grid = np.arange(-12, -5.4, 0.5)
    moved = 0
    for noise in (0.003, 0.05):
        for entry in fit_optima(skewed({64: grid, 128: grid, 256: grid}, noise=noise)):
            found = entry.optimum
            assert found is not None
            assert found.interval is not None
            assert found.standard_error is not None
            half = quantile(found.degrees_of_freedom) * found.standard_error
            low, high = found.log2_learning_rate - half, found.log2_learning_rate + half
            assert np.log2(found.interval).tolist() == pytest.approx([max(low, grid[0]), min(high, grid[-1])])
            moved += found.skew_shift != 0
    assert moved


def test_means_that_bend_over_widths_state_the_error_of_a_slope() -> None:
    """However many seeds agree on the bend, it has as many degrees of freedom as widths less two."""
    sizes = {64: 1.0, 128: 1.4, 256: 1.5, 512: 2.0, 1024: 2.1}
    slope = fit_slope([(width, seed, size + seed) for width, size in sizes.items() for seed in range(3)])
    assert slope is not None
    x, y = np.log(list(sizes)), np.array(list(sizes.values()))
    (value, _), covariance = np.polyfit(x, y, 1, cov=True)  # of one run at each width: the same bend
    assert slope.value == pytest.approx(value)
    assert slope.standard_error == pytest.approx(math.sqrt(covariance[0, 0]))


def test_an_exponent_over_tokens_has_the_interval_of_its_mixture_over_scatters() -> None:
    result = horizon.fitted(horizon.branches(np.random.default_rng(0)))
    law, optima = result.law, [entry.interior for entry in result.optima]
    assert law is not None
    assert law.interval is not None
    found = [each for each in optima if each is not None]
    own = moderated_errors([each.own_error for each in found], [each.degrees_of_freedom for each in found])
    errors, _ = unshared_errors(found, own)
    x, y = np.log2([entry.tokens for entry in result.optima]), np.array([each.log2_learning_rate for each in found])
    design, log_weights, slopes, variances = np.column_stack([np.ones(x.size), x - x.mean()]), [], [], []
    for omega in OMEGA_G:  # flat priors on level and slope: the evidence is that of the residuals
        weight = np.diag(1 / (errors**2 + omega**2))
        covariance = np.linalg.inv(design.T @ weight @ design)
        solution = covariance @ design.T @ weight @ y
        chi2 = (y - design @ solution) @ weight @ (y - design @ solution)
        log_weights.append((np.linalg.slogdet(weight)[1] + np.linalg.slogdet(covariance)[1] - chi2) / 2)
        slopes.append(-solution[1])
        variances.append(covariance[1, 1])
    weights = np.exp(log_weights) * PRIOR_G
    weights /= weights.sum()
    assert law.value == pytest.approx(weights @ slopes)
    assert law.scatter == pytest.approx(weights @ OMEGA_G)
    assert law.interval == pytest.approx(
        mixture_interval(slopes, np.sqrt(variances), np.full(OMEGA_G.size, STUDENT), weights)
    )


def test_points_of_several_lengths_are_refused() -> None:
    for errors in ([0.1], [0.1, 0.1, 0.1]):
        with pytest.raises(InvalidInputError, match="give one of each per width"):
            fit_candidates([64, 128], [-8.0, -8.1], errors)
