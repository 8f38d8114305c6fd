"""Operations entry by entry, whose result has the broadcast shape of their inputs; norms and the softmax among them."""

from collections.abc import Sequence
from dataclasses import replace

from widthwise.reading.dataflow.axes import Dim, Dims
from widthwise.reading.dataflow.graph import Graph, How, Kind, Node, Scored, Value, copied, kind_of

ADDING = frozenset({"add", "sub", "rsub"})
_COMPARING = frozenset({"maximum", "minimum", "max", "min", "fmax", "fmin", "logaddexp"})  #: act like a sum
MULTIPLYING = frozenset({"mul", "div"})
#: Linear in the data, so that a factor passes through them.
_LINEAR = ADDING | MULTIPLYING | {"neg", "convert", "where", "dropout", "masked_fill", "lerp", "addcmul"}
#: What a network uses as its nonlinearity.
ACTIVATIONS = frozenset(
    (
        "silu",
        "gelu",
        "relu",
        "sigmoid",
        "tanh",
        "hardswish",
        "leaky_relu",
        "elu",
        "softplus",
        "mish",
        "hardsigmoid",
        "hardtanh",
        "clamp_min",
        "square",
        "erf",
        "log_sigmoid",
        "softmax",
        "exp",
        "logistic",
        "max",
        "prelu",
    )
)
_STEPS = 16  # chosen: the longest written-out nonlinearity (GELU by tanh) has 7
_ORDER = (Kind.DATA, Kind.WEIGHT, Kind.CONSTANT)


def broadcast(graph: Graph, inputs: Sequence[Value], shape: Sequence[int]) -> Dims:
    """The dimensions of an elementwise result: aligned dimensions are the same axis."""
    order = sorted(inputs, key=lambda value: _ORDER.index(value.kind))
    own = kind_of(inputs) is Kind.WEIGHT
    dims: Dims = []
    for axis, size in enumerate(shape):
        chosen: Dim | None = None
        is_weight = False
        for value in order:
            place = axis - (len(shape) - len(value.shape))
            if place < 0 or value.shape[place] != size:
                continue
            if chosen is None:
                chosen, is_weight = value.dims[place], value.kind is Kind.WEIGHT
            elif value.dims[place]:
                both = own and is_weight and value.kind is Kind.WEIGHT
                graph.axes.unite(chosen, value.dims[place], own=both)
        dims.append(list(chosen) if chosen is not None else graph.axes.fresh((size,))[0])
    return dims


def elementwise(
    graph: Graph, operation: str, inputs: Sequence[Value], shape: Sequence[int], scalar: float | None = None
) -> Value:
    """Any operation whose result has the broadcast shape of its inputs.

    scalar: the number that it multiplies its one data or weight by, where it does no more than that.
    """
    dims, kind = broadcast(graph, inputs, shape), kind_of(inputs)
    data = [value for value in inputs if value.kind is Kind.DATA]
    weights = [value for value in inputs if value.kind is Kind.WEIGHT]
    found = graph.value(dims, shape, kind, inputs, like=_continued(inputs, data, weights))
    node = graph.node(operation, inputs, found)
    if kind is Kind.WEIGHT:
        found.picked = any(value.picked for value in weights)
        found.routed = any(value.routed for value in weights)
        found.operations = (*found.operations, operation)
    if scalar is not None and kind is not Kind.CONSTANT:
        of = (data or weights)[0]
        found.factor = of.factor * scalar
        if of.source is not None:
            of.source.scales.append((scalar, found))
    elif operation not in _LINEAR:
        _bend(graph, found, operation)
    if len(data) == 2:
        _combine(graph, operation, data, node)
    if kind is Kind.DATA:
        for weight in weights:
            _meet(graph, operation, weight, node)
    return found


def _continued(inputs: Sequence[Value], data: Sequence[Value], weights: Sequence[Value]) -> Value | None:
    if len(inputs) == 1:
        return inputs[0]
    if len(data) == 1 or (len(data) == 2 and data[0].source is data[1].source):
        return data[0]
    return weights[0] if not data and len(weights) == 1 else None


def _bend(graph: Graph, found: Value, operation: str) -> None:
    """What a nonlinearity makes of a value."""
    score = found.score
    if score is not None and operation == "tanh":
        found.score = replace(score, capped=True)
        return
    if score is not None and operation in ("softmax", "exp"):
        graph.attentions.append(Scored(score, found.factor, graph.where))
    found.score = None
    if found.kind is Kind.DATA:
        found.source, found.factor = None, 1.0
        found.activated = operation in ACTIVATIONS


def _combine(graph: Graph, operation: str, data: Sequence[Value], node: Node) -> None:
    """What two data make of their result."""
    found = node.output
    scored = [value for value in data if value.score is not None]
    if scored and (operation in _LINEAR or operation == "max"):
        found.score, found.factor = scored[0].score, scored[0].factor
    if operation in ("add", "sub") and data[0].shape == data[1].shape and data[0] is not data[1]:
        graph.joins.append((data[0], data[1], found))
    bends = operation == "mul" and (_bends_itself(*data) or _bends_itself(*reversed(data)))
    activated = operation == "mul" and (data[0].activated or data[1].activated)
    node.gates = activated and not bends
    found.activated, found.token = activated and bends, None


def _bends_itself(value: Value, other: Value) -> bool:
    """Whether a product is a nonlinearity of one value, as x · sigmoid(x) is: the other side is made of it."""
    sources = {value.index}
    while value.node is not None and value.node.operation in ("mul", "div", "convert", "_to_copy"):
        data = [each for each in value.parents if each.kind is Kind.DATA]
        if len(data) != 1:
            break
        value = data[0]
        sources.add(value.index)
    waiting, seen = [other], 0
    while waiting and seen < _STEPS:
        seen += 1
        made = waiting.pop(0)
        if made.node is not None and made.node.starts_stream:
            continue
        for parent in made.parents:
            if parent.index in sources:
                return True
            if parent.kind is Kind.DATA and parent.index > min(sources):
                waiting.append(parent)
    return False


def _meet(graph: Graph, operation: str, weight: Value, node: Node) -> None:
    """Record that a weight meets data entry by entry."""
    if weight.picked:
        how = How.POSITION
    elif operation in MULTIPLYING:
        how = How.GAIN
    elif operation in ADDING | _COMPARING:
        how = How.BIAS
    elif operation in ACTIVATIONS or sum(size > 1 for size in weight.shape) <= 1:
        how = How.GAIN  # the slope of a PReLU; a vector cannot be a matrix, whatever the operation is
    else:
        how = How.OTHER
    use = graph.use(how, weight, node)
    if how is How.GAIN and operation == "mul":
        node.output.gain = use


def softmax(graph: Graph, of: Value) -> Value:
    """A softmax; that of a product of data with data is an attention."""
    return elementwise(graph, "softmax", (of,), of.shape)


def normalize(
    graph: Graph, operation: str, data: Value, axes: Sequence[int], *, gain: Value | None, bias: Value | None
) -> Value:
    """A normalisation with its own gain and bias over `axes` of the data, in the order of their dimensions."""
    inputs = [value for value in (data, gain, bias) if value is not None]
    kind = kind_of(inputs) if data.kind is not Kind.DATA else Kind.DATA
    found = graph.value(copied(data.dims), data.shape, kind, inputs)
    found.token = data.token
    node = graph.node(operation, inputs, found)
    for value, how in ((gain, How.GAIN), (bias, How.BIAS)):
        if value is None:
            continue
        for place, axis in enumerate(axes[: len(value.dims)]):
            graph.axes.unite(data.dims[axis], value.dims[place])
        if value.kind is Kind.WEIGHT:
            graph.use(how, value, node).norm = True
    return found


def opaque(graph: Graph, operation: str, inputs: Sequence[Value], shape: Sequence[int]) -> Value:
    """An operation without a rule: new axes, and nothing is claimed of the parameters that meet data in it."""
    graph.unknown[operation] = graph.unknown.get(operation, 0) + 1
    kind = kind_of(inputs)
    found = graph.value(None, shape, kind, inputs)
    node = graph.node(operation, inputs, found)
    if kind is Kind.DATA:
        for value in inputs:
            if value.kind is Kind.WEIGHT:
                graph.use(How.OTHER, value, node)
    return found
