"""Models of Flax nnx and of Equinox, and one that is functions over a pytree."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import nnx

from tests.models.zoo.jax_specimen import Built, JaxSpecimen
from tests.models.zoo.truth import BIAS, GAIN, HEAD, LINEAR, PLACES, TABLE, bias, gain, matrix, token
from widthwise.reading.model import Place
from widthwise.vocabulary import Role

VOCABULARY, WIDTH, HEADS, HEAD_DIM, INNER, LAYERS, BATCH, LENGTH = 11, 12, 2, 5, 28, 3, 2, 7
IDS = jax.ShapeDtypeStruct((BATCH, LENGTH), jnp.int32)


class NnxBlock(nnx.Module):
    """Attention and an MLP, each after a norm."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.attention = nnx.MultiHeadAttention(HEADS, WIDTH, HEADS * HEAD_DIM, decode=False, rngs=rngs)
        self.first, self.second = nnx.LayerNorm(WIDTH, rngs=rngs), nnx.RMSNorm(WIDTH, rngs=rngs)
        self.up, self.down = nnx.Linear(WIDTH, INNER, rngs=rngs), nnx.Linear(INNER, WIDTH, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = x + self.attention(self.first(x))
        return x + self.down(nnx.gelu(self.up(self.second(x))))


class NnxDecoder(nnx.Module):
    """A decoder with dropout, which no parameter belongs to."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.table = nnx.Embed(VOCABULARY, WIDTH, rngs=rngs)
        self.blocks = nnx.List([NnxBlock(rngs) for _ in range(LAYERS)])
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.norm, self.head = nnx.LayerNorm(WIDTH, rngs=rngs), nnx.Linear(WIDTH, VOCABULARY, rngs=rngs)

    def __call__(self, ids: Any) -> Any:
        x = self.dropout(self.table(ids))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def _nnx() -> Built:
    model = nnx.eval_shape(lambda: NnxDecoder(nnx.Rngs(0)))
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def forward(params: Any, ids: Any) -> Any:
        whole = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), rest)
        model = nnx.merge(graph, params, whole)
        model.eval()
        return model(ids)

    return forward, params, (IDS,)


class EquinoxDecoder(eqx.Module):
    """One sequence through attention and MLPs of Equinox; vmap makes a batch of it."""

    table: eqx.nn.Embedding
    places: eqx.nn.Embedding
    attentions: Sequence[eqx.nn.MultiheadAttention]
    norms: Sequence[eqx.nn.LayerNorm]
    mlps: Sequence[eqx.nn.MLP]
    start: jax.Array
    head: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        keys = iter(jax.random.split(key, 4 + 2 * LAYERS))
        self.table = eqx.nn.Embedding(VOCABULARY, WIDTH, key=next(keys))
        self.places = eqx.nn.Embedding(LENGTH + 1, WIDTH, key=next(keys))
        self.attentions = [
            eqx.nn.MultiheadAttention(HEADS, WIDTH, qk_size=HEAD_DIM, vo_size=HEAD_DIM, key=next(keys))
            for _ in range(LAYERS)
        ]
        self.norms = [eqx.nn.LayerNorm(WIDTH) for _ in range(LAYERS)]
        self.mlps = [eqx.nn.MLP(WIDTH, WIDTH, INNER, 1, jax.nn.silu, key=next(keys)) for _ in range(LAYERS)]
        self.start = jax.random.normal(next(keys), (1, WIDTH))
        self.head = eqx.nn.Linear(WIDTH, VOCABULARY, key=next(keys))

    def __call__(self, ids: Any) -> Any:
        x = jnp.concatenate([self.start, jax.vmap(self.table)(ids)])
        x = x + jax.vmap(self.places)(jnp.arange(len(x)))
        for attention, norm, mlp in zip(self.attentions, self.norms, self.mlps, strict=True):
            h = jax.vmap(norm)(x)
            x = x + attention(h, h, h)
            x = x + jax.vmap(mlp)(x)
        return jax.vmap(self.head)(x)


def _equinox() -> Built:
    model = eqx.filter_eval_shape(EquinoxDecoder, jax.random.key(0))
    params, static = eqx.partition(model, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    return lambda params, ids: jax.vmap(eqx.combine(params, static))(ids), params, (IDS,)


EXPERTS = 4


def _norm(x: Any, scale: Any) -> Any:
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6) * scale


def mixture(params: Any, ids: Any) -> Any:
    """Layers in a scan, each a recurrence over time and a mixture of experts, of which a token takes two."""

    def turn(h: Any, x: Any, layer: Any) -> Any:
        h = jnp.tanh(x @ layer["into"] + h @ layer["again"] + layer["bias"])
        return h, h

    def layer(x: Any, layer: Any) -> Any:
        start = jnp.zeros((x.shape[0], HEAD_DIM))
        _, states = jax.lax.scan(lambda h, x: turn(h, x, layer), start, jnp.swapaxes(_norm(x, layer["norm"]), 0, 1))
        x = x + jnp.swapaxes(states, 0, 1) @ layer["out"]
        h = _norm(x, layer["mlp_norm"])
        weights, chosen = jax.lax.top_k(jax.nn.softmax(h @ layer["router"]), 2)
        up = jnp.einsum("btd,btkdf->btkf", h, layer["up"][chosen])
        down = jnp.einsum("btkf,btkfd->btkd", jax.nn.gelu(up), layer["down"][chosen])
        return x + jnp.einsum("btk,btkd->btd", weights, down), None

    x = params["table"][ids]
    x, _ = jax.lax.scan(layer, x, params["layers"])
    return _norm(x, params["norm"]) @ params["head"] * 0.5


def _mixture() -> Built:
    shapes = {
        "table": (VOCABULARY, WIDTH),
        "layers": {
            **{"norm": (LAYERS, WIDTH), "mlp_norm": (LAYERS, WIDTH), "router": (LAYERS, WIDTH, EXPERTS)},
            **{"into": (LAYERS, WIDTH, HEAD_DIM), "again": (LAYERS, HEAD_DIM, HEAD_DIM), "bias": (LAYERS, HEAD_DIM)},
            "out": (LAYERS, HEAD_DIM, WIDTH),
            **{"up": (LAYERS, EXPERTS, WIDTH, INNER), "down": (LAYERS, EXPERTS, INNER, WIDTH)},
        },
        "norm": (WIDTH,),
        "head": (WIDTH, VOCABULARY),
    }
    params = jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), shapes, is_leaf=lambda each: isinstance(each, tuple)
    )
    return mixture, params, (IDS,)


TREES = (
    JaxSpecimen(
        "nnx decoder",
        _nnx,
        {
            "table.embedding": TABLE,
            "head.kernel": matrix("io", Role.READOUT),
            **{f"*.{side}.kernel": matrix("ioo") for side in ("query", "key", "value")},
            **{f"*.{side}.bias": bias("oo") for side in ("query", "key", "value")},
            "*.out.kernel": matrix("iio"),
            "*.kernel": matrix("io"),
            "*.bias": BIAS,
            "*.scale": GAIN,
        },
        blocks=(LAYERS,),
        width=WIDTH,
        attentions=((LAYERS, HEAD_DIM),),
        boxes=".value",
    ),
    JaxSpecimen(
        "equinox decoder under vmap",
        _equinox,
        {
            "table.weight": TABLE,
            "places.weight": PLACES,
            "start": token("so"),
            "head.weight": HEAD,
            "norms.*.weight": GAIN,
            "*.weight": LINEAR,
            "*.bias": BIAS,
        },
        blocks=(LAYERS,),
        width=WIDTH,
        attentions=((LAYERS, HEAD_DIM),),
    ),
    JaxSpecimen(
        "pytree, scanned layers of a recurrence and experts",
        _mixture,
        {
            "table": TABLE,
            "head": matrix("io", Role.READOUT),
            "norm": GAIN,
            "layers.*norm": gain("so"),
            "layers.bias": bias("so"),
            **{f"layers.{name}": matrix("ssio") for name in ("up", "down")},
            "layers.*": matrix("sio"),
        },
        blocks=(LAYERS,),
        width=WIDTH,
        multipliers=((Place.LOGITS, 0.5),),
    ),
)
