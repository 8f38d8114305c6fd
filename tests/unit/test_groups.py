"""Groups of equal values: every tensor once, the base's own first, and merged only where that changes little."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise import Base, InvalidInputError, Plan, Target, Tensor, transfer
from widthwise.groups import Group, base_learning_rate, groups

BASE = Base(learning_rate=0.003, epsilon=1e-8, weight_decay=0.1)


def plan(
    tensors: list[Tensor], base: Base = BASE, parameterization: str = "standard", optimizer: str = "adamw"
) -> Plan:
    return transfer(
        parameterization=parameterization,
        optimizer=optimizer,
        base=base,
        target=Target(),
        tensors=tensors,
        weight_decay_mode="decoupled",
    )


def hidden(name: str, fan_in: int) -> Tensor:
    return Tensor(name, (64, 100), (64, fan_in), role="hidden", fan_in_axes=(1,), fan_out_axes=(0,))


MODEL = [
    *(
        Tensor(f"blocks.{i}.up", (256, 64), (1024, 256), role="hidden", fan_in_axes=(1,), fan_out_axes=(0,))
        for i in "01"
    ),
    Tensor("blocks.0.gain", (64,), (256,), role="vector", decayed=False),
    Tensor("embed", (97, 64), (97, 256), role="embedding", fan_in_axes=(0,), fan_out_axes=(1,)),
    Tensor("head", (97, 64), (97, 256), role="readout", fan_in_axes=(1,), fan_out_axes=(0,)),
]


def test_equal_values_are_one_group_and_the_bases_own_comes_first() -> None:
    found = groups(plan(MODEL))
    assert [(group.name, group.tensors) for group in found] == [
        ("embedding", ("embed",)),
        ("hidden", ("blocks.0.up", "blocks.1.up")),
        ("vector", ("blocks.0.gain",)),
        ("readout", ("head",)),
    ]
    assert [(group.learning_rate, group.scale, group.weight_decay) for group in found] == [
        (0.003, 1, 0.1), (0.00075, 0.25, 0.4), (0.003, 1, 0), (0.00075, 0.25, 0.4)
    ]  # fmt: skip
    assert all(group.deviation == 0 for group in found)
    assert base_learning_rate(plan(MODEL)) == 0.003


def test_a_tied_duplicate_stands_in_no_group() -> None:
    shared = Tensor("head", (97, 64), (97, 256), fan_in_axes=(1,), fan_out_axes=(0,), tied_to="embed")
    tied = [*MODEL[:-1], shared]
    assert sorted(name for group in groups(plan(tied)) for name in group.tensors) == sorted(
        tensor.name for tensor in MODEL[:-1]
    )


def test_values_that_nobody_gave_are_none() -> None:
    (first, *_) = groups(plan(MODEL, Base(learning_rate=0.1), optimizer="sgd"))
    assert (first.epsilon, first.weight_decay) == (None, None)
    with pytest.raises(InvalidInputError, match=r"no learning rate for 'blocks\.0\.up'; give base\.learning_rate"):
        groups(plan(MODEL, Base()))
    roles = transfer(
        parameterization="mup", optimizer="adam", base=Base(width=8, learning_rate=0.1), target=Target(width=16)
    )
    with pytest.raises(InvalidInputError, match="the plan lists no tensors, only roles"):
        groups(roles)


def test_near_values_are_merged_and_the_deviation_is_told() -> None:
    many = plan([hidden(f"w{i}", 100 + i) for i in range(60)], Base(learning_rate=0.01))
    found = groups(many)
    assert len(found) == 30
    own = {tensor.name: tensor.learning_rate.value or 0 for tensor in many.tensors}
    for group in found:
        off = max(abs(math.log(group.learning_rate / own[name])) for name in group.tensors)
        assert math.log1p(group.deviation) == pytest.approx(off, abs=1e-12)
    assert 0 < max(group.deviation for group in found) < 0.011
    assert len({group.name for group in found}) == 30


def test_values_that_are_far_apart_are_not_merged() -> None:
    far = plan([hidden(f"w{i}", 100 * 2**i) for i in range(4)])
    with pytest.raises(InvalidInputError, match=r"4 different sets of values, and 3 groups .* up to 41\.4%, above 5%"):
        groups(far, max_groups=3)
    undecayed = plan([MODEL[2], MODEL[3]])
    with pytest.raises(InvalidInputError, match="from zero to another value"):
        groups(undecayed, max_groups=1)
    with pytest.raises(InvalidInputError, match="max_groups is 0"):
        groups(far, max_groups=0)


@settings(deadline=None)
@given(st.lists(st.integers(100, 130), min_size=1, max_size=40), st.integers(1, 40))
def test_every_tensor_is_in_exactly_one_group(fans: list[int], max_groups: int) -> None:
    many = plan([hidden(f"w{index}", fan) for index, fan in enumerate(fans)])
    try:
        found: tuple[Group, ...] = groups(many, max_groups)
    except InvalidInputError:
        return  # 30 % between the ends: too far for few groups
    assert len(found) <= max_groups
    assert sorted(name for group in found for name in group.tensors) == sorted(t.name for t in many.tensors)
    assert all(group.deviation <= 0.05 for group in found)
    assert found[0].scale == pytest.approx(max(group.scale for group in found))  # nearest to the base
