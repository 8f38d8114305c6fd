"""Primitives that hold other jaxprs: nested functions, branches, loops."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

from widthwise.jax.call import PrimitiveCall
from widthwise.reading.dataflow import gathering, views
from widthwise.reading.dataflow.elementwise import elementwise
from widthwise.reading.dataflow.graph import Graph, Kind, Value, copied

Inner = Callable[[Any, Sequence[Value]], list[Value]]  #: walks a jaxpr

_LONGEST = 64  # chosen: a loop that holds no parameters of its own is walked turn by turn up to this length
_TURNS = 2  # of a longer one: a carry that becomes data is data in the second turn
_SCALING = frozenset({"mul", "convert", "alias"})


def apply(call: PrimitiveCall, inner: Inner) -> list[Value] | None:
    """The results of a primitive that holds jaxprs; None for one that holds none, or in another way than these."""
    if call.name == "scan":
        return _scan(call, inner)
    if call.name == "while":
        return _while(call, inner)
    if call.name == "cond":
        return _branches(call, inner)
    for jaxpr in (call.parameters.get(name) for name in ("jaxpr", "call_jaxpr", "fun_jaxpr")):
        if jaxpr is not None and _takes(jaxpr, call):
            return inner(jaxpr, call.values)
    return None


def _takes(jaxpr: ClosedJaxpr | Jaxpr, call: PrimitiveCall) -> bool:
    """Whether a jaxpr takes and returns what the primitive does: not one shard, nor references into memory."""
    inside = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    taken = [getattr(each.aval, "shape", None) for each in inside.invars]
    returned = [getattr(each.aval, "shape", None) for each in inside.outvars]
    return taken == [value.shape for value in call.values] and returned == list(call.shapes)


def _branches(call: PrimitiveCall, inner: Inner) -> list[Value]:
    """All branches; a result is any one of theirs."""
    found = [inner(branch, call.values[1:]) for branch in call["branches"]]
    return [_either(call, [*results]) for results in zip(*found, strict=True)]


def _either(call: PrimitiveCall, values: Sequence[Value]) -> Value:
    values = list(dict.fromkeys(values))
    return values[0] if len(values) == 1 else elementwise(call.graph, "where", values, values[0].shape)


def _while(call: PrimitiveCall, inner: Inner) -> list[Value]:
    skipped, constants = call["cond_nconsts"], call["body_nconsts"]
    fixed = list(call.values[skipped : skipped + constants])
    carry = list(call.values[skipped + constants :])
    carry = inner(call["body_jaxpr"], [*fixed, *carry])
    joins, attentions = len(call.graph.joins), len(call.graph.attentions)
    carry = inner(call["body_jaxpr"], [*fixed, *carry])
    _drop_repeated(call.graph, joins, attentions, None)
    return carry


def _scan(call: PrimitiveCall, inner: Inner) -> list[Value]:
    """A loop over the first axis of some operands, which is a stack of parameters, or time.

    A loop over parameters is walked turn by turn: each turn is a layer. One over time needs two turns.
    """
    fixed, length = call["num_consts"], call["length"]
    carried = fixed + call["num_carry"]
    carry, over = list(call.values[fixed:carried]), call.values[carried:]
    shapes = call.shapes[len(carry) :]
    if length == 0:
        return [*carry, *(call.graph.constant(shape) for shape in shapes)]
    kinds = {value.kind for value in over}
    is_time = Kind.DATA in kinds and Kind.WEIGHT not in kinds
    short = is_time or (Kind.WEIGHT not in kinds and length > _LONGEST)
    if is_time:
        carry = [_state(call.graph, value) for value in carry]
    stacked: list[list[Value]] = []
    for turn in range(min(length, _TURNS) if short else length):
        known = len(call.graph.joins), len(call.graph.attentions)
        entries = [views.select(call.graph, value, 0, turn) for value in over]  # in either order: it reads the same
        results = inner(call["jaxpr"], [*call.values[:fixed], *carry, *entries])
        if is_time:
            _drop_repeated(call.graph, *known, None if turn else carry)
        carry = results[: len(carry)]
        stacked.append(results[len(carry) :])
    rows = [[results[place] for results in stacked] for place in range(len(shapes))]
    return [*carry, *(gathering.stack(call.graph, row, 0, shape) for row, shape in zip(rows, shapes, strict=True))]


def _state(graph: Graph, start: Value) -> Value:
    """What a loop over time carries: data, although it starts from constants."""
    if start.kind is not Kind.CONSTANT or start.discrete:
        return start
    found = graph.value(copied(start.dims), start.shape, Kind.DATA, (start,))
    graph.node("carry", (start,), found)
    return found


def _drop_repeated(graph: Graph, joins: int, attentions: int, states: Collection[Value] | None) -> None:
    """Take back the sums with a state that a turn of a loop over time made, and all that a second turn repeats.

    A state that is added to is not a residual stream. joins, attentions: how many there were before the turn; states:
    what the first turn carries, None for the second.
    """
    made = graph.joins[joins:]
    del graph.joins[joins:]
    if states is not None:
        graph.joins += [sum_ for sum_ in made if not any(_scaled_state(side, states) for side in sum_[:2])]
    else:
        del graph.attentions[attentions:]


def _scaled_state(value: Value, states: Collection[Value]) -> bool:
    """Whether a value is a state, or a product of one with a gate."""
    waiting = [value]
    while waiting:
        of = waiting.pop()
        if of in states:
            return True
        if of.node is not None and of.node.operation in _SCALING:
            waiting += [each for each in of.node.inputs if each.kind is Kind.DATA]
    return False
