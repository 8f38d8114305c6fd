"""Primitives that hold other jaxprs: nested functions, branches, loops."""

from collections.abc import Callable, Sequence
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

from widthwise.jax.call import PrimitiveCall
from widthwise.reading.dataflow import gathering, views
from widthwise.reading.dataflow.elementwise import elementwise
from widthwise.reading.dataflow.graph import Kind, Value

Inner = Callable[[Any, Sequence[Value]], list[Value]]  #: walks a jaxpr

_LONGEST = 64  # chosen: a loop that holds no parameters of its own is walked turn by turn up to this length
_TURNS = 2  # what a longer one is walked: a carry that becomes data is data in the second turn


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
    for _ in range(_TURNS):
        carry = inner(call["body_jaxpr"], [*fixed, *carry])
    return carry


def _scan(call: PrimitiveCall, inner: Inner) -> list[Value]:
    """A loop over the first axis of some operands, which is a stack of parameters, or time.

    A loop over parameters is walked turn by turn: each turn is a layer. One over data needs two turns.
    """
    fixed, length = call["num_consts"], call["length"]
    carried = fixed + call["num_carry"]
    carry, over = list(call.values[fixed:carried]), call.values[carried:]
    turns = min(length, _turns(over, length))
    stacked: list[list[Value]] = []
    for turn in range(turns):
        index = length - 1 - turn if call["reverse"] else turn
        entries = [views.select(call.graph, value, 0, index) for value in over]
        results = inner(call["jaxpr"], [*call.values[:fixed], *carry, *entries])
        carry = results[: len(carry)]
        stacked.append(results[len(carry) :])
    shapes = call.shapes[len(carry) :]
    if not stacked:
        return [*carry, *(call.graph.constant(shape) for shape in shapes)]
    rows = [[results[place] for results in stacked] for place in range(len(shapes))]
    return [*carry, *(gathering.stack(call.graph, row, 0, shape) for row, shape in zip(rows, shapes, strict=True))]


def _turns(over: Sequence[Value], length: int) -> int:
    kinds = {value.kind for value in over}
    if Kind.WEIGHT in kinds:
        return length
    return length if Kind.DATA not in kinds and length <= _LONGEST else _TURNS
