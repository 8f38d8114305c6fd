"""The axes of each parameter in each of its uses: summed over, of the output, or neither."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from widthwise.reading.dataflow.graph import Graph, How, WeightUse, flat
from widthwise.reading.dataflow.resolving import Merged


@dataclass(frozen=True, slots=True)
class Sides:
    """One parameter in one use."""

    how: How
    use: WeightUse
    fan_in: tuple[int, ...]
    fan_out: tuple[int, ...]
    low_rank: bool = False  #: a factor of a product that is added to another weight
    flat: bool = False  #: its one axis is cut into both sides: a buffer that holds a matrix
    doubt: str | None = None


class SidesOfParameters:
    """Finds the sides that a parameter's axes are on."""

    def __init__(self, graph: Graph, merged: Sequence[Merged]) -> None:
        self._graph, self._merged = graph, merged
        self._own = {
            name: [graph.axes.own_classes([atom]) for atom in atoms] for name, atoms in graph.parameter_axes.items()
        }

    def all(self) -> dict[str, list[Sides]]:
        """The uses of every parameter."""
        found: dict[str, list[Sides]] = {name: [] for name in self._graph.shapes}
        for use in self._graph.uses:
            for name, sides in self._of_matrix(use) if use.is_matrix else self._of_other(use):
                found[name].append(sides)
        return self._without_experts(found)

    def _axes(self, name: str, classes: set[Hashable]) -> tuple[int, ...]:
        """The parameter's axes that are, or hold, or are pieces of, some axes of weights."""
        sizes = self._graph.shapes[name]
        return tuple(axis for axis, own in enumerate(self._own[name]) if sizes[axis] > 1 and own & classes)

    def _of_matrix(self, use: WeightUse) -> Iterator[tuple[str, Sides]]:
        axes = self._graph.axes
        summed, kept = axes.own_classes(use.summed), axes.own_classes(use.free)
        found = {
            name: Sides(use.how, use, self._axes(name, summed), self._axes(name, kept), doubt=use.doubt)
            for name in use.value.parameters
        }
        for product in self._merged:
            found = self._completed(found, product)
        whole = [name for name, sides in found.items() if sides.fan_in and sides.fan_out]
        for name, sides in found.items():
            if whole and name not in whole:  # it changes a weight that another parameter is
                yield name, replace(sides, how=How.GAIN, fan_in=(), fan_out=sides.fan_in + sides.fan_out)
            else:
                yield name, self._settled(name, sides, alone=len(found) == 1)

    def _completed(self, found: dict[str, Sides], product: Merged) -> dict[str, Sides]:
        """The factors of a product of two parameters: the axis that they share stands for the side that they lack."""
        result = dict(found)
        for value, inner in zip((product.left, product.right), product.inner, strict=True):
            classes = self._graph.axes.own_classes(flat(inner))
            for name in value.parameters & found.keys():
                sides = found[name]
                shared = tuple(axis for axis in self._axes(name, classes) if axis not in sides.fan_in + sides.fan_out)
                if shared and sides.fan_in and not sides.fan_out:
                    result[name] = replace(sides, fan_out=shared, low_rank=product.added)
                elif shared and sides.fan_out and not sides.fan_in:
                    result[name] = replace(sides, fan_in=shared, low_rank=product.added)
        return result

    def _settled(self, name: str, sides: Sides, *, alone: bool) -> Sides:
        shape = self._graph.shapes[name]
        if len(shape) == 1 and sides.fan_in and sides.fan_out:
            return replace(sides, flat=True)
        both = set(sides.fan_in) & set(sides.fan_out)
        if sides.how is How.CONVOLUTION and len(shape) >= 3:
            out = (1,) if sides.use.transposed else sides.fan_out or (0,)
            if not sides.fan_out and shape[0] > 1 and not sides.use.transposed:
                out = (max((axis for axis, size in enumerate(shape) if size == 1), default=0),)
            if alone or (sides.fan_in and sides.fan_out):
                return replace(sides, fan_in=tuple(a for a in range(len(shape)) if a not in out), fan_out=out)
        if both or (len(shape) == 2 and len(sides.fan_in) == 2):
            if len(shape) == 2:
                doubt = "a transformation mixes its two axes; they have one size, so that their order changes nothing"
                return replace(sides, fan_in=(1,), fan_out=(0,), doubt=doubt)
            return replace(sides, fan_in=tuple(axis for axis in sides.fan_in if axis not in sides.fan_out))
        return self._with_ones(shape, sides)

    def _with_ones(self, shape: Sequence[int], sides: Sides) -> Sides:
        """A single axis of size 1 is the side that is missing."""
        ones = tuple(axis for axis, size in enumerate(shape) if size == 1 and axis not in sides.fan_in + sides.fan_out)
        if len(ones) == 1 and sides.fan_in and not sides.fan_out:
            return replace(sides, fan_out=ones)
        if len(ones) == 1 and sides.fan_out and not sides.fan_in:
            return replace(sides, fan_in=ones)
        return sides

    def _of_other(self, use: WeightUse) -> Iterator[tuple[str, Sides]]:
        result = use.node.output if use.how is How.LOOKUP else use.value
        present = self._graph.axes.own_classes(flat(result.dims))
        for name in use.value.parameters:
            shape = self._graph.shapes[name]
            out = self._axes(name, present)
            if use.how is How.LOOKUP or (use.how is How.POSITION and use.value.picked):
                if len(shape) > 1 and len(out) == len(shape):
                    out = tuple(axis for axis in out if axis != 0)
                rows = tuple(axis for axis in range(len(shape)) if axis not in out)
                yield name, Sides(use.how, use, rows, out, doubt=use.doubt)
            else:
                yield name, Sides(use.how, use, (), out, doubt=use.doubt)

    def _without_experts(self, found: dict[str, list[Sides]]) -> dict[str, list[Sides]]:
        """Take axes off the outputs that other weights have as their batch and none sums over: dense experts."""
        axes, batch = self._graph.axes, expert_classes(self._graph)
        if not batch:
            return found
        result = {}
        for name, uses in found.items():
            atoms = self._graph.parameter_axes[name]
            result[name] = list(uses)
            for place, sides in enumerate(uses):
                out = tuple(axis for axis in sides.fan_out if axes.class_of(atoms[axis]) not in batch)
                if sides.how is How.CONTRACTION and out:
                    result[name][place] = replace(sides, fan_out=out)
        return result


def expert_classes(graph: Graph) -> set[Hashable]:
    """The axes that some weight has as its batch and none sums over: so many separate weights."""
    matrices = [use for use in graph.uses if use.is_matrix]
    summed = graph.axes.classes(atom for use in matrices for atom in use.summed)
    return {graph.axes.class_of(atom) for use in matrices for atom in use.batch} - summed
