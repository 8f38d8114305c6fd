"""The seam of the rules: one that exists in this test alone takes part in a transfer; plans are read back exactly."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise import Base, Exponents, Target, Tensor, TransferRequest
from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.rules.contract import Case, Factors, Subject, stated_widths
from widthwise.rules.registry import RULES
from widthwise.transfers.plan import Plan
from widthwise.transfers.transfer import plan_of
from widthwise.vocabulary import Optimizer, Parameterization, Role

TENSORS = (
    Tensor("embed", (101, 64), (101, 256), role="embedding"),
    Tensor("up", (256, 64), (1024, 256), role="hidden"),
    Tensor("head", (101, 64), (101, 256), tied_to="embed"),
    Tensor("gain", (64,), (256,)),
)


@dataclass(frozen=True)
class DepthInForce:
    """Hidden learning rates ∝ 1/depth."""

    ratio: float
    source = "this test"
    cautions = (Caution("depth_untested", "nobody has tried this"),)
    changes = {}  # noqa: RUF012 - of this test

    def factors(self, subject: Subject, _before: object) -> Factors:
        if subject.role is not Role.HIDDEN:
            return Factors({}, "")
        return Factors({"learning_rate": 1 / self.ratio, "epsilon": 1 / self.ratio}, f"depth ×{self.ratio:g}")


class Depth:
    """A third rule, which no other file knows."""

    name = "depth"
    covers = frozenset({"depth"})

    def apply(self, case: Case) -> DepthInForce | None:
        if case.base.depth is None or case.target.depth is None:
            return None
        return DepthInForce(case.target.depth / case.base.depth)


def request(**more: object) -> TransferRequest:
    sizes = {"base": Base(width=64, depth=2, learning_rate=0.01, epsilon=1e-8), "target": Target(width=256, depth=8)}
    options = {"parameterization": "standard", "optimizer": "adam", "layout": "out_in", "tensors": TENSORS, **sizes}
    return TransferRequest(**{**options, **more})  # type: ignore[arg-type]


def test_a_third_rule_is_one_object_in_the_list() -> None:
    before, after = plan_of(request()), plan_of(request(), (*RULES, Depth()))
    rate = after.tensor("up").learning_rate
    assert after.tensor("up").factors("learning_rate") == {"width": 0.25, "depth": 0.25}
    assert after.tensor("up").factors("init_std") == {"width": 0.5}
    assert rate.multiplier == 1 / 16
    assert rate.value == 0.01 / 16
    assert rate.exponent == before.tensor("up").learning_rate.exponent  # of the width alone
    assert after.layer("hidden").reason == f"{before.layer('hidden').reason}; depth ×4"
    assert after.tensor("gain") == before.tensor("gain")
    assert [note.name for note in after.rules] == ["width", "depth"]
    codes = [caution.code for caution in after.warnings]
    assert "depth_untested" in codes
    assert "depth_changed" in [caution.code for caution in before.warnings]
    assert "depth_changed" not in codes  # the rule covers it
    sizes = {"base": Base(width=64, depth=2, batch_tokens=10), "target": Target(width=256, depth=8, batch_tokens=20)}
    codes = [caution.code for caution in plan_of(request(**sizes), (*RULES, Depth())).warnings]
    assert ("depth_changed" in codes, "batch_changed" in codes) == (False, True)


def test_a_rule_that_does_not_apply_leaves_no_trace() -> None:
    wide = request(base=Base(width=64, learning_rate=0.01), target=Target(width=256))
    assert plan_of(wide, (*RULES, Depth())) == plan_of(wide)


def test_the_widths_of_a_model_are_those_that_it_states() -> None:
    assert stated_widths(Base(width=32), Target(width=48)) == (32, 48)
    assert stated_widths(Base(width=32), Target()) is None
    assert stated_widths(Base(), Target(width=48)) is None


def test_the_measured_shift_is_the_second_rule() -> None:
    shifted = plan_of(request(exponents=Exponents(shift=64.0, source="calibration", widths=(32, 64, 128))))
    hidden = shifted.layer("hidden")
    assert hidden.factors("learning_rate") == {"width": 0.25, "shift": 2**0.75}
    assert hidden.factors("weight_decay")["shift"] == 1 / 2**0.75  # decoupled: η·λ stays
    assert hidden.factors("init_std").keys() == {"width"}
    assert [note.source for note in shifted.rules] == ["calibration", "calibration"]


@settings(deadline=None)
@given(
    st.sampled_from(Parameterization),
    st.sampled_from(Optimizer),
    st.sampled_from(["full", "none"]),
    st.tuples(st.sampled_from([0.0, 16.0]), st.booleans(), st.one_of(st.none(), st.floats(1e-12, 1e-3))),
)
def test_a_plan_is_read_back_exactly(parameterization, optimizer, alignment, more) -> None:
    shift, has_tensors, epsilon = more
    plan = plan_of(
        request(
            parameterization=parameterization,
            optimizer=optimizer,
            alignment=alignment,
            base=Base(width=64, learning_rate={"hidden": 0.003, **dict.fromkeys(Role, 0.01)}, epsilon=epsilon),
            tensors=TENSORS if has_tensors else (),
            exponents=Exponents(shift=shift, source="calibration") if shift else None,
        )
    )
    body = json.loads(json.dumps(plan.to_dict(), allow_nan=False))
    assert Plan.from_dict(body) == plan
    assert Plan.from_dict(body).to_dict() == plan.to_dict()


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("layers", 0, "learning_rate"), None, "plan.layers[0].learning_rate"),
        (("layers", 0, "learning_rate", "multiplier"), "1", "plan.layers[0].learning_rate.multiplier"),
        (("layers", 1, "role"), "head", "plan.layers[1].role"),
        (("tensors", 0, "fan_in"), 0, "plan.tensors[0].fan_in"),
        (("tensors", 0, "fan_in"), 2**63 + 1, "plan.tensors[0].fan_in"),
        (("tensors", 0, "fan_out"), 2**63 + 1, "plan.tensors[0].fan_out"),
        (("tensors",), "none", "plan.tensors"),
        (("provenance",), [], "plan.provenance"),
    ],
)
def test_a_wrong_plan_names_the_field(path, value, field) -> None:
    body = json.loads(json.dumps(plan_of(request()).to_dict()))
    at = body
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(InvalidInputError) as error:
        Plan.from_dict(body)
    assert error.value.field == field


def test_the_largest_fan_that_a_placement_allows_is_read_back() -> None:
    huge = Tensor("w", (2**53, 2**10), (2**53, 2**10), (0, 1), ())
    plan = plan_of(request(tensors=(huge,)))
    assert plan.tensor("w").fan_in == 2**63
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_a_request_is_read_back_exactly() -> None:
    asked = request(
        alignment={"hidden": {"alpha": 1.0, "omega": 0.5, "u": 0.8}, "readout": {"alpha": 1, "omega": 1, "u": 1}}
    )
    body = json.loads(json.dumps(asked.to_dict()))
    again = TransferRequest.from_dict(body)
    assert again.to_dict() == asked.to_dict()
    assert plan_of(again) == plan_of(asked)
    with pytest.raises(InvalidInputError, match="exponents"):
        request(exponents=Exponents()).to_dict()
