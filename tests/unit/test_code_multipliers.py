"""Multipliers that the code computes: a plan with them is the equivalent one, by the equivalence map."""

import json
from typing import Any

import pytest

from widthwise import Base, Exponents, InvalidInputError, Plan, Target, Tensor, TensorPlan, transfer
from widthwise.tensors.multipliers import ComputedMultiplier
from widthwise.transfers.request import TransferRequest
from widthwise.transfers.transfer import plan_of
from widthwise.vocabulary import QUANTITIES, Optimizer

TENSORS = (
    Tensor("table", (99, 64), (99, 256), role="embedding"),
    Tensor("up", (192, 64), (512, 256)),
    Tensor("down", (64, 192), (256, 512)),
    Tensor("gain", (64,), (256,)),
    Tensor("head", (99, 64), (99, 256), role="readout"),
)
BASE = Base(width=64, learning_rate=0.01, epsilon=1e-8, weight_decay=0.1, init_std=0.02, gradient_rms=1e-3)


def plan(*multipliers: ComputedMultiplier, **more: Any) -> Plan:
    options = {"parameterization": "standard", "optimizer": "adam", "tensors": TENSORS, "base": BASE, **more}
    return transfer(target=Target(width=256), layout="out_in", code_multipliers=multipliers, **options)


def equal(one: TensorPlan, other: TensorPlan, *apart: str) -> None:
    """Every quantity agrees, apart from some."""
    for name in set(QUANTITIES) - set(apart):
        ours, theirs = one.quantities.get(name), other.quantities.get(name)
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            assert tuple(ours) == pytest.approx(tuple(theirs), abs=1e-15), name


EQUALIZED = ComputedMultiplier(role="hidden", power=-0.5, of="fan_in")
LOGITS = ComputedMultiplier(role="readout", power=-1, of="fan_in")


@pytest.mark.parametrize("mode", ["decoupled", "independent", "coupled"])
@pytest.mark.parametrize("optimizer", list(Optimizer))
def test_equalized_weights_are_those_of_the_equivalent_parameterization(optimizer: Optimizer, mode: str) -> None:
    # 1/√fan_in in the code is NTK's multiplier: standard with it has NTK's values, and nothing is left to multiply
    words = {"optimizer": optimizer, "weight_decay_mode": mode}
    ours, ntk = plan(EQUALIZED, **words), plan(parameterization="ntk", **words)
    for name in ("up", "down"):
        equal(ours.tensor(name), ntk.tensor(name), "forward_multiplier")
        assert ours.tensor(name).forward_multiplier.multiplier == pytest.approx(1)
        assert ours.tensor(name).forward_multiplier.exponent == pytest.approx(0)
    assert ours.tensor("head") == plan(**words).tensor("head")
    assert ours.layer("hidden").learning_rate.multiplier == pytest.approx(ntk.layer("hidden").learning_rate.multiplier)
    # said of NTK itself, only the multiplier goes
    same = plan(EQUALIZED, parameterization="ntk", **words)
    equal(same.tensor("up"), ntk.tensor("up"), "forward_multiplier")


def test_logits_divided_by_the_width_are_table_8() -> None:
    words = {"parameterization": "mup", "optimizer": "adam"}
    ours, table_8 = plan(LOGITS, **words), plan(form="table_8", **words)
    equal(ours.tensor("head"), table_8.tensor("head"), "forward_multiplier")
    assert ours.tensor("head").forward_multiplier.multiplier == pytest.approx(1)
    assert table_8.tensor("head").forward_multiplier.multiplier == pytest.approx(1 / 4)


def test_a_tensor_that_reuses_the_weights_of_a_multiplied_one_is_multiplied_by_itself_alone() -> None:
    """Two hidden tensors of one weight: the code multiplies what the first gives out, and not what the second does."""
    tensors = (*TENSORS, Tensor("again", (192, 64), (512, 256), tied_to="up"))
    words = {"parameterization": "ntk", "tensors": tensors}
    first = ComputedMultiplier(tensors=["up"], power=-0.5, of="fan_in")
    assert plan(first, **words).tensor("up") != plan(**words).tensor("up")
    assert plan(first, **words).tensor("again") == plan(**words).tensor("again")


@pytest.mark.parametrize("parameterization", ["standard", "ntk", "mup", "mean_field"])
def test_a_tied_readout_undoes_what_moves_into_the_weights_of_its_embedding(parameterization: str) -> None:
    """The code multiplies a table by its width, ×4; a multiplier that the plan asks for is part of that."""
    tied = (*TENSORS[:-1], Tensor("head", (99, 64), (99, 256), tied_to="table"))
    words = {"parameterization": parameterization, "tensors": tied}
    widened = ComputedMultiplier(tensors=["table"], power=1, of="fan_out")
    plain, ours = plan(**words), plan(widened, **words)
    moved = 4 / plain.tensor("table").forward_multiplier.multiplier
    assert ours.tensor("table").forward_multiplier.multiplier == pytest.approx(1)
    logits = plain.tensor("head").forward_multiplier.multiplier
    assert ours.tensor("head").forward_multiplier.multiplier == pytest.approx(logits * moved)
    for name in ("table", "head"):
        for quantity, factor in (("init_std", 1 / moved), ("learning_rate", 1 / moved), ("gradient_rms", moved)):
            before, after = (each.tensor(name).quantities[quantity].multiplier for each in (plain, ours))
            assert after == pytest.approx(before * factor)


def test_a_frozen_multiplier_moves_nothing() -> None:
    frozen = ComputedMultiplier(role="embedding", power=0.5, of="fan_out", frozen=True)
    assert plan(frozen) == plan()


def test_an_equal_width_moves_nothing() -> None:
    same = [Tensor(t.name, t.base_shape, t.base_shape, role=t.role) for t in TENSORS]
    made = plan(EQUALIZED, LOGITS, tensors=same)
    assert {q.multiplier for tensor in made.tensors for q in tensor.quantities.values()} == {1.0}


def test_factors_multiply_to_the_multiplier_and_the_plan_is_read_back() -> None:
    made = plan(EQUALIZED, LOGITS, ComputedMultiplier(tensors=["table"], power=0.5, of="fan_out"))
    assert [note.name for note in made.rules] == ["width", "code"]
    rate = made.tensor("table").factors("learning_rate")
    assert rate == {"width": 1.0, "code": 0.5}
    assert Plan.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_forward_only_leaves_the_gradient() -> None:
    embeds = {"role": "embedding", "power": 0.5, "of": "fan_out"}
    both, forward = (plan(ComputedMultiplier(**embeds, backward=back)).tensor("table") for back in (True, False))
    equal(both, forward, "gradient_rms", "epsilon")
    assert (both.gradient_rms.multiplier, forward.gradient_rms.multiplier) == (pytest.approx(1), pytest.approx(0.5))
    # SGD: dL/dV lacks the factor s = 2 forward only, so η × 1/s and not 1/s²; the width alone asks for × 4^½
    sgd = [
        plan(ComputedMultiplier(**embeds, backward=back), optimizer="sgd").tensor("table").learning_rate.multiplier
        for back in (True, False)
    ]
    assert sgd == [pytest.approx(0.5), pytest.approx(1)]


def test_forward_only_within_the_model_is_named_or_refused() -> None:
    forward = ComputedMultiplier(role="readout", power=-1, of="fan_in", backward=False)
    assert "forward_only_multiplier" in {warning.code for warning in plan(forward).warnings}
    with pytest.raises(InvalidInputError, match="multiply the gradient too"):
        plan(forward, optimizer="sgd")
    heads = [Tensor(f"head.{n}", (99, 64), (99, 256), role="readout") for n in range(3)]
    for count, named in ((1, "head.0: "), (3, "head.0 and 2 more: ")):
        said = plan(forward, tensors=(*TENSORS[:-1], *heads[:count])).warnings
        (message,) = [warning.message for warning in said if warning.code == "forward_only_multiplier"]
        assert message.startswith(named)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"power": 0.5, "of": "fan_out"}, "either tensors or role"),
        ({"power": 0.5, "of": "fan_out", "role": "embedding", "tensors": ["table"]}, "either tensors or role"),
        ({"power": 9, "of": "fan_out", "role": "embedding"}, "power is 9"),
        ({"power": True, "of": "fan_out", "role": "embedding"}, "power is True"),
        ({"power": 0.5, "of": "width", "role": "embedding"}, "width"),
        ({"power": 0.5, "of": "fan_out", "role": "scalar"}, "no tensor has"),
        ({"power": 0.5, "of": "fan_out", "tensors": ["lost"]}, "'lost'"),
        ({"power": 0.5, "of": "fan_out", "tensors": "table"}, "list of names"),
        ({"power": 0.5, "role": "embedding"}, "of is missing"),
        ({"power": 0.5, "of": "fan_out", "role": "embedding", "frozen": 1}, "true or false"),
        ({"power": 0.5, "of": "fan_out", "role": "embedding", "by": 2}, "no field 'by'"),
        (3, "give an object"),
    ],
)
def test_what_a_multiplier_lacks_is_said(given: Any, why: str) -> None:
    body = TransferRequest(
        parameterization="mup", optimizer="adam", base=BASE, target=Target(width=256), tensors=TENSORS, layout="out_in"
    ).to_dict()
    with pytest.raises(InvalidInputError, match=why):
        plan_of(TransferRequest.from_dict({**body, "code_multipliers": [given]}))


def test_powers_add_up_within_bounds() -> None:
    halves = [ComputedMultiplier(role="readout", power=-0.5, of="fan_in")] * 2
    assert plan(*halves).tensor("head") == plan(LOGITS).tensor("head")
    with pytest.raises(InvalidInputError, match="together"):
        plan(*halves * 3)


def test_what_overflows_is_refused() -> None:
    huge = [Tensor("t", (1, 1), (1, 2**53), role="embedding")]
    steep = ComputedMultiplier(role="embedding", power=2, of="fan_out")
    base = Base(learning_rate=1e100, weight_decay=1e100, init_std=1e100, gradient_rms=1e100)
    with pytest.raises(InvalidInputError, match="range of floating point"):
        transfer(
            parameterization="mean_field",
            optimizer="sgd",
            base=Base(learning_rate=1e100, init_std=1e100, gamma={"embedding": 1e100}),
            target=Target(),
            tensors=huge,
            exponents=Exponents(learning_rate={"embedding": -5}),
            code_multipliers=[ComputedMultiplier(role="embedding", power=-2, of="fan_out")],
        )
    made = transfer(
        parameterization="mup", optimizer="adam", base=base, target=Target(), tensors=huge, code_multipliers=[steep]
    )
    assert json.dumps(made.to_dict(), allow_nan=False)


def test_a_request_with_multipliers_is_read_back() -> None:
    request = TransferRequest(
        parameterization="mup",
        optimizer="adam",
        base=BASE,
        target=Target(width=256),
        code_multipliers=[EQUALIZED, ComputedMultiplier(tensors=["table"], power=0.5, of="fan_out", backward=False)],
        qk_norm=True,
    )
    body = json.loads(json.dumps(request.to_dict()))
    assert body["code_multipliers"][0] == {"power": -0.5, "of": "fan_in", "role": "hidden"}
    assert TransferRequest.from_dict(body).to_dict() == body
