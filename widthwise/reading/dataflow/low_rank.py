"""Low-rank factors on the way of the data: W·x + s·B·A·x, with nothing between B and A that bends."""

from collections.abc import Iterator
from math import prod

from widthwise.reading.dataflow.graph import Graph, Kind, Value, WeightUse

_KEEPING = frozenset({"reshape", "_to_copy", "dropout", "clone", "detach", "alias", "contiguous", "convert"})


_SCALING = _KEEPING | {"mul", "div"}


def low_rank_uses(graph: Graph) -> set[int]:
    """The identities of the uses of such factors."""
    return {id(use) for one, other, _ in graph.joins for use in (*_factors(one, other), *_factors(other, one))}


def _factors(whole: Value, change: Value) -> Iterator[WeightUse]:
    """The factors B and A if one side of a sum is a low-rank change of the other."""
    weight, up = _matrix(whole), _matrix(change)
    if weight is None or up is None or up.operand is None:
        return
    down = _matrix(up.operand)
    if down is None or down.operand is None or weight.operand is None or down is weight:
        return
    rank = prod(atom.size for atom in down.free)
    sizes = [prod(atom.size for atom in side) for side in (weight.summed, weight.free)]
    if rank < min(sizes) and _origin(down.operand) is _origin(weight.operand):
        yield from (up, down)


def _matrix(value: Value) -> WeightUse | None:
    """The one matrix whose output a value is, times numbers and gains."""
    while value.source is None:
        node = value.node
        if node is None or node.operation not in _SCALING:
            return None
        same = [each for each in node.inputs if each.kind is Kind.DATA and each.shape == value.shape]
        if len(same) != 1:
            return None
        value = same[0]
    uses = value.source.matrices
    return uses[0] if len(uses) == 1 else None


def _origin(value: Value) -> Value:
    while value.node is not None and value.node.operation in _KEEPING:
        data = [each for each in value.node.inputs if each.kind is Kind.DATA]
        if len(data) != 1:
            break
        value = data[0]
    return value
