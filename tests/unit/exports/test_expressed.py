"""What an export can't say of a plan, and Megatron's flags only for a plan that is its own rule."""

from dataclasses import replace

import pytest

from tests.unit.exports.plans import plan_of
from widthwise import InvalidInputError, Plan
from widthwise.exports.exporting import export
from widthwise.exports.megatron_rule import flags
from widthwise.transfers.plan import ModelPlan, ModelQuantity, Quantity


def with_multiplier(plan: Plan, name: str, factor: float) -> Plan:
    """The plan with another forward multiplier on one tensor."""
    tensors = tuple(
        tensor._replace(quantities={**tensor.quantities, "forward_multiplier": Quantity(factor, factor, 0.0)})
        if tensor.name == name
        else tensor
        for tensor in plan.tensors
    )
    return replace(plan, tensors=tensors)


def test_nothing_is_lost_by_a_form_that_carries_all() -> None:
    assert [each for each in export(plan_of(), "torch").not_expressed if each.matters] == []
    same = plan_of(64, 64)
    for name in ("torchtitan", "automodel", "megatron", "fairseq2", "olmo_core", "llm_foundry"):
        found = export(same, name)  # not refused: the plan changes nothing
        assert {each.quantity for each in found.not_expressed} >= {"init_std", "forward_multiplier"}


def test_a_change_of_one_percent_is_where_it_begins() -> None:
    plain = plan_of(64, 64)
    assert export(with_multiplier(plain, "head.weight", 1.009), "olmo_core")
    with pytest.raises(InvalidInputError, match=r"forward_multiplier: .* ×1\.011 on 1 tensors"):
        export(with_multiplier(plain, "head.weight", 1.011), "olmo_core")


def test_a_multiplier_that_no_hook_applies_is_lost() -> None:
    plain = plan_of(64, 64)
    assert export(with_multiplier(plain, "head.weight", 2.0), "torch")
    with pytest.raises(InvalidInputError, match="a hook multiplies a module's whole output"):
        export(with_multiplier(plain, "layers.0.up.weight", 2.0), "torch")  # its bias has none


def test_what_the_model_applies_is_listed() -> None:
    scale = ModelPlan(attention_scale=ModelQuantity(0.1, 0.5, "d_head grows"))
    with pytest.raises(InvalidInputError, match="attention_scale: the model itself applies it"):
        export(replace(plan_of(), model=scale), "torch")


@pytest.mark.parametrize("quantity", ["epsilon", "init_std"])
def test_values_that_the_base_did_not_give_are_asked_for(quantity: str) -> None:
    with pytest.raises(InvalidInputError, match=f"give base.{quantity}"):
        export(plan_of(**{quantity: None}), "torch")


def test_decay_is_what_the_trainer_takes() -> None:
    plan = plan_of()
    hidden = plan.tensor("layers.0.up.weight")
    rate, decay = hidden.learning_rate.value, hidden.weight_decay.value
    assert rate is not None
    assert decay is not None
    assert f"weight_decay: {rate * decay!r}" in export(plan, "llm_foundry", allow_lossy=True).text
    assert f"'weight_decay': {decay!r}" in export(plan, "torchtitan", allow_lossy=True).text
    coupled = plan_of(optimizer="adam", weight_decay_mode="coupled")
    assert "torch.optim.Adam(" in export(coupled, "torch").text
    with pytest.raises(InvalidInputError, match="has AdamW alone"):
        export(coupled, "fairseq2", allow_lossy=True)
    assert "so 0 is written" in export(plan_of(weight_decay=None), "torch").text


def test_megatrons_flags_are_for_its_own_rule_alone() -> None:
    given = {"form": "table_8", "weight_decay": None, "epsilon": None}
    assert flags(plan_of(64, 256, **given)) == ["--use-mup", "--mup-base-hidden-size", "64"]
    assert "'--mup-base-hidden-size', '64'" in export(plan_of(64, 256, **given), "megatron", allow_lossy=True).text
    for other in ({"weight_decay": 0.1}, {"epsilon": 1e-8}, {"form": "table_9"}):
        assert flags(plan_of(64, 256, **{**given, **other})) == []
