"""Proxies: their tensors at a width, what their logits may see, and how they start."""

from dataclasses import replace
from math import log, prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widthwise.errors import InvalidInputError
from widthwise.estimate.cost import window_flops
from widthwise.vocabulary import Role
from workers.engine.proxies import ARCHITECTURES, build_proxy
from workers.engine.proxies.contract import Params, Proxy, rms_norm
from workers.engine.specification import ProxySpec

SPEC = ProxySpec("transformer", depth=2, head_dim=4, sequence_length=6, batch_size=2, dataset="python_docs")


def ones(proxy: Proxy, width: int) -> dict[str, jax.Array]:
    return {name: jnp.ones([], np.float32) for name in proxy.tensor_shapes(width)}


def standard_params(proxy: Proxy, width: int) -> Params:
    generator = np.random.default_rng(0)
    return {
        name: jnp.asarray(tensor.standard_init_std * generator.standard_normal(tensor.shape), np.float32)
        for name, tensor in proxy.tensor_shapes(width).items()
    }


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_axes_grow_as_their_roles_say(architecture: str) -> None:
    proxy = build_proxy(replace(SPEC, architecture=architecture))
    narrow, wide = proxy.tensor_shapes(8), proxy.tensor_shapes(24)
    assert list(narrow) == list(wide)
    for name, tensor in narrow.items():
        assert sorted((*tensor.fan_in_axes, *tensor.fan_out_axes)) == list(range(len(tensor.shape)))
        grown = [b / a for a, b in zip(tensor.shape, wide[name].shape, strict=True)]
        grows_in = prod(grown[axis] for axis in tensor.fan_in_axes)
        grows_out = prod(grown[axis] for axis in tensor.fan_out_axes)
        expected = {Role.EMBEDDING: (1, 3), Role.HIDDEN: (3, 3), Role.READOUT: (3, 1)}[tensor.role]
        assert (grows_in, grows_out) == expected, name


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_the_first_loss_is_near_that_of_a_uniform_guess(architecture: str) -> None:
    proxy = build_proxy(replace(SPEC, architecture=architecture))
    x_BxT = jnp.asarray(np.random.default_rng(1).integers(0, 256, (64, proxy.sequence_length)), np.int32)
    logits = jax.jit(proxy.apply)(standard_params(proxy, 32), ones(proxy, 32), x_BxT)
    assert logits.shape == (64, proxy.predictions, 256)
    # logits of variance 1 cost half a nat on top of ln 256
    guess = -jax.nn.log_softmax(logits).mean()  # over every byte that could follow
    assert abs(float(guess) - log(256) - 0.5) < 0.3


def test_no_logit_of_the_transformer_depends_on_a_later_byte() -> None:
    proxy = build_proxy(SPEC)
    T = proxy.sequence_length
    params, x_BxT = standard_params(proxy, 16), jnp.arange(T, dtype=np.int32)[None]  # each position its own row

    def logits(embedding: jax.Array) -> jax.Array:
        # each position's logits weighed by fixed numbers, so that no gradient cancels by symmetry
        return proxy.apply({**params, "embedding": embedding}, ones(proxy, 16), x_BxT)[0] @ jnp.arange(256.0)

    reach_TxT = jnp.abs(jax.jit(jax.jacrev(logits))(params["embedding"])[:, :T]).max(axis=2)  # (logits at, byte at)
    np.testing.assert_array_equal(reach_TxT > 0, np.tril(np.ones((T, T), bool)))


def test_the_prediction_of_the_mlp_depends_on_its_whole_context() -> None:
    proxy = build_proxy(replace(SPEC, architecture="mlp"))
    params, x_BxT = standard_params(proxy, 16), jnp.arange(proxy.sequence_length, dtype=np.int32)[None]

    def total(embedding: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(proxy.apply({**params, "embedding": embedding}, ones(proxy, 16), x_BxT)))

    reach = jnp.abs(jax.jit(jax.grad(total))(params["embedding"])).max(axis=1)
    assert (reach[: proxy.sequence_length] > 0).all()
    assert (reach[proxy.sequence_length :] == 0).all()


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_a_multiplier_acts_as_its_tensor_scaled(architecture: str) -> None:
    proxy = build_proxy(replace(SPEC, architecture=architecture))
    params, x_BxT = standard_params(proxy, 8), jnp.arange(6, dtype=np.int32)[None]
    apply = jax.jit(proxy.apply)
    for name in params:
        scaled = apply({**params, name: 3.0 * params[name]}, ones(proxy, 8), x_BxT)
        multiplied = apply(params, {**ones(proxy, 8), name: jnp.asarray(3.0, np.float32)}, x_BxT)
        np.testing.assert_allclose(scaled, multiplied, rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_norm_gives_rms_one_at_any_scale() -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(0, 50, (3, 64)), np.float32)
    np.testing.assert_allclose(jnp.sqrt(jnp.mean(jnp.square(rms_norm(x)), axis=-1)), 1.0, rtol=1e-5)


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="width 10 is not a multiple of the head dimension 4"):
        build_proxy(SPEC).tensor_shapes(10)


def test_an_unknown_architecture_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match=r"'rnn'.*mlp, transformer"):
        build_proxy(replace(SPEC, architecture="rnn"))


def test_operations_are_six_a_weight_and_position() -> None:
    for architecture, attention in (("mlp", 0), ("transformer", 12 * 2 * 6 * 6 * 8)):
        proxy = build_proxy(replace(SPEC, architecture=architecture))
        weights = sum(prod(t.shape) for t in proxy.tensor_shapes(8).values() if t.role is not Role.EMBEDDING)
        counted = window_flops(architecture, 8, depth=2, sequence_length=6)
        assert counted == 6 * weights * proxy.predictions + attention
