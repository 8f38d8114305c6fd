"""Llama, Qwen 2 and 3, Mixtral and Qwen 3 with experts, OLMo 2: decoders that differ in few places."""

from collections.abc import Callable

from widthwise.fields import Fields
from widthwise.reading.configs.attention import Heads, attention
from widthwise.reading.configs.feed_forward import gated, gated_experts, router
from widthwise.reading.configs.kind import ModelKind, Outliner, depth, language_model
from widthwise.reading.configs.outline import Outline, chain, together, under
from widthwise.reading.configs.weights import norm, table

FeedForward = Callable[[Fields, int], Outline]  # of the block with this number


def decoder(attend: Outliner, feed: FeedForward, norms: tuple[str, ...]) -> Outliner:
    """Return how the body of a decoder is built. norms: of each block, in the module's order."""

    def body(config: Fields) -> Outline:
        width = config.integer("hidden_size")

        attended = under("self_attn", attend(config))  # the same in every block

        def block(index: int) -> Outline:
            return together(
                attended,
                under("mlp", feed(config, index)),
                *(norm(name, width) for name in norms),
            )

        return together(
            table("embed_tokens", config.integer("vocab_size"), width),
            chain("layers", depth(config), block),
            norm("norm", width),
        )

    return body


PRE_NORMS = ("input_layernorm", "post_attention_layernorm")


def everywhere(feed: Outliner) -> FeedForward:
    """Return a feed-forward part that is the same in every block."""
    return lambda config, _index: feed(config)


def feed_forward(config: Fields) -> Outline:
    """Return a gated feed-forward part."""
    bias = config.has("mlp_bias") and config.flag("mlp_bias")
    return gated(config.integer("hidden_size"), config.integer("intermediate_size"), bias=bias)


def _attention(config: Fields) -> Outline:
    return attention(Heads.of(config), bias=config.flag("attention_bias"))


def _attention_without_bias(config: Fields) -> Outline:
    return attention(Heads.of(config))


def _attention_of_qwen2(config: Fields) -> Outline:
    return attention(Heads.of(config), bias=True, out_bias=False)


def _attention_normed_by_head(config: Fields) -> Outline:
    heads = Heads.of(config)
    return attention(heads, bias=config.flag("attention_bias"), norm_sizes=(heads.size, heads.size))


def _attention_normed_whole(config: Fields) -> Outline:
    heads = Heads.of(config)
    return attention(heads, bias=config.flag("attention_bias"), norm_sizes=(heads.query_size, heads.key_size))


def _experts_of_mixtral(config: Fields) -> Outline:
    width, count = config.integer("hidden_size"), config.integer("num_local_experts")
    return together(router("gate", width, count), gated_experts(count, width, config.integer("intermediate_size")))


def _experts_of_qwen3(config: Fields, index: int) -> Outline:
    width, count = config.integer("hidden_size"), config.integer("num_experts", low=0)
    dense = config.integers("mlp_only_layers", low=0)
    if not count or index in dense or (index + 1) % config.integer("decoder_sparse_step"):
        return feed_forward(config)
    return together(gated_experts(count, width, config.integer("moe_intermediate_size")), router("gate", width, count))


def _classes(name: str, body: Outliner) -> dict[str, Outliner]:
    return {f"{name}ForCausalLM": language_model(body), f"{name}Model": body}


LLAMA = ModelKind(
    "llama",
    defaults={
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
    },
    classes=_classes("Llama", decoder(_attention, everywhere(feed_forward), PRE_NORMS)),
)
QWEN2 = ModelKind(
    "qwen2",
    defaults={
        "vocab_size": 151936,
        "hidden_size": 4096,
        "intermediate_size": 22016,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "tie_word_embeddings": False,
    },
    classes=_classes("Qwen2", decoder(_attention_of_qwen2, everywhere(feed_forward), PRE_NORMS)),
)
QWEN3 = ModelKind(
    "qwen3",
    defaults={**QWEN2.defaults, "head_dim": 128, "attention_bias": False},
    classes=_classes("Qwen3", decoder(_attention_normed_by_head, everywhere(feed_forward), PRE_NORMS)),
)
QWEN3_MOE = ModelKind(
    "qwen3_moe",
    defaults={
        "vocab_size": 151936,
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "decoder_sparse_step": 1,
        "moe_intermediate_size": 768,
        "num_experts": 128,
        "num_experts_per_tok": 8,
    },
    classes=_classes("Qwen3Moe", decoder(_attention_normed_by_head, _experts_of_qwen3, PRE_NORMS)),
    aliases={"num_local_experts": "num_experts"},
)
MIXTRAL = ModelKind(
    "mixtral",
    defaults={
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
    },
    classes=_classes("Mixtral", decoder(_attention_without_bias, everywhere(_experts_of_mixtral), PRE_NORMS)),
    aliases={"num_experts": "num_local_experts"},
)
OLMO2 = ModelKind(
    "olmo2",
    defaults={
        "vocab_size": 50304,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "tie_word_embeddings": False,
        "attention_bias": False,
    },
    classes=_classes(
        "Olmo2",
        decoder(
            _attention_normed_whole,
            everywhere(feed_forward),
            ("post_attention_layernorm", "post_feedforward_layernorm"),
        ),
    ),
)
