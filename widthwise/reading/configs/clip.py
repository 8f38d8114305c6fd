"""CLIP: a tower for text and one for pictures, compared by their projections."""

from collections.abc import Mapping
from typing import Any

from widthwise.fields import Fields
from widthwise.reading.configs.attention import KEY_FIRST, Heads, attention
from widthwise.reading.configs.feed_forward import two_layers
from widthwise.reading.configs.kind import ModelKind, depth
from widthwise.reading.configs.outline import Outline, chain, together, under
from widthwise.reading.configs.vision import patch_count, sides
from widthwise.reading.configs.weights import compared, first_layer, norm, positions, table, temperature, token

_TEXT: Mapping[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
}
_VISION: Mapping[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
}


def _tower(config: Fields, name: str, defaults: Mapping[str, Any]) -> Fields:
    """A tower's fields. Older files state them a second time, as `…_config_dict`, which counts then."""
    key = next((key for key in (f"{name}_config_dict", f"{name}_config") if config.has(key)), None)
    given = {} if key is None else config.object(key).values
    return Fields({**defaults, **given}, f"config.{key or name}")


def _encoder(config: Fields) -> Outline:
    heads = Heads.of(config)

    def block(_index: int) -> Outline:
        return together(
            under("self_attn", attention(heads, names=KEY_FIRST, out="out_proj", bias=True)),
            norm("layer_norm1", heads.width, bias=True),
            under("mlp", two_layers("fc1", "fc2", heads.width, config.integer("intermediate_size"), bias=True)),
            norm("layer_norm2", heads.width, bias=True),
        )

    return under("encoder", chain("layers", depth(config), block))


def _text(config: Fields) -> Outline:
    width = config.integer("hidden_size")
    return together(
        under(
            "embeddings",
            table("token_embedding", config.integer("vocab_size"), width),
            positions("position_embedding", config.integer("max_position_embeddings"), width),
        ),
        _encoder(config),
        norm("final_layer_norm", width, bias=True),
    )


def _vision(config: Fields) -> Outline:
    width = config.integer("hidden_size")
    return together(
        under(
            "embeddings",
            token("class_embedding", width),
            first_layer("patch_embedding", config.integer("num_channels"), width, *sides(config, "patch_size")),
            positions("position_embedding", patch_count(config) + 1, width),
        ),
        norm("pre_layrnorm", width, bias=True),
        _encoder(config),
        norm("post_layernorm", width, bias=True),
    )


def _clip(config: Fields) -> Outline:
    text, vision = _tower(config, "text", _TEXT), _tower(config, "vision", _VISION)
    shared = config.integer("projection_dim")
    return together(
        temperature("logit_scale"),
        under("text_model", _text(text)),
        under("vision_model", _vision(vision)),
        compared("visual_projection", vision.integer("hidden_size"), shared),
        compared("text_projection", text.integer("hidden_size"), shared),
    )


CLIP = ModelKind("clip", defaults={"projection_dim": 512}, classes={"CLIPModel": _clip}, width=None)
