"""The power law over widths."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate import fit_power_law
from widthwise.estimate.intervals import moderated_errors, quantile

WIDTHS = [64, 128, 256, 512]


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(-20, 20), st.lists(st.floats(0.01, 2), min_size=4, max_size=4))
def test_an_exact_power_law_is_recovered_whatever_the_weights(
    slope: float, intercept: float, errors: list[float]
) -> None:
    law = fit_power_law(WIDTHS, intercept + slope * np.log2(WIDTHS), errors)
    assert law.slope == pytest.approx(slope, abs=1e-9)
    assert law.intercept == pytest.approx(intercept, abs=1e-8)
    assert law.predict(1024)[0] == pytest.approx(intercept + 10 * slope, abs=1e-8)


@settings(deadline=None)
@given(
    st.lists(st.floats(-12, -4), min_size=4, max_size=4),
    st.lists(st.floats(0.01, 2), min_size=4, max_size=4),
    st.permutations(range(4)),
)
def test_the_order_of_widths_changes_nothing(optima: list[float], errors: list[float], order: list[int]) -> None:
    law = fit_power_law(WIDTHS, optima, errors)
    other = fit_power_law(*(np.array(v)[order] for v in (WIDTHS, optima, errors)))
    assert other.slope == pytest.approx(law.slope, abs=1e-8)
    assert other.standard_error == pytest.approx(law.standard_error, rel=1e-6)


@settings(deadline=None)
@given(st.lists(st.floats(-12, -4), min_size=4, max_size=4), st.lists(st.floats(0.01, 2), min_size=4, max_size=4))
def test_the_error_is_never_smaller_than_stated_or_scattered_and_the_interval_pools_the_two(
    optima: list[float], errors: list[float]
) -> None:
    law = fit_power_law(WIDTHS, optima, errors)
    x, weight = np.log2(WIDTHS), 1 / np.square(errors)
    stated = 1 / math.sqrt(weight @ (x - np.average(x, weights=weight)) ** 2)
    assert law.interval is not None
    assert law.lack_of_fit is not None
    half = (law.interval[1] - law.interval[0]) / 2
    scatter = stated * math.sqrt(law.lack_of_fit)
    assert law.standard_error == pytest.approx(max(stated, scatter), rel=1e-9)
    assert half == pytest.approx(2.144786687916927 * stated * math.sqrt((12 + 2 * law.lack_of_fit) / 14))  # t(14)


@pytest.mark.parametrize(("count", "coverage"), [(3, 0.968), (8, 0.960)])
def test_the_coverage_of_the_interval_with_exact_stated_errors(count: int, coverage: float) -> None:
    rng = np.random.default_rng(0)
    widths = 64 * 2.0 ** np.arange(count)
    laws = [fit_power_law(widths, rng.standard_normal(count), np.ones(count)) for _ in range(4000)]
    covered = np.mean([law.interval[0] <= 0 <= law.interval[1] for law in laws if law.interval])
    assert covered == pytest.approx(coverage, abs=0.01)


def test_two_widths_have_no_interval() -> None:
    law = fit_power_law([64, 128], [-8, -9], [0.1, 0.1])
    assert (law.interval, law.degrees_of_freedom, law.lack_of_fit) == (None, 0, None)
    assert law.standard_error == pytest.approx(0.1 * math.sqrt(2))


def test_one_width_has_no_slope() -> None:
    with pytest.raises(EstimateError, match="two or more widths"):
        fit_power_law([64], [-8], [0.1])


@pytest.mark.parametrize(
    ("widths", "optima", "errors"),
    [
        ([64, 64], [-8, -9], [0.1, 0.1]),
        ([64, 128], [-8, math.nan], [0.1, 0.1]),
        ([64, 128], [-8, -9], [0.1, 0.0]),
        ([64, 128], [-8, -9], [0.1, math.inf]),
        ([0, 128], [-8, -9], [0.1, 0.1]),
        ([64, 128], [-8, -9], [0.1]),
    ],
)
def test_malformed_points_are_refused(widths: list[int], optima: list[float], errors: list[float]) -> None:
    with pytest.raises(InvalidInputError, match="width"):
        fit_power_law(widths, optima, errors)


def test_a_point_with_a_large_error_hardly_matters() -> None:
    law = fit_power_law(WIDTHS, [-8, -9, -10, -3], [0.01, 0.01, 0.01, 10])
    assert law.slope == pytest.approx(-1, abs=1e-3)


def test_a_prediction_is_surest_at_the_centre_of_the_data() -> None:
    law = fit_power_law(WIDTHS, [-8, -9.1, -9.9, -11], [0.1] * 4)
    errors = [law.predict(width)[1] for width in (181, 1024, 4096)]
    assert errors == sorted(errors)
    assert law.predict(2**law.centre)[1] == pytest.approx(law.centre_standard_error)


def test_quantiles_against_a_printed_table() -> None:
    assert [round(quantile(dof), 3) for dof in (1, 2, 6, math.inf)] == [12.706, 4.303, 2.447, 1.96]


@settings(deadline=None)
@given(st.lists(st.integers(1, 100), min_size=2, max_size=6), st.integers(1, 30))
def test_moderated_errors_keep_their_order_and_move_together(percents: list[int], dof: int) -> None:
    errors = np.array(percents) / 100
    moderated = moderated_errors(errors, [dof] * len(errors))
    order = np.argsort(errors, kind="stable")
    assert (np.diff(moderated[order]) >= -1e-12).all()
    assert max(moderated) / min(moderated) <= max(errors) / min(errors) + 1e-9


def test_an_error_without_degrees_of_freedom_is_not_moderated() -> None:
    moderated = moderated_errors([0.1, 0.2, 0.5], [6, 6, 0])
    assert moderated[2] == 0.5
    assert 0.1 < moderated[0] < moderated[1] < 0.22
