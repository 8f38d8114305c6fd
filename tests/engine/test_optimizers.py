"""Optimizers against optax's own, against published numbers, and their invariances."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from widthwise.calibration.spec import CalibrationSpec
from widthwise.errors import InvalidInputError
from widthwise.optax import scale_by_adam_atan2
from widthwise.theory.optimizers import trained as trained_words
from widthwise.vocabulary import Optimizer
from workers.engine import optimizers
from workers.engine.early_stopping import Margins
from workers.engine.optimizers import (
    OPTIMIZERS,
    EngineOptimizer,
    build_optimizer,
    constants_in_force,
    engine_optimizer,
)

PARAMS = {
    "a": np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32),
    "b": 0.01 * np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32),
}
RATE, EPSILON = 0.03, 1e-6

OPTAX: dict[Optimizer, Callable[[], optax.GradientTransformation]] = {
    Optimizer.SGD: lambda: optax.sgd(RATE),
    Optimizer.ADAM: lambda: optax.adam(RATE, b1=0.9, b2=0.98, eps=EPSILON),
    Optimizer.ADAMW: lambda: optax.adamw(RATE, b1=0.9, b2=0.98, eps=EPSILON, weight_decay=0.1),
    Optimizer.ADAFACTOR: lambda: optax.adafactor(RATE, min_dim_size_to_factor=1, eps=EPSILON),
    Optimizer.ADAFACTOR_UNSCALED: lambda: optax.adafactor(
        RATE, min_dim_size_to_factor=1, eps=EPSILON, multiply_by_parameter_scale=False
    ),
    Optimizer.LION: lambda: optax.lion(RATE, b1=0.9, b2=0.99, weight_decay=0.0),
    Optimizer.NADAM: lambda: optax.nadam(RATE, b1=0.9, b2=0.98, eps=EPSILON),
    Optimizer.ADAMAX: lambda: optax.adamax(RATE, b1=0.9, b2=0.98, eps=EPSILON),
    Optimizer.ADAM_PARAMETER_SCALING: lambda: optax.chain(
        optax.scale_by_adam(0.9, 0.98, eps=EPSILON),
        optax.scale_by_param_block_rms(1e-3),
        optax.scale_by_learning_rate(RATE),
    ),
}


SCALES_OF_MUON = ("unit", "keller", "rms")


def trained(transformation: optax.GradientTransformation, steps: int = 5) -> dict[str, Any]:
    params = {name: jnp.asarray(value) for name, value in PARAMS.items()}
    state, generator = transformation.init(params), np.random.default_rng(2)
    for _ in range(steps):
        gradients = {k: jnp.asarray(generator.normal(size=v.shape), np.float32) for k, v in PARAMS.items()}
        updates, state = transformation.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
    return params


def ours(optimizer: Optimizer, rates: dict[str, float] | None = None) -> optax.GradientTransformation:
    return build_optimizer(
        OPTIMIZERS[optimizer],
        learning_rates=rates or dict.fromkeys(PARAMS, RATE),
        epsilons=dict.fromkeys(PARAMS, EPSILON),
        weight_decays=dict.fromkeys(PARAMS, 0.1),
    )


# optax's own Adam mixes integer step counts with floats
@pytest.fixture(autouse=True)
def relaxed_promotion(strict_promotion: None) -> Any:
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.parametrize("optimizer", OPTAX)
def test_equal_hyperparameters_give_what_optax_gives(optimizer: Optimizer) -> None:
    expected = trained(OPTAX[optimizer]())
    actual = trained(ours(optimizer))
    for name in PARAMS:
        # to a last bit or two: XLA fuses one tensor and two differently
        np.testing.assert_allclose(actual[name], expected[name], rtol=2.5e-7, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_tensor_has_its_own_learning_rate(optimizer: Optimizer) -> None:
    both, one = trained(ours(optimizer)), trained(ours(optimizer, {"a": RATE, "b": 0.0}))
    np.testing.assert_array_equal(one["a"], both["a"])
    np.testing.assert_array_equal(one["b"], PARAMS["b"])
    assert not np.array_equal(both["b"], PARAMS["b"])


def test_a_tensor_has_its_own_epsilon() -> None:
    rates = dict.fromkeys(PARAMS, RATE)
    adam, epsilons = OPTIMIZERS[Optimizer.ADAM], {"a": EPSILON, "b": 1e9}
    huge = build_optimizer(adam, learning_rates=rates, epsilons=epsilons, weight_decays=rates)
    params = trained(huge)
    np.testing.assert_array_equal(params["a"], trained(ours(Optimizer.ADAM))["a"])
    np.testing.assert_allclose(params["b"], PARAMS["b"], atol=1e-8)


def test_adam_atan2_gives_the_published_numbers() -> None:
    """adam-atan2-pytorch 0.4.1: a 1.27, b 1, η 0.1, β (0.9, 0.99)."""
    transformation = optax.chain(scale_by_adam_atan2(0.9, 0.99, a=1.27, b=1.0), optax.scale_by_learning_rate(0.1))
    params = jnp.array([1.0, -2.0, 0.5], np.float32)
    state = transformation.init(params)
    for gradient, expected in (
        ([1e-3, -2e-8, 0.0], [0.900254428, -1.900254369, 0.5]),
        ([2e-3, 1e-8, 0.0], [0.802844763, -1.867154002, 0.5]),
    ):
        updates, state = transformation.update(jnp.array(gradient, np.float32), state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params, expected, rtol=2e-7)


@given(st.floats(1e-6, 1e6), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_adam_atan2_ignores_the_scale_of_the_gradients(scale: float, seed: int) -> None:
    gradients = np.random.default_rng(seed).normal(size=(2, 5)).astype(np.float32)

    def second_update(factor: float) -> jax.Array:
        transformation = scale_by_adam_atan2()
        state = transformation.init(jnp.zeros(5, np.float32))
        for gradient in gradients:
            update, state = transformation.update(jnp.asarray(factor * gradient, np.float32), state)
        return update

    np.testing.assert_allclose(second_update(scale), second_update(1.0), rtol=1e-4, atol=1e-6)


def test_a_tensor_of_zeros_still_moves_under_parameter_scaling() -> None:
    params = {"a": jnp.zeros((2, 2), np.float32)}
    transformation = build_optimizer(
        OPTIMIZERS[Optimizer.ADAM_PARAMETER_SCALING],
        learning_rates={"a": 1.0},
        epsilons={"a": 0.0},
        weight_decays={"a": 0.0},
    )
    updates, _ = transformation.update({"a": jnp.ones((2, 2), np.float32)}, transformation.init(params), params)
    np.testing.assert_allclose(updates["a"], -optimizers.PARAMETER_RMS_FLOOR, rtol=1e-6)


def test_hidden_matrices_get_optaxs_muon_and_the_rest_its_adamw() -> None:
    """optax scales by √max(1, out/in), as Keller Jordan's code does, and decays what it is told to."""
    muon = optax.contrib.muon(RATE, weight_decay=0.1)
    expected = {"a": trained(muon)["a"], "b": trained(OPTAX[Optimizer.ADAMW]())["b"]}
    actual = trained(
        build_optimizer(
            OPTIMIZERS[Optimizer.MUON_KELLER],
            learning_rates=dict.fromkeys(PARAMS, RATE),
            epsilons=dict.fromkeys(PARAMS, EPSILON),
            weight_decays=dict.fromkeys(PARAMS, 0.1),
            hidden={"a"},
        )
    )
    for name in PARAMS:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("shape", [(8, 8), (32, 8), (8, 32)])
def test_muons_update_has_the_same_size_at_the_base_whatever_its_scale(shape: tuple[int, int]) -> None:
    gradient = jnp.asarray(np.random.default_rng(3).normal(size=shape), np.float32)
    updates = []
    for scale in SCALES_OF_MUON:
        record = OPTIMIZERS[Optimizer(f"muon_{scale}")]
        assert record.hidden is not None
        part = record.hidden.direction(0.0, record.constants)
        update, _ = part.update(gradient, part.init(gradient), gradient)
        updates.append(record.hidden.rate_at_base(*shape) * update)
    np.testing.assert_allclose(updates[1], updates[0], rtol=1e-5)
    np.testing.assert_allclose(updates[2], updates[0], rtol=1e-5)
    # Newton and Schulz's five steps bring singular values to within .7 and 1.2
    assert 0.7 * optimizers.MUON_RMS < float(jnp.sqrt(jnp.mean(updates[0] ** 2))) < 1.2 * optimizers.MUON_RMS


def test_the_engine_trains_with_those_whose_optimum_was_measured() -> None:
    """By that the service refuses a calibration with any other, without asking the engine."""
    assert {optimizer.value for optimizer in OPTIMIZERS} == set(trained_words())
    not_trained = {Optimizer.ADEMAMIX, Optimizer.ADAN, Optimizer.SCION, Optimizer.SCHEDULE_FREE_ADAMW}
    not_trained |= {Optimizer.MUON_SPHERE, Optimizer.ADAM_SPHERE}
    not_trained |= {Optimizer.SHAMPOO, Optimizer.SHAMPOO_HALF, Optimizer.SOAP}
    assert set(Optimizer) - set(OPTIMIZERS) == not_trained


def test_the_engine_says_what_it_trains_with() -> None:
    with pytest.raises(
        InvalidInputError, match="'adan', with which the engine does not train; give one of sgd, adam, "
    ):
        engine_optimizer(Optimizer.ADAN)


def test_a_specification_sets_the_constants_of_adam_atan2_alone(spec: dict[str, Any]) -> None:
    chosen = {**spec, "atan2": {"a": 1.27, "b": 0.5}}
    for optimizer, record in OPTIMIZERS.items():
        in_force = constants_in_force(CalibrationSpec.from_dict({**chosen, "optimizer": optimizer.value}))
        others = {"a": 1.27, "b": 0.5} if optimizer is Optimizer.ADAM_ATAN2 else {}
        assert in_force == {**record.constants, **others}


def test_an_optimizer_of_its_own_is_a_record_and_no_more() -> None:
    """Sign descent, which exists here alone: any record trains."""
    signs = EngineOptimizer(
        lambda _, constants: optax.stateless(
            lambda gradients, _: jax.tree.map(lambda g: constants["size"] * jnp.sign(g), gradients)
        ),
        {"size": 2.0},
        Margins(below=(0.1,) * 7, above=0.1),
        decays=True,
    )
    transformation = build_optimizer(signs, learning_rates={"a": 0.5}, epsilons={"a": 0.0}, weight_decays={"a": 0.1})
    params = {"a": jnp.asarray([10.0, 0.0], np.float32)}
    updates, _ = transformation.update({"a": jnp.asarray([3.0, -0.1])}, transformation.init(params), params)
    np.testing.assert_allclose(updates["a"], [-0.5 * (2.0 + 0.1 * 10.0), 0.5 * 2.0], rtol=1e-6)
