"""GPT-2. Its matrices are [in, out]; its query, key and value are one matrix."""

from widthwise.fields import Fields
from widthwise.reading.configs.attention import Heads, scores
from widthwise.reading.configs.kind import ModelKind, depth, language_model
from widthwise.reading.configs.outline import Outline, chain, together, under
from widthwise.reading.configs.weights import QUERY_KEY_VALUE, linear, norm, positions, side_by_side, table
from widthwise.reading.parameter import FusedPart
from widthwise.vocabulary import Layout


def _body(config: Fields) -> Outline:
    heads = Heads.of(config, width="n_embd", count="n_head")
    width = heads.width
    inner = config.integer("n_inner") if config.has("n_inner") else 4 * width

    def block(index: int) -> Outline:
        return together(
            norm("ln_1", width, bias=True),
            under(
                "attn",
                scores(heads.size, scale=_scale(config, heads.size, index)),
                _matrix("c_attn", width, 3 * width, parts=side_by_side(QUERY_KEY_VALUE, (width,) * 3, axis=1)),
                _matrix("c_proj", width, width),
            ),
            norm("ln_2", width, bias=True),
            under("mlp", _matrix("c_fc", width, inner), _matrix("c_proj", inner, width)),
        )

    return together(
        table("wte", config.integer("vocab_size"), width),
        positions("wpe", config.integer("n_positions"), width),
        chain("h", depth(config, "n_layer"), block),
        norm("ln_f", width, bias=True),
    )


def _matrix(name: str, fan_in: int, fan_out: int, parts: tuple[FusedPart, ...] = ()) -> Outline:
    return linear(name, fan_in, fan_out, bias=True, layout=Layout.IN_OUT, parts=parts)


def _scale(config: Fields, head_dim: int, index: int) -> float:
    scale = head_dim**-0.5 if config.flag("scale_attn_weights") else 1.0
    return scale / (index + 1) if config.flag("scale_attn_by_inverse_layer_idx") else scale


GPT2 = ModelKind(
    "gpt2",
    defaults={
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "tie_word_embeddings": True,
    },
    classes={
        "GPT2LMHeadModel": language_model(_body, path="transformer", table="wte", width="n_embd"),
        "GPT2Model": _body,
    },
    width="n_embd",
    aliases={
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    },
    only={"add_cross_attention": False},
)
