"""One call of a primitive of JAX, with the values of its operands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from widthwise.reading.dataflow.graph import Graph, Value

Result = Value | Sequence[Value] | None  #: for the results, in order; None if the rule does not fit


@dataclass(frozen=True, slots=True)
class PrimitiveCall:
    """A primitive, its parameters, and the values that go in."""

    graph: Graph
    name: str
    parameters: Mapping[str, Any]
    values: tuple[Value, ...]  #: of the operands, in order
    shapes: tuple[tuple[int, ...], ...]  #: of the results, in order

    def __getitem__(self, name: str) -> Any:
        """A parameter of the primitive."""
        return self.parameters[name]

    @property
    def first(self) -> Value:
        """The first operand."""
        return self.values[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first result."""
        return self.shapes[0]
