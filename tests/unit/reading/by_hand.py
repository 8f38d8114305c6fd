"""A front end by hand: small models recorded operation by operation, as PyTorch's and JAX's are."""

from collections.abc import Sequence

from widthwise.reading.dataflow import elementwise, products, views
from widthwise.reading.dataflow.graph import Graph, Value


def linear(graph: Graph, data: Value, name: str, out: int) -> Value:
    """data @ W.T with W [out, in]."""
    return times(graph, data, graph.parameter(name, (out, data.shape[-1])))


def times(graph: Graph, data: Value, weight: Value, *, is_linear: bool = False) -> Value:
    """data @ weight.T. is_linear: by an operation that says which side is the weight."""
    shape = (*data.shape[:-1], weight.shape[0])
    turned = views.permute(graph, weight, (1, 0))
    last = len(data.shape) - 1
    return products.contract(graph, "mm", data, turned, shape, summed=([last], [0]), right_is_weight=is_linear)


def apply(graph: Graph, operation: str, *inputs: Value) -> Value:
    """An elementwise operation; the first input has the result's shape."""
    return elementwise.elementwise(graph, operation, inputs, inputs[0].shape)


def scaled(graph: Graph, data: Value, factor: float) -> Value:
    """factor × data."""
    return elementwise.elementwise(graph, "mul", [data], data.shape, factor)


def normed(graph: Graph, data: Value, name: str) -> Value:
    """An RMS norm with a gain."""
    gain = graph.parameter(name, data.shape[-1:])
    return elementwise.normalize(graph, "rms_norm", data, [len(data.shape) - 1], gain=gain, bias=None)


def heads(graph: Graph, data: Value, count: int) -> Value:
    """[batch, tokens, width] → [batch, heads, tokens, head size]."""
    batch, tokens, width = data.shape
    split = views.reshape(graph, data, (batch, tokens, count, width // count))
    return views.permute(graph, split, (0, 2, 1, 3))


def attention(graph: Graph, sides: Sequence[Value], scale: float) -> Value:
    """softmax(scale · query·key) · value over [batch, heads, tokens, head size], as [batch, tokens, width]."""
    query, key, value = sides
    batch, count, tokens, size = query.shape
    both = ([0, 1], [0, 1])
    square = (batch, count, tokens, key.shape[2])
    scores = products.contract(graph, "bmm", query, key, square, summed=([3], [3]), batch=both)
    weights = elementwise.softmax(graph, scaled(graph, scores, scale))
    shape = (batch, count, tokens, size)
    found = products.contract(graph, "bmm", weights, value, shape, summed=([3], [2]), batch=both)
    turned = views.permute(graph, found, (0, 2, 1, 3))
    return views.reshape(graph, turned, (batch, tokens, count * size))
