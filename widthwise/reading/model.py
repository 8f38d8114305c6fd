"""A model as it was read: its parameters, and what else its code computes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from widthwise.caution import Caution
from widthwise.reading.parameter import Parameter
from widthwise.vocabulary import TensorPart


@dataclass(frozen=True, slots=True)
class Attention:
    """Attentions of one kind: softmax(scale × query·key)."""

    where: str  #: path of the first one
    count: int  #: how many there are of this kind
    head_dim: int  #: entries that query·key sums over
    scale: float | None  #: what the code multiplies query·key by, all constants together; None if it is not known
    normalized: bool = False  #: queries and keys are normalised first (QK-norm)
    soft_cap: bool = False  #: a tanh stands between query·key and the softmax


class Place(StrEnum):
    """What a multiplier of the code scales."""

    EMBEDDING = "embedding"  #: the stream, where it starts
    BRANCH = "branch"  #: the output of a residual branch
    LOGITS = "logits"  #: the model's output, or what the readout reads
    WEIGHT = "weight"  #: a weight before it is used (equalized learning rate, α/r of a low-rank adapter)


@dataclass(frozen=True, slots=True)
class CodeMultiplier:
    """A constant that the model's own code multiplies by."""

    place: Place
    value: float | None  #: None if it is not known: the meta device holds no numbers
    parameters: tuple[str, ...]  #: whose output (or weight) it scales


@dataclass(frozen=True)
class ModelReading:
    """Everything that one reading found, at one size of the model."""

    source: str  #: "torch trace", "jax trace", "config.json of llama" …
    parameters: tuple[Parameter, ...]  #: in the model's own order; a tied one stands twice
    attentions: tuple[Attention, ...] = ()
    multipliers: tuple[CodeMultiplier, ...] = ()
    blocks: tuple[int, ...] = ()  #: number of residual blocks of each chain
    width: int | None = None  #: of the residual stream, if it has one
    cautions: tuple[Caution, ...] = ()
    active_experts: int | None = None  #: routed experts that see one token, where the reading tells
    shared_experts: int | None = None  #: experts that see every token, where the reading tells
    by_name: Mapping[str, Parameter] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {parameter.name: parameter for parameter in self.parameters})

    @property
    def experts(self) -> int | None:
        """Return how many experts its routers choose from; None without a router, or if they differ."""
        found = {parameter.fan_out for parameter in self.parameters if parameter.part is TensorPart.ROUTER}
        return found.pop() if len(found) == 1 else None

    @property
    def rank(self) -> int | None:
        """Return the rank of its low-rank adapters; None without any, or if they differ."""
        found = {parameter.fan_out for parameter in self.parameters if parameter.part is TensorPart.LORA_A}
        return found.pop() if len(found) == 1 else None

    def __getitem__(self, name: str) -> Parameter:
        """A parameter by its name; KeyError for one that the model does not have."""
        return self.by_name[name]
