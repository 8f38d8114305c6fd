"""What a law of the optimum states and predicts, and when optima scatter too far about it, from the formulas."""

import math

import numpy as np
import pytest

from widthwise.estimate import fit_candidates
from widthwise.estimate.candidate import Candidate
from widthwise.estimate.candidates import Candidates
from widthwise.estimate.misfit import misfits
from widthwise.estimate.mixture import Mixture
from widthwise.estimate.slopes import fit_slope
from widthwise.vocabulary import ExponentQuantity, ExponentRole

WIDTHS = np.array([64.0, 128.0, 256.0, 512.0])
OPTIMA, ERRORS = np.array([-8.0, -8.9, -10.3, -11.1]), np.array([0.1, 0.2, 0.1, 0.15])
BASE, DRIFT, SHARED = 128.0, 1.0, 0.07  # theory expects x ∝ −log2 n


@pytest.fixture(scope="module")
def found() -> Candidates:
    return fit_candidates(WIDTHS, OPTIMA, ERRORS, base_width=BASE, theory_drift=DRIFT, shared_error=SHARED)


def test_only_a_shift_has_a_shift_and_only_the_power_law_drifts_from_theory(found: Candidates) -> None:
    none, shift, power = found.all
    assert (none.shift, shift.shift, power.shift) == (0.0, pytest.approx(shift.slope * BASE), 0.0)
    assert (none.drift, shift.drift, power.drift) == (DRIFT, DRIFT, pytest.approx(DRIFT - power.slope))
    assert shift.slope != 0
    assert power.slope != 0


def test_the_report_states_every_parameter_with_its_error_and_interval(found: Candidates) -> None:
    _, shift, power = found.all

    def check(one: Candidate, name: str, known: Mixture) -> None:
        report = one.to_dict()
        assert report["parameters"][name] == pytest.approx(known.mean)
        assert report["standard_errors"][name] == pytest.approx(math.sqrt(known.variance))
        assert report["intervals"][name] == pytest.approx(known.interval)

    for one in found.all:
        check(one, "log2_optimum_at_base", one.law_at(BASE))
    check(shift, "shift", shift.shift_mixture)
    assert math.sqrt(shift.shift_mixture.variance) == pytest.approx(shift.slope_error * BASE)
    check(power, "drift", power.drift_mixture)
    assert math.sqrt(power.drift_mixture.variance) == pytest.approx(power.slope_error)
    assert [one.to_dict()["prior_scale"] for one in found.all] == [None, 0.5 * BASE, 0.5]
    assert [one.degrees_of_freedom for one in found.all] == [3, 2, 2]
    for one in found.all:
        assert one.to_dict()["lack_of_fit"] == pytest.approx(one.misfit / one.degrees_of_freedom)
        assert one.to_dict()["shrinkage"] == one.shrinkage


def test_a_prediction_above_a_divergence_is_held_to_it(found: Candidates) -> None:
    free = found.predict(64.0)
    value = free.log2_learning_rate
    for most in (value, value + 0.1, math.inf):
        assert found.predict(64.0, most) == free
        assert found.predict(64.0, most).ceiling is None
    held = found.predict(64.0, value - 0.3)
    assert (held.log2_learning_rate, held.ceiling) == (value - 0.3, value - 0.3)
    parts = [one.cell_at(64.0) for one in found.all]
    variance = sum(
        w * ((part.mean - value + 0.3) ** 2 + part.variance) for w, part in zip(found.weights, parts, strict=True)
    )
    assert held.standard_error == pytest.approx(math.sqrt(variance), rel=1e-3)  # negligible parts are left out
    assert held.interval is not None
    assert held.law_interval is not None
    assert held.interval[0] <= held.law_interval[0] <= value - 0.3


@pytest.mark.parametrize(
    ("dof", "critical"),
    [(1, 6.6349), (2, 9.2103), (3, 11.3449), (8, 20.0902)],  # χ² of 1 %, from a printed table
)
def test_a_scatter_is_a_misfit_below_one_percent(dof: int, critical: float) -> None:
    assert not misfits((critical - 1e-3) / dof, dof)
    assert misfits((critical + 1e-3) / dof, dof)


def test_seeds_at_two_widths_state_an_error_and_no_interval() -> None:
    """Each seed has a level; S seeds at W widths leave S(W − 1) − 1 residuals, here 2 of 3 slopes."""
    slopes = np.array([0.9, 1.0, 1.4])
    runs = [(width, seed, float(seed + slopes[seed] * math.log(width))) for width in (64, 256) for seed in range(3)]
    slope = fit_slope(runs)
    assert slope is not None
    assert (slope.interval, slope.degrees_of_freedom, slope.widths) == (None, 0, (64, 256))
    assert slope.value == pytest.approx(slopes.mean())
    assert slope.standard_error == pytest.approx(slopes.std(ddof=1) / math.sqrt(3))
    turned = slope.negated()
    assert (turned.value, turned.interval, turned.standard_error) == (-slope.value, None, slope.standard_error)


def test_a_seed_at_one_width_says_nothing_of_a_slope() -> None:
    assert fit_slope([(64, 0, 1.0), (128, 1, 2.0)]) is None  # each seed has its own level
    assert fit_slope([(64, 0, 1.0), (64, 1, 2.0)]) is None
    one = fit_slope([(64, 0, 1.0), (128, 0, 2.0)])
    assert one is not None
    assert one.value == pytest.approx(1 / math.log(2))
    assert (one.standard_error, one.interval, one.degrees_of_freedom) == (None, None, 0)
    assert one.estimate(ExponentQuantity.EPSILON, ExponentRole.HIDDEN, 0.5) is None


def test_an_exponent_is_the_slope_turned_with_its_interval() -> None:
    slope = fit_slope([(width, 0, value) for width, value in ((64, 1.0), (128, 2.1), (256, 2.9))])
    assert slope is not None
    assert slope.interval is not None
    turned = slope.negated()
    assert turned.interval == (-slope.interval[1], -slope.interval[0])
    stored = turned.estimate(ExponentQuantity.EPSILON, ExponentRole.HIDDEN, 0.5)
    assert stored is not None
    assert (stored.value, stored.standard_error) == (-slope.value, slope.standard_error)
    assert (stored.theory, stored.widths, stored.interval) == (0.5, (64, 128, 256), turned.interval)
    assert turned.to_dict()["interval"] == list(turned.interval)
