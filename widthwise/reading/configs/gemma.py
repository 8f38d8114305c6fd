"""Gemma 2 and 3: embeddings times √width, four norms a block, an attention scale that is stated; 3 may see."""

import math
from collections.abc import Mapping
from typing import Any

from widthwise.fields import Fields
from widthwise.reading.configs import siglip
from widthwise.reading.configs.attention import Heads, attention
from widthwise.reading.configs.kind import ModelKind, Outliner, language_model
from widthwise.reading.configs.llama import decoder, everywhere, feed_forward
from widthwise.reading.configs.outline import Outline, together, under
from widthwise.reading.configs.weights import matrix, norm, readout
from widthwise.reading.model import CodeMultiplier, Place
from widthwise.vocabulary import Layout

NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)


def _attention_of_gemma2(config: Fields) -> Outline:
    return attention(
        Heads.of(config),
        bias=config.flag("attention_bias"),
        scale=config.positive("query_pre_attn_scalar") ** -0.5,
        soft_cap=config.has("attn_logit_softcapping"),
    )


def _attention_of_gemma3(config: Fields) -> Outline:
    heads = Heads.of(config)
    return attention(
        heads,
        bias=config.flag("attention_bias"),
        scale=config.positive("query_pre_attn_scalar") ** -0.5,
        norm_sizes=(heads.size, heads.size),
    )


def _body(attend: Outliner) -> Outliner:
    plain = decoder(attend, everywhere(feed_forward), NORMS)

    def body(config: Fields) -> Outline:
        scale = math.sqrt(config.integer("hidden_size"))
        return together(
            plain(config), Outline(multipliers=(CodeMultiplier(Place.EMBEDDING, scale, ("embed_tokens.weight",)),))
        )

    return body


_TEXT2, _TEXT3 = _body(_attention_of_gemma2), _body(_attention_of_gemma3)


def _seeing(config: Fields) -> Outline:
    text = _inner(config, "text_config", GEMMA3_TEXT.defaults)
    vision = _inner(config, "vision_config", siglip.DEFAULTS)
    if vision.text("model_type") != "siglip_vision_model":
        raise vision.error("model_type", f"is {vision.text('model_type')!r}; only 'siglip_vision_model' is understood")
    read = vision.integer("hidden_size")
    return together(
        under("vision_tower", siglip.tower(vision)),
        under(
            "multi_modal_projector",
            matrix("mm_input_projection_weight", read, text.integer("hidden_size"), layout=Layout.IN_OUT),
            norm("mm_soft_emb_norm", read),
        ),
        under("language_model", _TEXT3(text)),
    )


def _inner(config: Fields, key: str, defaults: Mapping[str, Any]) -> Fields:
    given = config.object(key).values if config.has(key) else {}
    return Fields({**defaults, **given}, f"{config.path}.{key}")


def _seeing_writer(config: Fields) -> Outline:
    text = _inner(config, "text_config", GEMMA3_TEXT.defaults)
    tied_to = "model.language_model.embed_tokens.weight" if config.flag("tie_word_embeddings") else None
    head = readout("lm_head", text.integer("hidden_size"), text.integer("vocab_size"), tied_to=tied_to)
    return together(under("model", _seeing(config)), head)


GEMMA2 = ModelKind(
    "gemma2",
    defaults={
        "vocab_size": 256000,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "query_pre_attn_scalar": 256,
        "attn_logit_softcapping": 50.0,
    },
    classes={"Gemma2ForCausalLM": language_model(_TEXT2), "Gemma2Model": _TEXT2},
)
GEMMA3_TEXT = ModelKind(
    "gemma3_text",
    defaults={**GEMMA2.defaults, "vocab_size": 262208, "attn_logit_softcapping": None},
    classes={"Gemma3ForCausalLM": language_model(_TEXT3), "Gemma3TextModel": _TEXT3},
)
GEMMA3 = ModelKind(
    "gemma3",
    defaults={"tie_word_embeddings": True},
    classes={"Gemma3ForConditionalGeneration": _seeing_writer, "Gemma3Model": _seeing},
    width=None,
)
