"""Depth, batch, tokens and weight decay: each rule held to its published table, alone and with the others."""

import itertools
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise import Base, Target, Tensor, TransferRequest, transfer
from widthwise.errors import InvalidInputError
from widthwise.rules.beyond_width.choice import chosen_rules
from widthwise.rules.beyond_width.named import About
from widthwise.rules.beyond_width.parameter import parameters_of
from widthwise.rules.beyond_width.registry import BY_WORD, NAMED_RULES
from widthwise.transfers.plan import Plan
from widthwise.transfers.transfer import plan_of
from widthwise.vocabulary import QUANTITIES, Parameterization, Role, WeightDecayMode

#: A base of depth 4 with tensors inside and outside of the blocks.
TENSORS = (
    Tensor("embed", (1000, 64), (1000, 64), role="embedding"),
    Tensor("up", (256, 64), (256, 64), role="hidden", fan_in_axes=[1], fan_out_axes=[0], in_block=True),
    Tensor("down", (8, 64, 32), (8, 64, 32), [2], [1], role="hidden", in_block=True, part="expert_down"),
    Tensor("lora_b", (64, 4), (64, 4), [1], [0], role="hidden", in_block=True, part="lora_b"),
    Tensor("gain", (64,), (64,), role="vector", in_block=True),
    Tensor("final_gain", (64,), (64,), role="vector", in_block=False),
    Tensor("head", (1000, 64), (1000, 64), role="readout"),
)
STRUCTURE = {"experts": 8, "active_experts": 2, "rank": 4}
PARAMETERS: dict[str, dict[str, Any]] = {
    "horizon": {"exponent": 0.25, "interval": [0.0, 0.5]},
    "surge": {"noise_scale": 2.0**21},
    "power": {"exponent": 0.4, "interval": [0.2, 0.6]},
}


def deeper(rule: Any, *, ratio: int = 4, about: str = "depth", **base: Any) -> Plan:
    return transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(
            depth=4, batch_tokens=2**16, tokens=2**30, learning_rate=0.01, epsilon=1e-8, weight_decay=0.1, **base
        ),
        target=Target(depth=4 * ratio, batch_tokens=2**16, tokens=2**30),
        tensors=TENSORS,
        rules={about: rule},
    )


def multipliers(plan: Plan, name: str) -> dict[str, float]:
    found = {}
    for quantity in QUANTITIES:
        multiplier = plan.tensor(name).quantities[quantity].multiplier
        if multiplier != 1:
            found[quantity] = multiplier
    return found


# Depth. Every number at m_L = 4.


def test_completep_is_its_table_at_alpha_one() -> None:
    plan = deeper("completep")
    for name in ("up", "gain"):
        assert multipliers(plan, name) == {"epsilon": 0.25, "gradient_rms": 0.25}
    for name in ("embed", "final_gain", "head"):
        assert multipliers(plan, name) == {}
    assert plan.model.residual_multiplier is not None
    assert plan.model.residual_multiplier.multiplier == 0.25


def test_completep_at_alpha_one_half() -> None:
    plan = deeper({"rule": "completep", "alpha": 0.5})
    assert multipliers(plan, "up") == {"learning_rate": 0.5, "epsilon": 0.5, "gradient_rms": 0.5}
    assert multipliers(plan, "final_gain") == {}
    assert plan.model.residual_multiplier is not None
    assert plan.model.residual_multiplier.multiplier == 0.5


def test_depth_mup_scales_every_learning_rate() -> None:
    plan = deeper("depth_mup")
    assert multipliers(plan, "up") == {"learning_rate": 0.5, "epsilon": 0.5, "gradient_rms": 0.5}
    for name in ("embed", "final_gain", "head"):
        assert multipliers(plan, name) == {"learning_rate": 0.5}


def test_u_mup_keeps_what_a_step_decays() -> None:
    plan = deeper("u_mup")
    assert multipliers(plan, "up") == {
        "learning_rate": 0.5,
        "epsilon": 0.5,
        "gradient_rms": 0.5,
        "weight_decay": 2.0,
    }
    assert multipliers(plan, "embed") == {}


@pytest.mark.parametrize(("mode", "decay"), [("decoupled", 1.0), ("independent", 0.5), ("coupled", 0.5)])
def test_depth_in_every_kind_of_decay(mode: str, decay: float) -> None:
    """AdamW's λ has no factor of depth, so a step takes off as much less as η; coupled decay follows the gradient."""
    plan = transfer(
        parameterization="mup",
        optimizer="adam",
        base=Base(depth=4, learning_rate=0.01, weight_decay=0.1),
        target=Target(depth=16),
        tensors=TENSORS,
        weight_decay_mode=mode,
        rules={"depth": {"rule": "completep", "alpha": 0.5}},
    )
    assert plan.tensor("up").weight_decay.multiplier == decay


def test_a_stack_of_layers_stands_in_the_blocks() -> None:
    stacked = Tensor("up", (4, 64, 256), (16, 64, 256), role="hidden", fan_in_axes=[1], fan_out_axes=[2])
    plan = transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(depth=4, learning_rate=0.01),
        target=Target(depth=16),
        tensors=[stacked],
        rules={"depth": "depth_mup"},
    )
    assert plan.tensor("up").gradient_rms.multiplier == 0.5


def test_a_tensor_that_may_stand_in_a_block_is_asked_for() -> None:
    with pytest.raises(InvalidInputError, match="up2") as error:
        transfer(
            parameterization="mup",
            optimizer="adamw",
            base=Base(depth=4, learning_rate=0.01),
            target=Target(depth=16),
            tensors=[*TENSORS, Tensor("up2", (256, 64), (256, 64), role="hidden", fan_in_axes=[1], fan_out_axes=[0])],
            rules={"depth": "completep"},
        )
    assert error.value.field == "tensors"


def test_by_role_the_blocks_are_meant() -> None:
    plan = transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(width=64, depth=4, learning_rate=0.01),
        target=Target(width=64, depth=16),
        rules={"depth": "depth_mup"},
    )
    inside = {layer.role for layer in plan.layers if layer.gradient_rms.multiplier == 0.5}
    assert inside == {Role.HIDDEN, Role.VECTOR, Role.SCALAR}
    assert {"depth_by_role", "depth_init"} <= {caution.code for caution in plan.warnings}


def test_completed_p_also_moves_with_batch_and_tokens() -> None:
    """m_B = 4 and m_D = 16: r = ¼, so η and λ × ½, ε × 2, 1 − β × ¼."""
    plan = transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(
            depth=4,
            batch_tokens=10,
            tokens=1000,
            learning_rate=0.01,
            epsilon=1e-8,
            weight_decay=0.1,
            beta1=0.9,
            beta2=0.96,
        ),
        target=Target(depth=16, batch_tokens=40, tokens=16000),
        tensors=TENSORS,
        rules={"depth": "completed_p"},
    )
    assert multipliers(plan, "up") == {"learning_rate": 0.5, "epsilon": 0.5, "weight_decay": 0.5, "gradient_rms": 0.25}
    assert multipliers(plan, "head") == {"learning_rate": 0.5, "epsilon": 2.0, "weight_decay": 0.5}
    assert plan.training.beta1 is not None
    assert plan.training.beta2 is not None
    assert plan.training.beta1.value == pytest.approx(0.975)
    assert plan.training.beta2.value == pytest.approx(0.99)
    assert not {"depth_changed", "batch_changed", "horizon_changed"} & {caution.code for caution in plan.warnings}


# Batch and tokens.


def larger_batch(rule: Any, ratio: int = 4, **base: Any) -> Plan:
    return transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(width=64, batch_tokens=2**16, learning_rate=0.01, epsilon=1e-8, weight_decay=0.1, **base),
        target=Target(width=64, batch_tokens=2**16 * ratio),
        rules={"batch": rule},
    )


@pytest.mark.parametrize(
    ("rule", "rate", "decay", "beta1", "beta2"),
    [
        ("square_root", 2.0, 1.0, 1 - 0.1 * 4, 1 - 0.01 * 4),
        ("adamw_sde", 1.0, 2.0, None, 1 - 0.01 * 2),
        ("half_life", 2.0, 1.0, None, 0.99**4),
        # Far below, at and above the noise scale: √m_B, and 1/√m_B.
        ({"rule": "surge", "noise_scale": 2.0**60}, 2.0, 1.0, None, 0.99**4),
        ({"rule": "surge", "noise_scale": 2.0**17}, 1.0, 1.0, None, 0.99**4),
        ({"rule": "surge", "noise_scale": 1.0}, 0.5, 1.0, None, 0.99**4),
        ({"rule": "power", "exponent": 0.5}, 2.0, 1.0, None, None),
        ({"rule": "power", "exponent": -0.5}, 0.5, 1.0, None, None),
    ],
)
def test_a_batch_of_four_times_the_tokens(rule, rate, decay, beta1, beta2) -> None:
    plan = larger_batch(rule, beta1=0.9, beta2=0.99)
    for layer in plan.layers:
        assert layer.learning_rate.multiplier == pytest.approx(rate, rel=1e-4)
        assert layer.epsilon is not None
        assert layer.epsilon.multiplier == 0.5
        assert layer.weight_decay.multiplier == pytest.approx(decay)
        assert layer.init_std.multiplier == 1
    found = [each and each.value for each in plan.training[:2]]
    assert found == [None if beta is None else pytest.approx(beta) for beta in (beta1, beta2)]


def test_the_surge_peaks_at_its_noise_scale() -> None:
    rates = [
        larger_batch({"rule": "surge", "noise_scale": 2.0**18}, ratio).layer("hidden").learning_rate.multiplier
        for ratio in (2, 4, 8)
    ]
    assert max(rates) == rates[1]
    assert rates[1] == pytest.approx(1 / (0.5 * (2 + 0.5)) ** -1)  # from a quarter of the noise scale
    assert rates[0] == pytest.approx(rates[2])


def test_a_large_batch_is_warned_of_where_the_square_root_ends() -> None:
    for rule in ("square_root", "half_life"):
        assert "batch_saturates" in {caution.code for caution in larger_batch(rule, 8).warnings}
        assert "batch_saturates" not in {caution.code for caution in larger_batch(rule, 6).warnings}  # 192 sequences


def test_a_beta_that_would_leave_its_range_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="half_life") as error:
        larger_batch("square_root", 16, beta1=0.9)
    assert error.value.field == "base.beta1"


def longer(rule: Any, ratio: int = 16) -> Plan:
    return transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(width=64, tokens=2**30, learning_rate=0.01, weight_decay=0.1),
        target=Target(width=64, tokens=2**30 * ratio),
        rules={"tokens": rule},
    )


def test_the_horizon_follows_its_exponent() -> None:
    assert longer({"exponent": 0.25}).layer("hidden").learning_rate.multiplier == 0.5
    assert longer({"rule": "horizon", "exponent": -0.25}).layer("vector").learning_rate.multiplier == 2
    default = longer("default")
    assert default.layer("hidden").learning_rate.multiplier == pytest.approx(16**-0.3)
    (said,) = [caution.message for caution in default.warnings if caution.code == "horizon_interval"]
    assert "×0.25 to ×1" in said
    assert "2409.19913" in said
    measured = longer({"exponent": 0.25, "interval": [0.0, 0.5]})
    assert "×0.25 to ×1" in "".join(c.message for c in measured.warnings if c.code == "horizon_interval")


def test_a_measured_power_of_the_batch_has_its_interval() -> None:
    plan = larger_batch({"rule": "power", "exponent": 0.25, "interval": [0.0, 0.5], "measured": "sweep swp_1"})
    (said,) = [caution.message for caution in plan.warnings if caution.code == "batch_interval"]
    assert "×1 to ×2 (sweep swp_1)" in said
    assert "batch_interval" not in {c.code for c in larger_batch({"rule": "power", "exponent": 0.25}).warnings}


# Weight decay.


@pytest.mark.parametrize("mode", ["decoupled", "independent"])
@pytest.mark.parametrize("parameterization", Parameterization)
@pytest.mark.parametrize(
    ("rule", "hidden", "others"),
    [
        ("constant_product", Fraction(1), Fraction(1)),
        ("root_width", Fraction(1, 2), Fraction(1)),
        ("compute_optimal", Fraction(1, 4), Fraction(1, 4)),
        ("timescale", Fraction(2, 8), Fraction(2, 8)),
    ],
)
def test_what_a_step_takes_off_a_weight(rule, hidden, others, parameterization, mode) -> None:
    """Width ×4, batch ×2, tokens ×8, whatever the other rules do to the learning rate."""
    plan = transfer(
        parameterization=parameterization,
        optimizer="adamw",
        base=Base(width=256, batch_tokens=2**14, tokens=2**30, learning_rate=0.01, weight_decay=0.1),
        target=Target(width=1024, batch_tokens=2**15, tokens=2**33),
        weight_decay_mode=mode,
        rules={"weight_decay": rule, "batch": "square_root", "tokens": {"exponent": 0.32}},
    )
    for layer in plan.layers:
        product = layer.weight_decay.multiplier
        if mode == "decoupled":
            product *= layer.learning_rate.multiplier
        is_width = layer.role is not Role.SCALAR or rule != "compute_optimal"
        expected = hidden if layer.role is Role.HIDDEN else others if is_width else Fraction(1)
        assert product == pytest.approx(float(expected))


def test_adamw_decay_next_to_a_learning_rate_of_one_over_width() -> None:
    """The table of the four rules, as they are usually said: λ × m, × √m, × 1; and √m_B/m_D with η ∝ √B."""

    def decay(rule: str, **more: Any) -> float:
        base = Base(width=256, batch_tokens=4, tokens=100, learning_rate=0.01, weight_decay=0.1)
        target = Target(width=1024, batch_tokens=16, tokens=100)
        plan = transfer(
            parameterization="mup",
            optimizer="adamw",
            base=base,
            target=target,
            rules={"weight_decay": rule, **more},
        )
        return plan.layer("hidden").weight_decay.multiplier

    assert decay("constant_product") == 4
    assert decay("root_width") == 2
    assert decay("compute_optimal") == 1
    assert decay("timescale", batch="half_life") / decay("constant_product") == 2  # √4 over 1


def test_coupled_decay_has_no_product() -> None:
    with pytest.raises(InvalidInputError, match="coupled") as error:
        transfer(
            parameterization="mup",
            optimizer="adam",
            base=Base(width=64, learning_rate=0.01, weight_decay=0.1),
            target=Target(width=128),
            weight_decay_mode="coupled",
            rules={"weight_decay": "constant_product"},
        )
    assert error.value.field == "rules.weight_decay"


# Together.


def choice(rule: Any) -> dict[str, Any]:
    return {"rule": rule.word, **PARAMETERS.get(rule.word, {})}


def settled(rule: Any) -> set[About]:
    return {rule.about, *rule.also_sets}


PAIRS = [pair for pair in itertools.combinations(NAMED_RULES, 2) if pair[0].about is not pair[1].about]
#: What rules with factors are about: a schedule has none (test_schedule.py).
FACTORS = [about for about in About if about is not About.SCHEDULE]
TOGETHER = [
    {rule.about.value: choice(rule) for rule in rules}
    for rules in itertools.product(*([None, *BY_WORD[about].values()] for about in FACTORS))
    for rules in [[rule for rule in rules if rule is not None]]
    if sum(len(settled(rule)) for rule in rules) == len(set().union(*map(settled, rules)))
    # All sets of four that change training; what the model has besides, next to one of these at a time.
    if len(rules) <= 2 or not {About.EXPERTS, About.RANK} & set().union(*map(settled, rules))
]


def test_two_rules_may_not_settle_the_same() -> None:
    refused = [pair for pair in PAIRS if settled(pair[0]) & settled(pair[1])]
    assert {(one.word, other.word) for one, other in refused} == {
        *(("completed_p", other) for other in ("square_root", "adamw_sde", "half_life", "surge", "power")),
        *(("completed_p", other) for other in ("horizon", "default")),
        *(
            ("completed_p", other)
            for other in ("constant_product", "root_width", "compute_optimal", "timescale", "power_lines")
        ),
        *(
            ("adamw_sde", other)
            for other in ("constant_product", "root_width", "compute_optimal", "timescale", "power_lines")
        ),
    }
    for one, other in PAIRS:
        named = {one.about.value: choice(one), other.about.value: choice(other)}
        if (one, other) in refused:
            with pytest.raises(InvalidInputError, match="both settle"):
                chosen_rules(named)
        else:
            assert len(chosen_rules(named)) == 2


@pytest.mark.parametrize("mode", WeightDecayMode)
def test_without_a_change_no_rule_moves_a_bit(mode: WeightDecayMode) -> None:
    sizes = {
        "width": 96,
        "depth": 7,
        "batch_tokens": 3 * 2**15,
        "tokens": 10**9 + 7,
        "parameters": 10**7 + 3,
        **STRUCTURE,
    }
    base = Base(**sizes, learning_rate=0.0123, epsilon=1e-8, weight_decay=0.1, init_std=0.02, beta1=0.9, beta2=0.95)
    for rules in TOGETHER:
        if mode is WeightDecayMode.COUPLED and "weight_decay" in rules:
            continue
        plan = transfer(
            parameterization="mup",
            optimizer="adamw",
            base=base,
            target=Target(**sizes),
            rules=rules,
            weight_decay_mode=mode,
        )
        assert {q.multiplier for layer in plan.layers for q in layer.quantities.values()} == {1.0}, rules
        assert [each and each.value for each in plan.training[:2]] in ([None, None], [0.9, 0.95], [None, 0.95])
        assert plan.model.residual_multiplier is None or plan.model.residual_multiplier.multiplier == 1


RATIOS = st.tuples(*[st.sampled_from([1, 2, 3, 4])] * 3)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(TOGETHER), RATIOS, RATIOS, st.sampled_from(Parameterization))
def test_two_transfers_in_a_row_are_one(rules, first, second, parameterization) -> None:
    parameterization = Parameterization.MUP if "experts" in rules else parameterization
    start = (2, 2**10, 2**24)  # depth, batch, tokens
    middle = tuple(size * ratio for size, ratio in zip(start, first, strict=True))
    end = tuple(size * ratio for size, ratio in zip(middle, second, strict=True))

    def wide(depth: int) -> int:
        return 64 if "rank" in rules else 64 * depth  # most rules of the rank are for one width

    def rates(one: tuple[int, ...], other: tuple[int, ...]) -> list[float]:
        plan = transfer(
            parameterization=parameterization,
            optimizer="adamw",
            base=Base(
                width=wide(one[0]),
                depth=one[0],
                batch_tokens=one[1],
                tokens=one[2],
                parameters=one[0],
                learning_rate=1.0,
                **STRUCTURE,
            ),
            target=Target(
                width=wide(other[0]),
                depth=other[0],
                batch_tokens=other[1],
                tokens=other[2],
                parameters=other[0],
                **STRUCTURE,
            ),
            rules=rules,
        )
        return [quantity.multiplier for layer in plan.layers for quantity in layer.quantities.values()]

    in_two = [one * other for one, other in zip(rates(start, middle), rates(middle, end), strict=True)]
    assert in_two == pytest.approx(rates(start, end), rel=1e-9)


def test_the_order_in_which_rules_are_named_does_not_matter() -> None:
    named = {
        "experts": "complete_mue",
        "weight_decay": "timescale",
        "tokens": "default",
        "batch": "half_life",
        "depth": "completep",
    }
    sizes = {"width": 64, "depth": 2, "batch_tokens": 10, "tokens": 1000, **STRUCTURE}
    twice = {name: 2 * size for name, size in sizes.items()}
    plans = [
        transfer(
            parameterization="mup",
            optimizer="adamw",
            base=Base(**sizes, learning_rate=0.1, weight_decay=0.1),
            target=Target(**twice),
            rules=dict(order),
        )
        for order in (list(named.items()), list(named.items())[::-1])
    ]
    assert plans[0] == plans[1]
    assert [note.name for note in plans[0].rules] == ["width", "experts", "depth", "batch", "tokens", "weight_decay"]
    hidden = plans[0].layer("hidden")
    assert hidden.factors("learning_rate").keys() == {"width", "depth", "batch", "tokens"}
    assert plans[0].provenance["rules"]["depth"] == {"rule": "completep", "alpha": 1.0}


def test_plan_and_request_are_read_back_exactly() -> None:
    for rules in TOGETHER:
        request = TransferRequest(
            parameterization="mup",
            optimizer="adamw",
            base=Base(
                depth=4,
                batch_tokens=8,
                tokens=64,
                parameters=9,
                learning_rate=0.1,
                weight_decay=0.1,
                beta2=0.95,
                **STRUCTURE,
            ),
            target=Target(depth=8, batch_tokens=16, tokens=128, parameters=27, **STRUCTURE),
            tensors=TENSORS,
            rules=rules,
        )
        plan = plan_of(request)
        assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
        assert plan_of(TransferRequest.from_dict(json.loads(json.dumps(request.to_dict())))) == plan


@pytest.mark.parametrize(
    ("rules", "said", "field"),
    [
        ({"width": "mup"}, "rules has no 'width'", "rules"),
        ({"depth": "deep"}, "give one of 'completep'", "rules.depth"),
        ({"depth": 1}, "rules.depth is 1", "rules.depth"),
        ({"depth": {"rule": "completep", "alpha": 0.4}}, "from 0.5 to 1", "rules.depth.alpha"),
        ({"depth": {"rule": "completep", "beta": 1}}, "no parameter 'beta'; it has alpha", "rules.depth.beta"),
        ({"depth": {"rule": "depth_mup", "alpha": 1}}, "it has none", "rules.depth.alpha"),
        ({"batch": "surge"}, "noise_scale is missing", "rules.batch.noise_scale"),
        ({"tokens": "horizon"}, "exponent is missing, .* give a number from -1 to 1", "rules.tokens.exponent"),
        ({"batch": {"rule": "power", "measured": "us"}}, "exponent is missing", "rules.batch.exponent"),
        ({"tokens": {"exponent": 2}}, "from -1 to 1", "rules.tokens.exponent"),
        ({"tokens": {"exponent": 0.3, "interval": [1]}}, "two numbers", "rules.tokens.interval"),
        ({"depth": "completep"}, "needs base.depth", "base.depth"),
        ({"batch": "square_root"}, "needs base.batch_tokens", "base.batch_tokens"),
        ({"weight_decay": "timescale"}, "needs base.batch_tokens", "base.batch_tokens"),
    ],
)
def test_a_wrong_choice_says_what_to_do(rules, said, field) -> None:
    with pytest.raises(InvalidInputError, match=said) as error:
        transfer(
            parameterization="mup",
            optimizer="adamw",
            base=Base(width=64, learning_rate=0.1),
            target=Target(width=128),
            rules=rules,
        )
    assert error.value.field == field


@pytest.mark.parametrize("about", [{"depth": "completep"}, {"batch": "square_root"}, {"tokens": "default"}])
def test_rules_for_adam_refuse_other_updates(about) -> None:
    with pytest.raises(InvalidInputError, match="Adam"):
        transfer(
            parameterization="mup",
            optimizer="sgd",
            base=Base(width=64, depth=2, batch_tokens=10, tokens=100, learning_rate=0.1),
            target=Target(width=64, depth=4, batch_tokens=20, tokens=200),
            rules=about,
        )


def test_every_rule_says_where_it_comes_from_and_holds() -> None:
    for rule in NAMED_RULES:
        assert rule.source
        assert rule.formula
        assert rule.holds
        assert rule.__doc__
    assert len({rule.word for rule in NAMED_RULES}) == len(NAMED_RULES)


def test_every_parameter_has_words() -> None:
    """Forms and messages are written from them."""
    found = {(rule.word, each.name): each for rule in NAMED_RULES for each in parameters_of(rule)}
    assert len(found) > 8
    assert all(each.label for each in found.values())
    assert found["completep", "alpha"].default == 1
    assert (found["power", "exponent"].low, found["power", "exponent"].high) == (-1, 1)
    assert [key for key, each in found.items() if each.is_required] == [("power", "exponent"), ("horizon", "exponent")]


def test_a_model_tells_which_tensors_stand_in_blocks() -> None:
    """The final norm does not."""
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "num_hidden_layers": 2,
        "vocab_size": 100,
        "tie_word_embeddings": False,
    }
    plan = transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(learning_rate=0.01),
        model={"base": config, "target": {**config, "num_hidden_layers": 8}},
        rules={"depth": {"rule": "completep", "alpha": 0.5}},
    )
    assert plan.tensor("model.layers.7.input_layernorm.weight").learning_rate.multiplier == 0.5
    assert plan.tensor("model.norm.weight").learning_rate.multiplier == 1
    assert plan.tensor("model.layers.0.mlp.up_proj.weight").learning_rate.multiplier == 0.5
    assert plan.tensor("lm_head.weight").learning_rate.multiplier == 1
