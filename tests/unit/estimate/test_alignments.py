"""Measured alignment: known exponents come back, and the linear program turns them into learning-rate exponents."""

import json
from typing import Any

import pytest

from tests.asjson import fit_alignment
from tests.unit.estimate.measured import records, specification
from widthwise.errors import InvalidInputError
from widthwise.estimate.parts.alignments import AlignmentPart

FULL = {"alpha": 1.0, "omega": 0.5, "u": 1.0}
LESS = {"alpha": 0.75, "omega": 0.5, "u": 0.6}


def fitted(hidden: dict[str, float], readout: dict[str, float], **options: Any) -> AlignmentPart:
    changes = options.pop("spec", {})
    whole = {"log_alignment": 0.5}
    powers = {"first": {**hidden, **whole}, "second": {**hidden, **whole}, "readout": {**readout, **whole}}
    part = fit_alignment(specification(**changes), records("alignment", {10: powers}, **options))
    assert part is not None
    json.dumps(part.to_dict(), allow_nan=False)
    return part


def rates(part: AlignmentPart) -> dict[str, float]:
    return {e.role: round(e.value, 6) for e in part.exponents if e.quantity == "max_stable_learning_rate"}


@pytest.mark.parametrize(
    ("parameterization", "optimizer", "c"),
    [
        ("standard", "adam", {"embedding": 0, "hidden": 1, "readout": 1, "vector": 0}),
        ("mup", "adam", {"embedding": 0.5, "hidden": 1, "readout": 0.5, "vector": 0}),
        ("mean_field", "sgd", {"embedding": -1, "hidden": -1, "readout": -1, "vector": -1}),
        ("ntk", "adafactor", {"embedding": 0, "hidden": 0.5, "readout": 0.5, "vector": 0}),
    ],
)
def test_full_alignment_measured_gives_table_1(parameterization: str, optimizer: str, c: dict[str, float]) -> None:
    part = fitted(FULL, FULL, spec={"parameterization": parameterization, "optimizer": optimizer}, level=0.3)
    assert rates(part) == c
    assert part.logits == 0
    assert part.feature_change == (0, 0)
    assert part.warnings == ()


def test_constants_move_the_published_reading_and_not_the_exponent() -> None:
    part = fitted(LESS, FULL, level=0.3)
    alpha = part.measured[0]
    assert (alpha.quantity, alpha.role, alpha.value.value) == ("alpha", "hidden", pytest.approx(0.75))
    assert alpha.published[512] < 0.65
    assert part.exponents[0].theory == 1.0


def test_less_alignment_allows_larger_learning_rates() -> None:
    part = fitted(LESS, LESS)
    assert rates(part) == {"embedding": 0, "hidden": 0.75, "readout": 0.75, "vector": 0}
    warning = next(w for w in part.warnings if w.code == "alignment_differs")
    assert "hidden 0.75 instead of 1.00, readout 0.75 instead of 1.00" in warning.message


def test_an_aligned_readout_slows_the_features() -> None:
    """ω = 1 at the readout: SP's (½, 3/2, 1), with features that move as n^(−½)."""
    part = fitted(FULL, {**FULL, "omega": 1.0})
    assert rates(part) == {"embedding": 0.5, "hidden": 1.5, "readout": 1, "vector": 0.5}
    assert part.feature_change == (0.5, 0.5)


def test_the_answer_comes_in_the_form_asked_for() -> None:
    part = fitted(FULL, FULL, spec={"parameterization": "mup", "form": "table_8"})
    assert rates(part) == {"embedding": 0, "hidden": 1, "readout": 0, "vector": 0}


def test_the_step_with_the_largest_exponent_counts() -> None:
    low, high = {"first": LESS, "readout": FULL}, {"first": FULL, "readout": LESS}
    part = fit_alignment(specification(), records("alignment", {10: low, 50: high}))
    assert part is not None
    assert {(m.role, m.quantity): m.step for m in part.measured if m.quantity == "alpha"} == {
        ("hidden", "alpha"): 50,
        ("readout", "alpha"): 10,
    }
    assert rates(part)["hidden"] == 1
    assert [round(slope.value, 6) for slope in part.measured[0].by_step.values()] == [0.75, 1.0]


def test_an_impossible_alignment_is_clipped_and_said() -> None:
    part = fitted({**FULL, "alpha": 1.4}, FULL)
    assert part.measured[0].used == 1.0
    assert next(e for e in part.exponents if e.quantity == "alpha").value == pytest.approx(1.4)
    assert [w.code for w in part.warnings] == ["alignment_clipped"]


def test_the_interval_holds_the_errors_of_the_alignment() -> None:
    covered, narrow = 0, fitted(LESS, LESS, noise=0.01, seeds=3)
    for draw in range(16):
        part = fitted(LESS, LESS, noise=0.1, seeds=3, draw=draw)
        hidden = next(e for e in part.exponents if (e.quantity, e.role) == ("max_stable_learning_rate", "hidden"))
        assert hidden.interval is not None
        assert hidden.interval[0] <= hidden.value <= hidden.interval[1]
        covered += hidden.interval[0] <= 0.75 <= hidden.interval[1]
    assert covered >= 14
    near = next(e for e in narrow.exponents if (e.quantity, e.role) == ("max_stable_learning_rate", "hidden"))
    assert near.interval is not None
    assert hidden.interval is not None
    assert near.interval[1] - near.interval[0] < 0.3 * (hidden.interval[1] - hidden.interval[0])


def test_two_widths_give_exponents_without_an_interval() -> None:
    part = fitted(LESS, LESS, widths=(64, 128), noise=0.05)
    assert {exponent.interval for exponent in part.exponents} == {None}
    alone = fitted(LESS, LESS, widths=(64, 128), seeds=1)
    assert alone.exponents == ()
    assert alone.logits is None


def test_records_are_read_when_asked_for_and_refused_when_malformed() -> None:
    found = records("alignment", {10: {"first": {"alpha": 1.0}}})
    assert fit_alignment(specification(measure=["epsilon"]), found) is None
    with pytest.raises(InvalidInputError, match="a measurement of alignment has no 'omega'"):
        fit_alignment(specification(), found)


def test_an_alignment_is_impossible_where_its_interval_ends_before_the_range() -> None:
    """One that reaches [½, 1] may be noise, and a tenth beyond the range matters to nobody; all of these occur."""
    seen = set()
    for draw in range(40):
        alpha = (1.05, 1.15, 1.3, 0.3)[draw % 4]
        powers = {10: {"first": {**FULL, "alpha": alpha, "log_alignment": 0.5}}}
        found = records("alignment", powers, noise=(0.02, 0.15)[draw // 4 % 2], widths=(64, 128, 256), draw=draw)
        part = fit_alignment(specification(), found)
        assert part is not None
        named = [warning.message for warning in part.warnings if warning.code == "alignment_clipped"]
        for one in part.measured:
            assert one.value.interval is not None
            low, high = one.value.interval
            beyond, excluded = abs(one.value.value - one.used) > 0.1, high < 0.5 or low > 1
            said = any(message.startswith(f"{one.quantity} of") for message in named)
            assert said == (beyond and excluded)
            seen.add((beyond, excluded))
    assert seen >= {(True, True), (True, False), (False, False)}


def test_the_published_reading_is_the_mean_over_tensors_and_seeds() -> None:
    powers = {10: {"first": {**FULL, "log_alignment": 0.5}, "second": {**FULL, "log_alignment": 0.5}}}
    found = records("alignment", powers, widths=(64, 128), seeds=2)
    values = iter((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8))
    for record in found:
        for tensor in record["data"]["snapshots"][0]["tensors"].values():
            tensor["log_alignment"] = next(values)
    part = fit_alignment(specification(), found)
    assert part is not None
    # two tensors each of width 64, 128 under the first seed, and again under the second
    assert part.log_alignment["hidden"][10] == pytest.approx({64: (0.1 + 0.2 + 0.5 + 0.6) / 4, 128: 2.2 / 4})
    assert part.log_alignment["readout"] == {}


def test_a_stable_rate_rests_on_the_widths_that_all_its_alignments_were_measured_at() -> None:
    """The readout's is largest at a step that the widest model no longer reached; the hidden tensors', at the first."""
    low, high = {"first": FULL, "readout": LESS}, {"first": LESS, "readout": FULL}
    found = records("alignment", {10: low, 50: high})
    for record in found:
        if record["width"] == 512:
            del record["data"]["snapshots"][1]
    part = fit_alignment(specification(), found)
    assert part is not None
    widths = {(each.quantity, each.role): each.widths for each in part.exponents}
    assert widths["alpha", "hidden"] == (64, 128, 256, 512)
    assert widths["alpha", "readout"] == (64, 128, 256)
    assert {own for (quantity, _), own in widths.items() if quantity == "max_stable_learning_rate"} == {(64, 128, 256)}
