"""Operations that move, cut or repeat entries and change none."""

from collections.abc import Sequence

from widthwise.reading.dataflow.axes import Atom, Dims
from widthwise.reading.dataflow.graph import Graph, How, Kind, Value, copied


def view(graph: Graph, operation: str, of: Value, dims: Dims | None, shape: Sequence[int]) -> Value:
    """Any of these, with the dimensions that it leaves; None for new ones."""
    found = graph.value(dims, shape, of.kind, (of,), like=of)
    found.discrete, found.number = of.discrete, of.number
    graph.node(operation, (of,), found)
    return found


def unchanged(graph: Graph, operation: str, of: Value, *, discrete: bool = False) -> Value:
    """The same entries at the same places: a copy, another type of numbers. discrete: the new type has no gradient."""
    found = view(graph, operation, of, copied(of.dims), of.shape)
    found.gain = of.gain
    found.discrete = discrete
    return found


def reshape(graph: Graph, of: Value, shape: Sequence[int]) -> Value:
    """The same entries in the same order in another shape."""
    return view(graph, "reshape", of, graph.axes.reshape(of.dims, shape), shape)


def permute(graph: Graph, of: Value, order: Sequence[int]) -> Value:
    """Dimensions in another order."""
    return view(graph, "permute", of, [list(of.dims[axis]) for axis in order], [of.shape[axis] for axis in order])


def squeeze(graph: Graph, of: Value, removed: Sequence[int]) -> Value:
    """Dimensions of size 1 removed."""
    kept = [axis for axis in range(len(of.shape)) if axis not in removed]
    return view(graph, "squeeze", of, [list(of.dims[axis]) for axis in kept], [of.shape[axis] for axis in kept])


def unsqueeze(graph: Graph, of: Value, axis: int) -> Value:
    """A new dimension of size 1."""
    dims, shape = copied(of.dims), list(of.shape)
    dims.insert(axis, [])
    shape.insert(axis, 1)
    return view(graph, "unsqueeze", of, dims, shape)


def narrow(graph: Graph, of: Value, axis: int, start: int, size: int, *, step: int = 1) -> Value:
    """Every `step`-th of the entries from `start` on along one axis, `size` of them."""
    dims, shape = copied(of.dims), list(of.shape)
    before, dims[axis], shape[axis] = dims[axis], graph.axes.slice(dims[axis], start, size, step), size
    found = view(graph, "slice", of, dims, shape)
    if size == 1 and len(before) == 1:
        found.picks = (*of.picks, (before[0], start))
    return found


def select(graph: Graph, of: Value, axis: int, index: int) -> Value:
    """One entry along an axis, which goes."""
    dims, shape = copied(of.dims), list(of.shape)
    before = dims.pop(axis)
    size = shape.pop(axis)
    found = view(graph, "select", of, dims, shape)
    found.picks = (*of.picks, *_picked(before, index % size))
    return found


def _picked(dim: Sequence[Atom], index: int) -> list[tuple[Atom, int]]:
    """Which entry of each atom of a dimension an index of the whole dimension is."""
    picks = []
    for atom in reversed(dim):
        index, place = divmod(index, atom.size)
        picks.append((atom, place))
    return picks


def expand(graph: Graph, of: Value, shape: Sequence[int], *, by_user_over: int | None = None) -> Value:
    """Dimensions repeated as often as a larger shape needs, from the last one on.

    by_user_over: size of the batch, if the model's own code asks for the expansion (not a matrix product that
    broadcasts): a parameter that is repeated for every example stands in the data's place from here on.
    """
    offset = len(shape) - len(of.shape)
    dims: Dims = []
    for place, size in enumerate(shape):
        before = of.shape[place - offset] if place >= offset else 1
        if before == size:
            dims.append(list(of.dims[place - offset]) if place >= offset else [])
        elif before > 1 and size % before == 0:
            dims.append([graph.axes.atom(size // before), *of.dims[place - offset]])
        else:
            dims.append(graph.axes.fresh((size,))[0])
    found = view(graph, "expand", of, dims, shape)
    first = of.shape[0] if offset == 0 and of.shape else 1
    if of.kind is Kind.WEIGHT and by_user_over is not None and first != shape[0] == by_user_over:
        assert found.node is not None  # noqa: S101 - `view` recorded it
        found.token = graph.use(How.POSITION if of.picked else How.TOKEN, of, found.node)
        found.kind, found.parameters = Kind.DATA, frozenset()
    return found
