"""Operators of PyTorch that move, cut or repeat entries, as the dataflow's views."""

from collections.abc import Callable, Sequence

from widthwise.reading.dataflow import views
from widthwise.reading.dataflow.graph import Value, copied
from widthwise.torch.call import Call, Result

#: Functions by which a model's own code repeats a tensor; a matrix product that broadcasts calls none of them.
_REPEATING = frozenset({"expand", "expand_as", "repeat", "tile", "broadcast_to"})


def _same(call: Call) -> Result:
    return views.unchanged(call.graph, call.name, call.values[0])


def _transpose_all(call: Call) -> Result:
    of = call.values[0]
    return views.permute(call.graph, of, range(len(of.shape))[::-1])


def _transpose(call: Call) -> Result:
    of = call["self"]
    order = list(range(len(of.shape)))
    if order:
        one, other = call.axis("dim0", of), call.axis("dim1", of)
        order[one], order[other] = order[other], order[one]
    return views.permute(call.graph, of, order)


def _permute(call: Call) -> Result:
    of = call["self"]
    return views.permute(call.graph, of, [axis % len(of.shape) for axis in call.arguments["dims"]])


def _unsqueeze(call: Call) -> Result:
    of = call["self"]
    return views.unsqueeze(call.graph, of, int(call.arguments["dim"]) % (len(of.shape) + 1))


def _squeeze(call: Call) -> Result:
    of, chosen = call["self"], call.arguments.get("dim")
    axes: Sequence[int] = range(len(of.shape))
    if chosen is not None:
        axes = [axis % max(len(of.shape), 1) for axis in (chosen if isinstance(chosen, list | tuple) else [chosen])]
    return views.squeeze(call.graph, of, [axis for axis in axes if of.shape and of.shape[axis] == 1])


def _expand(call: Call) -> Result:
    by_user = call.batch if call.api in _REPEATING else None
    return views.expand(call.graph, call["self"], call.shape, by_user_over=by_user)


def _slice(call: Call) -> Result:
    of = call["self"]
    axis = call.axis("dim", of)
    start, size = int(call.arguments["start"] or 0), of.shape[axis]
    start = min(max(start + size if start < 0 else start, 0), size)
    return views.narrow(call.graph, of, axis, start, call.shape[axis], step=int(call.arguments["step"] or 1))


def _narrow(call: Call) -> Result:
    of = call["self"]
    axis = call.axis("dim", of)
    start = int(call.arguments["start"])
    return views.narrow(call.graph, of, axis, start % max(of.shape[axis], 1), call.shape[axis])


def _select(call: Call) -> Result:
    of = call["self"]
    return views.select(call.graph, of, call.axis("dim", of), int(call.arguments["index"]))


def _split(call: Call) -> Result:
    of = call["self"]
    axis = call.axis("dim", of)
    found: list[Value] = []
    start = 0
    for shape in call.shapes:
        found.append(views.narrow(call.graph, of, axis, start, shape[axis]))
        start += shape[axis]
    return found


def _unbind(call: Call) -> Result:
    of = call["self"]
    axis = call.axis("dim", of)
    return [views.select(call.graph, of, axis, index) for index in range(of.shape[axis])]


def _reshape(call: Call) -> Result:
    return views.reshape(call.graph, call["self"], call.shape)


def _unfold(call: Call) -> Result:
    of = call["self"]
    dims = copied(of.dims)
    dims[call.axis("dimension", of)] = call.graph.axes.fresh((call.shape[call.axis("dimension", of)],))[0]
    return views.view(call.graph, "unfold", of, [*dims, call.graph.axes.fresh(call.shape[-1:])[0]], call.shape)


def _repeat_interleave(call: Call) -> Result:
    of = call.values[0]
    if len(of.shape) != len(call.shape):
        return views.view(call.graph, call.name, of, None, call.shape)
    dims = [
        dim if before == after else call.graph.axes.fresh((after,))[0]
        for dim, before, after in zip(copied(of.dims), of.shape, call.shape, strict=True)
    ]
    return views.view(call.graph, call.name, of, dims, call.shape)


def _real(call: Call) -> Result:
    of = call["self"]
    return views.view(call.graph, call.name, of, [*copied(of.dims), call.graph.axes.fresh((2,))[0]], call.shape)


def _complex(call: Call) -> Result:
    of = call["self"]
    return views.view(call.graph, call.name, of, copied(of.dims)[:-1], call.shape)


def _other(call: Call) -> Result:
    of = call.values[0]
    return views.view(call.graph, call.name, of, copied(of.dims) if of.shape == call.shape else None, call.shape)


VIEWS: dict[str, Callable[[Call], Result]] = {
    **dict.fromkeys(
        (
            *("alias", "detach", "clone", "contiguous", "lift", "lift_fresh", "_to_copy", "to", "positive"),
            *("_conj", "conj", "resolve_conj", "resolve_neg", "flip", "roll"),
        ),
        _same,
    ),
    **dict.fromkeys(("t", "numpy_T"), _transpose_all),
    **dict.fromkeys(("transpose", "swapaxes"), _transpose),
    **dict.fromkeys(("permute", "permute_copy"), _permute),
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    **dict.fromkeys(("expand", "expand_copy", "repeat"), _expand),
    "slice": _slice,
    "narrow": _narrow,
    "select": _select,
    **dict.fromkeys(
        ("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk", "unsafe_chunk"), _split
    ),
    "unbind": _unbind,
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "view_as", "unflatten"), _reshape),
    "unfold": _unfold,
    "repeat_interleave": _repeat_interleave,
    "view_as_real": _real,
    "view_as_complex": _complex,
    **dict.fromkeys(("as_strided", "diagonal", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"), _other),
}
