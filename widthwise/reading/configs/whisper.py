"""Whisper: an encoder of spectrograms behind two convolutions, and a decoder of text."""

from widthwise.fields import Fields
from widthwise.reading.configs.attention import KEY_FIRST, Heads, attention
from widthwise.reading.configs.feed_forward import two_layers
from widthwise.reading.configs.kind import ModelKind, depth, language_model
from widthwise.reading.configs.outline import NOTHING, Outline, chain, together, under
from widthwise.reading.configs.weights import convolution, first_layer, norm, positions, table

KERNEL = 3  # of both convolutions, along time


def _attention(heads: Heads) -> Outline:
    return attention(heads, names=KEY_FIRST, out="out_proj", bias=True, key_bias=False)


def _layers(config: Fields, side: str) -> Outline:
    """The blocks of one side, "encoder" or "decoder"; those of the decoder also attend to the encoder."""
    heads = Heads.of(config, width="d_model", count=f"{side}_attention_heads")
    width, inner = heads.width, config.integer(f"{side}_ffn_dim")
    crossed = together(under("encoder_attn", _attention(heads)), norm("encoder_attn_layer_norm", width, bias=True))

    def block(_index: int) -> Outline:
        return together(
            under("self_attn", _attention(heads)),
            norm("self_attn_layer_norm", width, bias=True),
            crossed if side == "decoder" else NOTHING,
            two_layers("fc1", "fc2", width, inner, bias=True),
            norm("final_layer_norm", width, bias=True),
        )

    return together(chain("layers", depth(config, f"{side}_layers"), block), norm("layer_norm", width, bias=True))


def _body(config: Fields) -> Outline:
    width = config.integer("d_model")
    return together(
        under(
            "encoder",
            first_layer("conv1", config.integer("num_mel_bins"), width, KERNEL, bias=True),
            convolution("conv2", width, width, KERNEL, bias=True),
            positions("embed_positions", config.integer("max_source_positions"), width),  # sines, and frozen
            _layers(config, "encoder"),
        ),
        under(
            "decoder",
            table("embed_tokens", config.integer("vocab_size"), width),
            positions("embed_positions", config.integer("max_target_positions"), width),
            _layers(config, "decoder"),
        ),
    )


WHISPER = ModelKind(
    "whisper",
    defaults={
        "vocab_size": 51865,
        "num_mel_bins": 80,
        "encoder_layers": 4,
        "encoder_attention_heads": 6,
        "decoder_layers": 4,
        "decoder_attention_heads": 6,
        "decoder_ffn_dim": 1536,
        "encoder_ffn_dim": 1536,
        "d_model": 384,
        "max_source_positions": 1500,
        "max_target_positions": 448,
        "tie_word_embeddings": True,
    },
    classes={
        "WhisperForConditionalGeneration": language_model(
            _body, table="decoder.embed_tokens", head="proj_out", width="d_model"
        ),
        "WhisperModel": _body,
    },
    width="d_model",
    aliases={
        "num_attention_heads": "encoder_attention_heads",
        "hidden_size": "d_model",
        "num_hidden_layers": "encoder_layers",
    },
)
