"""GPT-NeoX and Pythia: every head's query, key and value side by side in one matrix."""

from widthwise.fields import Fields
from widthwise.reading.configs.attention import Heads, scores
from widthwise.reading.configs.feed_forward import two_layers
from widthwise.reading.configs.kind import ModelKind, depth, language_model
from widthwise.reading.configs.outline import Outline, chain, together, under
from widthwise.reading.configs.weights import QUERY_KEY_VALUE, linear, norm, side_by_side, table


def _body(config: Fields) -> Outline:
    heads = Heads.of(config)
    width, inner = heads.width, config.integer("intermediate_size")
    bias = config.flag("attention_bias")
    parts = side_by_side(QUERY_KEY_VALUE, (heads.size,) * 3, repeats=heads.count)

    def block(_index: int) -> Outline:
        return together(
            norm("input_layernorm", width, bias=True),
            norm("post_attention_layernorm", width, bias=True),
            under(
                "attention",
                scores(heads.size),
                linear("query_key_value", width, 3 * width, bias=bias, parts=parts),
                linear("dense", width, width, bias=bias),
            ),
            under("mlp", two_layers("dense_h_to_4h", "dense_4h_to_h", width, inner, bias=True)),
        )

    return together(
        table("embed_in", config.integer("vocab_size"), width),
        chain("layers", depth(config), block),
        norm("final_layer_norm", width, bias=True),
    )


GPT_NEOX = ModelKind(
    "gpt_neox",
    defaults={
        "vocab_size": 50432,
        "hidden_size": 6144,
        "intermediate_size": 24576,
        "num_hidden_layers": 44,
        "num_attention_heads": 64,
        "tie_word_embeddings": False,
        "attention_bias": True,
    },
    classes={
        "GPTNeoXForCausalLM": language_model(_body, path="gpt_neox", table="embed_in"),
        "GPTNeoXModel": _body,
    },
)
