"""Parameter groups: every trainable parameter once, with the plan's values, whatever wraps the model."""

from typing import Any

import pytest
import torch

import widthwise.torch
from tests.models.small import IDS, LEARNING_RATE, TINY, first_steps, llama, plan_of
from widthwise import Base, InvalidInputError

Groups = list[dict[str, Any]]


def by_name(groups: Groups) -> dict[str, dict[str, Any]]:
    return {name: group for group in groups for name, _ in group["params"]}


@pytest.mark.parametrize("tied", [False, True], ids=["apart", "tied"])
@pytest.mark.parametrize("parameterization", ["standard", "mup"])
def test_each_parameters_first_step_is_the_plans_rate(parameterization: str, tied: bool) -> None:
    """Real AdamW: with ε → 0 the first update is lr · sign(g)."""
    base, model = llama(32, tied=tied), llama(64, tied=tied)
    plan = plan_of(base, model, parameterization=parameterization, base=Base(learning_rate=0.002, epsilon=TINY))
    moved = first_steps(model, torch.optim.AdamW(widthwise.torch.param_groups(model, plan), weight_decay=0.0))
    wanted = {name: plan.tensor(name).learning_rate.value for name in moved}
    assert moved == {name: pytest.approx(value, rel=2e-3) for name, value in wanted.items()}
    assert len({round(value or 0, 9) for value in wanted.values()}) > 1


def test_values_are_the_plans_and_groups_are_few() -> None:
    base, model = llama(32), llama(64, depth=4)
    plan = plan_of(base, model)
    groups = widthwise.torch.param_groups(model, plan)
    assert [group["name"] for group in groups] == ["embedding", "hidden", "vector", "readout"]
    found = by_name(groups)
    assert set(found) == {name for name, _ in model.named_parameters()}
    for name, group in found.items():
        tensor = plan.tensor(name)
        assert tensor.epsilon is not None
        assert (group["lr"], group["eps"], group["weight_decay"]) == (
            tensor.learning_rate.value,
            tensor.epsilon.value,
            tensor.weight_decay.value,
        )
    optimizer = torch.optim.AdamW(groups)
    assert optimizer.param_groups[0]["param_names"] == ["model.embed_tokens.weight"]


def test_scales_are_for_loops_that_multiply() -> None:
    base, model = llama(32), llama(64)
    plan = plan_of(base, model)
    found = by_name(widthwise.torch.param_groups(model, plan, style="scale"))
    for name, group in found.items():
        assert group["lr"] == LEARNING_RATE
        assert group["lr"] * group["lr_scale"] == plan.tensor(name).learning_rate.value
    with pytest.raises(InvalidInputError, match="style is 'relative'; give one of absolute, scale"):
        widthwise.torch.param_groups(model, plan, style="relative")  # type: ignore[arg-type]  # on purpose


def test_wrappers_do_not_change_the_names() -> None:
    base, model = llama(32), llama(64)
    plan = plan_of(base, model)
    wrapped = torch.compile(model, backend="eager")
    assert set(by_name(widthwise.torch.param_groups(wrapped, plan))) == {name for name, _ in model.named_parameters()}


def test_frozen_parameters_are_left_out() -> None:
    base, model = llama(32), llama(64)
    plan = plan_of(base, model)
    model.model.embed_tokens.requires_grad_(False)
    assert set(by_name(widthwise.torch.param_groups(model, plan))) == {
        name for name, _ in model.named_parameters() if "embed" not in name
    }
    model.requires_grad_(False)
    with pytest.raises(InvalidInputError, match="every parameter of the model is frozen"):
        widthwise.torch.param_groups(model, plan)


def test_what_does_not_match_is_listed_at_once() -> None:
    base, model = llama(32), llama(64)
    plan = plan_of(base, model)
    deeper = llama(64, depth=3)
    with pytest.raises(InvalidInputError, match=r"'model\.layers\.2\..*trained in the model, not in the plan"):
        widthwise.torch.param_groups(deeper, plan)
    shallower = llama(64, depth=1, tied=True)
    with pytest.raises(InvalidInputError) as caught:
        widthwise.torch.param_groups(shallower, plan)
    assert "one weight in the model, apart from 'lm_head.weight' in the plan" in str(caught.value)
    assert "'model.layers.1.self_attn.q_proj.weight': in the plan, not in the model" in str(caught.value)
    with pytest.raises(
        InvalidInputError, match=r"'lm_head\.weight': tied to 'model\.embed_tokens\.weight' in the plan"
    ):
        widthwise.torch.param_groups(model, plan_of(llama(32, tied=True), llama(64, tied=True)))


def test_parameters_on_the_meta_device_are_refused() -> None:
    with torch.device("meta"):
        model = llama(64)
    plan = plan_of(llama(32), model, IDS)
    with pytest.raises(InvalidInputError, match=r"no storage yet \(meta device\); make parameter groups after"):
        widthwise.torch.param_groups(model, plan)


def test_adafactors_epsilon_is_refused() -> None:
    base, model = llama(32), llama(64)
    plan = plan_of(base, model, optimizer="adafactor_unscaled")
    with pytest.raises(InvalidInputError, match="implementations of Adafactor take it in different forms"):
        widthwise.torch.param_groups(model, plan)
