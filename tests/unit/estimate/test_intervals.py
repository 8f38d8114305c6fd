"""The errors behind every interval, and the choice between the laws, from their formulas."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from widthwise.errors import InvalidInputError
from widthwise.estimate import fit_candidates
from widthwise.estimate.candidates import Candidates
from widthwise.estimate.intervals import PRIOR_DEGREES_OF_FREEDOM, mixture_interval, moderated_errors, quantile
from widthwise.estimate.line import fit_line
from widthwise.estimate.scatter import OMEGA_G, PRIOR_G

WIDTHS = np.array([64.0, 128.0, 256.0, 512.0])


def log_bias(dof: int) -> float:
    """E[log s²/σ²] of a variance with an even number of degrees of freedom: ψ(d/2) − log(d/2), ψ by its recurrence."""
    half = dof // 2
    return sum(1 / k for k in range(1, half)) - np.euler_gamma - math.log(half)


def test_the_typical_variance_is_a_geometric_mean_without_the_bias_of_the_log() -> None:
    """Smyth 2004: log s² averages log σ² + ψ(d/2) − log(d/2); ψ(1) = −γ, ψ(x + 1) = ψ(x) + 1/x."""
    errors, dofs = np.array([0.1, 0.3, 0.2]), np.array([2, 4, 8])
    typical = math.exp(np.mean([2 * math.log(s) - log_bias(int(d)) for s, d in zip(errors, dofs, strict=True)]))
    prior = PRIOR_DEGREES_OF_FREEDOM
    expected = np.sqrt((dofs * errors**2 + prior * typical) / (dofs + prior))
    assert moderated_errors(errors, dofs) == pytest.approx(expected)
    assert moderated_errors([0.1, 0.1], [2, 2])[0] ** 2 == pytest.approx((2 + 6 * math.exp(np.euler_gamma)) / 8 / 100)


def test_moderated_errors_have_the_size_of_the_true_one() -> None:
    """Many sweeps of one σ: the variance estimated from 2 residuals each averages to σ² again, in every sweep."""
    draws = np.random.default_rng(0).chisquare(2, (300, 40)) / 2
    moderated = np.array([moderated_errors(np.sqrt(draw), [2] * 40) ** 2 for draw in draws])
    assert np.mean(moderated) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("dofs", [(0, 0, 0), (0, 4, 0)])
def test_fewer_than_two_estimated_errors_have_no_common_size(dofs: tuple[int, ...]) -> None:
    assert moderated_errors([0.1, 0.3, 0.2], dofs).tolist() == [0.1, 0.3, 0.2]


def test_an_error_from_the_spacing_is_neither_moved_nor_counted() -> None:
    found = moderated_errors([0.1, 9.0, 0.3], [2, 0, 4])
    assert found[1] == 9.0
    assert found[[0, 2]] == pytest.approx(moderated_errors([0.1, 0.3], [2, 4]))


def test_a_mixture_has_two_and_a_half_percent_of_its_mass_beyond_each_end() -> None:
    """By counting draws: parts of unequal weight, centre, error and degrees of freedom."""
    centres, errors, dofs, weights = [0.0, 1.0, 4.0], [1.0, 0.5, 2.0], [3, 12, 30], [0.5, 0.3, 0.2]
    rng = np.random.default_rng(0)
    parts = [
        centre + error * rng.standard_t(dof, int(400_000 * weight))
        for centre, error, dof, weight in zip(centres, errors, dofs, weights, strict=True)
    ]
    drawn = np.concatenate(parts)
    low, high = mixture_interval(centres, errors, dofs, weights)
    assert np.mean(drawn < low) == pytest.approx(0.025, abs=1e-3)
    assert np.mean(drawn > high) == pytest.approx(0.025, abs=1e-3)


def test_the_quantile_falls_to_the_normal_one() -> None:
    assert quantile(1) == pytest.approx(math.tan(math.pi * 0.475))  # Cauchy: F = ½ + atan(t)/π
    assert quantile(1e9) == pytest.approx(quantile(math.inf), abs=1e-6)


def test_an_evidence_is_the_density_of_all_optima_with_their_covariance() -> None:
    """The level has a flat prior and the slope a normal one, so all optima are jointly normal, for every scatter."""
    y, errors = np.array([-8.0, -8.4, -7.9, -8.1]), np.array([0.1, 0.2, 0.1, 0.3])
    h, level = np.log2(WIDTHS / 64), 1e2
    found = fit_candidates(WIDTHS, y, errors)
    densities = []
    for slope in (0.0, 0.5):
        parts = [
            prior
            * multivariate_normal.pdf(y + 8, cov=np.diag(errors**2 + omega**2) + level**2 + slope**2 * np.outer(h, h))
            for omega, prior in zip(OMEGA_G, PRIOR_G, strict=True)
        ]
        densities.append(sum(parts))
    none, _, power = found.all
    assert power.fit.log_evidence - none.fit.log_evidence == pytest.approx(
        math.log(densities[1] / densities[0]), abs=1e-3
    )


def two(difference: float, errors: tuple[float, float] = (0.03, 0.04)) -> Candidates:
    return fit_candidates(WIDTHS[:2], [-8.0, -8.0 + difference], errors)


@pytest.mark.parametrize("sign", [-1, 1])
def test_two_widths_leave_theory_beyond_two_errors_of_their_difference(sign: int) -> None:
    """The errors 0.03 and 0.04 have a difference with the error 0.05."""
    assert two(sign * 0.099).chosen.name == "none"
    assert two(sign * 0.101).chosen.name == "power"


def test_theory_gives_way_where_the_gain_exceeds_the_variance_of_an_optimum() -> None:
    """That variance is the harmonic mean of the squared errors with the mean scatter; every outcome occurs."""
    errors = np.array([0.05, 0.1, 0.15, 0.1])
    names = []
    for slope in np.linspace(0, 0.3, 31):
        for law in (np.log2(WIDTHS / 64), 2 * (1 - 64 / WIDTHS)):
            found = fit_candidates(WIDTHS, -8 + slope * law, errors)
            probability = np.exp([one.fit.log_evidence for one in found.all])
            scatter = np.average([one.fit.scatter for one in found.all], weights=probability)
            variance = len(errors) / np.sum(1 / (errors**2 + scatter**2))
            none, *others = ((one.out_of_sample_error or 0.0) ** 2 for one in found.all)
            best = ("shift", "power")[int(np.argmin(others))]
            names.append(found.chosen.name)
            assert found.chosen.name == (best if none - min(others) > variance else "none")
    assert set(names) == {"none", "shift", "power"}


def test_a_law_says_how_its_scatter_compares_with_the_errors() -> None:
    y, errors = np.array([-8.0, -8.4, -7.9, -8.1]), np.full(4, 0.1)
    none = fit_candidates(WIDTHS, y, errors).all[0]
    chi2 = float(np.sum((y - y.mean()) ** 2) / 0.1**2)
    assert none.misfit == pytest.approx(chi2)
    assert none.lack_of_fit == pytest.approx(chi2 / 3)


def test_a_single_point_says_nothing_of_a_slope() -> None:
    """What is left is the prior: mean 0, the prior's own error, and all of the slope removed."""
    line = fit_line(np.array([1.0]), np.array([5.0]), np.array([0.1]), prior=0.5)
    assert (line.slope, line.slope_variance, line.shrinkage) == pytest.approx((0.0, 0.25, 1.0))
    assert line.at(1.0) == pytest.approx(5.0)


def test_any_positive_width_can_be_predicted_and_no_other() -> None:
    found = fit_candidates(WIDTHS, np.full(4, -8.0), np.full(4, 0.1))
    for width in (0.5, 1.0, 1e9):
        assert found.predict(width).log2_learning_rate == pytest.approx(-8)
    for width in (0.0, -1.0, math.inf):
        with pytest.raises(InvalidInputError, match="give a positive finite number"):
            found.predict(width)
