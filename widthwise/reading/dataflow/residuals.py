"""Residual streams: the sums that add a branch to what it read, and the chains that they make."""

from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

from widthwise.reading.dataflow.elementwise import ACTIVATIONS
from widthwise.reading.dataflow.flow import Flow, between
from widthwise.reading.dataflow.graph import Graph, Kind, Value

_SCALING = frozenset({"mul", "div", "dropout", "_to_copy", "clone"})
_ANCESTORS = 600  # chosen: values that are looked at for the one that both sides of a sum come from


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """A sum of a stream with the output of a branch that read it."""

    skip: Value
    branch: Value
    result: Value
    inside: frozenset[int]  #: the values of the branch, from the skip on


def joins(graph: Graph, flow: Flow) -> list[Join]:
    """All of them, in the order of their results."""
    sums = [each for each in graph.joins if not _is_score(flow, *each)]
    plain = [join for one, other, result in sums if (join := _plain(graph, one, other, result)) is not None]
    inside = {index for join in plain for index in join.inside if index != join.skip.index}
    rest = [each for each in sums if not any(join.result is each[2] for join in plain)]
    found = list(plain)
    for one, other, result in rest:
        if _extend(graph, found, one, other, result) or _extend(graph, found, other, one, result):
            continue
        join = None if result.index in inside else _scaled(graph, one, other, result)
        join = join or _projected(graph, one, other, result)
        if join is not None:
            found.append(join)
    return sorted(found, key=lambda join: join.result.index)


def _is_score(flow: Flow, one: Value, other: Value, result: Value) -> bool:
    """Whether a sum adds positions to the scores of an attention, which earlier layers may have made."""
    return (one.score is not None or other.score is not None) and flow.reaches_softmax(result)


def _uses_matrix(graph: Graph, inside: set[int], skip: Value) -> bool:
    return any(
        index != skip.index and (node := graph.values[index].node) is not None and bool(node.matrices)
        for index in inside
    )


def _plain(graph: Graph, one: Value, other: Value, result: Value) -> Join | None:
    skip, branch = (one, other) if one.index < other.index else (other, one)
    inside = between(skip, branch)
    return Join(skip, branch, result, frozenset(inside)) if _uses_matrix(graph, inside, skip) else None


def _extend(graph: Graph, found: list[Join], sum_: Value, other: Value, result: Value) -> bool:
    """Take a second branch that read the same stream into a join: attention and MLP side by side."""
    for place, join in enumerate(found):
        if join.result is sum_:
            inside = between(join.skip, other)
            if _uses_matrix(graph, inside, join.skip):
                found[place] = replace(
                    join, branch=sum_, result=result, inside=join.inside | inside | {sum_.index, other.index}
                )
                return True
    return False


def _scaled(graph: Graph, one: Value, other: Value, result: Value) -> Join | None:
    """A sum whose skip is multiplied by a number or a gain first."""
    for side, branch in ((one, other), (other, one)):
        skip = _unscaled(side)
        if skip is None or skip.shape != result.shape:
            continue
        inside = between(skip, branch)
        if _uses_matrix(graph, inside, skip):
            return Join(skip, branch, result, frozenset(inside))
    return None


def _unscaled(value: Value) -> Value | None:
    """What a value was before numbers and gains multiplied it; None if none did."""
    found = None
    while value.node is not None and value.node.operation in _SCALING:
        data = [each for each in value.node.inputs if each.kind is Kind.DATA]
        if len(data) != 1:
            break
        value = found = data[0]
    return found


def _projected(graph: Graph, one: Value, other: Value, result: Value) -> Join | None:
    """A sum whose skip goes through one separate matrix (the down-sampling of a ResNet).

    The branch has two matrices or more and a nonlinearity: else a weight with its low-rank adapter would be one. The
    skip has no nonlinearity: else the gates of an LSTM would make one.
    """
    parted = _parted(one, other)
    if parted is None:
        return None
    skip, short, long = parted
    branch = other
    if _matrices(graph, short) > _matrices(graph, long):
        short, long, branch = long, short, one
    if _matrices(graph, short) != 1 or _matrices(graph, long) < 2 or not _bends(graph, long):
        return None
    if _activates(graph, short):
        return None
    inside = between(skip, branch)
    return Join(skip, branch, result, frozenset(inside | short | {skip.index})) if inside else None


def _parted(one: Value, other: Value) -> tuple[Value, set[int], set[int]] | None:
    """The last value that two others both come from, and what lies between it and each; None if there is none near.

    Values are looked at from the latest back, so that all that comes of a value is known before its turn.
    """
    of_one, of_other, waiting = {one.index}, {other.index}, {one.index: one, other.index: other}
    order = [-index for index in waiting]
    heapify(order)
    for _ in range(_ANCESTORS):
        if not order:
            break
        value = waiting.pop(-heappop(order))
        if value.index in of_one and value.index in of_other:
            ours, theirs = ({index for index in side if index > value.index} for side in (of_one, of_other))
            return value, ours, theirs
        sides = [side for side in (of_one, of_other) if value.index in side]
        for parent in value.parents:
            if parent.kind is not Kind.DATA:
                continue
            for side in sides:
                side.add(parent.index)
            if parent.index not in waiting:
                waiting[parent.index] = parent
                heappush(order, -parent.index)
    return None


def _matrices(graph: Graph, values: set[int]) -> int:
    return sum((node := graph.values[index].node) is not None and bool(node.matrices) for index in values)


def _bends(graph: Graph, values: set[int]) -> bool:
    nodes = [graph.values[index].node for index in values]
    return any(node is not None and (node.operation in ACTIVATIONS or "norm" in node.operation) for node in nodes)


def _activates(graph: Graph, values: set[int]) -> bool:
    return any((node := graph.values[index].node) is not None and node.operation in ACTIVATIONS for index in values)
