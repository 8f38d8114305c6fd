"""Operations that pick, join, reduce or scatter entries."""

from collections.abc import Sequence

from widthwise.reading.dataflow.axes import Dim, Dims
from widthwise.reading.dataflow.elementwise import broadcast
from widthwise.reading.dataflow.graph import Graph, How, Kind, Value, copied, flat, kind_of
from widthwise.reading.dataflow.products import as_token


def look_up(graph: Graph, table: Value, indices: Sequence[Value], dims: Dims | None, shape: Sequence[int]) -> Value:
    """Entries of a table, picked by indices.

    A table of at most two axes whose rows the model's inputs pick is a look-up. Rows that a constant picks stay a
    weight, and so do those that the output of weights picks (the bias of the expert that a router chose).
    """
    inputs = (table, *indices)
    by_data = any(index.kind is Kind.DATA for index in indices)
    by_weights = any(index.weighted for index in indices)
    if table.kind is Kind.WEIGHT and by_data and not by_weights and len(table.shape) <= 2:
        found = graph.value(dims, shape, Kind.DATA, inputs)
        node = graph.node("look_up", inputs, found)
        found.source = node
        graph.use(How.LOOKUP, table, node)
        return found
    kind = table.kind if table.kind is not Kind.CONSTANT else kind_of(inputs)
    found = graph.value(dims, shape, kind, inputs, like=table)
    found.discrete = table.discrete
    if kind is Kind.WEIGHT:
        found.routed = by_data
        found.picked = not by_data
    graph.node("look_up", inputs, found)
    return found


def concatenate(graph: Graph, inputs: Sequence[Value], axis: int, shape: Sequence[int]) -> Value:
    """Values side by side along one axis."""
    kind = kind_of(inputs)
    own = kind is Kind.WEIGHT
    order = sorted(inputs, key=lambda value: (Kind.DATA, Kind.WEIGHT, Kind.CONSTANT).index(value.kind))
    dims: Dims = []
    for place, size in enumerate(shape):
        if place == axis:
            dims.append(_side_by_side(graph, inputs, axis, size))
            continue
        for value in order[1:]:
            graph.axes.unite(order[0].dims[place], value.dims[place], own=own)
        dims.append(list(order[0].dims[place]))
    data = [value for value in inputs if value.kind is Kind.DATA]
    alike = bool(data) and all(value.source is data[0].source for value in data)
    scored = next((value for value in inputs if value.score is not None), None)
    found = graph.value(dims, shape, kind, inputs, like=scored or (data[0] if alike else None))
    found.token = None
    found.picks = ()
    found.picked = own and any(value.picked for value in inputs)
    node = graph.node("concatenate", inputs, found)
    if kind is Kind.DATA:
        for value in inputs:
            if scored is None:
                as_token(graph, value, node)
            elif value.kind is Kind.WEIGHT:
                graph.use(How.BIAS, value, node)  # one more score: what a softmax adds up next to the others
            elif value.token is not None:
                value.token.how = How.BIAS
    return found


def _side_by_side(graph: Graph, inputs: Sequence[Value], axis: int, size: int) -> Dim:
    parts = [value.dims[axis] for value in inputs]
    whole = _whole_of(graph, parts, size)
    if whole is not None:
        return whole
    whole = graph.axes.fresh((size,))[0]
    own = kind_of(inputs) is Kind.WEIGHT
    start = 0
    for value in inputs:
        if value.shape[axis] > 1 and whole:
            graph.axes.unite(graph.axes.slice(whole, start, value.shape[axis]), value.dims[axis], own=own)
        start += value.shape[axis]
    return whole


def _whole_of(graph: Graph, parts: Sequence[Dim], size: int) -> Dim | None:
    """The axis that these slices are all of, in order; None if they are not."""
    if not all(len(part) == 1 and part[0].parent is not None and part[0].key[0] == "slice" for part in parts):
        return None
    whole = parts[0][0].parent
    assert whole is not None  # noqa: S101 - the line above
    start = 0
    for (piece,) in parts:
        same = piece.parent is not None and graph.axes.class_of(piece.parent) == graph.axes.class_of(whole)
        if not same or piece.key[1] != start:
            return None
        start += piece.size
    return [whole] if start == whole.size == size else None


def stack(graph: Graph, inputs: Sequence[Value], axis: int, shape: Sequence[int]) -> Value:
    """Values side by side along a new axis."""
    kind = kind_of(inputs)
    dims = broadcast(graph, inputs, inputs[0].shape)
    dims.insert(axis, graph.axes.fresh((shape[axis],))[0])
    found = graph.value(dims, shape, kind, inputs)
    node = graph.node("stack", inputs, found)
    if kind is Kind.DATA:
        for value in inputs:
            as_token(graph, value, node)
    return found


def reduce(graph: Graph, operation: str, of: Value, axes: Sequence[int], shape: Sequence[int]) -> Value:
    """A sum, mean, maximum … over some axes. Data × weight that is summed over the weight is a contraction."""
    if operation in ("sum", "mean") and of.gain is not None:
        use = of.gain
        weight = use.value
        offset = len(of.shape) - len(weight.shape)
        over = [axis - offset for axis in axes if axis >= offset and weight.shape[axis - offset] > 1]
        if over:
            use.how, use.summed = How.CONTRACTION, flat(weight.dims[axis] for axis in over)
            use.free = flat(dim for axis, dim in enumerate(weight.dims) if axis not in over)
            use.operand = next((value for value in use.node.inputs if value.kind is Kind.DATA), None)
    if len(shape) == len(of.shape):
        dims = [[] if axis in axes else list(dim) for axis, dim in enumerate(of.dims)]
    else:
        dims = [list(dim) for axis, dim in enumerate(of.dims) if axis not in axes]
    found = graph.value(dims, shape, of.kind, (of,))
    if of.kind is Kind.WEIGHT:
        found.operations = (*of.operations, operation)
    if of.gain is not None and of.gain.how is How.CONTRACTION:
        found.source = of.gain.node
    found.discrete = operation in ("argmax", "argmin", "any", "all")
    graph.node(operation, (of,), found)
    return found


def scatter(
    graph: Graph, operation: str, into: Value, of: Value, others: Sequence[Value] = (), *, rows: bool = False
) -> Value:
    """Entries written or added into a tensor. rows: the last axes of both are the same, the first one is indexed."""
    inputs = (into, of, *others)
    if into.shape == of.shape:
        broadcast(graph, (into, of), into.shape)
    elif rows and into.shape[1:] == of.shape[1:]:
        for one, other in zip(into.dims[1:], of.dims[1:], strict=True):
            graph.axes.unite(one, other)
    kind = kind_of(inputs)
    found = graph.value(copied(into.dims), into.shape, kind, inputs, like=of)
    node = graph.node(operation, inputs, found)
    if kind is Kind.DATA:
        as_token(graph, of, node)
    return found


def resize(graph: Graph, operation: str, inputs: Sequence[Value], shape: Sequence[int], *, of: int = 0) -> Value:
    """Pooling, padding, sorting …: dimensions of unchanged size keep their axes, the others are new.

    of: which of the inputs they are taken from.
    """
    before = inputs[of]
    if len(before.shape) == len(shape):
        dims = [
            list(dim) if old == new else graph.axes.fresh((new,))[0]
            for dim, old, new in zip(before.dims, before.shape, shape, strict=True)
        ]
    else:
        dims = graph.axes.fresh(shape)
    found = graph.value(dims, shape, kind_of(inputs), inputs)
    graph.node(operation, inputs, found)
    return found


def pad(graph: Graph, of: Value, before: Sequence[int], shape: Sequence[int]) -> Value:
    """Entries added around a tensor, or cut off where there are less than none. before: how many, by axis."""
    dims = copied(of.dims)
    for axis, (old, new) in enumerate(zip(of.shape, shape, strict=True)):
        if old == new and before[axis] == 0:
            continue
        dims[axis] = graph.axes.fresh((new,))[0]
        if before[axis] >= 0 and new >= before[axis] + old and old > 1:
            inside = graph.axes.slice(dims[axis], before[axis], old)
            graph.axes.unite(inside, of.dims[axis], own=of.kind is Kind.WEIGHT)
    found = graph.value(dims, shape, of.kind, (of,), like=of)
    graph.node("pad", (of,), found)
    return found
