"""Each primitive of JAX that a model's parameters go through."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from tests.unit.reading.letters import letters, numbers
from widthwise.jax import trace
from widthwise.reading.parameter import ParameterUse
from widthwise.vocabulary import Role

BATCH, TOKENS, IN, WIDTH, INNER, OUT, ROWS = 2, 7, 5, 12, 20, 3, 11
X = numbers(BATCH, TOKENS, IN)

CONTRACTION, POSITION = ParameterUse.CONTRACTION, ParameterUse.POSITION
GAIN, BIAS, TOKEN = ParameterUse.GAIN, ParameterUse.BIAS, ParameterUse.TOKEN


@dataclass(frozen=True)
class Case:
    """One parameter w between a first and a last matrix: what is done with it, and what it is."""

    name: str
    step: Callable[[Any, Any], Any]  #: of the data [batch, tokens, width] and of w
    shape: tuple[int, ...]
    use: ParameterUse
    axes: str

    def __str__(self) -> str:
        return self.name


def rows_of(table: Any, rows: Any) -> Any:
    return jnp.take(table, rows, axis=0)


CASES = (
    Case("dot_general", lambda x, w: x @ w, (WIDTH, INNER), CONTRACTION, "io"),
    Case("dot_general turned", lambda x, w: x @ w.T, (INNER, WIDTH), CONTRACTION, "oi"),
    Case(
        "dot_general over two axes", lambda x, w: jnp.einsum("btd,hed->bthe", x, w), (4, 6, WIDTH), CONTRACTION, "ooi"
    ),
    Case("dot_general from the left", lambda x, w: jnp.einsum("od,btd->bto", w, x), (INNER, WIDTH), CONTRACTION, "oi"),
    Case("dot_general in other numbers", lambda x, w: x @ w.astype(jnp.bfloat16), (WIDTH, INNER), CONTRACTION, "io"),
    Case("dot_general of a piece", lambda x, w: x[..., :6] @ w[:6], (WIDTH, INNER), CONTRACTION, "io"),
    Case("reshape", lambda x, w: x @ w.reshape(WIDTH, -1), (WIDTH, 4, 6), CONTRACTION, "ioo"),
    Case("reshape of both sides", lambda x, w: x @ w.reshape(WIDTH, -1), (3, 4, 6, 5), CONTRACTION, "iioo"),
    Case("squeeze", lambda x, w: x @ w[0], (1, WIDTH, INNER), CONTRACTION, "sio"),
    Case("slice", lambda x, w: (x @ w[1]) + x @ w[0], (2, WIDTH, INNER), CONTRACTION, "sio"),
    Case("split", lambda x, w: sum(x @ part for part in jnp.split(w, 2, 1)), (WIDTH, INNER), CONTRACTION, "io"),
    Case("rev", lambda x, w: x @ w[::-1], (WIDTH, INNER), CONTRACTION, "io"),
    Case("concatenate", lambda x, w: x @ jnp.concatenate([w, w], 1), (WIDTH, INNER), CONTRACTION, "io"),
    Case("stack", lambda x, w: jnp.einsum("btd,sdo->bto", x, jnp.stack([w, w])), (WIDTH, INNER), CONTRACTION, "io"),
    Case("unstack", lambda x, w: jnp.matmul(x, jnp.unstack(w)[1]) - x @ w[0], (2, WIDTH, INNER), CONTRACTION, "sio"),
    Case("pad", lambda x, w: x @ jnp.pad(w, ((0, 0), (0, 2))), (WIDTH, INNER), CONTRACTION, "io"),
    Case("stop_gradient", lambda x, w: lax.stop_gradient(x) @ w, (WIDTH, INNER), CONTRACTION, "io"),
    Case("barrier", lambda x, w: jnp.matmul(*lax.optimization_barrier((x, w))), (WIDTH, INNER), CONTRACTION, "io"),
    Case("product that is summed", lambda x, w: jnp.sum(x * w, -1, keepdims=True), (WIDTH,), CONTRACTION, "i"),
    Case("vmap", lambda x, w: jax.vmap(jax.vmap(lambda row: w @ row))(x), (INNER, WIDTH), CONTRACTION, "oi"),
    Case("batch", lambda x, w: jnp.einsum("bhi,hio->bho", x.reshape(-1, 3, 4), w), (3, 4, 6), CONTRACTION, "sio"),
    Case("mul", lambda x, w: x * w, (WIDTH,), GAIN, "o"),
    Case("div", lambda x, w: x / w, (WIDTH,), GAIN, "o"),
    Case("gain of its exponential", lambda x, w: x * jnp.exp(w), (WIDTH,), GAIN, "o"),
    Case("gain of a norm", lambda x, w: x * lax.rsqrt(jnp.mean(x**2, -1, keepdims=True)) * w, (WIDTH,), GAIN, "o"),
    Case("add", lambda x, w: x + w, (WIDTH,), BIAS, "o"),
    Case("sub", lambda x, w: x - w, (WIDTH,), BIAS, "o"),
    Case("add, broadcast by the code", lambda x, w: x + jnp.broadcast_to(w, x.shape), (WIDTH,), BIAS, "o"),
    Case("select_n", lambda x, w: jnp.where(x > 0, x, w * x), (WIDTH,), GAIN, "o"),
    Case("whole table of positions", lambda x, w: x + w[:TOKENS], (ROWS, WIDTH), POSITION, "so"),
    Case("table of positions", lambda x, w: x + rows_of(w, jnp.arange(TOKENS)), (ROWS, WIDTH), POSITION, "io"),
    Case(
        "table of positions, cut out",
        lambda x, w: x + lax.dynamic_slice(w, (jnp.arange(3)[1], 0), (TOKENS, WIDTH)),
        (ROWS, WIDTH),
        POSITION,
        "io",
    ),
    Case(
        "token",
        lambda x, w: jnp.concatenate([jnp.broadcast_to(w, (BATCH, 1, WIDTH)), x], 1),
        (1, 1, WIDTH),
        TOKEN,
        "sso",
    ),
    Case("token, tiled", lambda x, w: jnp.concatenate([jnp.tile(w, (BATCH, 1, 1)), x], 1), (1, 4, WIDTH), TOKEN, "sso"),
    Case(
        "dynamic_update_slice",
        lambda x, w: lax.dynamic_update_slice(x @ w, x[:, :1], (0, 0, 0)),
        (WIDTH, WIDTH),
        CONTRACTION,
        "io",
    ),
    Case("scatter", lambda x, w: (x @ w).at[:, jnp.array([0, 2])].add(1.0), (WIDTH, INNER), CONTRACTION, "io"),
    Case("cumsum", lambda x, w: jnp.cumsum(x, 1) @ w, (WIDTH, INNER), CONTRACTION, "io"),
    Case("of unknown name", lambda x, w: jnp.arctan2(x, 1.0 + x * x) @ w, (WIDTH, INNER), CONTRACTION, "io"),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_parameter_is_followed_through_a_primitive(case: Case) -> None:
    def forward(params: Any, x: Any) -> Any:
        found = case.step(x @ params["first"], params["w"])
        return jnp.tanh(found) @ params["last"]

    out = jax.eval_shape(case.step, numbers(BATCH, TOKENS, WIDTH), numbers(*case.shape)).shape[-1]
    params = {"first": numbers(IN, WIDTH), "w": numbers(*case.shape), "last": numbers(out, OUT)}
    reading = trace(forward, params, X)
    matrix = case.use is CONTRACTION
    vector = Role.EMBEDDING if case.use is POSITION and case.axes == "io" else Role.VECTOR
    assert (reading["w"].use, letters(reading)["w"]) == (case.use, case.axes)
    assert reading["w"].role is (Role.HIDDEN if matrix else vector)
    assert letters(reading)["first"] == "io"
    assert reading.cautions == ()
