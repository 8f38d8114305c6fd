"""Primitives of JAX that move, cut or repeat entries, as the dataflow's views."""

from collections.abc import Callable, Sequence

from widthwise.jax.call import PrimitiveCall, Result
from widthwise.reading.dataflow import gathering, views
from widthwise.reading.dataflow.graph import Graph, Kind, Value


def _same(call: PrimitiveCall) -> Result:
    return [views.unchanged(call.graph, "alias", value) for value in call.values[: len(call.shapes)]]


def _convert(call: PrimitiveCall) -> Result:
    return views.unchanged(call.graph, "convert", call.first)


def _reverse(call: PrimitiveCall) -> Result:
    return views.unchanged(call.graph, "flip", call.first)


def _transpose(call: PrimitiveCall) -> Result:
    return views.permute(call.graph, call.first, call["permutation"])


def _reshape(call: PrimitiveCall) -> Result:
    return views.reshape(call.graph, call.first, call.shape)


def _squeeze(call: PrimitiveCall) -> Result:
    return views.squeeze(call.graph, call.first, call["dimensions"])


def _broadcast(call: PrimitiveCall) -> Result:
    of, shape = call.first, call.shape
    if of.kind is Kind.CONSTANT and of.number is not None:
        return call.graph.constant(shape, of.number)
    for axis in range(len(shape)):
        if axis not in call["broadcast_dimensions"]:
            of = views.unsqueeze(call.graph, of, axis)
    return of if of.shape == shape and of is not call.first else views.expand(call.graph, of, shape)


def _tile(call: PrimitiveCall) -> Result:
    return views.expand(call.graph, call.first, call.shape)


def narrowed(graph: Graph, of: Value, starts: Sequence[int], shape: Sequence[int], steps: Sequence[int]) -> Value:
    """A slice along every axis."""
    found = of
    for axis, (start, size, step) in enumerate(zip(starts, shape, steps, strict=True)):
        if found.shape[axis] != size or step != 1:
            found = views.narrow(graph, found, axis, start, size, step=step)
    return views.unchanged(graph, "slice", of) if found is of else found


def _slice(call: PrimitiveCall) -> Result:
    steps = call["strides"] or [1] * len(call.shape)
    return narrowed(call.graph, call.first, call["start_indices"], call.shape, steps)


def _dynamic_slice(call: PrimitiveCall) -> Result:
    """A slice that starts where operands say: at known numbers, or at rows that they pick."""
    of, starts = call.first, call.values[1:]
    known = [start.number for start in starts]
    limits = [before - after for before, after in zip(of.shape, call.shape, strict=True)]
    cut = [axis for axis, limit in enumerate(limits) if limit]
    if all(known[axis] is not None for axis in cut):
        at = [min(max(int(number or 0), 0), limit) for number, limit in zip(known, limits, strict=True)]
        return narrowed(call.graph, of, at, call.shape, [1] * len(call.shape))
    dims = [
        call.graph.axes.fresh((after,))[0] if before != after else list(dim)
        for dim, before, after in zip(of.dims, of.shape, call.shape, strict=True)
    ]
    picking = [starts[axis] for axis in cut]
    if all(start.kind is not Kind.DATA for start in picking) and all(call.shape[axis] == 1 for axis in cut):
        return views.view(call.graph, "select", of, dims, call.shape)  # one entry, as of a stack of layers
    return gathering.look_up(call.graph, of, picking, dims, call.shape)


def _split(call: PrimitiveCall) -> Result:
    axis, start = call["axis"], 0
    found = []
    for size in call["sizes"]:
        found.append(views.narrow(call.graph, call.first, axis, start, size))
        start += size
    return found


def _unstack(call: PrimitiveCall) -> Result:
    return [views.select(call.graph, call.first, call["axis"], index) for index in range(len(call.shapes))]


VIEWS: dict[str, Callable[[PrimitiveCall], Result]] = {
    **dict.fromkeys(
        (
            *("copy", "copy_p", "stop_gradient", "reduce_precision", "optimization_barrier", "sharding_constraint"),
            *("device_put", "pvary", "name", "mesh_cast", "reshard", "layout_constraint"),
        ),
        _same,
    ),
    "convert_element_type": _convert,
    "rev": _reverse,
    "transpose": _transpose,
    **dict.fromkeys(("reshape", "expand_dims"), _reshape),
    "squeeze": _squeeze,
    "broadcast_in_dim": _broadcast,
    "tile": _tile,
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "split": _split,
    "unstack": _unstack,
}
