"""Primitives of JAX that pick entries by indices, or write entries there."""

from collections.abc import Callable

from widthwise.jax.call import PrimitiveCall, Result
from widthwise.reading.dataflow import gathering
from widthwise.reading.dataflow.axes import Dims


def _gather(call: PrimitiveCall) -> Result:
    """Slices of the first operand that start where the rows of the second one say."""
    of, indices = call.values
    numbers, sizes = call["dimension_numbers"], call["slice_sizes"]
    axes = call.graph.axes
    for one, other in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True):
        axes.unite(of.dims[one], indices.dims[other])
    gone = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    kept = [axis for axis in range(len(of.shape)) if axis not in gone]
    dims: Dims = axes.fresh(call.shape)
    for place, axis in zip(numbers.offset_dims, kept, strict=True):
        if sizes[axis] == of.shape[axis]:
            dims[place] = list(of.dims[axis])
    rows = [place for place in range(len(call.shape)) if place not in numbers.offset_dims]
    for place, dim in zip(rows, indices.dims[:-1], strict=True):
        dims[place] = list(dim)
    return gathering.look_up(call.graph, of, [indices], dims, call.shape)


def _scatter(call: PrimitiveCall) -> Result:
    """Slices written or added into the first operand where the rows of the second one say."""
    into, indices, of = call.values
    numbers = call["dimension_numbers"]
    gone = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    kept = [axis for axis in range(len(into.shape)) if axis not in gone]
    for place, axis in zip(numbers.update_window_dims, kept, strict=True):
        call.graph.axes.unite(into.dims[axis], of.dims[place])
    return gathering.scatter(call.graph, "scatter", into, of, [indices])


def _update(call: PrimitiveCall) -> Result:
    into, of = call.values[:2]
    for one, other in zip(into.dims, of.dims, strict=True):
        call.graph.axes.unite(one, other)
    return gathering.scatter(call.graph, "scatter", into, of, call.values[2:])


PICKING: dict[str, Callable[[PrimitiveCall], Result]] = {
    "gather": _gather,
    **dict.fromkeys(
        (
            *("scatter", "scatter-add", "scatter-sub", "scatter-mul", "scatter-min", "scatter-max"),
            *("scatter_add", "scatter_sub", "scatter_mul", "scatter_min", "scatter_max"),
        ),
        _scatter,
    ),
    "dynamic_update_slice": _update,
}
