"""Gemma 2 and 3: embeddings times √width, four norms a block, an attention scale that is stated."""

import math

from widthwise.fields import Fields
from widthwise.reading.configs.attention import Heads, attention
from widthwise.reading.configs.kind import ModelKind, Outliner, language_model
from widthwise.reading.configs.llama import decoder, everywhere, feed_forward
from widthwise.reading.configs.outline import Outline, together
from widthwise.reading.model import CodeMultiplier, Place

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


TEXT2, TEXT3 = _body(_attention_of_gemma2), _body(_attention_of_gemma3)

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
    classes={"Gemma2ForCausalLM": language_model(TEXT2), "Gemma2Model": TEXT2},
)
GEMMA3_TEXT = ModelKind(
    "gemma3_text",
    defaults={**GEMMA2.defaults, "vocab_size": 262208, "attn_logit_softcapping": None},
    classes={"Gemma3ForCausalLM": language_model(TEXT3), "Gemma3TextModel": TEXT3},
)
