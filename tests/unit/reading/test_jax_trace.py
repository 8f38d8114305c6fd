"""What a trace of a JAX function says, what it needs, and what it refuses."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from tests.unit.reading.letters import numbers
from widthwise import Base, Tensor, transfer
from widthwise.errors import InvalidInputError
from widthwise.jax import trace
from widthwise.reading.model import CodeMultiplier, ModelReading, Place
from widthwise.reading.parameter import Feeds, ParameterUse
from widthwise.vocabulary import Role

BATCH, TOKENS, VOCABULARY, WIDTH, HEADS, HEAD_DIM, INNER, OUT = 2, 6, 11, 12, 2, 5, 20, 3


IDS = jax.ShapeDtypeStruct((BATCH, TOKENS), jnp.int32)


def attention(layer: dict[str, Any], x: Any) -> Any:
    query, key, value = ((x @ layer[name]).reshape(*x.shape[:2], HEADS, -1) for name in ("query", "key", "value"))
    scores = jnp.einsum("bthd,bshd->bhts", query, key) / jnp.sqrt(HEAD_DIM)
    scores = jnp.where(jnp.tril(jnp.ones(scores.shape[-2:], bool)), scores, -jnp.inf)
    mixed = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores), value)
    return mixed.reshape(*x.shape[:2], -1) @ layer["out"]


def decoder(params: dict[str, Any], ids: Any) -> Any:
    """Two blocks, √d on the embedding, a tied readout."""
    x = params["table"][ids] * jnp.sqrt(jnp.float32(WIDTH))
    for layer in params["layers"]:
        x = x + attention(layer, x)
        x = x + (jax.nn.silu(x @ layer["gate"]) * (x @ layer["up"])) @ layer["down"]
    return x @ params["table"].T


def decoder_shapes() -> dict[str, Any]:
    layer = {
        **{name: numbers(WIDTH, HEADS * HEAD_DIM) for name in ("query", "key", "value")},
        "out": numbers(HEADS * HEAD_DIM, WIDTH),
        **{"gate": numbers(WIDTH, INNER), "up": numbers(WIDTH, INNER), "down": numbers(INNER, WIDTH)},
    }
    return {"table": numbers(VOCABULARY, WIDTH), "layers": [layer, layer]}


def test_a_decoder_is_read_with_its_attention_blocks_multipliers_and_tie() -> None:
    reading = trace(decoder, decoder_shapes(), IDS)
    assert reading.source == "jax trace"
    assert (reading.blocks, reading.width) == ((2,), WIDTH)
    (found,) = reading.attentions
    assert (found.count, found.head_dim, found.scale) == (2, HEAD_DIM, pytest.approx(HEAD_DIM**-0.5, rel=1e-5))
    assert reading.multipliers == (CodeMultiplier(Place.EMBEDDING, pytest.approx(WIDTH**0.5, rel=1e-5), ("table",)),)
    feeds = {name: reading[f"layers.1.{name}"].feeds for name in ("query", "key", "value", "gate", "up", "out")}
    assert feeds == {**{name: Feeds(name) for name in ("query", "key", "value", "gate", "up")}, "out": None}
    assert (reading["table"].role, reading["table"].use) == (Role.EMBEDDING, ParameterUse.LOOKUP)
    tied = reading["table@contraction"]
    assert (tied.role, tied.tied_to, tied.fan_in_axes) == (Role.READOUT, "table", (1,))
    assert reading.cautions == ()


def test_shapes_say_as_much_as_arrays() -> None:
    shapes = decoder_shapes()
    arrays = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    assert trace(decoder, arrays, jnp.zeros((BATCH, TOKENS), jnp.int32)) == trace(decoder, shapes, IDS)


def test_a_model_of_any_size_takes_no_memory() -> None:
    params = {"first": numbers(1 << 20, 1 << 20), "last": numbers(1 << 20, OUT)}  # 4 TiB
    reading = trace(lambda p, x: jax.nn.relu(x @ p["first"]) @ p["last"], params, numbers(1, 1 << 20))
    assert reading["first"].shape == (1 << 20, 1 << 20)


class Layer(NamedTuple):
    kernel: Any
    value: Any


@jax.tree_util.register_dataclass
@dataclass
class Box:
    """As Flax holds an array: in an attribute of a variable."""

    value: Any


def test_names_are_paths_with_dots() -> None:
    params = {"layers": [Layer(numbers(WIDTH, WIDTH), numbers(WIDTH))], "last": (numbers(WIDTH, OUT),)}

    def forward(params: Any, x: Any) -> Any:
        (layer,) = params["layers"]
        return jnp.tanh(x @ layer.kernel + layer.value) @ params["last"][0]

    names = [each.name for each in trace(forward, params, numbers(BATCH, WIDTH)).parameters]
    assert names == ["last.0", "layers.0.kernel", "layers.0.value"]


def test_the_box_around_an_array_is_not_part_of_its_name() -> None:
    params = {"inner": {"kernel": Box(numbers(WIDTH, WIDTH))}, "last": Layer(numbers(WIDTH, OUT), numbers(OUT))}

    def forward(params: Any, x: Any) -> Any:
        return jnp.tanh(x @ params["inner"]["kernel"].value) @ params["last"].kernel + params["last"].value

    names = [each.name for each in trace(forward, params, numbers(BATCH, WIDTH)).parameters]
    assert names == ["inner.kernel", "last.kernel", "last.value"]


def test_counters_and_keys_among_the_parameters_are_no_parameters() -> None:
    params = {"kernel": numbers(WIDTH, OUT), "count": jax.ShapeDtypeStruct((), jnp.int32)}
    reading = trace(lambda p, x: x @ p["kernel"] * p["count"], params, numbers(BATCH, WIDTH))
    assert [each.name for each in reading.parameters] == ["kernel"]


def test_a_parameter_that_nothing_uses_is_a_question() -> None:
    params = {"kernel": numbers(WIDTH, OUT), "forgotten": numbers(WIDTH, WIDTH)}
    found = trace(lambda p, x: x @ p["kernel"], params, numbers(BATCH, WIDTH))["forgotten"]
    assert (found.use, found.role) == (ParameterUse.UNUSED, None)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "params is a dict that holds nothing and no array"),
        (None, "params is a NoneType that holds nothing and no array"),
        ({"kernel": "glorot"}, "holds str and no array"),
        ({"step": jax.ShapeDtypeStruct((), jnp.int32)}, "holds ShapeDtypeStruct and no array of floating-point"),
    ],
)
def test_params_without_arrays_are_an_error_that_says_what_to_give(params: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"{said}.*jax\.eval_shape") as caught:
        trace(jnp.add, params, numbers(2))
    assert caught.value.field == "params"


def test_a_function_that_fails_is_an_error_with_its_words_and_the_shapes() -> None:
    with pytest.raises(InvalidInputError, match=r"inputs \(\[2, 5\]\): TypeError: .*\(5,\).*\(12,\)") as caught:
        trace(lambda p, x: x @ p["kernel"], {"kernel": numbers(WIDTH, OUT)}, numbers(BATCH, 5))
    assert caught.value.field == "args"
    with pytest.raises(InvalidInputError, match=r"inputs \(no inputs\).*Check that fn\(params, \*args\) runs"):
        trace(jnp.matmul, {"kernel": numbers(WIDTH)})


def test_what_is_not_an_array_belongs_into_a_closure() -> None:
    with pytest.raises(InvalidInputError, match=r"put what is not an array .* into a closure"):
        trace(lambda p, flag: p["kernel"] if flag else 0, {"kernel": numbers(WIDTH)}, "train")


def test_two_readings_make_the_plan_that_hand_written_tensors_make() -> None:
    def forward(params: Any, x: Any) -> Any:
        h, _ = lax.scan(lambda h, w: (h + jnp.tanh(h @ w), None), x @ params["first"], params["layers"])
        return h @ params["last"]

    def reading(width: int) -> ModelReading:
        shapes = {"first": (8, width), "layers": (4, width, width), "last": (width, 8)}
        params = {name: numbers(*shape) for name, shape in shapes.items()}
        return trace(forward, params, numbers(BATCH, 8))

    words = {"parameterization": "standard", "optimizer": "adamw", "base": Base(learning_rate=1e-3)}
    found = transfer(**words, model={"base": reading(256), "target": reading(1024)})
    tensors = [
        Tensor("first", (8, 256), (8, 1024), role=Role.EMBEDDING, fan_in_axes=(0,), fan_out_axes=(1,)),
        Tensor("last", (256, 8), (1024, 8), role=Role.READOUT, fan_in_axes=(0,), fan_out_axes=(1,)),
        Tensor("layers", (4, 256, 256), (4, 1024, 1024), role=Role.HIDDEN, fan_in_axes=(1,), fan_out_axes=(2,)),
    ]
    by_hand = transfer(**words, tensors=tensors)
    assert [each.learning_rate for each in found.tensors] == [each.learning_rate for each in by_hand.tensors]
    assert [each.init_std for each in found.tensors] == [each.init_std for each in by_hand.tensors]


def test_importing_widthwise_does_not_load_jax() -> None:
    program = "import sys, widthwise.reading.dataflow.reading; print('jax' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "False"
