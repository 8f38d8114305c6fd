"""Phi-3: query, key and value in one matrix, gate and up in another."""

from widthwise.fields import Fields
from widthwise.reading.configs.attention import Heads, scores
from widthwise.reading.configs.kind import ModelKind, language_model
from widthwise.reading.configs.llama import PRE_NORMS, decoder, everywhere
from widthwise.reading.configs.outline import Outline, together
from widthwise.reading.configs.weights import GATE_AND_UP, QUERY_KEY_VALUE, linear, side_by_side


def _attention(config: Fields) -> Outline:
    heads = Heads.of(config)
    sizes = (heads.query_size, heads.key_size, heads.key_size)
    return together(
        scores(heads.size),
        linear("o_proj", heads.query_size, heads.width),
        linear("qkv_proj", heads.width, sum(sizes), parts=side_by_side(QUERY_KEY_VALUE, sizes)),
    )


def _feed_forward(config: Fields) -> Outline:
    width, inner = config.integer("hidden_size"), config.integer("intermediate_size")
    return together(
        linear("gate_up_proj", width, 2 * inner, parts=side_by_side(GATE_AND_UP, (inner, inner))),
        linear("down_proj", inner, width),
    )


_BODY = decoder(_attention, everywhere(_feed_forward), PRE_NORMS)

PHI3 = ModelKind(
    "phi3",
    defaults={
        "vocab_size": 32064,
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "tie_word_embeddings": False,
    },
    classes={"Phi3ForCausalLM": language_model(_BODY), "Phi3Model": _BODY},
)
