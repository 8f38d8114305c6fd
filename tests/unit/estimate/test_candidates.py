"""The three laws of the optimum over width: their fits, the choice, and what they predict."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate import fit_candidates
from widthwise.estimate.candidate import DRIFT_PRIOR, SHIFT_PRIOR
from widthwise.estimate.candidates import Candidates
from widthwise.estimate.intervals import mixture_interval, pooled_scale, quantile
from widthwise.estimate.line import fit_line
from widthwise.estimate.mixture import joined
from widthwise.estimate.scatter import OMEGA_G

WIDTHS = np.array([64.0, 128.0, 256.0, 512.0])
ERROR = 0.02


def fitted(x: np.ndarray, error: float = ERROR, **more: float) -> Candidates:
    return fit_candidates(WIDTHS[: len(x)], x, np.full(len(x), error), **more)


def law(drift: float = 0.0, shift: float = 0.0, widths: np.ndarray = WIDTHS) -> np.ndarray:
    """Exact optima: drift d and shift κ in octaves, from 2^−8 at width 64."""
    return np.asarray(-8 - drift * np.log2(widths / 64) + shift * (1 - 64 / widths))


@pytest.mark.parametrize(
    ("drift", "shift", "name"),
    [(0, 0, "none"), (0.4, 0, "power"), (-1, 0, "power"), (0, 1, "shift"), (0, -0.7, "shift")],
)
def test_the_true_law_is_chosen_and_predicts_where_nothing_was_measured(drift: float, shift: float, name: str) -> None:
    found = fitted(law(drift, shift))
    assert found.chosen.name == name
    assert found.chosen.drift == pytest.approx(drift, abs=2e-3)  # the prior takes a little
    assert found.chosen.shift == pytest.approx(64 * shift, abs=1)
    for width in (1024, 8192):
        value, error, interval = found.predict(width)[:3]
        truth = float(law(drift, shift, np.array([width]))[0])
        assert value == pytest.approx(truth, abs=0.02)
        assert interval is not None
        assert interval[0] < truth < interval[1]
        assert 0 < error < 1


def test_a_shift_read_as_a_power_law_would_go_on_for_ever() -> None:
    """What the module is for: at 32 times the largest width the two are more than half an octave apart."""
    found = {one.name: one for one in fitted(law(shift=1.0)).all}
    truth = float(law(shift=1.0, widths=np.array([16384.0]))[0])
    assert found["shift"].predict(16384)[0] == pytest.approx(truth, abs=0.02)
    assert found["power"].predict(16384)[0] - truth > 0.5


@pytest.mark.parametrize("drift", [0.0, 0.3])
def test_a_theory_that_expects_a_drift_is_the_same_problem_turned(drift: float) -> None:
    """One global learning rate: theory expects a drift of 1, and everything is measured from there."""
    plain, turned = fitted(law(drift)), fitted(law(drift + 1.0), theory_drift=1.0)
    assert turned.chosen.name == plain.chosen.name
    assert turned.drift.log2_learning_rate == pytest.approx(plain.drift.log2_learning_rate + 1)
    assert turned.drift.interval == pytest.approx([end + 1 for end in plain.drift.interval or ()], abs=1e-6)
    assert turned.predict(4096)[0] == pytest.approx(plain.predict(4096)[0] - 6, abs=1e-9)


def test_the_prior_draws_towards_theory_by_how_little_the_data_say() -> None:
    x = law(drift=0.5)
    slopes = [{one.name: one for one in fitted(x, error).all}["power"] for error in (0.01, 0.3, 3.0)]
    assert [one.drift for one in slopes] == sorted((one.drift for one in slopes), reverse=True)
    assert [one.shrinkage for one in slopes] == sorted(one.shrinkage for one in slopes)
    for one in slopes:
        assert one.drift == pytest.approx((1 - one.shrinkage) * 0.5, rel=1e-6)  # what is left of the exact slope
        assert one.slope_error <= DRIFT_PRIOR


@pytest.mark.parametrize(("name", "h"), [("shift", 1 - 64 / WIDTHS), ("power", np.log2(WIDTHS / 64))])
def test_a_deviation_is_believed_by_how_well_it_is_known_beside_a_half(name: str, h: np.ndarray) -> None:
    """Full and no alignment differ by ½ in c; a shift of ½ octave by the first doubling allows half as much."""
    for error in (0.1, 0.5, 2.0):
        found = {one.name: one for one in fitted(-8 + 0.8 * h, error).all}[name]
        # Of the slope over h without a prior, for every scatter.
        variance = (error**2 + OMEGA_G**2) / np.sum((h - h.mean()) ** 2)
        assert found.shrinkage == pytest.approx(found.fit.probabilities @ (variance / (variance + 0.5**2)))
        assert found.slope == pytest.approx(0.8 * (1 - found.shrinkage))


def test_a_weight_is_a_probability_and_theorys_goes_to_the_power_law() -> None:
    found = fitted(np.array([-8.0, -7.7, -7.5]), error=0.1)
    none, shift, power = (math.exp(one.fit.log_evidence) for one in found.all)
    assert found.weights == pytest.approx(np.array([0, shift, none + power]) / (none + shift + power))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-12, -4), min_size=2, max_size=5), st.permutations(range(5)), st.floats(0.01, 1))
def test_the_order_of_widths_changes_nothing(optima: list[float], order: list[int], error: float) -> None:
    order = [k for k in order if k < len(optima)]
    widths, x = 64 * 2.0 ** np.arange(len(optima)), np.array(optima)
    errors = error * (1 + np.arange(len(optima)))
    straight = fit_candidates(widths, x, errors)
    shuffled = fit_candidates(widths[order], x[order], errors[order])
    assert shuffled.to_list() == straight.to_list()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-20, 20), min_size=1, max_size=5), st.floats(1e-3, 3))
def test_the_report_is_finite_json_whatever_the_optima(optima: list[float], error: float) -> None:
    found = fit_candidates(64 * 2.0 ** np.arange(len(optima)), optima, [error] * len(optima))
    report = found.to_list()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert sum(one["chosen"] for one in report) == 1
    assert sum(found.weights) == pytest.approx(1)
    for width in (32, 8192):
        value, _, interval = found.predict(width)[:3]
        assert (interval is None) == (len(optima) < 3)
        assert interval is None or interval[0] <= value <= interval[1]


def test_the_report_of_each_candidate() -> None:
    none, shift, power = fitted(law(shift=1.0)).to_list()
    assert [one["name"] for one in (none, shift, power)] == ["none", "shift", "power"]
    assert (none["degrees_of_freedom"], shift["degrees_of_freedom"], power["degrees_of_freedom"]) == (3, 2, 2)
    assert set(none["parameters"]) == {"log2_optimum_at_base"}
    assert shift["parameters"]["shift"] == pytest.approx(64, abs=1)
    assert shift["intervals"]["shift"][0] < 64 < shift["intervals"]["shift"][1]
    assert shift["parameters"]["log2_optimum_at_base"] == pytest.approx(-8, abs=0.01)
    assert power["parameters"]["drift"] < 0
    assert shift["chosen"]
    assert shift["out_of_sample_error"] < power["out_of_sample_error"] < none["out_of_sample_error"]
    assert shift["prior_scale"] == 64 * SHIFT_PRIOR


def test_the_error_out_of_sample_is_what_the_others_miss() -> None:
    """By hand, for `none`: each width under the weighted mean of the others, the largest counted twice.

    The weights are those of the errors with the scatter, its mean over all candidates.
    """
    x, errors = np.array([-8.0, -8.4, -7.9]), np.array([0.1, 0.2, 0.1])
    found = fit_candidates(WIDTHS[:3], x, errors)
    none = found.all[0]
    probability = np.exp([one.fit.log_evidence for one in found.all])
    scatter = np.average([one.fit.scatter for one in found.all], weights=probability)
    weight = 1 / (errors**2 + scatter**2)
    missed = [x[k] - np.average(np.delete(x, k), weights=np.delete(weight, k)) for k in range(3)]
    expected = math.sqrt(np.average(np.square(missed), weights=weight * [1, 1, 2]))
    assert none.out_of_sample_error == pytest.approx(expected)


def test_a_gain_below_the_noise_leaves_theory() -> None:
    slight, clear = law(drift=0.05), law(drift=0.5)
    assert fitted(slight, error=0.1).chosen.name == "none"
    assert fitted(clear, error=0.1).chosen.name == "power"


def test_scatter_about_every_law_widens_the_interval() -> None:
    crooked = np.array([-8.0, -8.5, -7.8, -8.4])
    assert np.diff(fitted(crooked).predict(2048).interval)[0] > 2 * np.diff(fitted(law()).predict(2048).interval)[0]


def test_what_all_widths_share_widens_predictions_and_no_drift() -> None:
    alone, shared = fitted(law(0.3)), fitted(law(0.3), shared_error=0.5)
    assert shared.drift == alone.drift
    assert np.diff(shared.predict(2048).interval)[0] > 2 * 0.5 * 1.96
    assert shared.chosen.name == alone.chosen.name


def test_a_prediction_further_out_is_less_sure() -> None:
    found = fitted(law(0.3))
    widths = [np.diff(found.predict(width).interval)[0] for width in (1024, 2048, 8192)]
    assert widths == sorted(widths)


@pytest.mark.parametrize(("difference", "name"), [(0.05, "none"), (0.5, "power")])
def test_two_widths_choose_by_their_stated_errors_and_have_no_interval(difference: float, name: str) -> None:
    found = fitted(np.array([-8.0, -8.0 - difference]), error=0.05)
    assert found.chosen.name == name
    assert found.drift.interval is None
    assert found.predict(1024).interval is None
    assert all(one["out_of_sample_error"] is None for one in found.to_list())
    assert found.to_list()[2]["intervals"] == {"log2_optimum_at_base": None, "drift": None}


def test_one_width_has_theory_alone() -> None:
    found = fit_candidates([64], [-8.0], [0.1], theory_drift=1.0)
    assert [one.name for one in found.all] == ["none"]
    assert found.predict(256)[0] == pytest.approx(-10)
    assert found.predict(256).interval is None


def test_the_interval_of_the_drift_keeps_what_the_shape_does_not_refute() -> None:
    """Three noisy widths that moved: a drift and a shift both explain them, and a shift means no drift."""
    ambiguous = fitted(np.array([-8.0, -7.7, -7.5]), error=0.1)
    assert ambiguous.drift.interval is not None
    assert ambiguous.drift.interval[0] < -0.2 < 0 <= ambiguous.drift.interval[1]
    straight = fitted(law(-0.4))
    assert straight.drift.interval is not None
    assert straight.drift.interval[1] < -0.3


def test_nothing_and_nonsense_are_refused() -> None:
    with pytest.raises(EstimateError, match="no width"):
        fit_candidates([], [], [])
    with pytest.raises(InvalidInputError, match="contain duplicates"):
        fit_candidates([64, 64], [-8, -8], [0.1, 0.1])
    with pytest.raises(InvalidInputError, match="positive finite"):
        fitted(law()).predict(math.nan)


def test_a_mixture_of_one_is_a_student_interval_and_of_two_lies_between() -> None:
    low, high = mixture_interval([1.0], [2.0], [5], [1.0])
    assert (low, high) == pytest.approx((1 - 2 * quantile(5), 1 + 2 * quantile(5)))
    both = mixture_interval([-1.0, 1.0], [0.1, 0.1], [1e9, 1e9], [0.5, 0.5])
    # Half the mass is far away, so each tail is the 5 % tail of its own part.
    assert both == pytest.approx((-1 - 0.1 * 1.6449, 1 + 0.1 * 1.6449), abs=1e-4)


def test_a_point_mass_holds_the_end_of_an_interval() -> None:
    assert mixture_interval([0.0, 5.0], [0.0, 0.1], [9, 9], [0.5, 0.5])[0] == pytest.approx(0, abs=1e-9)


def test_pooled_errors_follow_the_scatter_the_more_there_is_of_it() -> None:
    few, many = pooled_scale(4.0 * 2, 2)[0], pooled_scale(4.0 * 50, 50)[0]
    assert 1 < few < many < 2


def test_a_prior_of_zero_holds_the_line_level() -> None:
    line = fit_line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 1.0]), prior=0.0)
    assert (line.slope, line.mean, line.variance(9.0)) == (0.0, 0.5, 0.5)


def test_an_interval_holds_what_was_chosen() -> None:
    """The shift misses widths left out least, and the power law, more probable, leaves it out four times beyond."""
    widths, optima = 64 * 2.0 ** np.arange(6), [-8.38, -7.66, -7.08, -6.95, -6.31, -6.46]
    found = fit_candidates(widths, optima, [0.056] * 6)
    predicted = found.predict(8192)
    assert found.chosen.name == "shift"
    assert joined(found.weights, [one.law_at(8192) for one in found.all]).interval[0] > predicted.log2_learning_rate
    assert predicted.law_interval is not None
    assert predicted.law_interval[0] == predicted.log2_learning_rate
