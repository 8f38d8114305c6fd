"""A planned optimizer makes the updates of one optax optimizer per leaf with its values, also after a restore."""

import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import widthwise.optax
from tests.optax.plans import SHAPES, exported, parameters
from widthwise import Plan
from widthwise.errors import InvalidInputError
from widthwise.folding import folded
from widthwise.transfers.plan import TensorPlan

Leafwise = Callable[[TensorPlan, Any], optax.GradientTransformation]


def values(tensor: TensorPlan) -> tuple[float, float, float]:
    epsilon = tensor.epsilon
    found = tensor.learning_rate.value, 0.0 if epsilon is None else epsilon.value, tensor.weight_decay.value
    assert None not in found
    return found  # type: ignore[return-value]


def _chain(direction: Callable[[float], optax.GradientTransformation]) -> Leafwise:
    """Decoupled decay behind a direction, as optax's aliases have it."""

    def of(tensor: TensorPlan, schedule: Any) -> optax.GradientTransformation:
        rate, epsilon, decay = values(tensor)
        return optax.chain(
            direction(epsilon),
            optax.add_decayed_weights(decay),
            optax.scale_by_learning_rate(lambda count: rate * schedule(count)),
        )

    return of


def _adafactor(epsilon: float) -> optax.GradientTransformation:
    return optax.chain(
        optax.scale_by_factored_rms(min_dim_size_to_factor=1, epsilon=epsilon), optax.clip_by_block_rms(1.0)
    )


#: By the optimizer's word: ours, optax's own of one leaf.
CASES: dict[str, tuple[Callable[..., optax.GradientTransformation], Leafwise]] = {
    "adamw": (widthwise.optax.adamw, _chain(lambda epsilon: optax.scale_by_adam(eps=epsilon))),
    "adam": (widthwise.optax.adam, _chain(lambda epsilon: optax.scale_by_adam(eps=epsilon))),
    "nadam": (widthwise.optax.nadam, _chain(lambda epsilon: optax.scale_by_adam(eps=epsilon, nesterov=True))),
    "adamax": (widthwise.optax.adamax, _chain(lambda epsilon: optax.scale_by_adamax(eps=epsilon))),
    "sgd": (widthwise.optax.sgd, _chain(lambda _: optax.identity())),
    "lion": (widthwise.optax.lion, _chain(lambda _: optax.scale_by_lion())),
    "adam_atan2": (widthwise.optax.adam_atan2, _chain(lambda _: widthwise.optax.scale_by_adam_atan2())),
    "adafactor_unscaled": (widthwise.optax.adafactor, _chain(_adafactor)),
    "adafactor": (
        widthwise.optax.adafactor,
        _chain(lambda epsilon: optax.chain(_adafactor(epsilon), optax.scale_by_param_block_rms())),
    ),
    "adam_parameter_scaling": (
        widthwise.optax.adam_parameter_scaling,
        _chain(lambda epsilon: optax.chain(optax.scale_by_adam(eps=epsilon), optax.scale_by_param_block_rms())),
    ),
}


def per_leaf(optimizers: dict[str, optax.GradientTransformation]) -> optax.GradientTransformation:
    """One optimizer for each leaf of a dict, each with its state."""

    def update(gradients: Any, state: Any, params: Any = None) -> Any:
        found = {name: each.update(gradients[name], state[name], params[name]) for name, each in optimizers.items()}
        return {name: pair[0] for name, pair in found.items()}, {name: pair[1] for name, pair in found.items()}

    return optax.GradientTransformation(
        lambda params: {name: each.init(params[name]) for name, each in optimizers.items()}, update
    )


def trained(optimizer: optax.GradientTransformation, params: Any, gradients: list[Any], state: Any = None) -> Any:
    """Parameters and state after a step with each of the gradients."""
    state = optimizer.init(params) if state is None else state

    @jax.jit
    def step(params: Any, state: Any, gradient: Any) -> Any:
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    for gradient in gradients:
        params, state = step(params, state, gradient)
    return params, state


@pytest.mark.parametrize("word", CASES)
def test_the_updates_are_those_of_one_optimizer_per_leaf(word: str) -> None:
    ours, leafwise = CASES[word]
    plan = exported(word, weight_decay_mode="decoupled")
    schedule = optax.warmup_cosine_decay_schedule(0.25, 1.0, 2, 6)
    gradients = [parameters(seed) for seed in range(1, 5)]
    params, state = trained(ours(plan, schedule=schedule), parameters(), gradients)
    assert int(state.count) == 4
    one_each = per_leaf({tensor.name: leafwise(tensor, schedule) for tensor in folded(plan).tensors})
    expected, _ = trained(one_each, parameters(), gradients)
    for name, leaf in params.items():
        np.testing.assert_allclose(leaf, expected[name], rtol=1e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize("fold", [False, True])
def test_the_first_step_is_the_plans_also_after_a_restore(fold: bool, scheduled: bool) -> None:
    """Adam's first step is η(g/(|g| + ε) + λW), so that rate, epsilon and decay of each leaf can be read off."""
    plan = exported("adamw")
    in_force = folded(plan) if fold else plan
    schedule = optax.linear_schedule(1.0, 0.0, 10) if scheduled else None
    optimizer = widthwise.optax.adamw(plan, schedule=schedule, fold=fold)
    params = parameters()
    state = optimizer.init(params)
    gradient = jax.tree.map(lambda leaf: jnp.full_like(leaf, 1e-3), params)
    for made in range(3):
        updates, state = optimizer.update(gradient, state, params)
        factor = 1 - made / 10 if scheduled else 1.0
        for tensor in in_force.tensors:
            rate, epsilon, decay = values(tensor)
            step = -factor * rate * (1e-3 / (1e-3 + epsilon) + decay * params[tensor.name])
            np.testing.assert_allclose(updates[tensor.name], step, rtol=2e-5, err_msg=tensor.name)
        state = pickle.loads(pickle.dumps(state))  # noqa: S301 - a checkpoint
        optimizer = widthwise.optax.adamw(plan, schedule=schedule, fold=fold)


def test_a_restored_state_trains_with_the_plan_given_now() -> None:
    gradient = parameters(1)
    _, state = trained(widthwise.optax.adamw(exported("adamw")), parameters(), [gradient])
    later = exported("adamw", base={"learning_rate": 0.04, "weight_decay": 0.0})
    now, _ = widthwise.optax.adamw(later).update(gradient, state, parameters())
    before, _ = widthwise.optax.adamw(exported("adamw", base={"weight_decay": 0.0})).update(
        gradient, state, parameters()
    )
    for name in SHAPES:
        np.testing.assert_allclose(now[name], 2 * before[name], rtol=1e-6)


@pytest.mark.parametrize("mode", ["coupled", "decoupled", "independent"])
def test_the_decay_is_applied_in_the_plans_mode(mode: str) -> None:
    plan = exported("adamw", "standard", weight_decay_mode=mode)
    params, gradient = parameters(), parameters(1)
    optimizer = widthwise.optax.adamw(plan, schedule=lambda _: 0.5)
    updates, _ = optimizer.update(gradient, optimizer.init(params), params)
    for tensor in plan.tensors:
        rate, epsilon, decay = values(tensor)
        w, g = params[tensor.name], gradient[tensor.name]
        if mode == "coupled":
            g = g + decay * w
        step = rate * g / (jnp.abs(g) + epsilon)
        step += {"coupled": 0.0, "decoupled": rate * decay, "independent": decay}[mode] * w
        np.testing.assert_allclose(
            updates[tensor.name], -0.5 * step, rtol=1e-4, atol=1e-6
        )  # 1 − 0.999 has 4 digits in float32


@given(st.floats(1e-6, 1e6), st.floats(0.1, 3.0), st.floats(0.1, 3.0))
@settings(max_examples=20, deadline=None)
def test_atan2_knows_no_scale_and_is_bounded(scale: float, a: float, b: float) -> None:
    optimizer = widthwise.optax.scale_by_adam_atan2(a=a, b=b)
    gradients = parameters(1)
    one, _ = optimizer.update(gradients, optimizer.init(gradients))
    other, _ = optimizer.update(jax.tree.map(lambda g: scale * g, gradients), optimizer.init(gradients))
    for name in SHAPES:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-4)
        assert np.all(np.abs(one[name]) <= a * np.pi / 2 + 1e-6)


def test_momentum_is_optaxs() -> None:
    plan = exported("sgd", "standard", base={"weight_decay": 0.0})
    gradients = [parameters(seed) for seed in range(1, 4)]
    for nesterov in (False, True):
        params, _ = trained(widthwise.optax.sgd(plan, momentum=0.9, nesterov=nesterov), parameters(), gradients)
        for tensor in plan.tensors:
            alone = optax.sgd(values(tensor)[0], momentum=0.9, nesterov=nesterov)
            expected, _ = trained(alone, parameters()[tensor.name], [g[tensor.name] for g in gradients])
            np.testing.assert_allclose(params[tensor.name], expected, rtol=1e-6, atol=1e-7)


def test_what_has_no_gradient_stays_and_keeps_its_moments() -> None:
    optimizer = widthwise.optax.adamw(exported("adamw"))
    params, gradient = parameters(), {**parameters(1), "gain": None}
    updates, state = optimizer.update(gradient, optimizer.init(params), params)
    assert updates["gain"] is None
    assert not np.any(state.moments["mu"]["gain"])
    assert np.any(state.moments["mu"]["up"])


def test_it_compiles_once_and_chains_with_optaxs_transformations() -> None:
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), widthwise.optax.adamw(exported("adamw")))
    params, compiled = parameters(), []

    @jax.jit
    def step(params: Any, state: Any, gradient: Any) -> Any:
        compiled.append(1)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    for seed in range(3):
        params, state = step(params, state, parameters(seed))
    assert len(compiled) == 1


def test_low_precision_stays_low() -> None:
    optimizer = widthwise.optax.adamw(exported("adamw"), schedule=optax.constant_schedule(0.5))
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), parameters())
    updates, state = optimizer.update(params, optimizer.init(params), params)
    assert {leaf.dtype for leaf in jax.tree.leaves((updates, state.moments))} == {jnp.dtype(jnp.bfloat16)}


def test_decay_needs_the_parameters() -> None:
    optimizer = widthwise.optax.adamw(exported("adamw"))
    with pytest.raises(InvalidInputError, match=r"update\(gradients, state, params\)"):
        optimizer.update(parameters(1), optimizer.init(parameters()))


def refused(plan: Plan, make: Callable[..., Any] = widthwise.optax.adamw, **options: Any) -> str:
    with pytest.raises(InvalidInputError) as refusal:
        make(plan, **options)
    return str(refusal.value)


def test_a_plan_for_something_else_is_refused() -> None:
    assert "the plan is for 'sgd', and this is an optimizer for 'adamw' or 'adam'" in refused(exported("sgd"))
    assert "the plan is for 'adamw'" in refused(exported("adamw"), widthwise.optax.sgd)
    assert "no epsilon for 'embed'; give base.epsilon" in refused(exported("adamw", base={"epsilon": None}))
    assert "no learning rate for 'embed'" in refused(exported("adamw", base={"learning_rate": None}))
    assert "One weight cannot absorb both" in refused(exported("adamw", tied=True))


def test_tied_weights_are_one_leaf() -> None:
    plan = exported("adamw", tied=True)
    params = {name: leaf for name, leaf in parameters().items() if name != "head"}
    optimizer = widthwise.optax.adamw(plan, fold=False)
    gradient = jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(gradient, optimizer.init(params), jax.tree.map(jnp.zeros_like, params))
    np.testing.assert_allclose(updates["embed"], -plan.tensor("embed").learning_rate.value, rtol=1e-2)


def test_a_rules_beta_is_in_force_and_not_contradicted() -> None:
    base = {"batch_tokens": 2**15, "beta1": 0.9, "beta2": 0.95}
    plan = exported("adamw", base=base, target={"batch_tokens": 2**17}, rules={"batch": "adamw_sde"})
    assert plan.training.beta2 is not None
    beta2 = plan.training.beta2.value
    assert beta2 not in (None, 0.95)
    _, state = trained(widthwise.optax.adamw(plan, fold=False), parameters(), [parameters(1)])
    np.testing.assert_allclose(state.moments["nu"]["up"], (1 - beta2) * np.square(parameters(1)["up"]), rtol=1e-5)
    assert "the plan sets" in refused(plan, b2=0.5)
