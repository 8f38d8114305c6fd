"""Values and operations of one forward pass, as a front end records them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import prod

from widthwise.reading.dataflow.axes import Atom, AxisRelations, Dim, Dims


class Kind(Enum):
    """What a value depends on."""

    CONSTANT = "constant"  #: neither parameters nor the model's inputs
    WEIGHT = "weight"  #: parameters alone
    DATA = "data"  #: the model's inputs, or parameters that stand in their place


class How(Enum):
    """What data does with a parameter."""

    CONTRACTION = "contraction"
    CONVOLUTION = "convolution"
    LOOKUP = "lookup"
    POSITION = "position"  #: rows that constants pick
    GAIN = "gain"
    BIAS = "bias"
    TOKEN = "token"  # noqa: S105 - stands next to the data in its sequence
    OTHER = "other"  #: an operation that nothing is known of


@dataclass(eq=False, slots=True)
class Score:
    """A product of data with data that may become an attention."""

    query: "Value"
    key: "Value"
    head_dim: int
    capped: bool = False


@dataclass(eq=False, slots=True)
class Value:
    """A tensor: its dimensions as axes, and what it depends on."""

    index: int
    dims: Dims
    shape: tuple[int, ...]
    kind: Kind
    parameters: frozenset[str] = frozenset()  #: of a weight
    parents: tuple["Value", ...] = ()
    node: "Node | None" = None  #: that made it
    weighted: bool = False  #: a parameter lies somewhere behind it
    number: float | None = None  #: of a constant that is one known number
    source: "Node | None" = None  #: the last use of a weight, if only factors and views lie between
    factor: float = 1.0  #: product of the constants since the source
    operations: tuple[str, ...] = ()  #: behind a weight, as evidence
    score: Score | None = None
    picked: bool = False  #: rows of a weight, picked by constants
    routed: bool = False  #: rows of a weight, picked by what weights computed
    picks: tuple[tuple[Atom, int], ...] = ()  #: axes that a selection removed, and the entry that it took
    activated: bool = False  #: it comes straight out of a nonlinearity
    discrete: bool = False  #: integers or truths: no gradient passes
    gain: "WeightUse | None" = None  #: it is data × this weight, element by element
    token: "WeightUse | None" = None  #: it is this weight, standing in the data's place


@dataclass(eq=False, slots=True)
class Contraction:
    """Which axes a product sums over, and which it keeps."""

    left: Value
    right: Value
    left_summed: Dims
    right_summed: Dims
    left_batch: Dims
    right_batch: Dims
    left_free: Dims
    right_free: Dims

    @property
    def of_data(self) -> bool:
        """Whether both sides are data."""
        return self.left.kind is Kind.DATA and self.right.kind is Kind.DATA


@dataclass(eq=False, slots=True)
class WeightUse:
    """One meeting of data and a weight."""

    how: How
    value: Value
    node: "Node"
    summed: list[Atom] = field(default_factory=list)
    batch: list[Atom] = field(default_factory=list)
    free: list[Atom] = field(default_factory=list)
    operand: Value | None = None  #: the data that a matrix is multiplied with
    depthwise: bool = False
    transposed: bool = False
    norm: bool = False  #: inside a normalisation
    dead: bool = False  #: its result reaches no output
    doubt: str | None = None  #: why the order of its axes is not certain

    @property
    def is_matrix(self) -> bool:
        """Whether the weight has a fan-in."""
        return self.how in (How.CONTRACTION, How.CONVOLUTION)


@dataclass(eq=False, slots=True)
class Node:
    """One operation."""

    index: int
    operation: str
    inputs: tuple[Value, ...]
    output: Value
    where: str  #: path of the module that ran it
    contraction: Contraction | None = None
    uses: list[WeightUse] = field(default_factory=list)
    scales: list[tuple[float, Value]] = field(default_factory=list)  #: constants that multiply its output later
    gates: bool = False  #: a product of which one side is activated

    @property
    def matrices(self) -> list[WeightUse]:
        """The parameters that it uses as matrices."""
        return [use for use in self.uses if use.is_matrix]

    @property
    def starts_stream(self) -> bool:
        """Whether data goes through a matrix or a table here."""
        return any(use.is_matrix or use.how is How.LOOKUP for use in self.uses)


@dataclass(frozen=True, slots=True)
class Scored:
    """A softmax over a product of data with data."""

    score: Score
    scale: float
    where: str


class Graph:
    """Everything that one forward pass recorded."""

    def __init__(self) -> None:
        self.axes = AxisRelations()
        self.values: list[Value] = []
        self.nodes: list[Node] = []
        self.uses: list[WeightUse] = []
        self.pending: list[Node] = []  #: products of two parameters, or of a parameter and a constant
        self.joins: list[tuple[Value, Value, Value]] = []  #: sums of two data of one shape: both sides and the result
        self.attentions: list[Scored] = []
        self.outputs: list[Value] = []
        self.shapes: dict[str, tuple[int, ...]] = {}  #: of the parameters, in the model's order
        self.parameter_axes: dict[str, list[Atom]] = {}
        self.unknown: dict[str, int] = {}  #: operations without a rule, and how often they ran
        self.where = ""  #: path of the module that is running

    def parameter(self, name: str, shape: Sequence[int]) -> Value:
        """The value of a parameter."""
        atoms = [self.axes.atom(size, (name, axis)) for axis, size in enumerate(shape)]
        self.shapes[name], self.parameter_axes[name] = tuple(shape), atoms
        dims = [[atom] if atom.size > 1 else [] for atom in atoms]
        found = self.value(dims, shape, Kind.WEIGHT)
        found.parameters, found.weighted = frozenset([name]), True
        return found

    def data(self, shape: Sequence[int]) -> Value:
        """The value of an input of the model."""
        return self.value(None, shape, Kind.DATA)

    def constant(self, shape: Sequence[int], number: float | None = None) -> Value:
        """The value of something that depends on neither parameters nor inputs. number: what it is, if one number."""
        found = self.value(None, shape, Kind.CONSTANT)
        found.number = number
        return found

    def value(
        self,
        dims: Dims | None,
        shape: Sequence[int],
        kind: Kind,
        parents: Sequence[Value] = (),
        like: Value | None = None,
    ) -> Value:
        """A new value; dimensions that do not fit the shape are replaced by new axes. like: what it continues."""
        if dims is None or not _fit(dims, shape):
            dims = self.axes.fresh(shape)
        found = Value(len(self.values), dims, tuple(shape), kind, parents=tuple(parents))
        found.weighted = any(parent.weighted for parent in parents)
        if kind is Kind.WEIGHT:
            found.parameters = frozenset().union(*(parent.parameters for parent in parents))
        if like is not None:
            found.source, found.factor, found.operations = like.source, like.factor, like.operations
            found.score, found.activated, found.token = like.score, like.activated, like.token
            found.picked, found.routed, found.picks = like.picked, like.routed, like.picks
        self.values.append(found)
        return found

    def node(self, operation: str, inputs: Iterable[Value], output: Value) -> Node:
        """Record an operation."""
        found = Node(len(self.nodes), operation, tuple(inputs), output, self.where)
        output.node = found
        self.nodes.append(found)
        return found

    def use(self, how: How, value: Value, node: Node) -> WeightUse:
        """Record that data meets a weight."""
        found = WeightUse(how, value, node)
        self.uses.append(found)
        node.uses.append(found)
        return found


def _fit(dims: Dims, shape: Sequence[int]) -> bool:
    if len(dims) != len(shape):
        return False
    return all(
        (dim[0].size if len(dim) == 1 else prod([atom.size for atom in dim])) == size
        for dim, size in zip(dims, shape, strict=True)
    )


def kind_of(values: Iterable[Value]) -> Kind:
    """What something made of these values depends on."""
    kinds = {value.kind for value in values}
    return Kind.DATA if Kind.DATA in kinds else Kind.WEIGHT if Kind.WEIGHT in kinds else Kind.CONSTANT


def flat(dims: Iterable[Dim]) -> list[Atom]:
    """All atoms of some dimensions."""
    return [atom for dim in dims for atom in dim]


def copied(dims: Dims) -> Dims:
    """The same dimensions in new lists."""
    return [list(dim) for dim in dims]
