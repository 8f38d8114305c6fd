"""Warm-up and cooldown when the number of steps changes."""

import json

import pytest

from widthwise import Base, InvalidInputError, Target, TransferRequest, transfer
from widthwise.transfers.plan import Plan
from widthwise.transfers.transfer import plan_of


def plan_for(rule: str | None, steps: int, **base) -> Plan:
    """A base of 10,000 steps."""
    return transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(width=512, learning_rate=1e-3, batch_tokens=1000, tokens=10**7, **base),
        target=Target(width=1024, batch_tokens=1000, tokens=1000 * steps),
        rules={} if rule is None else {"schedule": rule},
    )


def schedule(plan: Plan) -> dict[str, float]:
    return {name: each.value for name, each in plan.training._asdict().items() if each is not None}


def test_steps_are_kept_as_the_training_grows() -> None:
    plan = plan_for("keep_steps", 40_000, warmup_steps=500, cooldown_share=0.2)
    assert schedule(plan) == {
        "steps": 40_000, "warmup_steps": 500, "warmup_share": 0.0125, "cooldown_steps": 2000, "cooldown_share": 0.05,
    }  # fmt: skip
    assert "schedule_changed" not in {each.code for each in plan.warnings}


def test_shares_are_kept_and_the_steps_follow() -> None:
    plan = plan_for("keep_share", 40_000, warmup_steps=500, cooldown_steps=2000)
    assert schedule(plan) == {
        "steps": 40_000, "warmup_steps": 2000, "warmup_share": 0.05, "cooldown_steps": 8000, "cooldown_share": 0.2,
    }  # fmt: skip


def test_a_cooldown_that_gets_shorter_is_warned_of() -> None:
    found = {each.code: each.message for each in plan_for("keep_share", 2500, cooldown_share=0.2).warnings}
    assert "from 2000 to 500 steps" in found["cooldown_shorter"]
    assert "4225" in found["cooldown_shorter"]
    assert "cooldown_shorter" not in {each.code for each in plan_for("keep_share", 20_000, cooldown_share=0.2).warnings}


def test_a_training_too_short_for_its_steps_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"take 2500 steps, while the target has 2000; use 'keep_share'"):
        plan_for("keep_steps", 2000, warmup_steps=500, cooldown_share=0.2)


def test_what_the_base_does_not_tell_stays_open() -> None:
    assert schedule(plan_for("keep_share", 40_000, warmup_steps=500)).keys() == {
        "steps", "warmup_steps", "warmup_share",
    }  # fmt: skip
    with pytest.raises(InvalidInputError, match="the base has no schedule"):
        plan_for("keep_share", 40_000)


@pytest.mark.parametrize("rule", ["keep_steps", "keep_share"])
def test_without_a_change_the_schedule_stays_to_the_bit(rule) -> None:
    plan = plan_for(rule, 10_000, warmup_steps=333, cooldown_share=0.17)
    assert schedule(plan)["warmup_steps"] == 333
    assert schedule(plan)["cooldown_share"] == pytest.approx(0.17, rel=1e-15)
    assert {q.multiplier for layer in plan.layers for q in layer.quantities.values()} == {
        q.multiplier for layer in plan_for(None, 10_000).layers for q in layer.quantities.values()
    }


def test_a_schedule_without_a_rule_is_warned_of() -> None:
    codes = {each.code for each in plan_for(None, 40_000, warmup_steps=500).warnings}
    assert "schedule_changed" in codes
    assert "schedule_changed" not in {each.code for each in plan_for(None, 10_000, warmup_steps=500).warnings}
    assert "schedule_changed" not in {each.code for each in plan_for(None, 40_000).warnings}


def test_steps_that_are_stated_need_no_tokens() -> None:
    plan = transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(width=512, learning_rate=1e-3, steps=1000, cooldown_steps=200),
        target=Target(width=1024, steps=3000),
        rules={"schedule": "keep_steps"},
    )
    assert schedule(plan)["cooldown_share"] == pytest.approx(200 / 3000)
    with pytest.raises(InvalidInputError, match=r"needs target\.steps, or tokens and batch_tokens"):
        transfer(
            parameterization="mup",
            optimizer="adamw",
            base=Base(width=512, learning_rate=1e-3, steps=1000, cooldown_steps=200),
            target=Target(width=1024),
            rules={"schedule": "keep_steps"},
        )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"warmup_steps": -1}, "integer from 0"),
        ({"cooldown_steps": 1.5}, "integer from 0"),
        ({"cooldown_share": 1.5}, "from 0 to 1"),
        ({"cooldown_share": 0.2, "cooldown_steps": 3}, "give one"),
    ],
)
def test_a_schedule_out_of_range_is_refused(given, said) -> None:
    with pytest.raises(InvalidInputError, match=said):
        Base(width=1, learning_rate=1.0, **given)


def test_plan_and_request_with_a_schedule_are_read_back() -> None:
    request = TransferRequest(
        parameterization="mup",
        optimizer="adamw",
        base=Base(width=512, learning_rate=1e-3, steps=1000, warmup_steps=10, cooldown_share=0.2),
        target=Target(width=1024, steps=3000),
        rules={"schedule": "keep_share"},
    )
    plan = plan_of(request)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert plan_of(TransferRequest.from_dict(json.loads(json.dumps(request.to_dict())))) == plan
