"""SigLIP's tower for pictures, with which Gemma 3 sees."""

from collections.abc import Mapping
from typing import Any

from widthwise.fields import Fields
from widthwise.reading.configs.attention import KEY_FIRST, Heads, attention
from widthwise.reading.configs.feed_forward import two_layers
from widthwise.reading.configs.kind import depth
from widthwise.reading.configs.outline import NOTHING, Outline, chain, together, under
from widthwise.reading.configs.vision import patch_count, sides
from widthwise.reading.configs.weights import (
    QUERY_KEY_VALUE,
    added,
    first_layer,
    linear,
    matrix,
    norm,
    positions,
    side_by_side,
    token,
)

DEFAULTS: Mapping[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 16,
    "vision_use_head": True,
}


def tower(config: Fields) -> Outline:
    """Return the tower of a vision_config."""
    heads = Heads.of(config)
    width, inner = heads.width, config.integer("intermediate_size")

    def block(_index: int) -> Outline:
        return together(
            norm("layer_norm1", width, bias=True),
            under("self_attn", attention(heads, names=KEY_FIRST, out="out_proj", bias=True)),
            norm("layer_norm2", width, bias=True),
            under("mlp", two_layers("fc1", "fc2", width, inner, bias=True)),
        )

    return together(
        under(
            "embeddings",
            first_layer(
                "patch_embedding", config.integer("num_channels"), width, *sides(config, "patch_size"), bias=True
            ),
            positions("position_embedding", patch_count(config), width),
        ),
        under("encoder", chain("layers", depth(config), block)),
        norm("post_layernorm", width, bias=True),
        under("head", _pooling(width, inner)) if config.flag("vision_use_head") else NOTHING,
    )


def _pooling(width: int, inner: int) -> Outline:
    """A learned query that attends to the patches. Gemma 3 has it and does not use it."""
    return together(
        token("probe", 1, 1, width),
        matrix("attention.in_proj_weight", width, 3 * width, parts=side_by_side(QUERY_KEY_VALUE, (width,) * 3)),
        added("attention.in_proj_bias", 3 * width),
        linear("attention.out_proj", width, width, bias=True),
        norm("layernorm", width, bias=True),
        under("mlp", two_layers("fc1", "fc2", width, inner, bias=True)),
    )
