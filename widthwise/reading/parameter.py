"""One parameter of a model as it was read: its axes, what it does, where it stands, and what that rests on."""

from dataclasses import dataclass
from enum import StrEnum
from math import prod

from widthwise.vocabulary import Role, TensorPart


class ParameterUse(StrEnum):
    """What the forward pass does with a parameter."""

    CONTRACTION = "contraction"  #: multiplies data and sums over its fan-in axes
    CONVOLUTION = "convolution"  #: a contraction that slides; a depthwise one has fan-in axes and no input channels
    LOOKUP = "lookup"  #: data picks its rows
    POSITION = "position"  #: a table of positions: constants pick its rows, or it is used whole
    GAIN = "gain"  #: multiplies data element by element
    BIAS = "bias"  #: is added to data
    TOKEN = "token"  # noqa: S105 - stands in the sequence next to the data
    LOW_RANK = "low_rank"  #: one factor of a product that is added to another weight
    UNUSED = "unused"  #: reaches no output in the pass that was read
    UNKNOWN = "unknown"  #: meets data in an operation that the reader does not know


class Feeds(StrEnum):
    """What a matrix's output becomes, where that is more than the next layer's input."""

    QUERY = "query"
    KEY = "key"
    VALUE = "value"
    GATE = "gate"
    UP = "up"  #: the factor that a gate multiplies
    ROUTER = "router"  #: chooses experts


@dataclass(frozen=True, slots=True)
class FusedPart:
    """One of several matrices that a fused parameter holds side by side."""

    feeds: Feeds
    axis: int  #: along which the parameter is split
    indices: tuple[slice, ...]  #: of the entries along the axis, in order


@dataclass(frozen=True, slots=True)
class Block:
    """Where in a chain of residual blocks a parameter stands."""

    chain: int  #: an encoder and a decoder are two
    index: int  #: counted from 0


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of one model, at that model's own size.

    Fan axes and stack axes together are all axes, each once. If the role is open, `question` says what could not be
    known, and a caller settles it by `roles`. A parameter of which only the shape is known has the use `UNKNOWN` and no
    question: it is placed by its shapes in base and target.
    """

    name: str
    shape: tuple[int, ...]  #: unsharded
    use: ParameterUse
    role: Role | None
    fan_in_axes: tuple[int, ...]  #: summed over in the forward pass
    fan_out_axes: tuple[int, ...]  #: of the output
    stack_axes: tuple[int, ...] = ()  #: layers, experts, positions: as many separate weights
    tied_to: str | None = None  #: name of the parameter that owns the weights; this one is the other use of them
    feeds: Feeds | None = None
    parts: tuple[FusedPart, ...] = ()
    part: TensorPart | None = None  #: what it is within experts, where the reading tells
    block: Block | None = None  #: None outside every residual block
    question: str | None = None  #: why the role is open, in words
    evidence: tuple[str, ...] = ()  #: what was seen, one sentence each

    @property
    def fan_in(self) -> int:
        """How many entries the forward pass sums over; 1 without fan-in axes."""
        return prod(self.shape[axis] for axis in self.fan_in_axes)

    @property
    def fan_out(self) -> int:
        """How many entries of the output it makes; 1 without fan-out axes."""
        return prod(self.shape[axis] for axis in self.fan_out_axes)
