"""Proxies: their tensors at a width, what their logits may see, and what their options change."""

from dataclasses import replace
from math import log, prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widthwise.calibration.cost import feed_forward_units, window_flops
from widthwise.calibration.spec import ProxySpec
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Architecture, FeedForward, Role
from workers.engine.proxies import ARCHITECTURES, build_proxy
from workers.engine.proxies.contract import Params, Proxy, Tape, rms_norm

SPEC = ProxySpec(Architecture.TRANSFORMER, depth=1, head_dim=4, sequence_length=6, batch_size=2, dataset="python_docs")
MODELS = {
    "mlp": replace(SPEC, architecture=Architecture.MLP),
    "transformer": SPEC,
    "swiglu, qk_norm": replace(SPEC, feed_forward=FeedForward.SWIGLU, qk_norm=True),
    "tied": replace(SPEC, tied=True),
}


def ones(proxy: Proxy, width: int) -> dict[str, jax.Array]:
    """Multipliers that change nothing; a tied readout has the one that makes a readout of a table."""
    uses = proxy.uses(width)
    sizes = {name: uses[name].standard_init_std if name in proxy.tied else 1.0 for name in uses}
    return {name: jnp.asarray(size, np.float32) for name, size in sizes.items()}


def standard_params(proxy: Proxy, width: int) -> Params:
    generator = np.random.default_rng(0)
    return {
        name: jnp.asarray(tensor.standard_init_std * generator.standard_normal(tensor.shape), np.float32)
        for name, tensor in proxy.tensor_shapes(width).items()
    }


@pytest.mark.parametrize("model", MODELS)
def test_axes_grow_as_their_roles_say(model: str) -> None:
    proxy = build_proxy(MODELS[model])
    narrow, wide = proxy.uses(8), proxy.uses(24)
    assert list(narrow) == list(wide)
    for name, tensor in narrow.items():
        assert sorted((*tensor.fan_in_axes, *tensor.fan_out_axes)) == list(range(len(tensor.shape)))
        grown = [b / a for a, b in zip(tensor.shape, wide[name].shape, strict=True)]
        grows_in = prod(grown[axis] for axis in tensor.fan_in_axes)
        grows_out = prod(grown[axis] for axis in tensor.fan_out_axes)
        expected = {Role.EMBEDDING: (1, 3), Role.HIDDEN: (3, 3), Role.READOUT: (3, 1)}[tensor.role]
        assert (grows_in, grows_out) == expected, name


@pytest.mark.parametrize("model", MODELS)
def test_the_first_loss_is_near_that_of_a_uniform_guess(model: str) -> None:
    proxy = build_proxy(MODELS[model])
    x_BxT = jnp.asarray(np.random.default_rng(1).integers(0, 256, (64, proxy.sequence_length)), np.int32)
    logits = jax.jit(proxy.apply)(standard_params(proxy, 32), ones(proxy, 32), x_BxT)
    assert logits.shape == (64, proxy.predictions, 256)
    # logits of variance 1 cost half a nat on top of ln 256
    guess = -jax.nn.log_softmax(logits).mean()  # over every byte that could follow
    assert abs(float(guess) - log(256) - 0.5) < 0.3


@pytest.mark.parametrize("model", ["transformer", "swiglu, qk_norm"])  # a tied table reaches every logit
def test_no_logit_of_the_transformer_depends_on_a_later_byte(model: str) -> None:
    proxy = build_proxy(MODELS[model])
    T = proxy.sequence_length
    params, x_BxT = standard_params(proxy, 16), jnp.arange(T, dtype=np.int32)[None]  # each position its own row

    def logits(embedding: jax.Array) -> jax.Array:
        # each position's logits weighed by fixed numbers, so that no gradient cancels by symmetry
        return proxy.apply({**params, "embedding": embedding}, ones(proxy, 16), x_BxT)[0] @ jnp.arange(256.0)

    reach_TxT = jnp.abs(jax.jit(jax.jacrev(logits))(params["embedding"])[:, :T]).max(axis=2)  # (logits at, byte at)
    np.testing.assert_array_equal(reach_TxT > 0, np.tril(np.ones((T, T), bool)))


def test_the_prediction_of_the_mlp_depends_on_its_whole_context() -> None:
    proxy = build_proxy(replace(SPEC, architecture=Architecture.MLP))
    params, x_BxT = standard_params(proxy, 16), jnp.arange(proxy.sequence_length, dtype=np.int32)[None]

    def total(embedding: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(proxy.apply({**params, "embedding": embedding}, ones(proxy, 16), x_BxT)))

    reach = jnp.abs(jax.jit(jax.grad(total))(params["embedding"])).max(axis=1)
    assert (reach[: proxy.sequence_length] > 0).all()
    assert (reach[proxy.sequence_length :] == 0).all()


@pytest.mark.parametrize("model", MODELS)
def test_a_multiplier_acts_as_its_tensor_scaled(model: str) -> None:
    proxy = build_proxy(MODELS[model])
    params, x_BxT = standard_params(proxy, 8), jnp.arange(6, dtype=np.int32)[None]
    apply = jax.jit(proxy.apply)
    for name in params:
        names = [name, *(use for use, owner in proxy.tied.items() if owner == name)]
        larger = {use: 3.0 * ones(proxy, 8)[use] for use in names}
        scaled = apply({**params, name: 3.0 * params[name]}, ones(proxy, 8), x_BxT)
        multiplied = apply(params, {**ones(proxy, 8), **larger}, x_BxT)
        np.testing.assert_allclose(scaled, multiplied, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("model", MODELS)
def test_every_use_of_a_tensor_stands_on_the_tape(model: str) -> None:
    proxy = build_proxy(MODELS[model])
    tape: Tape = {}
    uses = proxy.uses(8)

    def forward(params: Params, multipliers: dict[str, jax.Array], x_BxT: jax.Array) -> jax.Array:
        return proxy.apply(params, multipliers, x_BxT, tape)

    jax.eval_shape(forward, standard_params(proxy, 8), ones(proxy, 8), jnp.zeros((1, 6), np.int32))  # shapes alone
    assert tape.keys() == uses.keys()
    for name, use in tape.items():
        assert use.weight.shape == (uses[name].fan_in, uses[name].shape[uses[name].fan_out_axes[0]]), name


def test_a_tied_readout_is_the_table_transposed() -> None:
    tied, untied = build_proxy(MODELS["tied"]), build_proxy(SPEC)
    params, x_BxT = standard_params(tied, 8), jnp.arange(6, dtype=np.int32)[None]
    assert "readout" not in params
    same = jax.jit(untied.apply)(
        {**params, "readout": params["embedding"].T / np.float32(8**0.5)}, ones(untied, 8), x_BxT
    )
    np.testing.assert_allclose(jax.jit(tied.apply)(params, ones(tied, 8), x_BxT), same, rtol=1e-5, atol=1e-6)


def test_qk_norm_keeps_scores_from_growing_with_queries_and_keys() -> None:
    x_BxT = jnp.arange(6, dtype=np.int32)[None]
    for model, normed in (("swiglu, qk_norm", True), ("transformer", False)):
        proxy = build_proxy(MODELS[model])
        params, multipliers = standard_params(proxy, 8), ones(proxy, 8)
        grown = {name: 5.0 * value if "query" in name or "key" in name else value for name, value in params.items()}
        apply = jax.jit(proxy.apply)
        change = jnp.abs(apply(grown, multipliers, x_BxT) - apply(params, multipliers, x_BxT)).max()
        assert (change < 1e-3) == normed


@pytest.mark.parametrize("head_dim", [4, 16, 64])
def test_the_feed_forward_grows_by_one_ratio_with_the_width(head_dim: int) -> None:
    for feed_forward, near in (("gelu", 4.0), ("swiglu", 8 / 3)):
        units = [feed_forward_units(width, feed_forward, head_dim) for width in (head_dim, 3 * head_dim, 8 * head_dim)]
        assert units == [units[0], 3 * units[0], 8 * units[0]]
        assert abs(units[0] / head_dim - near) <= 0.5 / head_dim


@pytest.mark.parametrize(("option", "value"), [("feed_forward", "swiglu"), ("qk_norm", True), ("tied", True)])
def test_the_mlp_refuses_the_options_of_the_transformer(option: str, value: object) -> None:
    with pytest.raises(
        InvalidInputError, match=f"proxy.{option} is {value!r}, and the mlp has no such option"
    ) as raised:
        ProxySpec.from_dict({"architecture": "mlp", option: value})
    assert raised.value.field == f"proxy.{option}"


def test_the_norm_gives_rms_one_at_any_scale() -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(0, 50, (3, 64)), np.float32)
    np.testing.assert_allclose(jnp.sqrt(jnp.mean(jnp.square(rms_norm(x)), axis=-1)), 1.0, rtol=1e-5)


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="width 10 is not a multiple of the head dimension 4"):
        build_proxy(SPEC).tensor_shapes(10)


def test_every_architecture_of_the_vocabulary_has_its_proxy() -> None:
    assert set(ARCHITECTURES) == set(Architecture)
    with pytest.raises(InvalidInputError, match=r"'rnn'.*'mlp', 'transformer'"):
        ProxySpec.from_dict({"architecture": "rnn"})


@pytest.mark.parametrize("model", MODELS)
def test_operations_are_six_a_weight_and_position(model: str) -> None:
    spec, proxy = MODELS[model], build_proxy(MODELS[model])
    weights = sum(prod(use.shape) for use in proxy.uses(8).values() if use.role is not Role.EMBEDDING)
    attention = 0 if model == "mlp" else 12 * 6 * 6 * 8
    counted = window_flops(
        spec.architecture, 8, depth=1, sequence_length=6, feed_forward=spec.feed_forward, head_dim=spec.head_dim
    )
    assert counted == 6 * weights * proxy.predictions + attention


def test_a_feed_forward_that_cannot_be_counted_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="give head_dim"):
        window_flops("transformer", 8, depth=1, sequence_length=6, feed_forward="swiglu")
    with pytest.raises(InvalidInputError, match="'relu'; give gelu or swiglu"):
        window_flops("transformer", 8, depth=1, sequence_length=6, feed_forward="relu")
