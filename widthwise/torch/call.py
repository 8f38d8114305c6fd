"""One call of an operator of PyTorch, with the values of its tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from widthwise.reading.dataflow.graph import Graph, Value

Result = Value | Sequence[Value] | None  #: for the tensors that come out, in order; None if the rule does not fit


@cache
def signature(operator: Any) -> tuple[tuple[str, Any], ...]:
    """The names of an operator's arguments, with their defaults."""
    return tuple(
        (argument.name, argument.default_value if argument.has_default_value() else None)
        for argument in operator._schema.arguments
    )


@dataclass(frozen=True, slots=True)
class Call:
    """An operator, its arguments by name, and the values of all tensors that go in."""

    graph: Graph
    name: str  #: without namespace and overload, and without the underscore of the version in place
    arguments: Mapping[str, Any]
    values: tuple[Value, ...]  #: of all tensors among the arguments, in order
    known: Mapping[int, Value]  #: the same by the tensor's identity
    tensors: tuple[Any, ...]  #: that come out
    api: str  #: the function of PyTorch's interface that the model called
    batch: int | None  #: size of the batch
    number: Callable[[Any], float | None]  #: what a tensor holds, if one known number

    def value(self, name: str) -> Value | None:
        """The value of the tensor that one argument is; None if it is none."""
        tensor = self.arguments.get(name)
        return self.known[id(tensor)] if isinstance(tensor, torch.Tensor) else None

    def __getitem__(self, name: str) -> Value:
        """The value of an argument that is always a tensor."""
        return self.known[id(self.arguments[name])]

    def listed(self, name: str) -> list[Value]:
        """The values of the tensors in an argument that is a list of them."""
        return [self.known[id(tensor)] for tensor in self.arguments[name] if isinstance(tensor, torch.Tensor)]

    def axis(self, name: str, of: Value, default: int = 0) -> int:
        """An axis counted from the first one."""
        axis = self.arguments.get(name)
        return (default if axis is None else int(axis)) % max(len(of.shape), 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first tensor that comes out."""
        return self.shapes[0]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of all tensors that come out."""
        return [tuple(int(size) for size in tensor.shape) for tensor in self.tensors]
