"""Low-rank adapters: the learning rate over the rank under each scale, and what alpha does."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise import Base, Target, Tensor, transfer
from widthwise.errors import InvalidInputError
from widthwise.rules.beyond_width.named import About
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.transfers.plan import Plan
from widthwise.vocabulary import QUANTITIES, Optimizer, Parameterization, WeightDecayMode

WORDS = list(BY_WORD[About.RANK])
ADAM_LIKE = [Optimizer.ADAMW, Optimizer.LION, Optimizer.ADAMAX]


def adapters(ranks: tuple[int, int], widths: tuple[int, int] = (64, 64), outputs: tuple[int, int] = (48, 48)):
    return [
        Tensor("frozen", (outputs[0], widths[0]), (outputs[1], widths[1]), [1], [0], role="hidden"),
        Tensor("a", (ranks[0], widths[0]), (ranks[1], widths[1]), [1], [0], role="hidden", part="lora_a"),
        Tensor("b", (outputs[0], ranks[0]), (outputs[1], ranks[1]), [1], [0], role="hidden", part="lora_b"),
    ]


def plan(rule: str | None, ranks: tuple[int, int] = (4, 64), *, listed: Any = True, **more: Any) -> Plan:
    alphas = more.pop("alphas", (None, None))
    widths = more.pop("widths", (64, 64))
    tensors = adapters(ranks, widths) if listed is True else listed or []
    return transfer(
        parameterization=more.pop("parameterization", "mup"),
        optimizer=more.pop("optimizer", "adamw"),
        base=Base(
            width=widths[0], rank=ranks[0], lora_alpha=alphas[0], learning_rate=1e-4, weight_decay=0.1, epsilon=1
        ),
        target=Target(width=widths[1], rank=ranks[1], lora_alpha=alphas[1]),
        tensors=tensors,
        rules={} if rule is None else {"rank": rule},
        **more,
    )


@pytest.mark.parametrize(
    ("rule", "rate", "scale"),
    [
        ("alpha_over_r", 1.0, 1 / 16),
        ("rank_slope", 16**0.18, 1 / 16),
        ("rslora", 1.0, 1 / 4),
        ("mua", 1 / 4, 1.0),
        ("mua_random_b", 1.0, 1.0),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_sixteen_times_the_rank(rule: str, rate: float, scale: float, listed: bool) -> None:
    """Nothing of an adapter but η and s moves, and nothing of the frozen weights."""
    found = plan(rule, listed=listed)
    lines = [found.tensor("a"), found.tensor("b")] if listed else found.layers
    for line in lines:
        moved = {name: line.quantities[name].multiplier for name in QUANTITIES}
        assert moved.pop("learning_rate") == pytest.approx(rate), line.role
        assert set(moved.values()) == {1.0}, line.role
    if listed:
        assert {each.multiplier for each in found.tensor("frozen").quantities.values()} == {1.0}
    assert found.model.adapter_scale is not None
    assert found.model.adapter_scale.multiplier == pytest.approx(scale)
    assert "rank_changed" not in {caution.code for caution in found.warnings}


def test_the_scale_has_its_value_where_alpha_is_known() -> None:
    values = {
        word: plan(word, (16, 64), alphas=(alpha, alpha)).model.adapter_scale
        for word, alpha in (("alpha_over_r", 32.0), ("rslora", 32.0), ("mua", None))
    }
    assert [each and each.value for each in values.values()] == [0.5, 4.0, 1.0]


def test_the_measured_slope_has_its_interval() -> None:
    (said,) = [c.message for c in plan("rank_slope", (1, 100)).warnings if c.code == "rank_interval"]
    assert "×1.995 to ×2.63" in said  # 100^.15 and 100^.21


def test_the_factor_that_starts_at_zero_takes_the_change_of_alpha() -> None:
    """s × 4 with B × ¼ is one model: η of B × ¼, its gradient × 4, η·λ as it was; A as it was."""
    found = plan("rslora", (16, 16), alphas=(8.0, 32.0))
    b = found.tensor("b")
    assert b.learning_rate.multiplier == 1 / 4
    assert b.weight_decay.multiplier == 4
    assert b.gradient_rms.multiplier == 4
    assert b.epsilon is not None
    assert b.epsilon.multiplier == 4
    assert {each.multiplier for each in found.tensor("a").quantities.values()} == {1.0}
    assert found.model.adapter_scale is not None
    assert found.model.adapter_scale.multiplier == 4
    with pytest.raises(InvalidInputError, match="keep alpha") as error:
        plan("rslora", (16, 16), alphas=(8.0, 32.0), listed=False)
    assert error.value.field == "target.lora_alpha"


def test_mua_also_falls_with_the_width() -> None:
    found = plan("mua", (4, 16), widths=(64, 256), listed=adapters((4, 16), (64, 256), (64, 256)))
    for name in ("a", "b"):
        assert found.tensor(name).learning_rate.multiplier == pytest.approx(1 / 4)  # 4^(−½)·4^(−½)
    assert found.tensor("a").init_std.multiplier == pytest.approx(1 / 2)
    for word in set(WORDS) - {"mua"}:
        with pytest.raises(InvalidInputError, match="name 'mua'"):
            plan(word, (4, 16), widths=(64, 256))


def test_a_rank_that_changes_without_a_rule_is_warned_of_or_refused() -> None:
    """By its shape alone a rank is a width, and B's learning rate would be divided by it."""
    assert "rank_changed" in {caution.code for caution in plan(None, listed=False).warnings}
    with pytest.raises(InvalidInputError, match="not a width") as error:
        plan(None)
    assert error.value.field == "rules.rank"


@pytest.mark.parametrize(
    ("more", "said", "field"),
    [
        ({"alphas": (4.0, 32.0)}, "alpha = r", "target.lora_alpha"),
        ({"listed": adapters((4, 64))[:1]}, "part 'lora_a'", "tensors"),
        ({"listed": adapters((8, 64))}, "rank goes from 8 to 64", "tensors"),
        ({"optimizer": "sgd"}, "Adam", "rules.rank"),
        ({"optimizer": "muon_rms"}, "Adam", "rules.rank"),
    ],
)
def test_what_the_rule_can_not_take_says_why(more, said, field) -> None:
    with pytest.raises(InvalidInputError, match=said) as error:
        plan("mua", **more)
    assert error.value.field == field


RANK = st.sampled_from([1, 2, 8, 16, 64])
ALPHA = st.sampled_from([1.0, 8.0, 32.0])


@settings(deadline=None, max_examples=60)
@given(
    rule=st.sampled_from(WORDS),
    ranks=st.tuples(RANK, RANK, RANK),
    alphas=st.tuples(ALPHA, ALPHA, ALPHA),
    words=st.tuples(
        st.sampled_from(list(Parameterization)), st.sampled_from(ADAM_LIKE), st.sampled_from(list(WeightDecayMode))
    ),
)
def test_two_steps_are_one_and_none_moves_nothing(rule, ranks, alphas, words) -> None:
    parameterization, optimizer, mode = words

    def step(one: int, other: int) -> list[float]:
        found = plan(
            rule,
            (ranks[one], ranks[other]),
            alphas=(None, None) if "mua" in rule else (alphas[one], alphas[other]),
            parameterization=parameterization,
            optimizer=optimizer,
            weight_decay_mode=mode,
        )
        assert found.model.adapter_scale is not None
        return [
            *(each.multiplier for tensor in found.tensors for each in tensor.quantities.values()),
            found.model.adapter_scale.multiplier,
        ]

    assert set(step(0, 0)) == {1.0}
    in_two = [one * other for one, other in zip(step(0, 1), step(1, 2), strict=True)]
    assert in_two == pytest.approx(step(0, 2), rel=1e-9)
