"""Experts: each rule held to its table, and refused where it says nothing."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise import Base, Target, Tensor, transfer
from widthwise.errors import InvalidInputError
from widthwise.transfers.plan import Plan
from widthwise.vocabulary import QUANTITIES, WeightDecayMode

Sizes = tuple[int, int, int, int, int]  # width, inner width, experts, active, shared


def experts(base: Sizes, target: Sizes) -> list[Tensor]:
    (d0, h0, e0, _, s0), (d1, h1, e1, _, s1) = base, target
    shared = [Tensor("shared_down", (d0, h0 * s0), (d1, h1 * s1), [1], [0], role="hidden", part="expert_down")]
    return [
        Tensor("router", (e0, d0), (e1, d1), [1], [0], role="hidden", part="router", in_block=True),
        Tensor("up", (e0, h0, d0), (e1, h1, d1), [2], [1], role="hidden", part="expert_up", in_block=True),
        Tensor("down", (e0, d0, h0), (e1, d1, h1), [2], [1], role="hidden", part="expert_down", in_block=True),
        *(shared if s0 and s1 else []),
        Tensor("attention", (d0, d0), (d1, d1), [1], [0], role="hidden", in_block=True),
        Tensor("embed", (100, d0), (100, d1), role="embedding", in_block=False),
        Tensor("head", (100, d0), (100, d1), role="readout", in_block=False),
    ]


def plan(rule: Any, base: Sizes, target: Sizes, *, more: Any = None, rules: Any = None, **words: Any) -> Plan:
    more = more or ({}, {})
    given_, wanted = (
        {"experts": e, "active_experts": a, "shared_experts": s, "width": d} for d, _, e, a, s in (base, target)
    )
    return transfer(
        parameterization=words.pop("parameterization", "mup"),
        optimizer=words.pop("optimizer", "adamw"),
        base=Base(**given_, **more[0], learning_rate=1e-3, weight_decay=0.1, init_std=0.01, epsilon=1e-8),
        target=Target(**wanted, **more[1]),
        tensors=experts(base, target),
        rules={**({} if rule is None else {"experts": rule}), **(rules or {})},
        **words,
    )


def test_complete_mue_is_its_worked_example() -> None:
    """Dense d 128 and 25k steps to 128 experts, 8 active and 1 shared at d 1024 and 100k steps (the authors' post)."""
    found = plan(
        "complete_mue",
        (128, 128, 1, 1, 0),
        (1024, 1024, 128, 8, 1),
        form="table_8",
        rules={"depth": "completed_p"},
        more=(
            {"depth": 4, "batch_tokens": 100, "tokens": 25_000},
            {"depth": 4, "batch_tokens": 100, "tokens": 100_000},
        ),
    )
    embed, down = found.tensor("embed"), found.tensor("down")
    assert embed.learning_rate.value == pytest.approx(5e-4)
    assert embed.weight_decay.value == pytest.approx(0.05)
    assert down.forward_multiplier.multiplier == pytest.approx(1 / 9)
    assert down.init_std.multiplier == pytest.approx(3 / math.sqrt(8))
    assert down.init_std.value == pytest.approx(0.0106, abs=5e-5)
    for name in ("router", "up", "attention"):
        assert found.tensor(name).init_std.multiplier == pytest.approx(0.354, abs=5e-4), name
        assert found.tensor(name).init_std.value == pytest.approx(0.0035, abs=5e-5), name
    for name in ("router", "up", "down", "attention"):
        assert found.tensor(name).learning_rate.multiplier == pytest.approx(1 / 8 / 2), name
        assert found.tensor(name).weight_decay.multiplier == pytest.approx(8 / 2), name  # η·λ × ¼
    assert found.tensor("head").forward_multiplier.multiplier == pytest.approx(1 / 8)
    assert found.tensor("head").learning_rate.multiplier == pytest.approx(1 / 2)
    assert found.model.route_scale is not None
    assert found.model.route_scale.value == 8
    assert found.model.route_scale.multiplier == 8
    assert not {"stack_changes", "experts_changed"} & {caution.code for caution in found.warnings}


def test_complete_mue_does_not_move_eta_with_what_is_active() -> None:
    """E, A and granularity at one width: the multiplier and the init follow H/d, η and λ nothing."""
    found = plan("complete_mue", (256, 256, 4, 2, 0), (256, 128, 64, 16, 0))
    for name in ("router", "up", "down"):
        assert found.tensor(name).learning_rate.multiplier == 1
        assert found.tensor(name).weight_decay.multiplier == 1
    assert found.tensor("down").forward_multiplier.multiplier == pytest.approx(1 / 4)  # H: 512 → 2048
    assert found.tensor("down").init_std.multiplier == pytest.approx(2)
    assert found.tensor("up").init_std.multiplier == 1


def test_shared_experts_have_the_multiplier_of_the_whole_layer() -> None:
    found = plan("complete_mue", (128, 128, 4, 2, 2), (128, 128, 8, 6, 2))
    assert found.tensor("shared_down").forward_multiplier.multiplier == pytest.approx(1 / 2)
    assert found.tensor("down").forward_multiplier.multiplier == pytest.approx(1 / 2)


@pytest.mark.parametrize("inner", [1, 2, 4, 8])
def test_fixed_sparsity_is_its_table(inner: int) -> None:
    """Row by row at width × 4 and inner width × 4·inner, from an inner width of the stream's."""
    found = plan("fixed_sparsity", (64, 64, 8, 2, 0), (256, 256 * inner, 32, 8, 0))
    n, m = 4.0, 4.0 * inner
    assert found.tensor("router").init_std.multiplier == pytest.approx(n**-1)
    assert found.tensor("router").learning_rate.multiplier == pytest.approx(n**-1)
    assert found.tensor("up").init_std.multiplier == pytest.approx(n**-0.5)
    assert found.tensor("up").learning_rate.multiplier == pytest.approx(n**-1)
    assert found.tensor("down").init_std.multiplier == pytest.approx(n**0.5 / m)
    assert found.tensor("down").learning_rate.multiplier == pytest.approx(m**-1)
    head = found.tensor("head")
    assert head.init_std.multiplier * head.forward_multiplier.multiplier == pytest.approx(n**-1)
    assert found.model.route_scale is not None
    assert found.model.route_scale.value == 1 / 8
    assert found.model.route_scale.multiplier == 1 / 4


def test_the_init_of_down_falls_below_the_fan_ins_by_the_root_of_the_inner_width() -> None:
    """In α_ffn = M/n at one width: slope −½ next to an init by fan-in, whose own slope next to itself is 0."""
    slopes = {}
    for parameterization, rule in (("mup", "fixed_sparsity"), ("standard", None)):
        found = plan(rule, (64, 32, 8, 2, 0), (64, 512, 8, 2, 0), parameterization=parameterization)
        init = found.tensor("down").init_std.multiplier / 16**-0.5
        slopes[parameterization] = math.log(init) / math.log(16)
    assert slopes == {"mup": pytest.approx(-0.5), "standard": pytest.approx(0.0)}


@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_the_routers_init_has_its_exponent(gamma: float) -> None:
    found = plan({"rule": "fixed_sparsity", "gamma": gamma}, (64, 64, 8, 2, 0), (256, 256, 8, 2, 0))
    assert found.tensor("router").init_std.multiplier == pytest.approx(4**-gamma)


def test_experts_of_constant_width_return_like_vectors() -> None:
    """Kakao's η of an expert's output, × 1: its fan-in does not grow."""
    found = plan("fixed_sparsity", (64, 128, 8, 2, 0), (256, 128, 32, 8, 0))
    assert found.tensor("down").learning_rate.multiplier == 1


@pytest.mark.parametrize("rule", [None, "fixed_sparsity"])
def test_a_change_of_sparsity_is_refused_without_a_rule_for_it(rule: str | None) -> None:
    with pytest.raises(InvalidInputError, match="complete_mue") as error:
        plan(rule, (64, 64, 8, 2, 0), (64, 64, 32, 2, 0))
    assert error.value.field == ("rules.experts" if rule is None else "target.active_experts")


def test_more_experts_without_a_rule_are_warned_of() -> None:
    codes = {caution.code for caution in plan(None, (64, 64, 8, 2, 0), (64, 64, 32, 8, 1)).warnings}
    assert {"experts_changed", "shared_experts_changed", "stack_changes"} <= codes


@pytest.mark.parametrize(
    ("words", "said"),
    [({"parameterization": "standard"}, "a rule of muP"), ({"optimizer": "muon_keller"}, "Adam's update of matrices")],
)
def test_rules_of_experts_refuse_what_they_were_not_derived_for(words, said) -> None:
    for rule in ("fixed_sparsity", "complete_mue"):
        with pytest.raises(InvalidInputError, match=said):
            plan(rule, (64, 64, 8, 2, 0), (64, 64, 8, 2, 0), **words)


def test_what_the_request_does_not_tell_is_asked_for() -> None:
    words: dict[str, Any] = {"parameterization": "mup", "optimizer": "adamw", "rules": {"experts": "complete_mue"}}
    with pytest.raises(InvalidInputError, match="needs base"):
        transfer(base=Base(width=64, learning_rate=1.0), target=Target(width=64, active_experts=2), **words)
    one = {"width": 64, "active_experts": 2}
    with pytest.raises(InvalidInputError, match="part"):
        transfer(
            base=Base(**one, learning_rate=1.0),
            target=Target(**one),
            tensors=[Tensor("w", (64, 64), (64, 64), [1], [0])],
            **words,
        )
    by_role = transfer(base=Base(**one, learning_rate=1.0), target=Target(**one), **words)
    assert "experts_by_role" in {caution.code for caution in by_role.warnings}
    with pytest.raises(InvalidInputError, match="at most as many"):
        Base(experts=2, active_experts=4)


SIZE = st.sampled_from([16, 32, 48, 64, 96, 128])
SHAPES = st.tuples(SIZE, SIZE, st.sampled_from([4, 8, 12]), st.just(4), st.sampled_from([0, 1, 2]))


def everything(found: Plan) -> list[float]:
    return [
        *(tensor.quantities[name].multiplier for tensor in found.tensors for name in QUANTITIES),
        0.0 if found.model.route_scale is None else found.model.route_scale.multiplier,
    ]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["fixed_sparsity", "complete_mue"]), SHAPES, SHAPES, SHAPES, st.sampled_from(list(WeightDecayMode))
)
def test_two_steps_are_one_and_none_moves_nothing(rule, first, second, third, mode) -> None:
    if rule == "fixed_sparsity":
        second, third = ((*size[:2], first[2], 4, size[4]) for size in (second, third))
    shared = 0 if 0 in (first[4], second[4], third[4]) else None
    if shared == 0:
        first, second, third = ((*size[:4], 0) for size in (first, second, third))

    def step(one: Sizes, other: Sizes) -> list[float]:
        return everything(plan(rule, one, other, weight_decay_mode=mode))

    assert set(step(first, first)) == {1.0}
    in_two = [one * other for one, other in zip(step(first, second), step(second, third), strict=True)]
    assert in_two == pytest.approx(step(first, third), rel=1e-9)


MIXTRAL = {
    "model_type": "mixtral",
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "num_hidden_layers": 1,
    "vocab_size": 100,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}
DEEPSEEK = {
    "model_type": "deepseek_v3",
    "hidden_size": 64,
    "intermediate_size": 128,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "first_k_dense_replace": 1,
    "n_routed_experts": 8,
    "n_shared_experts": 2,
    "num_experts_per_tok": 2,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "vocab_size": 100,
}


def of_configs(config: dict[str, Any], rule: str | None, **changed: Any) -> Plan:
    return transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(learning_rate=1e-3),
        model={"base": config, "target": {**config, **changed}},
        rules={} if rule is None else {"experts": rule},
    )


def test_a_config_tells_how_many_experts_are_active() -> None:
    path = "model.layers.0.mlp"
    found = of_configs(MIXTRAL, "fixed_sparsity", hidden_size=256, num_local_experts=32, num_experts_per_tok=8)
    assert found.tensor(f"{path}.gate.weight").init_std.multiplier == pytest.approx(1 / 4)
    assert found.tensor(f"{path}.experts.gate_up_proj").init_std.multiplier == pytest.approx(1 / 2)
    assert found.tensor(f"{path}.experts.down_proj").init_std.multiplier == pytest.approx(2)  # √m, constant M
    with pytest.raises(InvalidInputError, match="1/4 to 1/8"):
        of_configs(MIXTRAL, None, num_local_experts=16)


def test_a_config_tells_shared_experts_from_dense_layers() -> None:
    found = of_configs(DEEPSEEK, "complete_mue", n_routed_experts=16, num_experts_per_tok=6)
    layers = "model.layers"
    for name in ("experts.down_proj", "shared_experts.down_proj.weight"):
        assert found.tensor(f"{layers}.1.mlp.{name}").forward_multiplier.multiplier == pytest.approx(1 / 2)
    assert found.tensor(f"{layers}.0.mlp.down_proj.weight").forward_multiplier.multiplier == 1


def test_a_part_that_is_not_known_is_refused_with_the_words() -> None:
    tensor = Tensor("w", (4, 4), (4, 4), [1], [0], part="expert")
    with pytest.raises(InvalidInputError, match="give one of 'router'") as error:
        transfer(
            parameterization="mup", optimizer="adamw", base=Base(learning_rate=1.0), target=Target(), tensors=[tensor]
        )
    assert error.value.field == "tensors.part"
