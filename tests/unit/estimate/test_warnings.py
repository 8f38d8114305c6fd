"""Warnings of a calibration: the numbers that they name, and what is too unlikely to warn of."""

import numpy as np
import pytest

from tests.asjson import fit_calibration
from tests.unit.estimate import test_alignments as alignments
from tests.unit.estimate import test_gamma as gamma
from tests.unit.estimate import test_gradients as gradients
from tests.unit.estimate import test_horizon as horizon
from tests.unit.estimate.synthetic import SPEC
from tests.unit.estimate.test_by_hand import exact
from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate import fit_optimum
from widthwise.estimate.intervals import quantile
from widthwise.estimate.misfit import misfits
from widthwise.estimate.parts.alignments import DISTINCT
from widthwise.estimate.parts.coordinates import Judgement, verdict
from widthwise.estimate.slopes import Slope


def test_a_law_that_the_widths_rule_out_is_not_called_possible() -> None:
    """The shift misses these widths by far: it has no weight, so what it predicts beyond them is nobody's doubt."""
    drifting = fit_calibration(SPEC, exact(-8, -8.5, -9, -9.5))
    assert drifting.candidates is not None
    shift = drifting.candidates.weights[1]
    assert shift < 0.05
    far = 4 * 512
    assert abs(drifting.candidates.all[1].predict(far)[0] - drifting.candidates.chosen.predict(far)[0]) > 0.5
    assert "law_uncertain" not in dict(drifting.warnings)


@pytest.mark.parametrize(("last", "side"), [(-3, "below"), (-14, "above")])
def test_a_bound_that_contradicts_the_fit_is_named_with_what_the_fit_predicts(last: float, side: str) -> None:
    result = fit_calibration(SPEC, exact(-8, -8, -8, last))
    message = dict(result.warnings)["bound_inconsistent"]
    bound = 2.0 ** {-3: -4.5, -14: -11.5}[last]  # the second learning rate from the edge
    assert f"predict a best learning rate of {2.0**-8:.3g}, {side} the bound {bound:.3g}" in message


def test_a_gradient_exponent_is_named_with_its_interval() -> None:
    powers = {"embedding": 0.5, "first": 0.9, "second": 0.9, "readout": 0.0}
    part = gradients.fitted(gradients.gradient_records(powers, noise=0.02, seeds=3))
    (message,) = [warning.message for warning in part.warnings if warning.code == "gradient_exponent_differs"]
    (hidden,) = [role for role in part.roles if role.role == "hidden"]
    low, high = hidden.value.interval or (0, 0)
    assert f"width^({-hidden.value.value:+.2f})" in message
    assert f"(g within {low:.2f} to {high:.2f})" in message


def test_how_far_optima_scatter_is_named() -> None:
    rng = np.random.default_rng(0)
    bent = horizon.fitted(
        [
            t
            for i, h in enumerate(horizon.HORIZONS)
            for t in horizon.branches(rng, horizons=(h,), exponent=(0, 0.9, 0, 0.6)[i])
        ]
    )
    assert bent.law is not None
    message = dict(bent.warnings)["lack_of_fit"]
    assert f"scatter {(bent.law.lack_of_fit or 0.0) ** 0.5:.1f} times as far" in message

    rng = np.random.default_rng(8)
    level = dict.fromkeys(gamma.ROLES, 0.0)
    trials, shifted = gamma.trials_of(rng, level), gamma.trials_of(rng, level | {"hidden": 0.9})
    result = gamma.fitted([t for t in trials if t["width"] != 128] + [t for t in shifted if t["width"] == 128])
    (drift,) = [each for each in result.drifts if each.role == "hidden"]
    (message,) = [c.message for c in result.warnings if c.code == "lack_of_fit" and "hidden" in c.message]
    assert f"scatter {(drift.learning_rate.chosen.lack_of_fit or 0.0) ** 0.5:.1f} times as far" in message


def test_the_only_learning_rate_is_named() -> None:
    with pytest.raises(EstimateError, match=r"only learning rate 0\.01 was tried"):
        fit_optimum([0.01], [2.0])


@pytest.mark.parametrize("form", ["table_9", "table_8"])
def test_an_alignment_interval_goes_with_its_value_and_error(form: str) -> None:
    """In every form of muP: half the interval is the error times its quantile, and the value lies within."""
    part = alignments.fitted(
        alignments.LESS, alignments.LESS, noise=0.05, seeds=3, spec={"parameterization": "mup", "form": form}
    )
    rates = [each for each in part.exponents if each.quantity == "max_stable_learning_rate"]
    assert any(each.standard_error > 0 for each in rates)
    for each in rates:
        assert each.interval is not None
        low, high = each.interval
        assert low <= each.value <= high
        assert high - low == pytest.approx(2 * quantile(each.degrees_of_freedom) * each.standard_error)


def test_a_slope_turned_around_has_its_interval_turned_around() -> None:
    turned = Slope(0.5, 0.1, (0.3, 0.8), 4, (64, 128)).negated()
    assert (turned.value, turned.standard_error, turned.interval) == (-0.5, 0.1, (-0.8, -0.3))


@pytest.mark.parametrize(
    ("value", "interval", "outcome"),
    [
        (0.3, (-0.1, 0.7), "can't tell"),
        (-0.3, (-0.7, 0.1), "can't tell"),
        (0.0, (-0.1, 0.1), "width_independent"),
        (-0.2, (-0.6, -0.05), "can't tell"),
        (0.2, (0.05, 0.6), "can't tell"),
    ],
)
def test_a_slope_that_may_be_theorys_neither_grows_nor_shrinks(
    value: float, interval: tuple[float, float], outcome: str
) -> None:
    assert verdict(Slope(value, 0.1, interval, 3, (64, 128, 256))) == outcome


def test_tables_of_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"learning_rates has shape \(2, 2\) and losses \(2, 2\)"):
        fit_optimum([[0.01, 0.02], [0.03, 0.04]], [[2.0, 2.0], [2.0, 2.0]])


def test_without_degrees_of_freedom_nothing_scatters_too_far() -> None:
    assert not misfits(None, 0)
    assert not misfits(1.0, 3)
    assert misfits(40.0, 3)


def test_an_alignment_differs_where_its_interval_excludes_theory() -> None:
    """A value far from theory with a wide interval is noise; both kinds occur among these draws."""
    reported, excused = 0, 0
    for draw in range(8):
        part = alignments.fitted(alignments.LESS, alignments.FULL, noise=0.4, widths=(64, 128, 256), draw=draw)
        rates = [each for each in part.exponents if each.quantity == "max_stable_learning_rate"]
        far = [each for each in rates if each.theory is not None and abs(each.value - each.theory) > DISTINCT]
        differing = [
            str(each.role)
            for each in far
            if each.role != "vector"
            and each.interval
            and not each.interval[0] <= (each.theory or 0.0) <= each.interval[1]
        ]
        named = "".join(warning.message for warning in part.warnings if warning.code == "alignment_differs")
        assert [str(each.role) for each in rates if f"{each.role} {each.value:.2f} instead of" in named] == differing
        reported, excused = reported + len(differing), excused + len(far) - len(differing)
    assert reported
    assert excused


def test_a_judgement_says_which_size_it_is_about() -> None:
    slope = Slope(0.5, 0.1, (0.3, 0.7), 3, (64, 128, 256))
    for size, step, words in (
        ("output", 0, "the output of first is proportional to width^+0.50 at init"),
        ("output_change", 4, "the change of the output of first is proportional to width^+0.50 after 4 step(s)"),
        ("output_change", None, "the change of the output of first is proportional to width^+0.50 over the steps"),
    ):
        judgement = Judgement("first", "hidden", size, step, slope, 0.0, "fail")
        assert judgement.in_words() == f"{words}, but theory expects width^+0"
