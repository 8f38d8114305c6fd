"""JAX models that read pictures: a transformer of Flax linen, and layers of Equinox between a convolution and a GRU."""

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp

from tests.models.zoo.jax_specimen import Built, JaxSpecimen
from tests.models.zoo.truth import BIAS, GAIN, HEAD, PATCHES, bias, gain, kernel, matrix, positions, token
from widthwise.vocabulary import Role

WIDTH, HEADS, HEAD_DIM, INNER, LAYERS, STATE, CLASSES, BATCH = 12, 2, 5, 28, 3, 6, 4, 2


class VisionTransformer(nn.Module):
    """Patches, a class token, whole positions, and gains on the branches (LayerScale)."""

    @nn.compact
    def __call__(self, image: Any) -> Any:
        x = nn.Conv(WIDTH, (4, 4), (4, 4), name="patches")(image).reshape(image.shape[0], -1, WIDTH)
        start = self.param("start", nn.initializers.zeros, (1, 1, WIDTH))
        x = jnp.concatenate([jnp.tile(start, (x.shape[0], 1, 1)), x], 1)
        x = x + self.param("places", nn.initializers.zeros, (1, x.shape[1], WIDTH))
        for layer in range(LAYERS):
            attend = nn.MultiHeadDotProductAttention(HEADS, qkv_features=HEADS * HEAD_DIM)
            x = x + attend(nn.LayerNorm()(x))
            scale = self.param(f"scale_{layer}", nn.initializers.ones, (WIDTH,))
            x = x + scale * nn.Dense(WIDTH)(nn.gelu(nn.Dense(INNER)(nn.LayerNorm()(x))))
        return nn.Dense(CLASSES, name="head")(nn.LayerNorm()(x)[:, 0])


def _vision_transformer() -> Built:
    model, image = VisionTransformer(), jax.ShapeDtypeStruct((BATCH, 16, 16, 3), jnp.float32)
    return model.apply, jax.eval_shape(model.init, jax.random.key(0), image), (image,)


class Layer(eqx.Module):
    """An MLP after a norm, in a residual block."""

    norm: eqx.nn.RMSNorm
    up: eqx.nn.Linear
    down: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        one, other = jax.random.split(key)
        self.norm = eqx.nn.RMSNorm(WIDTH)
        self.up, self.down = eqx.nn.Linear(WIDTH, INNER, key=one), eqx.nn.Linear(INNER, WIDTH, key=other)

    def __call__(self, x: Any) -> Any:
        return x + jax.vmap(self.down)(jax.nn.gelu(jax.vmap(self.up)(jax.vmap(self.norm)(x))))


class Glimpses(eqx.Module):
    """Patches through layers that one scan holds, then one after another through a GRU."""

    patches: eqx.nn.Conv2d
    layers: Layer
    cell: eqx.nn.GRUCell
    head: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        keys = jax.random.split(key, 4)
        self.patches = eqx.nn.Conv2d(3, WIDTH, 4, 4, key=keys[0])
        self.layers = eqx.filter_vmap(Layer)(jax.random.split(keys[1], LAYERS))
        self.cell = eqx.nn.GRUCell(WIDTH, STATE, key=keys[2])
        self.head = eqx.nn.Linear(STATE, CLASSES, key=keys[3])

    def __call__(self, image: Any) -> Any:
        stacked, static = eqx.partition(self.layers, eqx.is_array)
        x = self.patches(image).reshape(WIDTH, -1).T
        x, _ = jax.lax.scan(lambda x, layer: (eqx.combine(layer, static)(x), None), x, stacked)
        state, _ = jax.lax.scan(lambda state, x: (self.cell(x, state), None), jnp.zeros(STATE), x)
        return self.head(state)


def _glimpses() -> Built:
    model = eqx.filter_eval_shape(Glimpses, jax.random.key(0))
    params, static = eqx.partition(model, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    image = jax.ShapeDtypeStruct((BATCH, 3, 16, 16), jnp.float32)
    return lambda params, image: jax.vmap(eqx.combine(params, static))(image), params, (image,)


VISION = (
    JaxSpecimen(
        "linen vision transformer",
        _vision_transformer,
        {
            "*.patches.kernel": kernel("iiio", Role.EMBEDDING),
            "*.start": token("sso"),
            "*.places": positions("sso"),
            "*.scale_*": GAIN,
            "*.head.kernel": matrix("io", Role.READOUT),
            **{f"*.{side}.kernel": matrix("ioo") for side in ("query", "key", "value")},
            **{f"*.{side}.bias": bias("oo") for side in ("query", "key", "value")},
            "*.out.kernel": matrix("iio"),
            "*.kernel": matrix("io"),
            "*.LayerNorm_*.scale": GAIN,
            "*.bias": BIAS,
        },
        blocks=(LAYERS,),
        width=WIDTH,
        attentions=((LAYERS, HEAD_DIM),),
    ),
    JaxSpecimen(
        "equinox layers in a scan, between a convolution and a GRU",
        _glimpses,
        {
            "patches.weight": PATCHES,
            "patches.bias": bias("oss"),
            "layers.norm.weight": gain("so"),
            "layers.*.weight": matrix("soi"),
            "layers.*.bias": bias("so"),
            "cell.weight_*": matrix(),
            "cell.bias*": BIAS,
            "head.weight": HEAD,
            "head.bias": BIAS,
        },
        blocks=(LAYERS,),
        width=WIDTH,
    ),
)
