"""DeepSeek-V3: queries, keys and values through latents of low rank, dense blocks first and experts after."""

import math

from widthwise.fields import Fields
from widthwise.reading.configs.attention import LARGEST_COUNT, scores
from widthwise.reading.configs.feed_forward import gated_experts, router, shared_expert
from widthwise.reading.configs.kind import ModelKind, language_model
from widthwise.reading.configs.llama import PRE_NORMS, decoder, feed_forward
from widthwise.reading.configs.outline import Outline, together, under
from widthwise.reading.configs.weights import linear, norm, side_by_side
from widthwise.reading.parameter import Feeds


def _attention(config: Fields) -> Outline:
    width, heads = config.integer("hidden_size"), config.integer("num_attention_heads", high=LARGEST_COUNT)
    plain, rotated, value = (config.integer(key) for key in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    latent = config.integer("kv_lora_rank")
    bias = config.flag("attention_bias")
    head_dim = plain + rotated
    return together(
        scores(head_dim, scale=head_dim**-0.5 * _stretch(config)),
        _queries(config, heads * head_dim),
        linear("kv_a_proj_with_mqa", width, latent + rotated, bias=bias),
        norm("kv_a_layernorm", latent),
        linear(
            "kv_b_proj",
            latent,
            heads * (plain + value),
            parts=side_by_side((Feeds.KEY, Feeds.VALUE), (plain, value), repeats=heads),
        ),
        linear("o_proj", heads * value, width, bias=bias),
    )


def _queries(config: Fields, size: int) -> Outline:
    width = config.integer("hidden_size")
    if not config.has("q_lora_rank"):
        return linear("q_proj", width, size, feeds=Feeds.QUERY)
    rank = config.integer("q_lora_rank")
    return together(
        linear("q_a_proj", width, rank, bias=config.flag("attention_bias")),
        norm("q_a_layernorm", rank),
        linear("q_b_proj", rank, size, feeds=Feeds.QUERY),
    )


def _stretch(config: Fields) -> float:
    """What YaRN multiplies the attention's scale by (2309.00071, equation 22, of queries and of keys)."""
    key = next((key for key in ("rope_scaling", "rope_parameters") if config.has(key)), None)
    rope = Fields({}, "config.rope_parameters") if key is None else config.object(key)
    kind = next((rope.any(name) for name in ("rope_type", "type") if rope.has(name)), "default")
    if kind == "default" or not rope.has("mscale_all_dim") or rope.positive("factor") <= 1:
        return 1.0
    return (0.1 * rope.number("mscale_all_dim") * math.log(rope.positive("factor")) + 1) ** 2


def _feed_forward(config: Fields, index: int) -> Outline:
    if index < config.integer("first_k_dense_replace", low=0):
        return feed_forward(config)
    width, inner = config.integer("hidden_size"), config.integer("moe_intermediate_size")
    count = config.integer("n_routed_experts")
    return together(
        gated_experts(count, width, inner),
        router("gate", width, count),
        under("shared_experts", shared_expert(width, inner * config.integer("n_shared_experts"))),
    )


_BODY = decoder(_attention, _feed_forward, PRE_NORMS)

DEEPSEEK_V3 = ModelKind(
    "deepseek_v3",
    defaults={
        "vocab_size": 129280,
        "hidden_size": 7168,
        "intermediate_size": 18432,
        "moe_intermediate_size": 2048,
        "num_hidden_layers": 61,
        "num_attention_heads": 128,
        "n_shared_experts": 1,
        "n_routed_experts": 256,
        "num_experts_per_tok": 8,
        "kv_lora_rank": 512,
        "q_lora_rank": 1536,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "qk_nope_head_dim": 128,
        "first_k_dense_replace": 3,
        "tie_word_embeddings": False,
        "attention_bias": False,
    },
    classes={"DeepseekV3ForCausalLM": language_model(_BODY), "DeepseekV3Model": _BODY},
    aliases={"num_local_experts": "n_routed_experts"},
)
