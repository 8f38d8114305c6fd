"""Primitives of JAX as the dataflow's operations; one of unknown name is elementwise if its shapes say so."""

from collections.abc import Callable
from math import isclose, prod

import numpy as np

from widthwise.jax.call import PrimitiveCall, Result
from widthwise.jax.picking import PICKING
from widthwise.jax.products import convolution, dot_general, ragged_dot
from widthwise.jax.view_primitives import VIEWS
from widthwise.reading.dataflow import elementwise, gathering
from widthwise.reading.dataflow.graph import Kind, Value

#: Names of JAX for what the dataflow knows under another one.
_RENAMED = {"integer_pow": "pow", "erfc": "erf", "min": "minimum", "exp2": "exp", "select_n": "where", "clamp": "clamp"}
#: Not entry by entry, although results have the shape of what goes in.
_MIXING = frozenset(
    (
        *("fft", "cholesky", "triangular_solve", "lu", "householder_product", "custom_linear_solve", "eigh", "schur"),
        *("qr", "svd", "eig", "hessenberg", "geqrf", "ormqr", "tridiagonal", "cholesky_update", "symmetric_product"),
        *("tridiagonal_solve", "pure_callback", "io_callback", "ffi_call", "all_to_all", "ppermute", "pallas_call"),
        *("shard_map", "custom_partitioning"),
    )
)
_COMPARING = frozenset({"gt", "ge", "lt", "le"})
_MOVING = frozenset({"alias", "unsqueeze", "squeeze", "expand", "reshape", "permute", "convert"})


def _reduce(call: PrimitiveCall) -> Result:
    names = {"reduce_max": "amax", "reduce_min": "amin", "reduce_or": "any", "reduce_and": "all"}
    name = names.get(call.name, call.name.removeprefix("reduce_"))
    return gathering.reduce(call.graph, name, call.first, call["axes"], call.shape)


def _concatenate(call: PrimitiveCall) -> Result:
    return gathering.concatenate(call.graph, call.values, call["dimension"], call.shape)


def _stack(call: PrimitiveCall) -> Result:
    return gathering.stack(call.graph, call.values, call["axis"], call.shape)


def _pad(call: PrimitiveCall) -> Result:
    edges = call["padding_config"]
    if any(interior for _, _, interior in edges):
        return gathering.resize(call.graph, "pad", call.values, call.shape)
    return gathering.pad(call.graph, call.first, [before for before, _, _ in edges], call.shape)


def _resize(call: PrimitiveCall) -> Result:
    name = "topk" if call.name.endswith("top_k") else call.name
    several = len(call.shapes) == len(call.values)
    return [
        gathering.resize(call.graph, name, call.values, shape, of=place if several else 0)
        for place, shape in enumerate(call.shapes)
    ]


def _elementwise(call: PrimitiveCall) -> Result:
    """Any primitive whose result has the broadcast shape of its operands; None for one that has not."""
    if not call.values or call.name in _MIXING:
        return None
    if np.broadcast_shapes(*(value.shape for value in call.values)) != call.shape or len(call.shapes) != 1:
        return None
    return elementwise.elementwise(call.graph, _name(call), call.values, call.shape, _scalar(call))


def _name(call: PrimitiveCall) -> str:
    """What the dataflow calls an operation: for some, what goes in decides."""
    if call.name == "max":
        return "relu" if any(value.number == 0 for value in call.values) else "maximum"
    if call.name == "exp" and _is_softmax(call.first):
        return "softmax"
    if call.name == "select_n" and _is_bend(*call.values):
        return "leaky_relu"
    return _RENAMED.get(call.name, call.name)


def _is_mean(call: PrimitiveCall) -> bool:
    """Whether a sum is divided by the number of its terms, and so not multiplied."""
    if call.name not in ("div", "mul") or len(call.values) != 2:
        return False
    total, number = call.values if call.name == "div" or call.values[1].number is not None else call.values[::-1]
    node = _viewed(total).node
    if number.number is None or node is None:
        return False
    count = number.number if call.name == "div" else 1 / (number.number or 1)
    if node.operation == "reduce_window_sum":
        return count > 1
    summed = prod(node.inputs[0].shape) / max(prod(node.output.shape), 1)
    return node.operation == "sum" and isclose(count, summed, rel_tol=1e-5)


def _is_softmax(value: Value) -> bool:
    """Whether a value is the difference of another one and its maximum, so that its exponential is a softmax."""
    if value.node is None or value.node.operation != "sub":
        return False
    of, most = value.node.inputs
    node = _viewed(most, _MOVING | {"maximum"}).node
    return node is not None and node.operation == "amax" and _viewed(node.inputs[0]) is _viewed(of)


def _viewed(value: Value, through: frozenset[str] = _MOVING) -> Value:
    """The value that another one is a view of."""
    while value.node is not None and value.node.operation in through:
        value = next(each for each in value.node.inputs if each.kind is value.kind)
    return value


def _is_bend(which: Value, *cases: Value) -> bool:
    """Whether the sign of a value chooses between it and something else, as in a leaky ReLU or an ELU."""
    if which.kind is not Kind.DATA or which.node is None or which.node.operation not in _COMPARING:
        return False
    return any(case is each for case in cases for each in which.node.inputs if each.kind is Kind.DATA)


def _scalar(call: PrimitiveCall) -> float | None:
    """The number that a product or a quotient multiplies its other side by, if it is known."""
    if call.name not in ("mul", "div") or _is_mean(call):
        return None
    for value in reversed(call.values) if call.name == "mul" else call.values[1:]:
        if value.kind is Kind.CONSTANT and value.number is not None:
            return value.number if call.name == "mul" else 1 / value.number if value.number else None
    return None


_REDUCTIONS = (
    *("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "reduce_xor"),
    *("argmax", "argmin"),
)
_RESIZING = (
    *("reduce_window", "reduce_window_max", "reduce_window_min", "reduce_window_sum", "select_and_gather_add"),
    *("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "sort", "top_k", "approx_top_k"),
)
PRIMITIVES: dict[str, Callable[[PrimitiveCall], Result]] = {
    **VIEWS,
    **PICKING,
    "dot_general": dot_general,
    **dict.fromkeys(("ragged_dot", "ragged_dot_general"), ragged_dot),
    "conv_general_dilated": convolution,
    **dict.fromkeys(_REDUCTIONS, _reduce),
    "concatenate": _concatenate,
    "stack": _stack,
    "pad": _pad,
    **dict.fromkeys(_RESIZING, _resize),
}


def apply(call: PrimitiveCall) -> Result:
    """What a primitive's results are; None for one without a rule."""
    return PRIMITIVES.get(call.name, _elementwise)(call)
