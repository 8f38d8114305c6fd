"""A plan attached to an optimizer: the same first step under every loop, scheduler and checkpoint."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR

import widthwise.torch
from tests.models.small import LEARNING_RATE, TINY, first_steps, llama, plan_of
from widthwise import Base, InvalidInputError, Plan

Optimizer = torch.optim.Optimizer
BASE = Base(learning_rate=LEARNING_RATE, epsilon=TINY, weight_decay=0.0)


@pytest.fixture
def made() -> tuple[Any, Plan, Optimizer]:
    """A model, its plan, and an AdamW to which the plan is attached."""
    model = llama(64)
    plan = plan_of(llama(32), model, base=BASE)
    optimizer = torch.optim.AdamW(widthwise.torch.param_groups(model, plan))
    widthwise.torch.attach(optimizer, plan)
    return model, plan, optimizer


def expected(plan: Plan, factor: float = 1.0) -> dict[str, Any]:
    rates = {tensor.name: tensor.learning_rate.value or 0 for tensor in plan.tensors}
    return {name: pytest.approx(rate * factor, rel=2e-3) for name, rate in rates.items()}


def overwritten(optimizer: Optimizer) -> None:
    """What litgpt's and many other loops do before each step."""
    for group in optimizer.param_groups:
        group["lr"] = LEARNING_RATE / 2


@pytest.mark.parametrize(
    ("schedule", "factor"),
    [
        (lambda _optimizer: None, 1.0),
        (overwritten, 0.5),
        (lambda optimizer: LambdaLR(optimizer, lambda _step: 0.25), 0.25),
        (lambda optimizer: OneCycleLR(optimizer, LEARNING_RATE, total_steps=10, div_factor=4.0), 0.25),
    ],
    ids=["none", "overwriting loop", "LambdaLR", "OneCycleLR with one peak"],
)
def test_the_first_step_is_the_plans(
    made: tuple[Any, Plan, Optimizer], schedule: Callable[[Optimizer], Any], factor: float
) -> None:
    model, plan, optimizer = made
    schedule(optimizer)
    assert first_steps(model, optimizer) == expected(plan, factor)
    assert all(group["lr"] == pytest.approx(LEARNING_RATE * factor) for group in optimizer.param_groups)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")
def test_an_absolute_floor_is_the_bases(made: tuple[Any, Plan, Optimizer]) -> None:
    model, plan, optimizer = made
    scheduler = CosineAnnealingLR(optimizer, T_max=2, eta_min=LEARNING_RATE / 10)
    scheduler.step()
    scheduler.step()
    assert first_steps(model, optimizer) == expected(plan, 0.1)


@pytest.mark.parametrize(
    "words", [{"foreach": True}, {"fused": True}, {"capturable": False, "foreach": False}], ids=str
)
def test_every_implementation_of_adamw_steps_by_it(words: dict[str, bool]) -> None:
    model = llama(64)
    plan = plan_of(llama(32), model, base=BASE)
    optimizer = torch.optim.AdamW(widthwise.torch.param_groups(model, plan), **words)
    widthwise.torch.attach(optimizer, plan)
    assert first_steps(model, optimizer) == expected(plan)


def test_a_checkpoint_and_a_resumed_run(made: tuple[Any, Plan, Optimizer], tmp_path: Path) -> None:
    """The resumed run makes the second step that the first run makes, and a later checkpoint has the scale."""
    model, plan, optimizer = made
    scheduler = LambdaLR(optimizer, lambda step: 0.5**step)
    first_steps(model, optimizer)
    scheduler.step()
    saved = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(), "model": model.state_dict()}
    torch.save(saved, tmp_path / "checkpoint")
    loaded = torch.load(tmp_path / "checkpoint")
    resumed = llama(64)
    again = torch.optim.AdamW(widthwise.torch.param_groups(resumed, plan))
    widthwise.torch.attach(again, plan)
    later = LambdaLR(again, lambda step: 0.5**step)
    resumed.load_state_dict(loaded["model"])
    again.load_state_dict(loaded["optimizer"])
    later.load_state_dict(loaded["scheduler"])
    assert again.param_groups[0]["lr"] == LEARNING_RATE / 2
    assert first_steps(resumed, again) == first_steps(model, optimizer)


def test_an_older_checkpoints_epsilon_decay_and_missing_scale_are_replaced() -> None:
    model = llama(64)
    plan = plan_of(llama(32), model)
    older = torch.optim.AdamW(
        [{"params": group["params"]} for group in widthwise.torch.param_groups(model, plan)],
        lr=LEARNING_RATE, eps=1e-5, weight_decay=0.01,
    )  # fmt: skip
    optimizer = torch.optim.AdamW(widthwise.torch.param_groups(model, plan))
    widthwise.torch.attach(optimizer, plan)
    before = copy.deepcopy([{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups])
    optimizer.load_state_dict(older.state_dict())
    for group, was in zip(optimizer.param_groups, before, strict=True):
        kept = ("eps", "weight_decay", "widthwise_scale", "lr")
        assert {key: group[key] for key in kept} == {key: was[key] for key in kept}
    absolute = torch.optim.AdamW(widthwise.torch.param_groups(model, plan))
    with pytest.raises(
        InvalidInputError, match="written without attach and its groups have learning rates that differ"
    ):
        optimizer.load_state_dict(absolute.state_dict())


def test_a_step_that_raises_does_not_scale_twice(made: tuple[Any, Plan, Optimizer]) -> None:
    model, plan, optimizer = made

    def fails() -> float:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        optimizer.step(fails)
    assert first_steps(model, optimizer) == expected(plan)


def test_it_comes_off_with_absolute_rates() -> None:
    model = llama(64)
    plan = plan_of(llama(32), model, base=BASE)
    optimizer = torch.optim.AdamW(widthwise.torch.param_groups(model, plan))
    absolute = [group["lr"] for group in optimizer.param_groups]
    widthwise.torch.attach(optimizer, plan).remove()
    assert [group["lr"] for group in optimizer.param_groups] == absolute
    assert first_steps(model, optimizer) == expected(plan)


def test_groups_of_others_are_taken_if_none_mixes_values() -> None:
    model = llama(64)
    plan = plan_of(llama(32), model, base=BASE)
    one_each = torch.optim.AdamW([{"params": [parameter]} for parameter in model.parameters()], lr=1.0)
    with pytest.raises(InvalidInputError, match="group 0 holds no names; give the model too"):
        widthwise.torch.attach(one_each, plan)
    widthwise.torch.attach(one_each, plan, model)
    assert first_steps(model, one_each) == expected(plan)
    mixed = torch.optim.AdamW(model.named_parameters())
    with pytest.raises(InvalidInputError, match=r"group 0 holds 'model\.embed_tokens\.weight' and 'model\.layers\.0"):
        widthwise.torch.attach(mixed, plan)
    others = torch.optim.AdamW(llama(64).named_parameters())
    with pytest.raises(InvalidInputError, match="group 0 holds a parameter that the model does not have"):
        widthwise.torch.attach(others, plan, model)


def test_too_late_twice_and_loops_that_multiply_themselves_are_refused(made: tuple[Any, Plan, Optimizer]) -> None:
    model, plan, attached = made
    with pytest.raises(InvalidInputError, match="a plan is attached to this optimizer already"):
        widthwise.torch.attach(attached, plan)
    scheduled = torch.optim.AdamW(widthwise.torch.param_groups(model, plan))
    LambdaLR(scheduled, lambda _step: 1.0)
    with pytest.raises(InvalidInputError, match="a scheduler has read this optimizer's rates"):
        widthwise.torch.attach(scheduled, plan)
    scaled = torch.optim.AdamW(widthwise.torch.param_groups(model, plan, style="scale"))
    with pytest.raises(InvalidInputError, match=r'lr_scale, by which the loop multiplies itself; .*"absolute"'):
        widthwise.torch.attach(scaled, plan)
    attached.add_param_group({"params": [("new", torch.nn.Parameter(torch.zeros(2)))]})
    with pytest.raises(InvalidInputError, match="group 3 was added after attach"):
        attached.step()
