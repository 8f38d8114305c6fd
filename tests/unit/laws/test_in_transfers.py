"""Published laws compared with a transfer: which rate is compared with them, and when a plan warns."""

import math

import pytest

from widthwise import Base, Target, transfer
from widthwise.laws import published_at

SIZES = {"width": 1024, "parameters": 500_000_000, "tokens": 2 * 10**10, "batch_tokens": 450_000}


def plan_at(rate: float, *, parameterization: str = "standard", optimizer: str = "adamw", **sizes: int):
    """A plan whose hidden rate at the target is `rate`."""
    return transfer(
        parameterization=parameterization,
        optimizer=optimizer,
        base=Base(width=1024, learning_rate=rate),
        target=Target(**(SIZES | sizes)),
    )


def warned(plan) -> list[str]:
    return [each.message for each in plan.warnings if each.code == "published_laws_differ"]


def step_law() -> float:
    return published_at(SIZES)[0].learning_rate


@pytest.mark.parametrize(("times", "warns"), [(1.0, False), (1.9, False), (2.2, True), (1 / 2.2, True)])
def test_a_plan_warns_of_a_law_beyond_twice_its_rate(times, warns) -> None:
    messages = warned(plan_at(step_law() * times))
    assert any("Step Law has" in each for each in messages) == warns
    if warns:
        assert "95 %" in messages[0]
        assert "parameters 2.1e+08 to 1.08e+09" in messages[0]
        assert f"{step_law():.3g}" in messages[0]


def test_a_law_outside_of_its_validity_warns_of_nothing_and_says_why() -> None:
    plan = plan_at(step_law() * 100, optimizer="lion")
    assert not warned(plan)
    laws = plan.provenance["published_laws"]["laws"]
    assert all(not law["valid"] for law in laws)
    assert any("adamw, not lion" in each for law in laws for each in law["outside"])


def test_a_rate_that_underflows_is_not_compared() -> None:
    plan = transfer(
        parameterization="standard",
        optimizer="adamw",
        base=Base(width=1, learning_rate=5e-324),
        target=Target(**SIZES),
    )
    assert plan.provenance["published_laws"]["compared"] is False


def test_laws_of_dense_models_do_not_warn_a_mixture_of_experts() -> None:
    plan = plan_at(step_law() * 100, experts=8, active_experts=2)
    assert not any("Step Law has" in each for each in warned(plan))


@pytest.mark.parametrize("parameterization", ["ntk", "mean_field"])
def test_rates_next_to_a_multiplier_are_not_compared(parameterization) -> None:
    plan = plan_at(step_law() * 100, parameterization=parameterization)
    assert not warned(plan)
    assert plan.provenance["published_laws"]["compared"] is False
    assert "multiplies" in plan.provenance["published_laws"]["reason"]


def test_the_rate_of_hidden_tensors_is_compared_and_not_the_readout_s() -> None:
    plan = transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(width=256, learning_rate={"hidden": 4 * step_law(), "readout": 1.0, "embedding": 1.0, "vector": 1.0}),
        target=Target(**SIZES),
    )
    assert not any("Step Law has" in each for each in warned(plan))
    low, high = plan.provenance["published_laws"]["hidden_learning_rate"]
    assert math.isclose(low, step_law())
    assert low == high


def test_without_parameters_a_plan_says_nothing_of_laws() -> None:
    plan = transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(width=256, learning_rate=1.0),
        target=Target(width=1024, tokens=10**10),
    )
    assert "published_laws" not in plan.provenance


def test_a_model_tells_its_parameters() -> None:
    config = {
        "model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
        "vocab_size": 1000, "tie_word_embeddings": False,
    }  # fmt: skip
    plan = transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(learning_rate=1e-3),
        target=Target(tokens=10**10),
        model={
            "base": {**config, "hidden_size": 256, "intermediate_size": 512},
            "target": {**config, "hidden_size": 512, "intermediate_size": 1024},
        },
    )
    inside = 2 * (4 * 512**2 + 3 * 512 * 1024 + 2 * 512)
    step = next(law for law in plan.provenance["published_laws"]["laws"] if law["law"] == "step_law")
    assert math.isclose(step["learning_rate"], 1.79 * inside**-0.713 * 1e10**0.307)
    assert step["outside"]
