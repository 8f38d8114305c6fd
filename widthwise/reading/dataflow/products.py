"""Sums of products: matrices, convolutions, attentions."""

from collections.abc import Sequence
from math import prod

from widthwise.reading.dataflow.axes import Dims
from widthwise.reading.dataflow.elementwise import broadcast
from widthwise.reading.dataflow.graph import (
    Contraction,
    Graph,
    How,
    Kind,
    Node,
    Score,
    Scored,
    Value,
    WeightUse,
    flat,
    kind_of,
)


def as_token(graph: Graph, weight: Value, node: Node) -> None:
    """Record that a weight stands in the data's place in an operation."""
    if weight.kind is Kind.WEIGHT:
        graph.use(How.POSITION if weight.picked else How.TOKEN, weight, node)


def contract(
    graph: Graph,
    operation: str,
    left: Value,
    right: Value,
    shape: Sequence[int],
    *,
    summed: tuple[Sequence[int], Sequence[int]],
    batch: tuple[Sequence[int], Sequence[int]] = ((), ()),
    chosen: Sequence[int] = (),
    right_is_weight: bool = False,
    bias: Value | None = None,
    scale: float = 1.0,
) -> Value:
    """A sum of products over the axes `summed` of left and right.

    The result has the batch axes first, then left's other axes, then right's. chosen: axes of the right of which each
    row of the left takes one entry (experts), so that the result lacks them. right_is_weight: the operation itself says
    so (F.linear), which settles a product of two parameters. scale: a number that multiplies the product.
    """
    both_weights = left.kind is Kind.WEIGHT and right.kind is Kind.WEIGHT
    for one, other in zip(*summed, strict=True):
        graph.axes.unite(left.dims[one], right.dims[other])
    for one, other in zip(*batch, strict=True):
        graph.axes.unite(left.dims[one], right.dims[other], own=both_weights)
    contraction = Contraction(
        left,
        right,
        [left.dims[axis] for axis in summed[0]],
        [right.dims[axis] for axis in summed[1]],
        [left.dims[axis] for axis in batch[0]],
        [right.dims[axis] for axis in (*batch[1], *chosen)],
        _free(left, (*summed[0], *batch[0])),
        _free(right, (*summed[1], *batch[1], *chosen)),
    )
    of_right = left.kind is Kind.CONSTANT
    lead = contraction.right_batch[: len(batch[1])] if of_right else contraction.left_batch
    dims = [list(dim) for dim in (*lead, *contraction.left_free, *contraction.right_free)]
    inputs = [left, right] if bias is None else [left, right, bias]
    settled = right_is_weight and right.kind is Kind.WEIGHT
    found = graph.value(dims, shape, Kind.DATA if settled else kind_of(inputs), inputs)
    node = graph.node(operation, inputs, found)
    node.contraction = contraction
    found.source = node
    if contraction.of_data:
        found.factor = left.factor * right.factor * scale
        found.score = Score(left, right, prod(left.shape[axis] for axis in summed[0]))
    elif settled:
        as_token(graph, left, node)
        weight_use(graph, node, right)
    elif Kind.DATA in (left.kind, right.kind) and Kind.WEIGHT in (left.kind, right.kind):
        weight_use(graph, node, right if right.kind is Kind.WEIGHT else left)
    elif Kind.WEIGHT in (left.kind, right.kind):
        graph.pending.append(node)
    if bias is not None:
        _add(graph, node, bias)
    return found


def _free(side: Value, taken: Sequence[int]) -> Dims:
    return [dim for axis, dim in enumerate(side.dims) if axis not in taken]


def _add(graph: Graph, node: Node, bias: Value) -> None:
    found = node.output
    broadcast(graph, [found, bias], found.shape)
    if bias.kind is Kind.WEIGHT and found.kind is Kind.DATA:
        graph.use(How.POSITION if bias.picked else How.BIAS, bias, node)
    elif bias.kind is Kind.DATA and bias.shape == found.shape:
        graph.joins.append((bias, found, found))


def weight_use(graph: Graph, node: Node, weight: Value) -> WeightUse:
    """Record that a contraction uses one of its sides as a matrix."""
    contraction = node.contraction
    assert contraction is not None  # noqa: S101 - only contractions call this
    use = graph.use(How.CONTRACTION, weight, node)
    if contraction.right is weight:
        sides = contraction.right_summed, contraction.right_batch, contraction.right_free
        use.operand = contraction.left
    else:
        sides = contraction.left_summed, contraction.left_batch, contraction.left_free
        use.operand = contraction.right
    use.summed, use.batch, use.free = (flat(side) for side in sides)
    return use


def convolve(
    graph: Graph,
    data: Value,
    kernel: Value,
    shape: Sequence[int],
    *,
    groups: int = 1,
    transposed: bool = False,
    bias: Value | None = None,
) -> Value:
    """A convolution over [batch, channels, *space].

    The kernel is [out, in / groups, *window], or [in, out / groups, *window] if it is transposed.
    """
    channels = data.shape[1]
    depthwise = not transposed and groups > 1 and groups == channels
    _unite_channels(graph, data, kernel, groups, transposed=transposed, depthwise=depthwise)
    out = kernel.dims[1 if transposed else 0]
    if transposed and groups > 1:
        out = graph.axes.fresh((shape[1],))[0]
    dims: Dims = [list(data.dims[0]), list(out)]
    for axis in range(2, len(shape)):
        same = axis < len(data.shape) and data.shape[axis] == shape[axis]
        dims.append(list(data.dims[axis]) if same else graph.axes.fresh((shape[axis],))[0])
    inputs = [data, kernel] if bias is None else [data, kernel, bias]
    is_weight = kernel.kind is Kind.WEIGHT
    found = graph.value(dims, shape, Kind.DATA if is_weight else kind_of(inputs), inputs)
    node = graph.node("convolution", inputs, found)
    found.source = node
    if is_weight:
        as_token(graph, data, node)
        use = graph.use(How.CONVOLUTION, kernel, node)
        use.summed = [*kernel.dims[0 if transposed else 1], *flat(kernel.dims[2:])]
        use.free = list(kernel.dims[1 if transposed else 0])
        use.operand, use.depthwise, use.transposed = data, depthwise, transposed
    if bias is not None:
        graph.axes.unite(found.dims[1], bias.dims[0])
        if bias.kind is Kind.WEIGHT:
            graph.use(How.BIAS, bias, node)
    return found


def _unite_channels(
    graph: Graph, data: Value, kernel: Value, groups: int, *, transposed: bool, depthwise: bool
) -> None:
    channels = data.shape[1]
    if transposed or (depthwise and kernel.shape[0] == channels):
        graph.axes.unite(data.dims[1], kernel.dims[0])
    elif groups == 1:
        graph.axes.unite(data.dims[1], kernel.dims[1])
    elif channels % groups == 0 and not depthwise:
        parts = graph.axes.reshape([data.dims[1]], (groups, channels // groups))
        if parts is not None:
            graph.axes.unite(parts[1], kernel.dims[1])


def attend(
    graph: Graph,
    sides: tuple[Value, Value, Value],
    shape: Sequence[int],
    scale: float,
    others: Sequence[Value] = (),
) -> Value:
    """A fused attention of query, key and value, each [..., sequence, head size]. others: masks and biases."""
    query, key, value = sides
    graph.axes.unite(query.dims[-1], key.dims[-1])
    inputs = (query, key, value, *others)
    found = graph.value([*query.dims[:-1], value.dims[-1]], shape, kind_of(inputs), inputs)
    graph.node("attention", inputs, found)
    score = Score(query, key, query.shape[-1])
    graph.attentions.append(Scored(score, scale * query.factor * key.factor, graph.where))
    return found
