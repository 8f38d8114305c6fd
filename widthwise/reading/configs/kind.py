"""A kind of model, as the `model_type` of a config.json names it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.fields import LARGEST_WIDTH, Fields
from widthwise.reading.configs.outline import Outline, together, under
from widthwise.reading.configs.weights import readout
from widthwise.reading.experts import with_parts
from widthwise.reading.model import Attention, ModelReading
from widthwise.reading.parameter import Parameter
from widthwise.reading.routers import router_cautions
from widthwise.vocabulary import TensorPart

LARGEST_DEPTH = 1000  # chosen: beyond any model; each block's parameters are listed one by one

Outliner = Callable[[Fields], Outline]


@dataclass(frozen=True)
class ModelKind:
    """What a config of one model_type leaves unsaid, and how its classes are built from it."""

    name: str  #: the model_type
    defaults: Mapping[str, Any]  #: of the fields that decide sizes, as the config class of transformers has them
    classes: Mapping[str, Outliner]  #: by a name of `architectures`; the first one if that is not there
    width: str | None = "hidden_size"  #: field of the residual stream's width; None for two streams
    aliases: Mapping[str, str] = field(default_factory=dict)  #: other names of fields
    only: Mapping[str, Any] = field(default_factory=dict)  #: fields of which one value is understood, the default

    def read(self, config: Mapping[str, Any]) -> ModelReading:
        """Return the model of a config. Raises InvalidInputError for a field or a class that is not understood."""
        given = {self.aliases.get(key, key): value for key, value in config.items()}
        fields = Fields.of({**self.defaults, **given}, "config")
        for key, value in self.only.items():
            if fields.has(key) and fields.values[key] != value:
                raise fields.error(
                    key, f"is {fields.values[key]!r}; only {value!r} is understood: trace the model instead"
                )
        class_name = self._class_name(fields)
        outline = self.classes[class_name](fields).flat(evidence=(f"the code of {class_name} in transformers",))
        _check_sizes(outline.parameters)
        parameters = with_parts(outline.parameters)
        return ModelReading(
            source=f"config.json of {self.name} ({class_name})",
            parameters=parameters,
            attentions=_by_kind(outline.attentions),
            multipliers=outline.multipliers,
            blocks=_lengths(outline.parameters),
            width=None if self.width is None else fields.integer(self.width),
            **_experts(fields, parameters),
            cautions=tuple(router_cautions(outline.parameters)),
        )

    def _class_name(self, fields: Fields) -> str:
        named = fields.sequence("architectures")
        if not named:
            return next(iter(self.classes))
        if not isinstance(named[0], str) or named[0] not in self.classes:
            raise InvalidInputError(
                f"config.architectures names {named[0]!r}; of {self.name}, {', '.join(self.classes)} are understood: "
                "name one of them, or trace the model instead",
                field="config.architectures",
            )
        return named[0]


def _experts(config: Fields, parameters: tuple[Parameter, ...]) -> dict[str, int]:
    """How many experts see one token, of a model that has any."""
    if all(each.part is not TensorPart.ROUTER for each in parameters):
        return {}
    found = {"active_experts": config.integer("num_experts_per_tok")}
    shared = config.integer("n_shared_experts", low=0) if config.has("n_shared_experts") else 0
    return {**found, "shared_experts": shared}


def depth(config: Fields, key: str = "num_hidden_layers") -> int:
    """Return the number of blocks that a config states."""
    return config.integer(key, high=LARGEST_DEPTH)


def labels(config: Fields) -> int:
    """Return the number of classes of a classifier: that of its labels, else 2 as in transformers."""
    if config.has("id2label"):
        return len(Fields.of(config.any("id2label"), "config.id2label").values)
    return config.integer("num_labels") if config.has("num_labels") else 2


def language_model(
    body: Outliner,
    *,
    path: str = "model",
    table: str = "embed_tokens",
    head: str = "lm_head",
    width: str = "hidden_size",
) -> Outliner:
    """Return how a language model is built: its body at `path`, and a head that may be tied to the table."""

    def model(config: Fields) -> Outline:
        tied_to = f"{path}.{table}.weight" if config.flag("tie_word_embeddings") else None
        return together(
            under(path, body(config)),
            readout(head, config.integer(width), config.integer("vocab_size"), tied_to=tied_to),
        )

    return model


def _check_sizes(parameters: tuple[Parameter, ...]) -> None:
    """Refuse a size that follows from the fields and can't be: of no patches, or beyond any model."""
    for each in parameters:
        if not all(1 <= size <= LARGEST_WIDTH for size in each.shape):
            raise InvalidInputError(
                f"config makes {each.name!r} of shape {list(each.shape)}; correct the sizes that it follows from",
                field="config",
            )


def _by_kind(attentions: tuple[Attention, ...]) -> tuple[Attention, ...]:
    """The attentions of each kind as one, where the first stands."""
    found: dict[Attention, Attention] = {}
    for each in attentions:
        kind = replace(each, where="", count=0)
        first = found.get(kind)
        found[kind] = each if first is None else replace(first, count=first.count + each.count)
    return tuple(found.values())


def _lengths(parameters: tuple[Parameter, ...]) -> tuple[int, ...]:
    lengths: dict[int, int] = {}
    for parameter in parameters:
        if parameter.block is not None:
            lengths[parameter.block.chain] = parameter.block.index + 1
    return tuple(lengths[number] for number in sorted(lengths))
