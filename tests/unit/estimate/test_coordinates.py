"""The coordinate check: it passes what theory prescribes, fails planted errors, and says when it can't tell."""

import json
from typing import Any

import pytest

from tests.asjson import check_coordinates
from tests.unit.estimate.measured import records, specification
from widthwise.estimate.parts.coordinates import CoordinateCheck, verdict
from widthwise.estimate.slopes import Slope

STEPS = (0, 1, 2, 4, 8)
LOGITS_AT_INIT = {"standard": 0.0, "ntk": 0.0, "mup": -0.5, "mean_field": -0.5}


def checked(
    parameterization: str, planted: dict[tuple[str, str], float] | None = None, **options: Any
) -> CoordinateCheck:
    """The check of a model as theory has it, but for the powers of (tensor, size) that are planted."""
    changes = options.pop("spec", {})
    powers = {}
    for step in STEPS:
        at_step = {}
        for name in ("embedding", "first", "second", "readout"):
            start = LOGITS_AT_INIT[parameterization] if name == "readout" and step < 4 else 0.0
            sizes = {"output": start} | ({"output_change": 0.0} if step else {})
            at_step[name] = {size: (planted or {}).get((name, size), power) for size, power in sizes.items()}
        powers[step] = at_step
    spec = specification(parameterization=parameterization, **changes)
    found = check_coordinates(spec, records("coordinates", powers, **{"noise": 0.03, **options}))
    assert found is not None
    json.dumps(found.to_dict(), allow_nan=False)
    return found


@pytest.mark.parametrize("parameterization", LOGITS_AT_INIT)
def test_the_right_parameterization_passes(parameterization: str) -> None:
    found = checked(parameterization)
    assert found.outcome == "pass"
    assert found.warnings == ()
    # the logits that start small are explained, and neither they nor their growth are held against the model
    assert bool(found.notes) == (parameterization in ("mup", "mean_field"))


def test_the_transient_is_shown_and_not_judged() -> None:
    found = checked("mup")
    logits = {entry.step: entry.verdict for entry in found.sizes if (entry.layer, entry.size) == ("readout", "output")}
    assert (logits[0], logits[8]) == ("shrinks", "width_independent")
    judged = [j for j in found.judgements if (j.layer, j.size) == ("readout", "output")]
    assert [(j.step, j.expected, j.outcome) for j in judged] == [(0, -0.5, "pass")]


@pytest.mark.parametrize(
    ("layer", "size", "power"),
    [
        ("readout", "output", 0.5),
        ("first", "output", 0.5),
        ("first", "output_change", 1.0),
        ("second", "output_change", 0.5),
        ("embedding", "output_change", 0.5),
        ("readout", "output_change", -0.5),
    ],
)
def test_a_planted_power_of_the_width_fails_and_is_named(layer: str, size: str, power: float) -> None:
    found = checked("standard", {(layer, size): power}, noise=0.003)
    assert found.outcome == "fail"
    assert [w.code for w in found.warnings] == ["coordinate_check_failed"]
    assert len(found.reasons) == 1
    assert f"of {layer} is proportional to width^{power:+.2f}" in found.reasons[0]


@pytest.mark.parametrize(("model", "label"), [("standard", "mup"), ("mup", "standard"), ("mean_field", "ntk")])
def test_a_wrong_label_fails_by_its_logits_at_init(model: str, label: str) -> None:
    found = checked(label, {("readout", "output"): LOGITS_AT_INIT[model]})
    assert found.outcome == "fail"
    assert "the output of readout" in found.reasons[0]
    assert "at init" in found.reasons[0]


def test_changes_may_shrink_by_less_than_a_wrong_exponent_and_may_not_grow() -> None:
    """An alignment below the declared one slows features as the model grows; it is not a wrong multiplier."""
    assert checked("standard", {("first", "output_change"): -0.3}, noise=0.003).outcome == "pass"
    assert checked("standard", {("first", "output_change"): 0.3}, noise=0.003).outcome == "fail"


@pytest.mark.parametrize(
    ("parameterization", "drift", "outcome"),
    [
        ("mup", (-0.5, -0.45, -0.4, -0.3), "pass"),
        ("mup", (-0.5, -0.5, -0.5, -0.5), "fail"),
        ("mup", (-0.5, -0.45, -0.45, -0.4), "fail"),
        ("standard", (-0.5, -0.45, -0.4, -0.3), "fail"),  # its logits start large, so nothing excuses small changes
    ],
)
def test_changes_of_logits_that_start_small_are_judged_after_the_transient(
    parameterization: str, drift: tuple[float, ...], outcome: str
) -> None:
    start = LOGITS_AT_INIT[parameterization]
    powers = {0: {"readout": {"output": start}}} | {
        step: {"readout": {"output": start, "output_change": power}}
        for step, power in zip(STEPS[1:], drift, strict=True)
    }
    spec = specification(parameterization=parameterization)
    found = check_coordinates(spec, records("coordinates", powers, noise=0.003))
    assert found is not None
    assert found.outcome == outcome
    unsure = check_coordinates(spec, records("coordinates", powers, noise=0.3, seeds=1))
    assert unsure is not None
    assert unsure.outcome != "pass"


def test_growth_at_one_step_fails_and_shrinking_at_one_does_not() -> None:
    for power, outcome in ((0.5, "fail"), (-0.5, "pass")):
        powers = {
            step: {"first": {"output": 0.0} | ({"output_change": power if step == 1 else 0.0} if step else {})}
            for step in STEPS
        }
        found = check_coordinates(specification(), records("coordinates", powers, noise=0.01))
        assert found is not None
        assert found.outcome == outcome


def test_a_slope_between_two_exponents_is_inconclusive_where_the_noise_is_large() -> None:
    found = checked("standard", noise=1.0, widths=(64, 128, 256))
    assert found.outcome == "inconclusive"
    assert "too uncertain" in found.reasons[0]


def test_a_small_slope_with_a_wide_interval_proves_nothing() -> None:
    found = checked("standard", noise=0.1, widths=(64, 128, 256), seeds=1)  # one degree of freedom
    changes = [j for j in found.judgements if j.size == "output_change"]
    assert "inconclusive" in {j.outcome for j in changes if abs(j.slope.value) < 0.25}


def test_two_widths_tell_nothing() -> None:
    found = checked("standard", {("first", "output"): 1.0}, widths=(64, 128))
    assert found.outcome == "inconclusive"
    assert {entry.verdict for entry in found.sizes} == {"can't tell"}


def test_one_width_has_no_slopes() -> None:
    found = checked("standard", widths=(64,))
    assert (found.outcome, found.sizes) == ("inconclusive", ())
    assert [w.code for w in found.warnings] == ["measurement_without_exponent"]


def test_features_that_theory_lets_stand_still_may_shrink() -> None:
    """ω_readout = 1 in SP: features move as n^(−½), and that passes; O(1) moves fail there."""
    slow = {(name, "output_change"): -0.5 for name in ("embedding", "first", "second")}
    assert checked("standard", slow, spec={"readout_omega": 1.0}).outcome == "pass"
    assert checked("standard", spec={"readout_omega": 1.0}).outcome == "fail"


def test_a_tied_table_is_not_judged_by_how_far_it_moves() -> None:
    still = {("embedding", "output_change"): -0.5}
    assert checked("standard", still).outcome == "fail"
    assert checked("standard", still, spec={"proxy": {"architecture": "transformer", "tied": True}}).outcome == "pass"


@pytest.mark.parametrize(
    ("value", "interval", "expected"),
    [
        (0.1, (-0.2, 0.4), "width_independent"),
        (0.1, (-0.6, 0.8), "can't tell"),
        (0.3, (0.1, 0.5), "grows"),
        (0.3, (-0.1, 0.7), "can't tell"),
        (-0.5, (-0.6, -0.4), "shrinks"),
        (0.5, None, "can't tell"),
    ],
)
def test_verdicts(value: float, interval: tuple[float, float] | None, expected: str) -> None:
    assert verdict(Slope(value, 0.1, interval, 2, (64, 128, 256))) == expected


def test_nothing_is_checked_unless_asked_for() -> None:
    assert check_coordinates(specification(measure=["learning_rate"]), ()) is None


def test_layers_are_judged_by_the_features_of_their_own_depth() -> None:
    """MuP and ω_hidden = 1: the hidden layers must learn no faster than r allows, and the embedding moves as n^(−½)."""
    alignment = {"hidden": {"alpha": 1.0, "omega": 1.0, "u": 1.0}, "readout": {"alpha": 1.0, "omega": 0.5, "u": 1.0}}
    found = checked("mup", {("embedding", "output_change"): -0.5}, spec={"alignment": alignment}, noise=0.003)
    expected = {(each.layer, each.size): each.expected for each in found.judgements}
    assert expected["embedding", "output_change"] == -0.5
    assert expected["first", "output_change"] == expected["second", "output_change"] == 0.0
    assert found.outcome == "pass"


@pytest.mark.parametrize(
    ("value", "interval", "expected", "outcome"),
    [
        (0.25, (0.1, 0.4), 0.0, "width_independent"),  # at the margin, and it belongs to it
        (-0.25, (-0.4, -0.1), 0.0, "width_independent"),
        (0.26, (0.1, 0.4), 0.0, "grows"),
        (-0.26, (-0.4, -0.1), 0.0, "shrinks"),
        (0.25, (0.0, 0.5), 0.0, "can't tell"),  # an interval that ends at a neighbour does not exclude it
        (-0.25, (-0.5, 0.0), 0.0, "can't tell"),
        (0.5, (0.0, 1.0), 0.0, "can't tell"),  # nor one that ends at theory's value
        (-0.5, (-1.0, 0.0), 0.0, "can't tell"),
        (-0.5, (-0.6, -0.4), -0.5, "width_independent"),  # each about what theory expects
        (0.0, (-0.1, 0.1), -0.5, "grows"),
        (-0.5, (-0.6, -0.4), 0.0, "shrinks"),
    ],
)
def test_verdicts_at_their_ends(value: float, interval: tuple[float, float], expected: float, outcome: str) -> None:
    assert verdict(Slope(value, 0.1, interval, 2, (64, 128, 256)), expected) == outcome


@pytest.mark.parametrize(("power", "outcome"), [(-0.36, "pass"), (-0.39, "fail"), (0.24, "pass"), (0.26, "fail")])
def test_changes_may_shrink_by_three_eighths_and_grow_by_a_quarter(power: float, outcome: str) -> None:
    assert checked("standard", {("first", "output_change"): power}, noise=1e-4).outcome == outcome


def test_a_run_that_diverged_leaves_a_pass_in_doubt_and_a_failure_a_failure() -> None:
    powers = {step: {"first": {"output": 0.0} | ({"output_change": 0.0} if step else {})} for step in STEPS}
    for planted, outcome in ((0.0, "inconclusive"), (0.8, "fail")):
        powers[0]["first"]["output"] = planted
        found = records("coordinates", powers, noise=0.01)
        found[0]["data"]["diverged_at"] = 8
        del found[0]["data"]["snapshots"][-1]
        check = check_coordinates(specification(), found)
        assert check is not None
        assert check.outcome == outcome
        assert check.reasons[-1] == "some runs diverged, and their later steps are missing"


def test_a_layer_that_some_run_did_not_record_is_not_judged() -> None:
    powers = {step: {name: {"output": 0.0} for name in ("embedding", "first")} for step in (0, 1)}
    found = records("coordinates", powers)
    for snapshot in found[0]["data"]["snapshots"]:
        del snapshot["tensors"]["embedding"]
    check = check_coordinates(specification(), found)
    assert check is not None
    assert {(each.layer, each.step) for each in check.sizes} == {("first", 0), ("first", 1)}
    assert [each.layer for each in check.judgements] == ["first"]
    assert check.reasons == ("all 1 slopes agree with theory, and none with an exponent that is 1/2 away",)
