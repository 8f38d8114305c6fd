"""GPT-OSS: experts [in, out] with biases, gate and up in turns, and a learned logit next to each head's scores."""

from widthwise.fields import Fields
from widthwise.reading.configs.attention import Heads, attention
from widthwise.reading.configs.feed_forward import router
from widthwise.reading.configs.kind import ModelKind, language_model
from widthwise.reading.configs.llama import PRE_NORMS, decoder, everywhere
from widthwise.reading.configs.outline import Outline, together, under
from widthwise.reading.configs.weights import GATE_AND_UP, added, interleaved, stacked
from widthwise.vocabulary import Layout


def _attention(config: Fields) -> Outline:
    heads = Heads.of(config)
    return together(added("sinks", heads.count), attention(heads, bias=config.flag("attention_bias")))


def _experts(config: Fields) -> Outline:
    width, inner = config.integer("hidden_size"), config.integer("intermediate_size")
    count = config.integer("num_local_experts")
    parts = interleaved(GATE_AND_UP, 2 * inner, axis=2)
    return together(
        router("router", width, count, bias=True),
        under(
            "experts",
            stacked("gate_up_proj", count, width, 2 * inner, layout=Layout.IN_OUT, parts=parts),
            added("gate_up_proj_bias", count, 2 * inner, stack=1),
            stacked("down_proj", count, inner, width, layout=Layout.IN_OUT),
            added("down_proj_bias", count, width, stack=1),
        ),
    )


_BODY = decoder(_attention, everywhere(_experts), PRE_NORMS)

GPT_OSS = ModelKind(
    "gpt_oss",
    defaults={
        "vocab_size": 201088,
        "hidden_size": 2880,
        "intermediate_size": 2880,
        "num_hidden_layers": 36,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "num_local_experts": 128,
        "num_experts_per_tok": 4,
        "tie_word_embeddings": False,
        "attention_bias": True,
    },
    classes={"GptOssForCausalLM": language_model(_BODY), "GptOssModel": _BODY},
)
