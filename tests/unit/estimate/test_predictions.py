"""From optima to a law and beyond: the weights of widths, the edge of divergence, and what a width's optimum says."""

import math
from typing import Any

import numpy as np
import pytest

from tests.asjson import fit_calibration, fit_optima
from tests.unit.estimate.synthetic import SPEC, sweep, trial
from tests.unit.estimate.test_by_hand import exact
from tests.unit.estimate.test_skew import GRID, skewed
from widthwise.estimate import CalibrationResult, fit_candidates
from widthwise.estimate.intervals import moderated_errors

EDGE = {"widths": [16, 32, 64]}


def climbing(step: float = 0.5) -> list[dict[str, Any]]:
    """The optimum rises by half an octave a doubling; at the widest width it is the last before a divergence.

    With a larger step the law passes above that edge.
    """
    return [
        trial(width, 2.0**x, seed, None if x > edge else 2.0 + 0.06 * (x - optimum) ** 2)
        for width, optimum, edge in ((16, -6.0, -3.0), (32, -6.0 + step, -3.0), (64, -5.0, -5.0))
        for x in np.arange(-9, -2, 0.5).tolist()
        for seed in (0, 1)
    ]


def mean(result: CalibrationResult, width: float) -> float:
    """The mean of the candidates' predictions, by their weights."""
    laws = result.candidates
    assert laws is not None
    return sum(weight * one.predict(width)[0] for weight, one in zip(laws.weights, laws.all, strict=True))


@pytest.mark.parametrize("rule", ["per_layer", "global"])
def test_stored_predictions_keep_below_a_divergence_as_asked_ones_do(rule: str) -> None:
    """Both say so, and the interval holds theory's way from the widest optimum as well as the law's."""
    result = fit_calibration(SPEC | EDGE | {"learning_rate_rule": rule}, climbing())
    edge = result.optima[-1].optimum
    assert result.candidates is not None
    assert edge is not None
    assert edge.interval is not None
    for row in result.to_dict()["predictions"]:
        width = row["width"]
        fall = math.log2(width / 64) * (rule == "global")
        asked, free = result.predict(width), result.candidates.predict(width)
        assert free.interval is not None
        assert row["log2_learning_rate"] == asked.log2_learning_rate == pytest.approx(-5.0 - fall)
        assert row["learning_rate"] == pytest.approx(2.0 ** (-5.0 - fall))
        assert row["standard_error_log2"] == asked.standard_error
        assert row["ceiling"] == pytest.approx(2.0 ** (-5.0 - fall))
        assert asked.ceiling == pytest.approx(-5.0 - fall)
        lowest = min(free.interval[0], math.log2(edge.interval[0]) - fall)
        assert asked.interval == pytest.approx((lowest, free.interval[1]))
        assert np.log2(row["interval"]) == pytest.approx(asked.interval)
    assert result.predict(64).ceiling is None
    level = fit_calibration(SPEC, sweep(np.random.default_rng(0)))
    assert [row["ceiling"] for row in level.to_dict()["predictions"]] == [None] * 3


@pytest.mark.parametrize(("rule", "fall"), [("per_layer", 0.0), ("global", 1.0)])
def test_beyond_a_divergence_a_prediction_falls_as_theory_has_it(rule: str, fall: float) -> None:
    """From the optimum at the edge on, by theory's drift: 0, or the largest c (1 for SP) with one global rate."""
    result = fit_calibration(SPEC | EDGE | {"learning_rate_rule": rule}, climbing())
    assert result.candidates is not None
    edge = result.optima[-1].optimum
    assert edge is not None
    for doublings in (0.5, 1, 2, 4):
        width = 64 * 2**doublings
        assert result.candidates.predict(width).log2_learning_rate > edge.log2_learning_rate - fall * doublings
        found = result.predict(width)
        assert found.log2_learning_rate == pytest.approx(edge.log2_learning_rate - fall * doublings)
        free = result.candidates.predict(width)
        missed = found.log2_learning_rate - free.log2_learning_rate  # what the standard error is about has moved
        spread = free.standard_error**2 - (mean(result, width) - free.log2_learning_rate) ** 2
        about = spread + (mean(result, width) - found.log2_learning_rate) ** 2
        assert missed < 0
        assert found.standard_error == pytest.approx(about**0.5, rel=1e-3)  # negligible parts are left out
    for width in (16, 32, 64):
        assert result.predict(width) == result.candidates.predict(width)


def test_only_the_widest_optimum_can_be_an_edge() -> None:
    """A divergence at a narrower width says nothing of wider ones, and a bound does not stand for an optimum."""
    wider = [t | {"width": 128, "loss": t["learning_rate"], "status": "completed"} for t in climbing()[-28:]]
    result = fit_calibration(SPEC | {"widths": [16, 32, 64, 128]}, [*climbing(), *wider])
    assert result.candidates is not None
    bound, edge = result.optima[-1].optimum, result.optima[-2].optimum
    assert bound is not None
    assert edge is not None
    assert (bound.kind, edge.next_to_divergence) == ("upper_bound", True)
    assert result.predict(256).log2_learning_rate == pytest.approx(edge.log2_learning_rate)
    turned = [t | {"width": {16: 64, 32: 32, 64: 16}[t["width"]]} for t in climbing()]
    free = fit_calibration(SPEC | EDGE, turned)
    assert free.candidates is not None
    assert free.predict(256) == free.candidates.predict(256)


def test_at_the_measured_widths_the_law_holds_even_above_the_edge() -> None:
    narrower = [trial(8, 2.0**x, seed, 2.0 + 0.06 * (x + 7) ** 2) for x in np.arange(-9, -2, 0.5) for seed in (0, 1)]
    result = fit_calibration(SPEC | {"widths": [8, 16, 32, 64]}, [*narrower, *climbing(1.0)])
    assert result.candidates is not None
    edge = result.optima[-1].optimum
    assert edge is not None
    assert result.predict(64).log2_learning_rate > edge.log2_learning_rate
    assert result.predict(65).log2_learning_rate == edge.log2_learning_rate


@pytest.mark.parametrize("noise", [0.003, 0.03])
def test_a_width_weighs_by_its_scatter_and_by_what_all_seeds_show(noise: float) -> None:
    """Residual errors, raised by the ratio of all widths' spreads of seeds to their scatter if that exceeds 1.

    Then moderated; what a width knows less of the common skew than the average adds to its error alone.
    """
    grids = {64: GRID, 128: GRID + 0.2, 256: GRID[2:-2], 512: np.arange(-10, -5.9, 0.4)}
    result = fit_calibration(SPEC, skewed(grids, noise=noise))
    optima = [entry.optimum for entry in result.optima if entry.optimum is not None]
    residual = np.array([each.residual_error for each in optima])
    seeds = np.array([each.seed_error for each in optima])
    shared = np.array([each.shared_error for each in optima])
    ratio = max(1.0, np.sqrt(np.sum(seeds**2) / np.sum(residual**2)))
    own = moderated_errors(residual * ratio, [each.degrees_of_freedom for each in optima])
    expected = fit_candidates(
        list(grids),
        [each.log2_learning_rate for each in optima],
        np.sqrt(own**2 + (shared - shared.mean()) ** 2),
        shared_error=float(shared.mean()),
    )
    assert result.candidates is not None
    assert result.candidates.chosen.name == expected.chosen.name
    assert result.predict(2048).standard_error == pytest.approx(expected.predict(2048).standard_error)
    assert result.drift.interval == pytest.approx(expected.drift.interval)
    assert result.drift.degrees_of_freedom == 2


def test_the_drift_of_two_widths_has_no_degree_of_freedom() -> None:
    result = fit_calibration(SPEC, exact(-8, -8.5))
    assert (result.drift.degrees_of_freedom, result.drift.interval) == (0, None)
    assert result.to_dict()["drift"]["interval"] is None


def test_predictions_lie_two_four_and_sixteen_times_beyond_the_largest_width() -> None:
    result = fit_calibration(SPEC, sweep(np.random.default_rng(0), slope=-0.5))
    assert result.candidates is not None
    rows = result.to_dict()["predictions"]
    assert [row["width"] for row in rows] == [1024, 2048, 8192]
    for row in rows:
        value, error, interval = result.candidates.predict(row["width"])[:3]
        assert (row["log2_learning_rate"], row["standard_error_log2"]) == (value, error)
        assert np.log2([row["learning_rate"], *row["interval"]]) == pytest.approx([value, *(interval or ())])


@pytest.mark.parametrize(
    ("optimum", "words"),
    [
        (
            -13.0,
            "the best learning rate is the smallest tried, 0.000244, so the optimum is below the next one, 0.000345; "
            "add smaller ones",
        ),
        (
            -2.0,
            "the best learning rate is the largest tried, 0.0625, so the optimum is above the next one, 0.0442; "
            "add larger ones",
        ),
        (-8.0, "optimum at 0.00391"),
    ],
)
def test_a_width_says_where_its_optimum_lies(optimum: float, words: str) -> None:
    (entry,) = fit_optima(exact(optimum))
    assert entry.remark.startswith(words)
    body = entry.to_dict()
    assert body is not None
    assert (body["width"], body["completed"], body["diverged"], body["stopped"]) == (64, 17 * 3, 0, 0)
    assert (body["interval"] is None) == (body["standard_error_log2"] is None) == (optimum != -8.0)
    assert body["bound"] == {-13.0: 2.0**-11.5, -2.0: 2.0**-4.5, -8.0: None}[optimum]


def test_a_width_without_an_optimum_says_why_and_keeps_its_place() -> None:
    lost = [t | {"status": "diverged", "loss": None} if t["width"] == 128 else t for t in exact(-8, -8, -8)]
    narrow, middle, wide = fit_optima(lost)
    assert (narrow.width, middle.width, wide.width) == (64, 128, 256)
    assert middle.optimum is None
    assert middle.to_dict() is None
    assert "trained without diverging" in middle.remark
    for entry in (narrow, wide):
        assert entry.optimum is not None
        assert entry.optimum.log2_learning_rate == pytest.approx(-8)
