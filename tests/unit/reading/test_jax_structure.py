"""Tables, convolutions, experts, attentions and constants of JAX models."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from tests.unit.reading.letters import letters, numbers
from widthwise.jax import trace
from widthwise.jax.folding import folded
from widthwise.reading.dataflow.graph import Graph
from widthwise.reading.model import CodeMultiplier, ModelReading, Place
from widthwise.reading.parameter import Feeds, FusedPart, ParameterUse
from widthwise.vocabulary import Role

BATCH, TOKENS, IN, WIDTH, INNER, OUT, ROWS, EXPERTS = 2, 7, 5, 12, 20, 3, 11, 4
X = numbers(BATCH, TOKENS, IN)
IDS = jax.ShapeDtypeStruct((BATCH, TOKENS), jnp.int32)


def between(step: Callable[[Any, Any], Any], shapes: Any, width: int = WIDTH) -> ModelReading:
    """A reading of a step between a first and a last matrix."""
    params = {"first": numbers(IN, WIDTH), "last": numbers(width, OUT), **shapes}
    return trace(lambda p, x: step(x @ p["first"], p) @ p["last"], params, X)


@pytest.mark.parametrize(
    ("pick", "shape", "axes"),
    [
        (lambda table, ids: table[ids], (ROWS, WIDTH), "io"),
        (lambda table, ids: jnp.take(table, ids, axis=0, mode="clip"), (ROWS, WIDTH), "io"),
        (lambda table, ids: jnp.moveaxis(table[:, ids], 0, -1), (WIDTH, ROWS), "oi"),
        (lambda table, ids: jax.vmap(jax.vmap(lambda i: table[i]))(ids), (ROWS, WIDTH), "io"),
        (lambda table, ids: lax.dynamic_slice_in_dim(table, ids[0, 0], 1) + jnp.zeros((2, 7, 1)), (ROWS, WIDTH), "io"),
    ],
)
def test_a_table_whose_rows_the_inputs_pick_is_a_look_up(
    pick: Callable[[Any, Any], Any], shape: tuple[int, ...], axes: str
) -> None:
    params = {"table": numbers(*shape), "last": numbers(WIDTH, OUT)}
    reading = trace(lambda p, ids: pick(p["table"], ids) @ p["last"], params, IDS)
    assert (reading["table"].use, reading["table"].role) == (ParameterUse.LOOKUP, Role.EMBEDDING)
    assert letters(reading) == {"table": axes, "last": "io"}


def test_a_table_that_one_hot_rows_multiply_is_an_embedding() -> None:
    params = {"table": numbers(ROWS, WIDTH), "last": numbers(WIDTH, OUT)}
    reading = trace(lambda p, ids: jax.nn.one_hot(ids, ROWS) @ p["table"] @ p["last"], params, IDS)
    assert reading["table"].role is Role.EMBEDDING
    assert letters(reading)["table"] == "io"


@pytest.mark.parametrize(
    ("layouts", "shape", "groups", "axes", "role"),
    [
        (("NHWC", "HWIO", "NHWC"), (3, 3, WIDTH, INNER), 1, "iiio", Role.HIDDEN),
        (("NCHW", "OIHW", "NHWC"), (INNER, WIDTH, 3, 3), 1, "oiii", Role.HIDDEN),
        (("NHWC", "HWIO", "NCHW"), (3, 3, 1, WIDTH), WIDTH, "iiio", Role.VECTOR),
        (("NHWC", "HWIO", "NHWC"), (3, 3, 3, INNER), 4, "iiio", Role.HIDDEN),
        (("NHWC", "HWIO", "NHWC"), (3, 3, WIDTH, 1), 1, "iiio", Role.HIDDEN),
    ],
)
def test_a_convolution_is_read_in_any_layout(
    layouts: tuple[str, str, str], shape: tuple[int, ...], groups: int, axes: str, role: Role
) -> None:
    def convolve(x: Any, params: Any) -> Any:
        image = jnp.broadcast_to(x[:, :, None], (BATCH, TOKENS, TOKENS, WIDTH))
        image = jnp.moveaxis(image, 3, layouts[0].index("C"))
        found = lax.conv_general_dilated(
            image, params["kernel"], (1, 1), "SAME", dimension_numbers=layouts, feature_group_count=groups
        )
        return jnp.moveaxis(jnp.tanh(found), layouts[2].index("C"), 3)

    channels = shape[layouts[1].index("O")]
    reading = between(convolve, {"kernel": numbers(*shape)}, channels)
    assert (reading["kernel"].use, reading["kernel"].role) == (ParameterUse.CONVOLUTION, role)
    assert letters(reading) == {"first": "io", "kernel": axes, "last": "io"}


def by_token(h: Any, params: Any) -> Any:
    """Each token takes the matrices of its two best experts."""
    weights, chosen = lax.top_k(jax.nn.softmax(h @ params["router"]), 2)
    up = jax.nn.gelu(jnp.einsum("btd,btkdf->btkf", h, params["up"][chosen]) + params["bias"][chosen])
    return h + jnp.einsum("btk,btkf,btkfd->btd", weights, up, params["down"][chosen])


def by_group(h: Any, params: Any) -> Any:
    """Tokens are sorted by expert, and each group is multiplied with its own matrix."""
    rows = h.reshape(-1, WIDTH)
    weights = jax.nn.softmax(rows @ params["router"])
    chosen = jnp.argmax(weights, -1)
    order = jnp.argsort(chosen)
    sizes = jnp.bincount(chosen, length=EXPERTS)
    up = jax.nn.relu(lax.ragged_dot(rows[order], params["up"], sizes) + params["bias"][chosen[order]])
    down = lax.ragged_dot(up, params["down"], sizes)
    best = jnp.max(weights, -1, keepdims=True)
    return h + (best * jnp.zeros_like(rows).at[order].set(down)).reshape(h.shape)


def dense(h: Any, params: Any) -> Any:
    """Every expert takes every token; the router weighs what they return."""
    weights = jax.nn.softmax(h @ params["router"])
    up = jax.nn.relu(jnp.einsum("btd,edf->ebtf", h, params["up"]) + params["bias"][:, None, None])
    return h + jnp.einsum("bte,ebtd->btd", weights, jnp.einsum("ebtf,efd->ebtd", up, params["down"]))


@pytest.mark.parametrize("experts", [by_token, by_group, dense])
def test_experts_are_a_stack(experts: Callable[[Any, Any], Any]) -> None:
    shapes = {
        "router": numbers(WIDTH, EXPERTS),
        "up": numbers(EXPERTS, WIDTH, INNER),
        "bias": numbers(EXPERTS, INNER),
        "down": numbers(EXPERTS, INNER, WIDTH),
    }
    reading = between(experts, shapes)
    assert letters(reading) == {
        **{"first": "io", "last": "io", "router": "io"},
        **{"up": "sio", "bias": "so", "down": "sio"},
    }
    assert reading["bias"].use is ParameterUse.BIAS
    assert {reading[name].role for name in ("router", "up", "down")} == {Role.HIDDEN}
    assert (reading["router"].feeds is Feeds.ROUTER) == (experts is not dense)


def test_an_ensemble_is_a_stack_with_its_biases() -> None:
    params = {"first": numbers(3, IN, WIDTH), "bias": numbers(3, WIDTH), "last": numbers(3, WIDTH, OUT)}

    def member(params: Any, x: Any) -> Any:
        return jnp.tanh(x @ params["first"] + params["bias"]) @ params["last"]

    reading = trace(lambda p, x: jax.vmap(member, (0, None))(p, x).mean(0), params, X)
    assert letters(reading) == {"first": "sio", "bias": "so", "last": "sio"}
    assert [each.role for each in reading.parameters] == [Role.VECTOR, Role.EMBEDDING, Role.READOUT]
    assert reading["bias"].use is ParameterUse.BIAS


def fused_attention(x: Any, params: Any) -> Any:
    query, key, value = jnp.split(x @ params["fused"], 3, -1)
    scores = 0.25 * query @ jnp.swapaxes(key, 1, 2)
    return x + jax.nn.softmax(30 * jnp.tanh(scores / 30)) @ value


def test_a_fused_matrix_has_parts() -> None:
    reading = between(fused_attention, {"fused": numbers(WIDTH, 3 * WIDTH)})
    assert reading["fused"].parts == tuple(
        FusedPart(feeds, 1, (slice(place * WIDTH, (place + 1) * WIDTH),))
        for place, feeds in enumerate((Feeds.QUERY, Feeds.KEY, Feeds.VALUE))
    )
    (attention,) = reading.attentions
    assert (attention.head_dim, attention.scale, attention.soft_cap) == (WIDTH, 0.25, True)


def test_a_softmax_is_known_under_vmap() -> None:
    def head(x: Any, query: Any, key: Any, value: Any) -> Any:
        scores = (x @ query) @ (x @ key).T
        return jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((TOKENS, TOKENS), bool)), scores, -1e9)) @ (x @ value)

    def heads(x: Any, params: Any) -> Any:
        sides = [params[name] for name in ("query", "key", "value")]
        return jax.vmap(jax.vmap(head, (None, 0, 0, 0)), (0, None, None, None))(x, *sides).sum(1)

    reading = between(heads, {name: numbers(3, WIDTH, WIDTH) for name in ("query", "key", "value")})
    assert [reading[name].feeds for name in ("query", "key", "value")] == [Feeds.QUERY, Feeds.KEY, Feeds.VALUE]


def test_constants_that_the_jaxpr_computes_are_known() -> None:
    def forward(params: Any, ids: Any) -> Any:
        x = params["table"][ids] * jnp.sqrt(jnp.float32(WIDTH))
        return jnp.tanh(x @ params["middle"]) @ params["last"] / jnp.asarray(WIDTH, jnp.bfloat16).astype(jnp.float32)

    params = {"table": numbers(ROWS, WIDTH), "middle": numbers(WIDTH, WIDTH), "last": numbers(WIDTH, OUT)}
    reading = trace(forward, params, IDS)
    assert reading.multipliers == (
        CodeMultiplier(Place.EMBEDDING, pytest.approx(WIDTH**0.5, rel=1e-5), ("table",)),
        CodeMultiplier(Place.LOGITS, pytest.approx(1 / WIDTH, rel=1e-5), ("last",)),
    )


@pytest.mark.parametrize(
    "mean",
    [
        lambda x: jnp.mean(x, 1),
        lambda x: jnp.sum(x, 1) * (1 / TOKENS),
        lambda x: lax.reduce_window(x, 0.0, lax.add, (1, TOKENS, 1), (1, 1, 1), "VALID")[:, 0] / TOKENS,
    ],
)
def test_a_mean_is_no_multiplier(mean: Callable[[Any], Any]) -> None:
    assert between(lambda x, _: mean(x), {}).multipliers == ()
    assert between(lambda x, _: jnp.sum(x, 1) / 2, {}).multipliers != ()


@pytest.mark.parametrize(
    "bend", [jax.nn.relu, jax.nn.gelu, jax.nn.silu, jax.nn.tanh, jax.nn.sigmoid, jax.nn.leaky_relu]
)
def test_a_gate_is_known_by_its_nonlinearity(bend: Callable[[Any], Any]) -> None:
    reading = between(
        lambda x, p: bend(x @ p["gate"]) * (x @ p["up"]),
        {"gate": numbers(WIDTH, INNER), "up": numbers(WIDTH, INNER)},
        INNER,
    )
    assert (reading["gate"].feeds, reading["up"].feeds) == (Feeds.GATE, Feeds.UP)


def test_an_operation_that_mixes_entries_is_a_caution() -> None:
    reading = between(lambda x, p: jnp.fft.fft(x * p["gain"]).real, {"gain": numbers(WIDTH)})
    assert reading["gain"].use is ParameterUse.GAIN
    assert [caution.code for caution in reading.cautions] == ["operations_without_rule"]
    assert "fft" in reading.cautions[0].message


def test_random_numbers_are_constants() -> None:
    def dropped(x: Any, params: Any) -> Any:
        return jnp.where(jax.random.bernoulli(params["key"], 0.9, x.shape), x, 0) @ params["w"]

    key = jax.eval_shape(lambda: jax.random.key(0))
    reading = between(dropped, {"key": key, "w": numbers(WIDTH, INNER)}, INNER)
    assert letters(reading) == {"first": "io", "last": "io", "w": "io"}
    assert reading.cautions == ()


@pytest.mark.parametrize(
    ("name", "parameters", "numbers_in", "whole", "found"),
    [
        ("integer_pow", {"y": 3}, [2.0], False, 8.0),
        ("div", {}, [7.0, 2.0], True, 3.0),
        ("div", {}, [7.0, 0.0], False, None),
        ("sqrt", {}, [-1.0], False, None),
        ("select_n", {}, [1.0, 5.0, 6.0], False, 6.0),
        ("lt", {}, [1.0, 2.0], True, 1.0),
        ("erf", {}, [1.0], False, None),
        ("add", {}, [1.0, None], False, None),
    ],
)
def test_known_numbers_are_folded(
    name: str, parameters: dict[str, Any], numbers_in: list[float | None], whole: bool, found: float | None
) -> None:
    graph = Graph()
    values = [graph.constant((), number) for number in numbers_in]
    assert folded(name, parameters, values, whole=whole) == found
