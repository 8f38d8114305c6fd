"""Operators of PyTorch as the dataflow's operations; one of unknown name is elementwise if its shapes say so."""

import math
from collections.abc import Callable
from typing import Any

import torch

from widthwise.reading.dataflow import elementwise, gathering, products, views
from widthwise.reading.dataflow.axes import Dims
from widthwise.reading.dataflow.graph import How, Kind, Value, copied, flat
from widthwise.torch.call import Call, Result
from widthwise.torch.view_operators import VIEWS

#: Names of PyTorch for what the dataflow knows under another one.
_RENAMED = {"_softmax": "softmax", "_safe_softmax": "softmax", "native_dropout": "dropout", "_prelu_kernel": "prelu"}


def _matrix(call: Call) -> Result:
    """mm, bmm, mv and dot, with what addmm and its kin add."""
    added = call.name in ("addmm", "baddbmm", "addmv", "_addmm_activation")
    left, right = call.values[1:3] if added else call.values[:2]
    batched = len(right.shape) == 3
    beta, alpha = (float(call.arguments.get(name) or 0) for name in ("beta", "alpha")) if added else (0.0, 1.0)
    return products.contract(
        call.graph,
        call.name,
        left,
        right,
        call.shape,
        summed=([len(left.shape) - 1], [max(len(right.shape) - 2, 0)]),
        batch=([0], [0]) if batched else ((), ()),
        right_is_weight=call.api == "linear",
        bias=call.values[0] if beta else None,
        scale=alpha,
    )


def _linear(call: Call) -> Result:
    data = call["input"]
    return products.contract(
        call.graph,
        call.name,
        data,
        call["weight"],
        call.shape,
        summed=([len(data.shape) - 1], [1]),
        right_is_weight=True,
        bias=call.value("bias"),
    )


def _grouped(call: Call) -> Result:
    """Rows in groups, each group with its own matrix: [rows, in] × [groups, in, out]."""
    left, right = call.values[:2]
    if (len(left.shape), len(right.shape)) != (2, 3):
        return _matrix(call) if len(left.shape) == len(right.shape) == 3 else None
    return products.contract(call.graph, call.name, left, right, call.shape, summed=([1], [1]), chosen=[0])


def _bilinear(call: Call) -> Result:
    """nn.Bilinear: a weight [out, in, in] summed over both of its inputs."""
    one, weight, other = call["i1"], call["i2"], call["i3"]
    kind = Kind.DATA if Kind.DATA in (one.kind, other.kind) else weight.kind
    found = call.graph.value(None, call.shape, kind, (one, weight, other))
    if weight.dims and found.dims:
        found.dims[-1] = list(weight.dims[0]) if call.shape[-1] == weight.shape[0] else found.dims[-1]
    node = call.graph.node("bilinear", (one, weight, other), found)
    found.source = node
    if weight.kind is Kind.WEIGHT:
        use = call.graph.use(How.CONTRACTION, weight, node)
        use.summed, use.free, use.operand = flat(weight.dims[1:]), list(weight.dims[0]), one
    return found


def _convolution(call: Call) -> Result:
    found = products.convolve(
        call.graph,
        call.values[0],
        call["weight"],
        call.shape,
        groups=int(call.arguments.get("groups") or 1),
        transposed=bool(call.arguments.get("transposed")),
        bias=call.value("bias"),
    )
    return [found]


def _embedding(call: Call) -> Result:
    table, index = call["weight"], call["indices"]
    if call.name == "embedding":
        dims: Dims = [*copied(index.dims), list(table.dims[-1])]
    else:
        dims = [call.graph.axes.fresh(call.shape[:1])[0], list(table.dims[-1])]
    return [gathering.look_up(call.graph, table, [index], dims, call.shape)]


def _index(call: Call) -> Result:
    of, indices = call["self"], call.arguments["indices"]
    places = [place for place, index in enumerate(indices) if isinstance(index, torch.Tensor)]
    values = [call.known[id(indices[place])] for place in places]
    if not places:
        return views.unchanged(call.graph, "index", of)
    dims: Dims | None = copied(of.dims)
    assert dims is not None  # noqa: S101 - the line above
    if any(indices[place].dtype in (torch.bool, torch.uint8) for place in places):
        kept = len(call.shape) - 1
        matches = kept > 0 and of.shape[-kept:] == call.shape[1:]
        dims = [call.graph.axes.fresh(call.shape[:1])[0], *dims[-kept:]] if matches else None
    else:
        shape = torch.broadcast_shapes(*(value.shape for value in values))
        picked = elementwise.broadcast(call.graph, values, shape)
        rest = [dim for axis, dim in enumerate(dims) if axis not in places]
        together = places == list(range(places[0], places[-1] + 1))
        before = places[0] if together else 0
        dims = [*rest[:before], *picked, *rest[before:]]
    return gathering.look_up(call.graph, of, values, dims, call.shape)


def _pick(call: Call) -> Result:
    """index_select, gather: entries along one axis."""
    of = call["self"]
    dims = [
        dim if before == after and axis != call.axis("dim", of) else call.graph.axes.fresh((after,))[0]
        for axis, (dim, before, after) in enumerate(zip(copied(of.dims), of.shape, call.shape, strict=True))
    ]
    return gathering.look_up(call.graph, of, [call["index"]], dims, call.shape)


def _norm(call: Call) -> Result:
    data = call["input"]
    normalized = call.arguments.get("normalized_shape")
    last = len(data.shape)
    axes = [1] if normalized is None else list(range(last - len(normalized), last))
    found = elementwise.normalize(call.graph, call.name, data, axes, gain=call.value("weight"), bias=call.value("bias"))
    return [found, *(call.graph.value(None, shape, data.kind, (data,)) for shape in call.shapes[1:])]


def _concatenate(call: Call) -> Result:
    inputs = [value for value in call.listed("tensors") if value.shape != (0,)]
    return gathering.concatenate(call.graph, inputs, int(call.arguments["dim"] or 0) % len(call.shape), call.shape)


def _stack(call: Call) -> Result:
    axis = int(call.arguments["dim"] or 0) % len(call.shape)
    return gathering.stack(call.graph, call.listed("tensors"), axis, call.shape)


def _reduce(call: Call) -> Result:
    of, chosen = call.values[0], call.arguments.get("dim")
    if isinstance(chosen, int):
        chosen = [chosen]
    axes = [axis % len(of.shape) for axis in chosen] if chosen else list(range(len(of.shape)))
    return [gathering.reduce(call.graph, call.name, of, axes, shape) for shape in call.shapes]


def _fused_attention(call: Call) -> Result:
    query, key, value = call.values[:3]
    scale = call.arguments.get("scale") or query.shape[-1] ** -0.5
    return [products.attend(call.graph, (query, key, value), call.shape, float(scale), call.values[3:])]


def _scatter(call: Call) -> Result:
    into, of = call.values[0], call.values[-1]
    rows = call.name in ("index_add", "index_put", "_index_put_impl", "index_copy")
    return gathering.scatter(call.graph, call.name, into, of, call.values[1:-1], rows=rows)


def _pad(call: Call) -> Result:
    of, amounts = call["self"], call.arguments["pad"]
    before = [0] * len(of.shape)
    for place in range(len(amounts) // 2):
        before[len(of.shape) - 1 - place] = int(amounts[2 * place])
    return gathering.pad(call.graph, of, before, call.shape)


def _resize(call: Call) -> Result:
    return [gathering.resize(call.graph, call.name, call.values, shape) for shape in call.shapes]


def _glu(call: Call) -> Result:
    of = call["self"]
    axis = call.axis("dim", of, -1)
    half = of.shape[axis] // 2
    kept = views.narrow(call.graph, of, axis, 0, half)
    gate = views.narrow(call.graph, of, axis, half, half)
    opened = elementwise.elementwise(call.graph, "sigmoid", [gate], gate.shape)
    return elementwise.elementwise(call.graph, "mul", [kept, opened], kept.shape)


def _elementwise(call: Call) -> Result:
    """Any operator whose first result has the broadcast shape of its inputs; None for one that has not."""
    try:
        shape = torch.broadcast_shapes(*(value.shape for value in call.values))
    except RuntimeError:
        return None
    if tuple(shape) != call.shape:
        return None
    name = _RENAMED.get(call.name, call.name)
    scalar = _scalar(call)
    inputs: tuple[Value, ...] = call.values
    first = elementwise.elementwise(call.graph, name, inputs, call.shape, scalar)
    return [first, *(call.graph.value(None, shape, first.kind, inputs) for shape in call.shapes[1:])]


def _scalar(call: Call) -> float | None:
    """The number that a product or a quotient multiplies its other side by; NaN for one number that is not known."""
    if call.name not in ("mul", "div") or call.arguments.get("rounding_mode") is not None:
        return None
    number: float | None = None
    if len(call.values) == 1:
        other: Any = call.arguments["other"]
        number = float(other) if isinstance(other, int | float) else None
    else:
        for side in ("other", "self") if call.name == "mul" else ("other",):
            value = call.value(side)
            if value is not None and value.kind is Kind.CONSTANT:
                number = value.number if value.number is not None else call.number(call.arguments[side])
                if number is None and math.prod(value.shape) == 1 and not value.discrete:
                    number = math.nan  # one number, which a tensor without entries does not hold
                break
    if number is None or call.name == "mul":
        return number
    return 1 / number if number else None


_REDUCTIONS = (
    *("sum", "mean", "amax", "amin", "var", "std", "logsumexp", "prod", "norm", "linalg_vector_norm", "argmax"),
    *("argmin", "max", "min", "any", "all", "var_mean", "std_mean", "median"),
)
_RESIZING = (
    *("upsample_nearest1d", "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_linear1d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
    *("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool2d", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d"),
    *("reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d", "grid_sampler_2d"),
    *("topk", "sort", "argsort", "kthvalue", "masked_select", "cumsum", "cumprod", "nonzero", "multinomial"),
    *("bincount", "histc", "searchsorted", "unique_consecutive", "_unique2"),
)
_NORMS = (
    *("native_layer_norm", "_fused_rms_norm", "native_group_norm", "native_batch_norm", "_native_batch_norm_legit"),
    *("_native_batch_norm_legit_no_training", "cudnn_batch_norm", "_batch_norm_with_update", "_batch_norm_no_update"),
    *("batch_norm", "layer_norm", "_native_batch_norm_legit_functional", "instance_norm"),
)
_SCATTERING = (
    *("copy", "index_put", "_index_put_impl", "index_add", "index_copy", "scatter", "scatter_add", "scatter_reduce"),
    *("masked_scatter", "slice_scatter", "select_scatter"),
)
_PRODUCTS = (
    *("mm", "bmm", "mv", "dot", "vdot", "addmm", "baddbmm", "addmv", "_addmm_activation", "_scaled_mm", "_int_mm"),
)
OPERATORS: dict[str, Callable[[Call], Result]] = {
    **VIEWS,
    **dict.fromkeys(_PRODUCTS, _matrix),
    **dict.fromkeys(("_grouped_mm", "_scaled_grouped_mm"), _grouped),
    "linear": _linear,
    "_trilinear": _bilinear,
    **dict.fromkeys(("convolution", "_convolution", "_conv_depthwise2d", "conv_depthwise3d"), _convolution),
    **dict.fromkeys(("embedding", "embedding_bag", "_embedding_bag", "_embedding_bag_forward_only"), _embedding),
    **dict.fromkeys(("index", "_unsafe_index"), _index),
    **dict.fromkeys(("index_select", "gather"), _pick),
    **dict.fromkeys(_NORMS, _norm),
    **dict.fromkeys(("cat", "concat"), _concatenate),
    "stack": _stack,
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(_SCATTERING, _scatter),
    "constant_pad_nd": _pad,
    **dict.fromkeys(_RESIZING, _resize),
    "glu": _glu,
}


def apply(call: Call) -> Result:
    """What an operator's results are; None for one without a rule."""
    if call.name.startswith("_scaled_dot_product"):
        return _fused_attention(call)
    rule = OPERATORS.get(call.name)
    if rule is not None and not (call.name in ("max", "min") and len(call.values) == 2):
        return rule(call)
    return _elementwise(call)
