"""Shampoo, SOAP, the sphere and schedule-free AdamW: their published factors, and the updates behind them."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise import Base, InvalidInputError, Target, Tensor, WeightDecayMode, largest_stable, transfer
from widthwise.conversion import convert_decay
from widthwise.theory.parameterization import convert
from widthwise.theory.stability import theoretical_exponents
from widthwise.transfers.plan import Plan, TensorPlan
from widthwise.transfers.request import TransferRequest
from widthwise.vocabulary import Parameterization, Role

Shape = tuple[int, int]  # fan-out, fan-in
POWERS = {"shampoo": 0.5, "shampoo_half": 1.0, "soap": 0.5}  # e
EPSILON = {"shampoo": 1.0, "shampoo_half": 1.0, "soap": 0.5}  # of r_in/(r_out·b_in·b_out)


def plan(optimizer: str, base: Shape, target: Shape, **words: Any) -> Plan:
    return transfer(
        parameterization=words.pop("parameterization", "mup"),
        optimizer=optimizer,
        base=Base(learning_rate=0.01, epsilon=1e-8, weight_decay=0.1),
        target=Target(),
        tensors=[Tensor("w", base, target, [1], [0], role="hidden")],
        **words,
    )


def matrix(optimizer: str, base: Shape, target: Shape, **words: Any) -> TensorPlan:
    return plan(optimizer, base, target, **words).tensor("w")


def blocks(shape: Shape, size: int | None) -> int:
    return 1 if size is None else math.prod(math.ceil(side / size) for side in shape)


SIDE = st.sampled_from([32, 48, 64, 100, 256, 1000])
SHAPES = st.tuples(SIDE, SIDE)
SIZES = st.none() | st.sampled_from([16, 64, 300])


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(list(POWERS)), SHAPES, SHAPES, SIZES)
def test_mup_with_preconditioners_is_its_table(optimizer: str, base: Shape, target: Shape, size: int | None) -> None:
    """2512.05620 without depth: η × (r_out/r_in)^(1−e)·(b_in·b_out)^(−e); ridge and SOAP's ε as their rows."""
    found = matrix(optimizer, base, target, block_size=size)
    r_out, r_in, b = target[0] / base[0], target[1] / base[1], blocks(target, size) / blocks(base, size)
    e = POWERS[optimizer]
    assert found.learning_rate.multiplier == pytest.approx((r_out / r_in) ** (1 - e) * b**-e)
    assert found.epsilon is not None
    assert found.epsilon.multiplier == pytest.approx((r_in / (r_out * b)) ** EPSILON[optimizer])
    assert found.weight_decay.multiplier * found.learning_rate.multiplier == pytest.approx(1)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([*POWERS, "muon_sphere", "adam_sphere"]),
    st.tuples(SHAPES, SHAPES, SHAPES),
    st.sampled_from(list(Parameterization)),
    st.sampled_from(list(WeightDecayMode)),
)
def test_two_steps_are_one_and_none_moves_nothing(optimizer, shapes, parameterization, mode) -> None:
    words = {"parameterization": parameterization, "weight_decay_mode": mode}
    if optimizer in POWERS:
        words["block_size"] = 48

    def step(one: int, other: int) -> list[float]:
        found = matrix(optimizer, shapes[one], shapes[other], **words)
        return [quantity.multiplier for quantity in found.quantities.values()]

    assert set(step(0, 0)) == {1.0}
    in_two = [one * other for one, other in zip(step(0, 1), step(1, 2), strict=True)]
    assert in_two == pytest.approx(step(0, 2), rel=1e-9)


@pytest.mark.parametrize("optimizer", [*POWERS, "muon_sphere", "adam_sphere"])
@pytest.mark.parametrize(("one", "other"), [("standard", "ntk"), ("mup", "mean_field")])
def test_equivalent_parameterizations_stay_so_with_each_roles_own_shift(optimizer: str, one: str, other: str) -> None:
    """What a move of the weights takes off c is the hidden scale's: nothing on the sphere and at e = 1."""
    moved = convert(theoretical_exponents(one, optimizer), optimizer, other)
    assert moved[Role.HIDDEN].c == largest_stable(other, optimizer)[Role.HIDDEN]


def norm(array: "np.ndarray[Any, np.dtype[np.float64]]") -> float:
    return float(np.linalg.norm(array, 2))


@pytest.mark.parametrize("optimizer", ["shampoo", "shampoo_half"])
def test_the_preconditioned_update_has_the_norm_that_features_need(optimizer: str) -> None:
    """η·‖L^(−e/2)·G·R^(−e/2)‖ = √(out/in), for gradients of muP's size √(in/out), at every shape."""
    rng = np.random.default_rng(0)
    e, ratios = POWERS[optimizer], []
    for out, into in ((32, 32), (64, 32), (32, 128), (100, 200)):
        u, s, v = np.linalg.svd(rng.normal(size=(out, into)), full_matrices=False)
        s *= math.sqrt(into / out) / s[-1]  # the smallest leads where 1 − 2e < 0
        update = (u * s ** (1 - 2 * e)) @ v
        rate = matrix(optimizer, (32, 32), (out, into)).learning_rate.multiplier
        ratios.append(rate * norm(update) / math.sqrt(out / into))
    assert ratios == pytest.approx([ratios[0]] * 4)


@pytest.mark.parametrize(("shape", "size"), [((32, 32), 8), ((64, 32), 16), ((96, 48), 16)])
def test_blocks_make_the_update_of_a_rank_one_gradient_larger(shape: Shape, size: int) -> None:
    """Each block has norm 1, all together √(b_in·b_out): what (b_in·b_out)^(−½) takes back."""
    rng = np.random.default_rng(1)
    gradient = np.outer(rng.normal(size=shape[0]), rng.normal(size=shape[1]))
    update = np.zeros(shape)
    for i in range(0, shape[0], size):
        for j in range(0, shape[1], size):
            part = gradient[i : i + size, j : j + size]
            update[i : i + size, j : j + size] = part / norm(part)
    whole = matrix("soap", (8, 8), shape).learning_rate.multiplier
    blocked = matrix("soap", (8, 8), shape, block_size=size).learning_rate.multiplier
    assert blocked * norm(update) == pytest.approx(whole)


def test_by_role_blocks_follow_the_width() -> None:
    found = transfer(
        parameterization="mup",
        optimizer="shampoo",
        base=Base(width=1024, learning_rate=0.01, epsilon=1e-8),
        target=Target(width=4096),
        block_size=1024,
    )
    assert found.layer("hidden").learning_rate.multiplier == pytest.approx(1 / 4)  # 16 blocks, e = ½
    assert found.layer("hidden").factors("learning_rate") == {"width": 1.0, "blocks": 0.25}
    adamw = transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(width=1024, learning_rate=0.01, epsilon=1e-8),
        target=Target(width=4096),
    )
    for role in set(Role) - {Role.HIDDEN}:
        assert found.layer(role).learning_rate == adamw.layer(role).learning_rate


@pytest.mark.parametrize(("size", "optimizer"), [(0, "soap"), (1.5, "soap"), (True, "soap"), (64, "adamw")])
def test_a_block_size_that_says_nothing_is_refused(size: Any, optimizer: str) -> None:
    with pytest.raises(InvalidInputError, match="block_size is") as error:
        matrix(optimizer, (8, 8), (8, 8), block_size=size)
    assert error.value.field == "block_size"


def test_a_block_size_is_read_back() -> None:
    request = TransferRequest(
        parameterization="mup",
        optimizer="soap",
        base=Base(width=64, learning_rate=1.0),
        target=Target(width=64),
        block_size=32,
    )
    assert TransferRequest.from_dict(request.to_dict()).block_size == 32


def test_the_ridge_of_shampoo_refuses_rules_that_move_epsilon_alike() -> None:
    def deeper(optimizer: str) -> Plan:
        return transfer(
            parameterization="mup",
            optimizer=optimizer,
            base=Base(width=64, depth=2, learning_rate=1.0, epsilon=1e-8),
            target=Target(width=64, depth=8),
            rules={"depth": "completep"},
        )

    for optimizer in ("shampoo", "shampoo_half"):
        with pytest.raises(InvalidInputError, match="ridge"):
            deeper(optimizer)
    hidden = deeper("soap").layer("hidden")
    assert hidden.learning_rate.multiplier == 1
    assert hidden.epsilon is not None
    assert hidden.epsilon.multiplier == 1 / 4  # as SOAP's row: 1/m_L


@settings(deadline=None, max_examples=60)
@given(SHAPES, SHAPES)
def test_muon_on_the_sphere_has_no_factor_of_width(base: Shape, target: Shape) -> None:
    """HyperP: and the update η·‖W‖·O/‖O‖ then has the spectral norm √(out/in) at every shape, as muP's init has."""
    found = matrix("muon_sphere", base, target)
    assert found.learning_rate.multiplier == 1

    def spectral(shape: Shape, init: float) -> float:
        return init * math.sqrt(math.prod(shape)) / math.sqrt(min(shape)) / math.sqrt(shape[0] / shape[1])

    first = base[1] ** -0.5 * min(1.0, math.sqrt(base[0] / base[1]))
    assert spectral(target, first * found.init_std.multiplier) == pytest.approx(spectral(base, first))


def test_adam_on_the_sphere_falls_as_updates_relative_to_the_weights() -> None:
    found = matrix("adam_sphere", (64, 64), (1024, 1024))
    assert found.learning_rate.multiplier == matrix("adam_parameter_scaling", (64, 64), (1024, 1024)).learning_rate[1]
    assert found.learning_rate.multiplier == pytest.approx(1 / 4)


def test_decay_on_the_sphere_does_nothing_and_says_so() -> None:
    for optimizer in ("muon_sphere", "adam_sphere"):
        (said,) = [c.message for c in plan(optimizer, (8, 8), (16, 16)).warnings if c.code == "decay_without_effect"]
        assert "hidden" in said
    assert "decay_without_effect" not in {c.code for c in plan("muon_unit", (8, 8), (16, 16)).warnings}


def test_schedule_free_adamw_is_its_inner_optimizer_with_another_decay() -> None:
    for parameterization in Parameterization:
        for alignment in ("full", "none"):
            inner = largest_stable(parameterization, "adamw", alignment)
            assert largest_stable(parameterization, "schedule_free_adamw", alignment) == inner
    codes = {caution.code for caution in plan("schedule_free_adamw", (8, 8), (16, 16)).warnings}
    assert "decay_at_another_point" in codes
    words: dict[str, Any] = {"optimizer": "schedule_free_adamw", "learning_rate": 0.01}
    with pytest.raises(InvalidInputError, match="no λ of another mode"):
        convert_decay(0.1, source="decoupled", target="independent", **words)
