"""Hugging Face's Trainer trains by a plan: each parameter's first step is the plan's rate, whatever the schedule."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer, TrainerCallback, TrainingArguments

import widthwise.torch
from tests.models.small import IDS, LEARNING_RATE, TINY, llama, plan_of
from widthwise import Base, Plan

BASE = Base(learning_rate=LEARNING_RATE, epsilon=TINY, weight_decay=0.0, init_std=0.02)
ROWS = [{"input_ids": ids, "labels": ids} for ids in IDS["input_ids"]] * 4
Optimizer = torch.optim.Optimizer


class Steps(TrainerCallback):
    """The rate with which each parameter was moved in each step: its move over Adam's m/√v; may overwrite rates."""

    def __init__(self, model: Any, optimizer: Optimizer, *, overwritten: float | None = None) -> None:
        self.model, self.optimizer, self.overwritten = model, optimizer, overwritten
        self.rates: list[dict[str, float]] = []
        self.scheduled: list[set[float]] = []  #: what the groups say between steps
        self._before: dict[str, Any] = {}

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        if self.overwritten is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = self.overwritten
        self.scheduled.append({group["lr"] for group in self.optimizer.param_groups})
        self._before = {name: each.detach().clone() for name, each in self.model.named_parameters()}

    def on_optimizer_step(self, *_: Any, **__: Any) -> None:
        self.rates.append({name: self._rate(name, each) for name, each in self.model.named_parameters()})

    def _rate(self, name: str, parameter: Any) -> float:
        state, (beta1, beta2) = self.optimizer.state[parameter], self.optimizer.defaults["betas"]
        steps = float(state["step"])
        mean = state["exp_avg"].double() / (1 - beta1**steps)
        square = state["exp_avg_sq"].double() / (1 - beta2**steps)
        moved = square > 0
        update = (mean[moved] / square[moved].sqrt()).abs().sum()
        return float((parameter.detach() - self._before[name])[moved].double().abs().sum() / update)


def made() -> tuple[Any, Plan, Optimizer]:
    """A Llama with the plan's multipliers and weights, and an AdamW to which the plan is attached."""
    torch.manual_seed(2)
    base, model = llama(32), llama(64)
    plan = plan_of(base, model, base=BASE, parameterization="mup")
    plan = widthwise.torch.apply_multipliers(model, plan, IDS)
    widthwise.torch.init_(model, plan)
    optimizer = torch.optim.AdamW(widthwise.torch.param_groups(model, plan))
    widthwise.torch.attach(optimizer, plan)
    return model, plan, optimizer


def trainer_of(steps: Steps, folder: Path, scheduler: Any = None, **words: Any) -> Trainer:
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=3,
        lr_scheduler_type="linear",
        warmup_steps=0,
        max_grad_norm=0.0,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        logging_steps=100,
        **{"max_steps": 1, "save_strategy": "no", **words},
    )
    optimizers = (steps.optimizer, scheduler)
    return Trainer(steps.model, arguments, train_dataset=ROWS, optimizers=optimizers, callbacks=[steps])


def expected(plan: Plan, factor: float = 1.0) -> dict[str, Any]:
    rates = {tensor.name: tensor.learning_rate.value or 0 for tensor in plan.tensors}
    return {name: pytest.approx(rate * factor, rel=2e-3) for name, rate in rates.items()}


@pytest.mark.parametrize(
    ("schedule", "overwritten", "factor"),
    [
        (lambda _: None, None, 1.0),
        (lambda optimizer: LambdaLR(optimizer, lambda step: 0.25 / (1 + step)), None, 0.25),
        (lambda _: None, LEARNING_RATE / 2, 0.5),
    ],
    ids=["Trainer's linear schedule", "LambdaLR", "a callback that overwrites rates"],
)
def test_each_parameters_first_step_is_the_plans_rate(
    schedule: Callable[[Optimizer], Any], overwritten: float | None, factor: float, tmp_path: Path
) -> None:
    model, plan, optimizer = made()
    assert len({tensor.learning_rate.value for tensor in plan.tensors}) == 3
    steps = Steps(model, optimizer, overwritten=overwritten)
    trainer_of(steps, tmp_path, schedule(optimizer)).train()
    assert steps.scheduled == [{LEARNING_RATE * factor}]
    assert steps.rates == [expected(plan, factor)]
    # the model that Trainer trained has the plan's multipliers, and the optimizer its epsilons
    planned = {tensor.name: tensor.forward_multiplier.multiplier for tensor in plan.tensors}
    assert widthwise.torch.multipliers(model) == {name: each for name, each in planned.items() if each != 1}
    assert {group["eps"] for group in optimizer.param_groups} == {
        tensor.epsilon and tensor.epsilon.value for tensor in plan.tensors
    }


def test_a_run_resumed_from_a_checkpoint_continues_with_the_plans_rates(tmp_path: Path) -> None:
    model, plan, optimizer = made()
    whole = Steps(model, optimizer)
    trainer_of(whole, tmp_path, max_steps=2, save_strategy="steps", save_steps=1).train()
    model, _, optimizer = made()
    resumed = Steps(model, optimizer)
    trainer_of(resumed, tmp_path, max_steps=2).train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert whole.rates == [expected(plan), expected(plan, 0.5)]
    assert resumed.rates == [expected(plan, 0.5)]
    assert resumed.scheduled == [{LEARNING_RATE / 2}]
    for (name, one), (_, other) in zip(model.named_parameters(), whole.model.named_parameters(), strict=True):
        assert torch.allclose(one, other), name
