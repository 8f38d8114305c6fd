"""Primitives of JAX that sum products: matrices and convolutions."""

from widthwise.jax.call import PrimitiveCall, Result
from widthwise.reading.dataflow import products, views


def dot_general(call: PrimitiveCall) -> Result:
    """A sum of products over any axes, with any axes of a batch."""
    left, right = call.values
    summed, batch = call["dimension_numbers"]
    return products.contract(call.graph, call.name, left, right, call.shape, summed=summed, batch=batch)


def ragged_dot(call: PrimitiveCall) -> Result:
    """Rows in groups, each group with its own matrix: [rows, in] × [groups, in, out]."""
    left, right = call.values[:2]
    if (len(left.shape), len(right.shape)) != (2, 3) or len(call.shape) != 2:
        return None
    return products.contract(call.graph, call.name, left, right, call.shape, summed=([1], [1]), chosen=[0])


def convolution(call: PrimitiveCall) -> Result:
    """A convolution in any order of axes. A transposed one dilates its input and is summed like every other."""
    if call["batch_group_count"] != 1:
        return None
    numbers, graph = call["dimension_numbers"], call.graph
    data = views.permute(graph, call.values[0], numbers.lhs_spec)
    kernel = views.permute(graph, call.values[1], numbers.rhs_spec)
    shape = [call.shape[axis] for axis in numbers.out_spec]
    found = products.convolve(graph, data, kernel, shape, groups=call["feature_group_count"])
    back = sorted(range(len(shape)), key=lambda place: numbers.out_spec[place])
    return views.permute(graph, found, back)
