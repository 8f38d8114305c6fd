"""T5: an encoder and a decoder over one table, scores without a scale, a bias of distances that all blocks share."""

from widthwise.fields import Fields
from widthwise.reading.configs.attention import LARGEST_COUNT, scores
from widthwise.reading.configs.feed_forward import two_layers
from widthwise.reading.configs.kind import ModelKind, depth
from widthwise.reading.configs.outline import NOTHING, Outline, chain, shared, together, under
from widthwise.reading.configs.weights import linear, norm, positions, readout, table
from widthwise.reading.model import CodeMultiplier, Place
from widthwise.reading.parameter import Feeds

OWNER = "shared.weight"


def _attention(config: Fields, *, distances: bool) -> Outline:
    """distances: whether it holds the table of biases by distance, as the first of a stack does for all."""
    width, heads, head_dim = (
        config.integer("d_model"),
        config.integer("num_heads", high=LARGEST_COUNT),
        config.integer("d_kv"),
    )
    size = heads * head_dim
    buckets = positions("relative_attention_bias", config.integer("relative_attention_num_buckets"), heads)
    return together(
        scores(head_dim, scale=1.0),
        linear("q", width, size, feeds=Feeds.QUERY),
        linear("k", width, size, feeds=Feeds.KEY),
        linear("v", width, size, feeds=Feeds.VALUE),
        linear("o", size, width),
        shared(buckets) if distances else NOTHING,
    )


def _feed_forward(config: Fields) -> Outline:
    width, inner = config.integer("d_model"), config.integer("d_ff")
    if not config.text("feed_forward_proj").startswith("gated-"):
        return two_layers("wi", "wo", width, inner)
    return together(
        linear("wi_0", width, inner, feeds=Feeds.GATE),
        linear("wi_1", width, inner, feeds=Feeds.UP),
        linear("wo", inner, width),
    )


def _stack(config: Fields, blocks: int, *, decodes: bool) -> Outline:
    """The encoder, or the decoder, which also attends to the encoder."""
    width = config.integer("d_model")

    def layers(index: int) -> list[Outline]:
        return [
            under("SelfAttention", _attention(config, distances=index == 0)),
            *([under("EncDecAttention", _attention(config, distances=False))] if decodes else []),
            under("DenseReluDense", _feed_forward(config)),
        ]

    def block(index: int) -> Outline:
        return together(
            *(under(f"layer.{n}", layer, norm("layer_norm", width)) for n, layer in enumerate(layers(index)))
        )

    # the table of a stack is the shared one by another name
    return together(
        chain("block", blocks, block),
        norm("final_layer_norm", width),
    )


def _encoder(config: Fields) -> Outline:
    return together(
        table("shared", config.integer("vocab_size"), config.integer("d_model")),
        under("encoder", _stack(config, depth(config, "num_layers"), decodes=False)),
    )


def _encoder_and_decoder(config: Fields) -> Outline:
    blocks = depth(config, "num_decoder_layers" if config.has("num_decoder_layers") else "num_layers")
    return together(_encoder(config), under("decoder", _stack(config, blocks, decodes=True)))


def _generator(config: Fields) -> Outline:
    width = config.integer("d_model")
    # transformers 5 ties the head in any case, and takes a stated "untied" to mean T5 1.1, which does not scale
    scaled = config.values.get("tie_word_embeddings") is not False
    head = readout("lm_head", width, config.integer("vocab_size"), tied_to=OWNER)
    multiplier = CodeMultiplier(Place.LOGITS, width**-0.5, ("lm_head.weight",))
    return together(_encoder_and_decoder(config), head, Outline(multipliers=(multiplier,) if scaled else ()))


T5 = ModelKind(
    "t5",
    defaults={
        "vocab_size": 32128,
        "d_model": 512,
        "d_kv": 64,
        "d_ff": 2048,
        "num_layers": 6,
        "num_heads": 8,
        "relative_attention_num_buckets": 32,
        "feed_forward_proj": "relu",
    },
    classes={
        "T5ForConditionalGeneration": _generator,
        "T5Model": _encoder_and_decoder,
        "T5EncoderModel": _encoder,
    },
    width="d_model",
    aliases={
        "hidden_size": "d_model",
        "num_attention_heads": "num_heads",
        "num_hidden_layers": "num_layers",
        "head_dim": "d_kv",
    },
)
