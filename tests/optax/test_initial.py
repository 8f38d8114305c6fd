"""Initial parameters have the plan's RMS, and folded multipliers train as multiplied weights do."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import widthwise.optax
from tests.optax.plans import BASE, SHAPES, exported, parameters
from widthwise import ComputedMultiplier, Plan
from widthwise.errors import InvalidInputError
from widthwise.folding import folded

KEY = jax.random.key(0)


def rms(leaf: Any) -> float:
    return float(np.sqrt(np.mean(np.square(np.asarray(leaf, np.float64)))))


@pytest.mark.parametrize("fold", [False, True])
def test_every_matrix_has_the_plans_std_and_a_vector_stays(fold: bool) -> None:
    plan = exported("adamw", "mup")
    params = parameters()
    found = widthwise.optax.init(plan, params, KEY, fold=fold)
    for tensor in (folded(plan) if fold else plan).tensors:
        if tensor.name == "gain":
            assert found["gain"] is params["gain"]
        else:
            assert tensor.init_std.value is not None
            size = params[tensor.name].size
            assert rms(found[tensor.name]) == pytest.approx(tensor.init_std.value, rel=4 / np.sqrt(2 * size))


def test_a_leaf_depends_on_the_key_and_its_name_alone() -> None:
    plan = exported("adamw", "standard")
    shapes = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in SHAPES.items()}
    shapes["gain"] = jnp.ones(32)
    one, other = widthwise.optax.init(plan, shapes, KEY), widthwise.optax.init(plan, parameters(), KEY)
    for name in ("embed", "up", "down", "head"):
        np.testing.assert_array_equal(one[name], other[name])
    assert not np.array_equal(one["embed"], one["head"])
    assert not np.array_equal(one["up"], widthwise.optax.init(plan, shapes, jax.random.key(1))["up"])


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("parameterization", ["mup", "ntk", "mean_field"])
def test_folded_training_is_training_with_multipliers(optimizer: str, parameterization: str) -> None:
    """The same losses, step for step, of a model that multiplies and of one that does not."""
    rate = {"adamw": 0.003, "sgd": 1.0}[optimizer]
    plan = exported(optimizer, parameterization, base={"learning_rate": rate, "init_std": 0.3})
    multipliers = {tensor.name: tensor.forward_multiplier.multiplier for tensor in plan.tensors}
    assert len(set(multipliers.values())) > 1
    shapes = {name: jnp.ones(shape) for name, shape in SHAPES.items()}
    make = {"adamw": widthwise.optax.adamw, "sgd": widthwise.optax.sgd}[optimizer]
    folded_losses = losses(make(plan), widthwise.optax.init(plan, shapes, KEY), dict.fromkeys(SHAPES, 1.0))
    start = widthwise.optax.init(plan, shapes, KEY, fold=False)
    np.testing.assert_allclose(folded_losses, losses(make(plan, fold=False), start, multipliers), rtol=2e-4)
    assert abs(folded_losses[-1] - folded_losses[0]) > 1e-3 * folded_losses[0]


def losses(optimizer: optax.GradientTransformation, params: Any, multipliers: dict[str, float]) -> list[float]:
    inputs = jax.random.randint(jax.random.key(2), (16,), 0, BASE["embed"][0])
    targets = jax.random.randint(jax.random.key(3), (16,), 0, SHAPES["head"][1])

    def loss(params: Any) -> Any:
        p = {name: multipliers[name] * leaf for name, leaf in params.items()}
        x = p["embed"][inputs]
        x = x + jax.nn.relu(x @ p["up"]) @ p["down"]
        logits = (x * p["gain"][None]) @ p["head"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    state, found = optimizer.init(params), []
    for _ in range(5):
        params, state, value = step(params, state)
        found.append(float(value))
    return found


def test_an_unknown_std_is_measured_in_the_base() -> None:
    draw = np.random.default_rng(5)
    base = {name: 0.25 * draw.normal(size=shape) for name, shape in BASE.items()}
    plan = exported(base={"init_std": None})
    found = widthwise.optax.init(plan, parameters(), KEY, base)
    for tensor in folded(plan).tensors:
        if tensor.name != "gain":
            std = rms(base[tensor.name]) * tensor.init_std.multiplier
            assert rms(found[tensor.name]) == pytest.approx(std, rel=4 / np.sqrt(2 * found[tensor.name].size))
    with pytest.raises(InvalidInputError, match=r"the base's 'up' has mean 1 and RMS 1: it is not drawn around 0"):
        widthwise.optax.init(plan, parameters(), KEY, {**base, "up": np.ones(BASE["up"])})


def test_a_gain_that_the_plan_multiplies_starts_so_many_times_as_large() -> None:
    """As `widthwise.torch.init_` does: one number is multiplied; entries that differ have the base's RMS."""
    plan = exported(code_multipliers=[ComputedMultiplier(power=0.5, of="fan_out", tensors=["gain"])])
    assert plan.tensor("gain").init_std.multiplier == 0.5
    params = {**parameters(), "gain": jnp.full(32, 3.0)}
    np.testing.assert_array_equal(widthwise.optax.init(plan, params, KEY)["gain"], jnp.full(32, 1.5))
    inside = jax.jit(lambda leaves: widthwise.optax.init(plan, leaves, KEY))(params)
    np.testing.assert_array_equal(inside["gain"], jnp.full(32, 1.5))
    assert "multiplies the init of 'gain' by 0.5, and its entries differ: give base_params" in refused(
        plan, parameters()
    )
    base = {name: np.random.default_rng(1).normal(size=shape) for name, shape in BASE.items()}
    drawn = widthwise.optax.init(plan, parameters(), KEY, base)["gain"]
    assert rms(drawn) == pytest.approx(rms(base["gain"]) / 2, rel=0.5)


def refused(plan: Plan, params: Any, **options: Any) -> str:
    with pytest.raises(InvalidInputError) as refusal:
        widthwise.optax.init(plan, params, KEY, **options)
    return str(refusal.value)


def test_what_no_init_can_hold_is_refused() -> None:
    assert "no init std for 'down'; give base.init_std" in refused(exported(base={"init_std": None}), parameters())
    shape = {**parameters(), "gain": jax.ShapeDtypeStruct((32,), jnp.float32)}
    assert "only the shape of 'gain'" in refused(exported(), shape)
    assert "One weight cannot absorb both" in refused(exported(tied=True), parameters())
    heads = exported(base={"head_dim": 4}, target={"head_dim": 16})
    assert "in_model=['attention_scale']" in refused(heads, parameters())
    assert "give some of ['attention_scale'" in refused(heads, parameters(), in_model=["logits"])
    widthwise.optax.init(heads, parameters(), KEY, in_model=["attention_scale"])
