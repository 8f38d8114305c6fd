"""Jaxprs inside a jaxpr: nested functions, recomputation, branches and loops."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from tests.unit.reading.letters import letters, numbers
from widthwise.jax import trace
from widthwise.reading.model import ModelReading
from widthwise.reading.parameter import Block, ParameterUse
from widthwise.vocabulary import Role

BATCH, TIME, IN, WIDTH, STATE, INNER, LAYERS, OUT = 2, 7, 5, 12, 6, 20, 4, 3


X = numbers(BATCH, TIME, IN)


def block(x: Any, layer: dict[str, Any]) -> Any:
    return x + jax.nn.relu(x * layer["gain"] @ layer["up"]) @ layer["down"]


def block_shapes(*stack: int) -> dict[str, Any]:
    shapes = {"gain": (WIDTH,), "up": (WIDTH, INNER), "down": (INNER, WIDTH)}
    return {name: numbers(*stack, *shape) for name, shape in shapes.items()}


def model(layers: Callable[[Any, Any], Any], shapes: Any) -> ModelReading:
    params = {"first": numbers(IN, WIDTH), "layers": shapes, "last": numbers(WIDTH, OUT)}
    return trace(lambda p, x: layers(x @ p["first"], p["layers"]) @ p["last"], params, X)


def scanned(x: Any, layers: Any) -> Any:
    return lax.scan(lambda x, layer: (block(x, layer), None), x, layers)[0]


def recomputed(x: Any, layers: Any) -> Any:
    return lax.scan(jax.checkpoint(lambda x, layer: (jax.jit(block)(x, layer), None)), x, layers)[0]


def reversed_(x: Any, layers: Any) -> Any:
    return lax.scan(lambda x, layer: (block(x, layer), jnp.sum(x)), x, layers, reverse=True)[0]


def indexed(x: Any, layers: Any) -> Any:
    def turn(index: Any, x: Any) -> Any:
        return block(x, jax.tree.map(lambda leaf: lax.dynamic_index_in_dim(leaf, index, keepdims=False), layers))

    return lax.fori_loop(0, LAYERS, turn, x)


@pytest.mark.parametrize("layers", [scanned, recomputed, reversed_, indexed])
def test_layers_in_a_loop_are_a_stack_of_as_many_residual_blocks(layers: Callable[[Any, Any], Any]) -> None:
    reading = model(layers, block_shapes(LAYERS))
    assert reading.blocks == (LAYERS,)
    assert reading.width == WIDTH
    assert letters(reading) == {
        "first": "io",
        "last": "io",
        **{"layers.gain": "so", "layers.up": "sio", "layers.down": "sio"},
    }
    assert [reading[name].role for name in ("first", "layers.up", "last")] == [
        *(Role.EMBEDDING, Role.HIDDEN, Role.READOUT),
    ]
    assert reading["layers.up"].block == Block(0, 0)


def test_a_loop_reads_as_its_layers_one_by_one_do() -> None:
    loop = model(scanned, block_shapes(LAYERS))
    one_by_one = model(
        lambda x, layers: block(block(block(block(x, layers[0]), layers[1]), layers[2]), layers[3]),
        [block_shapes() for _ in range(LAYERS)],
    )
    assert (loop.blocks, loop.width, loop.attentions) == (one_by_one.blocks, one_by_one.width, one_by_one.attentions)
    for name in ("gain", "up", "down"):
        alike = [(each.use, each.role, each.feeds) for each in (loop[f"layers.{name}"], one_by_one[f"layers.2.{name}"])]
        assert alike[0] == alike[1]


def test_layers_that_each_read_something_else_are_blocks_and_not_steps_of_time() -> None:
    def layers(x: Any, layers: Any) -> Any:
        memories = jnp.stack([jnp.roll(x, place, 1) for place in range(LAYERS)])

        def turn(x: Any, each: Any) -> Any:
            layer, memory = each
            return x + jax.nn.relu((x + memory) * layer["gain"] @ layer["up"]) @ layer["down"], None

        return lax.scan(turn, x, (layers, memories))[0]

    assert model(layers, block_shapes(LAYERS)).blocks == (LAYERS,)


def test_one_layer_used_again_and_again_is_as_many_blocks() -> None:
    reading = model(lambda x, layer: lax.scan(lambda x, _: (block(x, layer), None), x, length=3)[0], block_shapes())
    assert reading.blocks == (3,)
    assert letters(reading)["layers.up"] == "io"


def cell(state: Any, x: Any, params: Any) -> Any:
    return jnp.tanh(x @ params["into"] + state @ params["again"] + params["bias"])


CELL = {"into": numbers(WIDTH, STATE), "again": numbers(STATE, STATE), "bias": numbers(STATE)}


def over_time(x: Any, step: Callable[[Any, Any], Any], start: Any) -> Any:
    def turn(state: Any, x: Any) -> Any:
        state = step(state, x)
        return state, state

    return jnp.swapaxes(lax.scan(turn, start, jnp.swapaxes(x, 0, 1))[1], 0, 1)


def test_a_loop_over_time_is_no_stack() -> None:
    zeros = jnp.zeros((BATCH, STATE))
    reading = model(
        lambda x, params: over_time(x, lambda state, x: cell(state, x, params), zeros) @ params["out"],
        {**CELL, "out": numbers(STATE, WIDTH)},
    )
    assert letters(reading) == {
        **{"first": "io", "last": "io"},
        **{"layers.into": "io", "layers.again": "io", "layers.bias": "o", "layers.out": "io"},
    }
    assert reading["layers.again"].role is Role.HIDDEN
    assert reading["layers.bias"].use is ParameterUse.BIAS
    assert reading.blocks == ()


def test_a_state_that_is_added_to_is_no_residual_stream() -> None:
    zeros = jnp.zeros((BATCH, STATE))
    reading = model(
        lambda x, p: over_time(x, lambda state, x: 0.9 * state + cell(state, x, p), zeros) @ p["out"],
        {**CELL, "out": numbers(STATE, WIDTH)},
    )
    assert reading.blocks == ()


def test_the_gates_of_an_lstm_are_no_residual_join() -> None:
    def gates(x: Any, p: Any) -> Any:
        kept = jax.nn.sigmoid(x @ p["forget"]) * 0.5
        return kept + jax.nn.sigmoid(x @ p["input"]) * jnp.tanh(x @ p["new"])

    assert model(gates, {name: numbers(WIDTH, WIDTH) for name in ("forget", "input", "new")}).blocks == ()


def test_a_residual_block_inside_a_step_of_time_counts_once() -> None:
    zeros = jnp.zeros((BATCH, STATE))

    def step(state: Any, x: Any, params: Any) -> Any:
        return cell(state, block(x, params["block"]), params["cell"])

    reading = model(
        lambda x, p: over_time(x, lambda state, x: step(state, x, p), zeros) @ p["out"],
        {"cell": CELL, "block": block_shapes(), "out": numbers(STATE, WIDTH)},
    )
    assert reading.blocks == (1,)
    assert reading["layers.block.up"].block == Block(0, 0)


def test_a_map_over_the_batch_leaves_the_blocks_of_each_example() -> None:
    reading = model(lambda x, layers: lax.map(lambda row: scanned(row, layers), x), block_shapes(LAYERS))
    assert reading.blocks == (LAYERS,)
    assert letters(reading)["layers.up"] == "sio"


def test_an_attention_over_pieces_of_its_keys_is_one() -> None:
    def attend(x: Any, p: Any) -> Any:
        query, key, value = (x @ p[name] for name in ("query", "key", "value"))

        def turn(state: Any, piece: Any) -> Any:
            most, total, mixed = state
            scores = jnp.einsum("btd,bd->bt", query, piece[0]) / 4
            now = jnp.maximum(most, scores)
            old, new = jnp.exp(most - now), jnp.exp(scores - now)
            return (now, total * old + new, mixed * old[..., None] + new[..., None] * piece[1][:, None]), None

        start = jnp.full((BATCH, TIME), -jnp.inf), jnp.zeros((BATCH, TIME)), jnp.zeros((BATCH, TIME, WIDTH))
        (_, total, mixed), _ = lax.scan(turn, start, (jnp.swapaxes(key, 0, 1), jnp.swapaxes(value, 0, 1)))
        return x + mixed / total[..., None]

    reading = model(attend, {name: numbers(WIDTH, WIDTH) for name in ("query", "key", "value")})
    (attention,) = reading.attentions
    assert (attention.count, attention.head_dim, attention.scale) == (1, WIDTH, 0.25)
    assert reading.blocks == (1,)
    assert letters(reading) == dict.fromkeys(("first", "last", "layers.query", "layers.key", "layers.value"), "io")


def test_a_bias_that_a_gate_multiplies_with_the_state_is_a_bias() -> None:
    """As in a GRU: the first state is a constant, and so would be what a matrix makes of it."""

    def step(state: Any, x: Any, params: Any) -> Any:
        gate = jax.nn.sigmoid(x @ params["gate"])
        return jnp.tanh(x @ params["into"] + gate * (state @ params["again"] + params["bias"]))

    zeros = jnp.zeros((BATCH, STATE))
    reading = model(
        lambda x, p: over_time(x, lambda state, x: step(state, x, p), zeros) @ p["out"],
        {**CELL, "gate": numbers(WIDTH, STATE), "out": numbers(STATE, WIDTH)},
    )
    assert reading["layers.bias"].use is ParameterUse.BIAS


def test_a_learned_first_state_stands_in_the_data_s_place() -> None:
    reading = model(
        lambda x, p: over_time(x, lambda s, x: cell(s, x, p), jnp.tile(p["start"], (BATCH, 1))) @ p["out"],
        {**CELL, "start": numbers(1, STATE), "out": numbers(STATE, WIDTH)},
    )
    assert reading["layers.start"].role is Role.VECTOR
    assert letters(reading)["layers.start"] == "so"
    assert letters(reading)["layers.again"] == "io"


def test_every_branch_is_read() -> None:
    def either(x: Any, params: Any) -> Any:
        return lax.switch(
            jnp.int32(1), [lambda x: x @ params["a"], lambda x: jnp.tanh(x @ params["b"]), lambda x: x], x
        )

    reading = model(either, {"a": numbers(WIDTH, WIDTH), "b": numbers(WIDTH, WIDTH)})
    assert {each.use for each in reading.parameters} == {ParameterUse.CONTRACTION}
    assert letters(reading)["layers.b"] == "io"
    assert reading["first"].role is Role.EMBEDDING


def test_a_branch_around_a_block_leaves_the_block() -> None:
    def dropped(x: Any, layer: Any) -> Any:
        return lax.cond(jnp.sum(x) > 0, lambda x: block(x, layer), lambda x: x, x)

    reading = model(lambda x, layers: dropped(dropped(x, layers[0]), layers[1]), [block_shapes(), block_shapes()])
    assert reading.blocks == (2,)


def test_a_loop_without_a_known_end_is_walked() -> None:
    def until(x: Any, params: Any) -> Any:
        return lax.while_loop(lambda x: jnp.sum(x) < 1, lambda x: jnp.tanh(x @ params["again"]), x)

    reading = model(until, {"again": numbers(WIDTH, WIDTH)})
    assert letters(reading)["layers.again"] == "io"
    assert reading["layers.again"].role is Role.HIDDEN


@jax.custom_vjp
def times(x: Any, weight: Any) -> Any:
    return x @ weight


times.defvjp(lambda x, weight: (x @ weight, (x, weight)), lambda kept, g: (g @ kept[1].T, kept[0].T @ g))


@pytest.mark.parametrize(
    "wrapped",
    [
        jax.jit(jax.jit(lambda x, w: x @ w)),
        jax.checkpoint(lambda x, w: x @ w),
        jax.checkpoint(jnp.matmul, policy=jax.checkpoint_policies.dots_saveable),
        times,
        lambda x, w: jax.vmap(jax.jit(lambda row: row @ w))(x),
    ],
    ids=["jit in jit", "remat", "remat with a policy", "custom_vjp", "vmap of jit"],
)
def test_nested_functions_are_walked(wrapped: Callable[[Any, Any], Any]) -> None:
    reading = model(lambda x, layers: wrapped(x, layers["w"]), {"w": numbers(WIDTH, WIDTH)})
    assert letters(reading) == {"first": "io", "last": "io", "layers.w": "io"}
    assert reading["layers.w"].role is Role.HIDDEN
    assert reading.cautions == ()


def test_a_callback_is_a_caution_and_no_claim() -> None:
    def outside(x: Any, params: Any) -> Any:
        return jax.pure_callback(lambda x, w: x @ w, jax.ShapeDtypeStruct(x.shape, x.dtype), x, params["w"])

    reading = model(outside, {"w": numbers(WIDTH, WIDTH)})
    assert reading["layers.w"].use is ParameterUse.UNKNOWN
    (caution,) = reading.cautions
    assert (caution.code, "pure_callback" in caution.message) == ("operations_without_rule", True)
