"""Vision transformers: ViT and DINOv2, which read a picture as patches."""

from widthwise.fields import Fields
from widthwise.reading.configs.attention import Heads, attention
from widthwise.reading.configs.feed_forward import gated, two_layers
from widthwise.reading.configs.kind import ModelKind, depth, labels
from widthwise.reading.configs.outline import NOTHING, Outline, chain, together, under
from widthwise.reading.configs.weights import first_layer, gain, norm, readout, token, whole_positions

LARGEST_SIDE = 2**15  # chosen: pixels of a side, beyond any model


def sides(config: Fields, key: str) -> tuple[int, int]:
    """Return height and width of a picture or a patch, which a config states as one number or two."""
    if isinstance(config.values.get(key), int):
        size = config.integer(key, high=LARGEST_SIDE)
        return size, size
    both = config.integers(key, high=LARGEST_SIDE)
    if len(both) != 2:
        raise config.error(key, f"is {config.values.get(key)!r}; give a number, or height and width")
    return both[0], both[1]


def patch_count(config: Fields) -> int:
    """Return how many patches a picture has."""
    picture, patch = sides(config, "image_size"), sides(config, "patch_size")
    return (picture[0] // patch[0]) * (picture[1] // patch[1])


def _embeddings(config: Fields, *, mask: bool) -> Outline:
    width = config.integer("hidden_size")
    return under(
        "embeddings",
        token("cls_token", 1, 1, width),
        token("mask_token", 1, width) if mask else NOTHING,
        whole_positions("position_embeddings", 1, patch_count(config) + 1, width),
        first_layer(
            "patch_embeddings.projection",
            config.integer("num_channels"),
            width,
            *sides(config, "patch_size"),
            bias=True,
        ),
    )


def _vit(config: Fields, *, pooled: bool) -> Outline:
    heads = Heads.of(config)
    width, inner = heads.width, config.integer("intermediate_size")

    def block(_index: int) -> Outline:
        return together(
            under("attention", attention(heads, bias=config.flag("qkv_bias"), out_bias=True)),
            norm("layernorm_before", width, bias=True),
            norm("layernorm_after", width, bias=True),
            under("mlp", two_layers("fc1", "fc2", width, inner, bias=True)),
        )

    pooled_size = config.integer("pooler_output_size") if config.has("pooler_output_size") else width
    return together(
        _embeddings(config, mask=False),
        chain("layers", depth(config), block),
        norm("layernorm", width, bias=True),
        readout("pooler.dense", width, pooled_size, bias=True) if pooled else NOTHING,
    )


def _dinov2(config: Fields) -> Outline:
    heads = Heads.of(config)
    width = heads.width

    def block(_index: int) -> Outline:
        return together(
            norm("norm1", width, bias=True),
            under("attention", attention(heads, bias=config.flag("qkv_bias"), out_bias=True)),
            gain("layer_scale1.lambda1", width),
            norm("norm2", width, bias=True),
            under("mlp", _feed_forward_of_dinov2(config)),
            gain("layer_scale2.lambda1", width),
        )

    return together(
        _embeddings(config, mask=config.flag("use_mask_token")),
        under("encoder", chain("layer", depth(config), block)),
        norm("layernorm", width, bias=True),
    )


def _feed_forward_of_dinov2(config: Fields) -> Outline:
    width = config.integer("hidden_size")
    inner = int(width * config.positive("mlp_ratio"))
    if config.flag("use_swiglu_ffn"):  # two thirds of it, in eights
        return gated(width, (int(inner * 2 / 3) + 7) // 8 * 8, bias=True)
    return two_layers("fc1", "fc2", width, inner, bias=True)


def _vit_model(config: Fields) -> Outline:
    return _vit(config, pooled=True)


def _vit_classifier(config: Fields) -> Outline:
    head = readout("classifier", config.integer("hidden_size"), labels(config), bias=True)
    return together(under("vit", _vit(config, pooled=False)), head)


def _dinov2_classifier(config: Fields) -> Outline:
    read = 2 * config.integer("hidden_size")  # the class token, and the mean of the patches
    return together(under("dinov2", _dinov2(config)), readout("classifier", read, labels(config), bias=True))


_DEFAULTS = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "num_channels": 3,
    "qkv_bias": True,
}
VIT = ModelKind(
    "vit",
    defaults={**_DEFAULTS, "patch_size": 16, "intermediate_size": 3072},
    classes={"ViTForImageClassification": _vit_classifier, "ViTModel": _vit_model},
)
DINOV2 = ModelKind(
    "dinov2",
    defaults={**_DEFAULTS, "patch_size": 14, "mlp_ratio": 4, "use_swiglu_ffn": False, "use_mask_token": True},
    classes={"Dinov2ForImageClassification": _dinov2_classifier, "Dinov2Model": _dinov2},
)
