"""The check before training: silent on what is right, and a list of everything that is not."""

import io
from typing import Any

import pytest
import torch

import widthwise.torch
from tests.models.small import IDS, first_steps, llama, plan_of
from tests.models.test_init import seeded
from widthwise import Base, InvalidInputError, Plan

HEAD = "lm_head.weight"


def made(**words: Any) -> tuple[Any, Plan, torch.optim.AdamW]:
    """A Llama with everything that its muP plan says in force."""
    model = llama(64)
    plan = plan_of(llama(32), model, parameterization="mup", **words)
    widthwise.torch.apply_multipliers(model, plan, IDS)
    widthwise.torch.init_(model, plan, generator=seeded())
    return model, plan, torch.optim.AdamW(widthwise.torch.param_groups(model, plan))


def problems_of(*args: Any, **words: Any) -> str:
    with pytest.raises(InvalidInputError) as caught:
        widthwise.torch.check(*args, **words, file=io.StringIO())
    return str(caught.value)


def test_what_is_right_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    model, plan, optimizer = made()
    rows = widthwise.torch.check(model, optimizer, plan)
    assert [row.name for row in rows] == [name for name, _ in model.named_parameters()]
    assert not any(row.problems for row in rows)
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["tensor", "learning", "rate", "epsilon", "weight", "decay", "init", "RMS", "forward"]
    assert len(table) == 13  # two layers share each line
    head = next(line for line in table if HEAD in line)
    assert head.split()[:3] == ["✓", HEAD, "0.001414"]
    assert head.split()[-1] == "0.7071"
    assert "model.layers.*.mlp.up_proj.weight (×2)" in "".join(table)


def test_it_follows_a_schedule_and_what_is_attached() -> None:
    model, plan, optimizer = made()
    widthwise.torch.attach(optimizer, plan)
    widthwise.torch.check(model, optimizer, plan, file=io.StringIO())
    for group in optimizer.param_groups:
        group["lr"] = 0.0002
    widthwise.torch.check(model, optimizer, plan, schedule=0.1, file=io.StringIO())
    assert "learning rate 0.0001 instead of 0.001" in problems_of(model, optimizer, plan)
    scaled = torch.optim.AdamW(widthwise.torch.param_groups(model, plan, style="scale"))
    widthwise.torch.check(model, scaled, plan, file=io.StringIO())


def test_every_difference_is_listed() -> None:
    model, plan, optimizer = made()
    by_name = {group["name"]: group for group in optimizer.param_groups}
    hidden, embedding = by_name["hidden"], by_name["embedding+readout"]
    hidden["lr"], embedding["eps"], embedding["weight_decay"] = 0.002, 1e-8, 0.0
    with torch.no_grad():
        model.lm_head.weight.mul_(2)
    said = problems_of(model, optimizer, plan)
    assert "model.layers.*.mlp.up_proj.weight (×2): learning rate 0.002 instead of 0.001" in said
    assert "model.embed_tokens.weight: epsilon 1e-08 instead of " in said
    assert "model.embed_tokens.weight: weight decay 0 instead of " in said
    assert "lm_head.weight: init RMS 0.028" in said
    first_steps(model, optimizer)
    assert "init RMS" not in problems_of(model, optimizer, plan)


def test_multipliers_that_nobody_applies_and_parameters_that_nobody_trains() -> None:
    _, plan, _ = made()
    model = llama(64)
    widthwise.torch.init_(model, plan)
    optimizer = torch.optim.AdamW(
        group for group in widthwise.torch.param_groups(model, plan) if group["name"] != "embedding+readout"
    )
    optimizer.add_param_group({"params": [("old", torch.nn.Parameter(torch.zeros(2)))]})
    said = problems_of(model, optimizer, plan)
    assert "lm_head.weight: forward multiplier 1 instead of 0.707107 on 'lm_head.weight'" in said
    assert "model.embed_tokens.weight: no group of the optimizer holds it" in said
    assert "1 parameter(s) of the optimizer are not the model's; make it after to_empty" in said


def test_a_tied_heads_multiplier_is_looked_at() -> None:
    model = llama(64, tied=True)
    plan = plan_of(llama(32, tied=True), model, parameterization="mup")
    widthwise.torch.init_(model, plan)
    optimizer = torch.optim.AdamW(widthwise.torch.param_groups(model, plan))
    assert "on 'lm_head.weight'" in problems_of(model, optimizer, plan)


def test_defaults_of_the_optimizer_that_no_plan_chose() -> None:
    """AdamW decays by 0.01 and adds 1e-8 if nobody says otherwise; Adam couples its decay."""
    model, plan, optimizer = made(base=Base(learning_rate=0.002, init_std=0.02))
    said = problems_of(model, optimizer, plan)
    assert "weight decay 0.01, and the plan has none; give base.weight_decay, 0 for none" in said
    assert "epsilon 1e-08, and the plan has none; give base.epsilon" in said
    model, plan, _ = made()
    said = problems_of(model, torch.optim.Adam(widthwise.torch.param_groups(model, plan)), plan)
    assert "weight decay is coupled, and the plan's decoupled" in said
    assert said.count("\n") == 1


def test_betas_that_a_rule_changes() -> None:
    model = llama(64)
    readings = {"base": widthwise.torch.trace(llama(32), IDS), "target": widthwise.torch.trace(model, IDS)}
    plan = widthwise.transfer(
        parameterization="standard",
        optimizer="adamw",
        weight_decay_mode="decoupled",
        base=Base(learning_rate=0.01, epsilon=1e-8, weight_decay=0.1, beta1=0.9, beta2=0.95, batch_tokens=1000),
        target=widthwise.Target(batch_tokens=2000),
        model=readings,
        rules={"batch": "square_root"},
    )
    groups = widthwise.torch.param_groups(model, plan)
    assert all(group["betas"] == pytest.approx((0.8, 0.9)) for group in groups)
    optimizer = torch.optim.AdamW(groups)
    widthwise.torch.check(model, optimizer, plan, file=io.StringIO())
    optimizer.param_groups[0]["betas"] = (0.9, 0.95)
    assert "beta1 0.9 instead of 0.8" in problems_of(model, optimizer, plan)


def test_weights_are_compared_with_a_base_too() -> None:
    base, model = llama(32), llama(64)
    plan = plan_of(base, model, base=Base(learning_rate=0.002, epsilon=1e-8, weight_decay=0.1))
    optimizer = torch.optim.AdamW(widthwise.torch.param_groups(model, plan))
    rows = widthwise.torch.check(model, optimizer, plan, file=io.StringIO())
    assert all(row.init == (None, None) for row in rows)
    assert "mlp.up_proj.weight (×2): init RMS 0.0" in problems_of(model, optimizer, plan, base)
    widthwise.torch.init_(model, plan, base)
    widthwise.torch.check(model, optimizer, plan, base, file=io.StringIO())
