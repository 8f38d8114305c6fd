"""BERT: norms after each addition, three tables at the entrance, a head that is tied to one of them."""

from widthwise.fields import Fields
from widthwise.reading.configs.attention import Heads, attention
from widthwise.reading.configs.kind import ModelKind, Outliner, depth, labels
from widthwise.reading.configs.outline import Outline, chain, together, under
from widthwise.reading.configs.weights import added, linear, norm, positions, readout, table
from widthwise.reading.parameter import Feeds

TABLE = "embeddings.word_embeddings.weight"
_NAMES = {"self.query": Feeds.QUERY, "self.key": Feeds.KEY, "self.value": Feeds.VALUE}


def _body(config: Fields) -> Outline:
    heads = Heads.of(config)
    width, inner = heads.width, config.integer("intermediate_size")

    def block(_index: int) -> Outline:
        return together(
            under(
                "attention",
                attention(heads, names=_NAMES, where="self", out="output.dense", bias=True),
                norm("output.LayerNorm", width, bias=True),
            ),
            linear("intermediate.dense", width, inner, bias=True),
            linear("output.dense", inner, width, bias=True),
            norm("output.LayerNorm", width, bias=True),
        )

    return together(
        under(
            "embeddings",
            table("word_embeddings", config.integer("vocab_size"), width),
            positions("position_embeddings", config.integer("max_position_embeddings"), width),
            table("token_type_embeddings", config.integer("type_vocab_size"), width),
            norm("LayerNorm", width, bias=True),
        ),
        under("encoder", chain("layer", depth(config), block)),
    )


def _model(config: Fields) -> Outline:
    width = config.integer("hidden_size")
    return together(_body(config), readout("pooler.dense", width, width, bias=True))


def _pooled(config: Fields) -> Outline:
    """The model under a head that reads its pooler."""
    width = config.integer("hidden_size")
    return under("bert", _body(config), linear("pooler.dense", width, width, bias=True))


def _words(config: Fields) -> Outline:
    width, vocabulary = config.integer("hidden_size"), config.integer("vocab_size")
    return together(
        under(
            "cls.predictions",
            added("bias", vocabulary),  # decoder.bias is another name of it
            linear("transform.dense", width, width, bias=True),
            norm("transform.LayerNorm", width, bias=True),
            readout("decoder", width, vocabulary, tied_to=f"bert.{TABLE}"),
        ),
    )


def _masked(config: Fields) -> Outline:
    return together(under("bert", _body(config)), _words(config))


def _for_pretraining(config: Fields) -> Outline:
    is_next = readout("cls.seq_relationship", config.integer("hidden_size"), 2, bias=True)
    return together(_pooled(config), _words(config), is_next)


def _classifier(config: Fields) -> Outline:
    head = readout("classifier", config.integer("hidden_size"), labels(config), bias=True)
    return together(_pooled(config), head)


_CLASSES: dict[str, Outliner] = {
    "BertForMaskedLM": _masked,
    "BertModel": _model,
    "BertForPreTraining": _for_pretraining,
    "BertForSequenceClassification": _classifier,
}
BERT = ModelKind(
    "bert",
    defaults={
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    },
    classes=_CLASSES,
    only={"add_cross_attention": False, "tie_word_embeddings": True},
)
