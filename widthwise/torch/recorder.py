"""Records what one forward pass of PyTorch computes as a dataflow graph."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from widthwise.reading.dataflow.elementwise import opaque
from widthwise.reading.dataflow.graph import Graph, Kind, Value, copied, kind_of
from widthwise.torch.call import Call, signature
from widthwise.torch.operators import apply
from widthwise.torch.running import OnMeta, Run, as_it_is, tensors_in

#: Operators whose result does not depend on what their tensors hold.
_CREATING = frozenset(
    (
        *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "zeros", "zeros_like", "new_zeros"),
        *("ones", "ones_like", "new_ones", "full", "full_like", "new_full", "fill", "zero", "scalar_tensor", "eye"),
        *("arange", "linspace", "tril_indices", "triu_indices", "rand", "rand_like", "randn", "randn_like", "randint"),
        *("randperm", "bernoulli", "normal", "uniform"),
    )
)
#: Functions that make a tensor of numbers that the code writes out, which the meta device would forget.
_FROM_NUMBERS = frozenset({"tensor", "as_tensor", "new_tensor"})
#: Results through which no gradient passes although they are not integers.
_STEPS = frozenset({"ceil", "floor", "round", "sign", "trunc", "heaviside"})

_Place = tuple[int, int, tuple[int, ...], tuple[int, ...]]  #: storage, offset, shape, strides


class _Api(TorchFunctionMode):  # type: ignore[misc, unused-ignore]  # torch is Any without the extra
    """Keeps which function of PyTorch's interface is running."""

    def __init__(self, *, keeps_numbers: bool) -> None:
        super().__init__()
        self.names: list[str] = []
        self._keeps_numbers = keeps_numbers

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        if self._keeps_numbers and name in _FROM_NUMBERS and not isinstance((args or [None])[-1], torch.Tensor):
            kwargs = {**(kwargs or {}), "device": "cpu"}
        self.names.append(name)
        try:
            return function(*args, **(kwargs or {}))
        finally:
            self.names.pop()


class Recorder(TorchDispatchMode):  # type: ignore[misc, unused-ignore]  # torch is Any without the extra
    """A dispatch mode that reports every operator to a graph.

    A tensor is known by its identity, or by where it lies in memory: PyTorch makes new objects of one tensor. All
    tensors are kept until the recording ends, so that neither is used again.
    """

    def __init__(self, graph: Graph, paths: Mapping[nn.Module, str], batch: int | None, run: Run = as_it_is) -> None:
        super().__init__()
        self.graph = graph
        self.api = _Api(keeps_numbers=isinstance(run, OnMeta))
        self._run = run
        self._paths, self._batch = paths, batch
        self._kept: list[Any] = []
        self._values: dict[int, Value] = {}
        self._places: dict[_Place, Value] = {}
        self._with_data: set[int] = set()  #: storages that hold data
        self._writes: dict[int, list[Value]] = {}  #: into a storage, in order
        self._numbers: dict[int, float] = {}

    @contextmanager
    def recording(self) -> Iterator[Self]:
        """Record all that runs inside, and the paths of the modules that run it."""
        running: list[str] = []

        def enter(module: nn.Module, _: Any) -> None:
            running.append(self._paths[module])
            self.graph.where = running[-1]

        def leave(_: nn.Module, __: Any, ___: Any) -> None:
            if running:
                running.pop()
            self.graph.where = running[-1] if running else ""

        handles = [module.register_forward_pre_hook(enter) for module in self._paths]
        handles += [module.register_forward_hook(leave) for module in self._paths]
        try:
            with self.api, self:
                yield self
        finally:
            for handle in handles:
                handle.remove()

    def know(self, tensor: Any, value: Value, number: float | None = None) -> Value:
        """Remember the value of a tensor. number: what it holds, if one known number."""
        self._kept.append(tensor)
        self._values[id(tensor)] = value
        place = _place(tensor)
        self._places[place] = value
        if value.kind is Kind.DATA:
            self._with_data.add(place[0])
        if number is not None:
            value.number = number
        return value

    def know_inputs(self, inputs: Any) -> None:
        """Make data of all tensors among a model's inputs."""
        for tensor in tree_leaves(inputs):
            if isinstance(tensor, torch.Tensor):
                value = self.graph.data(tuple(int(size) for size in tensor.shape))
                value.discrete = not _has_gradient(tensor)
                self.know(tensor, value)

    def value(self, tensor: Any) -> Value:
        """The value that a tensor has now."""
        shape = tuple(int(size) for size in tensor.shape)
        found = self._values.get(id(tensor))
        place = _place(tensor)
        if found is None or found.shape != shape:
            found = self._places.get(place)
            if found is None:
                kind = Kind.DATA if place[0] in self._with_data else Kind.CONSTANT
                found = self.graph.data(shape) if kind is Kind.DATA else self.graph.constant(shape)
                found.discrete = not _has_gradient(tensor)
            self.know(tensor, found)
        writes = [write for write in self._writes.get(place[0], ()) if write.index > found.index]
        if writes:
            parents = (found, *writes)
            written = self.graph.value(copied(found.dims), shape, kind_of(parents), parents, like=found)
            written.discrete = found.discrete
            self.graph.node("written", parents, written)
            return self.know(tensor, written)
        return found

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = operator._schema.name.partition("::")[2]
        in_place = name.endswith("_") and not name.startswith("__")
        inputs = [*tensors_in(args), *tensors_in(kwargs.values())]
        known = {id(tensor): self.value(tensor) for tensor in inputs}
        with torch._C.DisableTorchFunction():  # what an operator calls is not what the model called
            results = self._run(operator, args, kwargs, inputs)
        tensors = tuple(tensors_in((results,)))
        if not tensors:
            return results
        base = name.rstrip("_") if in_place else name
        values = tuple(known[id(tensor)] for tensor in inputs)
        if base in _CREATING or not inputs:
            self._create(tensors, values, in_place=in_place)
            return results
        names = signature(operator)
        arguments = {
            key: args[place] if place < len(args) else kwargs.get(key, default)
            for place, (key, default) in enumerate(names)
        }
        api = self.api.names[-1] if self.api.names else ""
        call = Call(self.graph, base, arguments, values, known, tensors, api, self._batch, _number)
        try:
            found = apply(call)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            found = None  # an unusual call that its rule does not fit: no claim, and a caution names the operator
        listed = [] if found is None else [found] if isinstance(found, Value) else list(found)
        for tensor, value in zip(tensors, listed, strict=False):
            self._finish(tensor, value, base, written=in_place)
        for tensor in tensors[len(listed) :]:
            self._finish(tensor, opaque(self.graph, base, values, tuple(tensor.shape)), base, written=in_place)
        return results

    def _create(self, tensors: Sequence[Any], inputs: Sequence[Value], *, in_place: bool) -> None:
        for tensor in tensors:
            value = self.graph.constant(tuple(int(size) for size in tensor.shape))
            if inputs and inputs[0].shape == value.shape:
                value.dims = copied(inputs[0].dims)
            value.discrete = not _has_gradient(tensor)
            if in_place:
                self._with_data.discard(_place(tensor)[0])
            self.know(tensor, value)

    def _finish(self, tensor: Any, value: Value, operator: str, *, written: bool) -> None:
        value.discrete = value.discrete or not _has_gradient(tensor) or operator in _STEPS
        self.know(tensor, value)
        if written and value.kind is not Kind.CONSTANT:
            self._writes.setdefault(_place(tensor)[0], []).append(value)


def _place(tensor: Any) -> _Place:
    strides = tuple(tensor.stride()) if tensor.layout == torch.strided else ()
    return tensor.untyped_storage()._cdata, tensor.storage_offset(), tuple(tensor.shape), strides


def _has_gradient(tensor: Any) -> bool:
    return bool(tensor.is_floating_point() or tensor.is_complex())


def _number(tensor: Any) -> float | None:
    """What a tensor of one number holds; None where that is not known."""
    if isinstance(tensor, FakeTensor):
        tensor = tensor.constant
    if tensor is None or tensor.is_meta or tensor.numel() != 1 or not tensor.is_floating_point():
        return None
    return float(tensor.detach().reshape(-1)[0])
