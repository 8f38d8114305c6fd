"""Models of Flax linen: a decoder, a scanned one, a ResNet, and an LSTM."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from tests.models.zoo.jax_specimen import Built, JaxSpecimen
from tests.models.zoo.truth import BIAS, HEAD, PLACES, TABLE, bias, gain, kernel, matrix
from widthwise.reading.model import Place
from widthwise.vocabulary import Role

VOCABULARY, WIDTH, HEADS, HEAD_DIM, INNER, LAYERS, BATCH, LENGTH, PLACES_COUNT = 11, 12, 2, 5, 28, 3, 2, 7, 17
IDS = jax.ShapeDtypeStruct((BATCH, LENGTH), jnp.int32)

INTO = matrix("io")
ATTENTION = {
    **{f"*.{side}.kernel": matrix("ioo") for side in ("query", "key", "value")},
    **{f"*.{side}.bias": bias("oo") for side in ("query", "key", "value")},
    "*.out.kernel": matrix("iio"),
    "*.out.bias": BIAS,
}


class Block(nn.Module):
    """Attention and an MLP, each after a norm."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        attend = nn.MultiHeadDotProductAttention(HEADS, qkv_features=HEADS * HEAD_DIM)
        x = x + attend(nn.LayerNorm()(x), mask=nn.make_causal_mask(jnp.ones(x.shape[:2])))
        return x + nn.Dense(WIDTH)(nn.gelu(nn.Dense(INNER)(nn.LayerNorm()(x))))


class Decoder(nn.Module):
    """A GPT-2 with √d on its embeddings."""

    @nn.compact
    def __call__(self, ids: Any) -> Any:
        places = jnp.arange(ids.shape[1])
        x = nn.Embed(VOCABULARY, WIDTH)(ids) * jnp.sqrt(WIDTH) + nn.Embed(PLACES_COUNT, WIDTH)(places)
        for _ in range(LAYERS):
            x = Block()(x)
        return nn.Dense(VOCABULARY, use_bias=False)(nn.LayerNorm()(x))


class GatedBlock(nn.Module):
    """A block of a Llama: RMS norms, a gated MLP; a carry for nn.scan."""

    @nn.compact
    def __call__(self, x: Any, _: Any) -> Any:
        x = x + nn.MultiHeadDotProductAttention(HEADS, qkv_features=HEADS * HEAD_DIM, use_bias=False)(nn.RMSNorm()(x))
        h = nn.RMSNorm()(x)
        gate = nn.silu(nn.Dense(INNER, use_bias=False, name="gate")(h))
        h = gate * nn.Dense(INNER, use_bias=False, name="up")(h)
        return x + nn.Dense(WIDTH, use_bias=False, name="down")(h), None


class Scanned(nn.Module):
    """Layers in one scan, recomputed backwards, with the table of the embedding as the readout."""

    @nn.compact
    def __call__(self, ids: Any) -> Any:
        table = nn.Embed(VOCABULARY, WIDTH)
        layers = nn.scan(nn.remat(GatedBlock), variable_axes={"params": 0}, split_rngs={"params": True}, length=LAYERS)
        x, _ = layers()(table(ids), None)
        return table.attend(nn.RMSNorm()(x))


class ResNet(nn.Module):
    """Convolutions with batch norms, a depthwise one among them, and a skip that changes its width."""

    @nn.compact
    def __call__(self, image: Any) -> Any:
        def norm(x: Any) -> Any:
            return nn.BatchNorm(use_running_average=True)(x)

        x = nn.relu(norm(nn.Conv(8, (3, 3), use_bias=False, name="stem")(image)))
        y = nn.relu(norm(nn.Conv(10, (3, 3), strides=2, use_bias=False, name="down")(x)))
        y = nn.relu(norm(nn.Conv(10, (3, 3), feature_group_count=10, use_bias=False, name="depthwise")(y)))
        y = norm(nn.Conv(10, (1, 1), use_bias=False, name="point")(y))
        x = nn.relu(y + nn.Conv(10, (1, 1), strides=2, use_bias=False, name="skip")(x))
        x = nn.relu(nn.ConvTranspose(6, (2, 2), strides=(2, 2), name="up")(x))
        return nn.Dense(4, name="head")(jnp.mean(nn.max_pool(x, (2, 2), (2, 2)), (1, 2)))


class Recurrent(nn.Module):
    """An LSTM over a sequence, and a head behind a matrix with weight norm."""

    @nn.compact
    def __call__(self, ids: Any) -> Any:
        x = nn.RNN(nn.LSTMCell(HEAD_DIM))(nn.Embed(VOCABULARY, WIDTH)(ids))
        return nn.Dense(4, name="head")(jnp.tanh(nn.WeightNorm(nn.Dense(INNER, name="inner"))(x)))


def _built(model: nn.Module, inputs: Any) -> Built:
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)
    statistics = variables.get("batch_stats", {})

    def forward(params: Any, *args: Any) -> Any:
        rest = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), statistics)
        return model.apply({"params": params, "batch_stats": rest}, *args)

    return forward, variables["params"], (inputs,)


LINEN = (
    JaxSpecimen(
        "linen decoder",
        lambda: _built(Decoder(), IDS),
        {
            "Embed_0.embedding": TABLE,
            "Embed_1.embedding": PLACES,
            "Dense_0.kernel": matrix("io", Role.READOUT),
            **ATTENTION,
            "Block_*.Dense_*.kernel": INTO,
            "Block_*.Dense_*.bias": BIAS,
            "*LayerNorm*.scale": gain(),
            "*LayerNorm*.bias": BIAS,
        },
        blocks=(LAYERS,),
        width=WIDTH,
        attentions=((LAYERS, HEAD_DIM),),
        multipliers=((Place.EMBEDDING, WIDTH**0.5),),
    ),
    JaxSpecimen(
        "linen decoder, scanned, recomputed, tied",
        lambda: _built(Scanned(), IDS),
        {
            "Embed_0.embedding": TABLE.tied(HEAD),
            "RMSNorm_0.scale": gain(),
            **{f"*.{side}.kernel": matrix("sioo") for side in ("query", "key", "value")},
            "*.out.kernel": matrix("siio"),
            "*.RMSNorm_*.scale": gain("so"),
            **{f"*.{name}.kernel": matrix("sio") for name in ("gate", "up", "down")},
        },
        blocks=(LAYERS,),
        width=WIDTH,
        attentions=((LAYERS, HEAD_DIM),),
    ),
    JaxSpecimen(
        "linen ResNet",
        lambda: _built(ResNet(), jax.ShapeDtypeStruct((BATCH, 16, 16, 3), jnp.float32)),
        {
            "stem.kernel": kernel("iiio", Role.EMBEDDING),
            "depthwise.kernel": kernel("iiio", Role.VECTOR),
            "head.kernel": matrix("io", Role.READOUT),
            "*.kernel": kernel("iiio"),
            "BatchNorm_*.scale": gain(),
            "*.bias": BIAS,
        },
        blocks=(1,),
        width=10,
    ),
    JaxSpecimen(
        "linen LSTM with weight norm",
        lambda: _built(Recurrent(), IDS),
        {
            "Embed_0.embedding": TABLE,
            "head.kernel": matrix("io", Role.READOUT),
            "WeightNorm_*scale": gain(),
            "*.kernel": INTO,
            "*.bias": BIAS,
        },
    ),
)
