"""What each parameter does, and on which axes, from all of its uses together."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from widthwise.reading.dataflow.graph import Graph, How, flat
from widthwise.reading.dataflow.sides import Sides, expert_classes
from widthwise.reading.parameter import ParameterUse

#: Uses with a fan-in.
MATRICES = frozenset({ParameterUse.CONTRACTION, ParameterUse.CONVOLUTION, ParameterUse.LOW_RANK})
_NAMED = {
    How.CONTRACTION: ParameterUse.CONTRACTION,
    How.CONVOLUTION: ParameterUse.CONVOLUTION,
    How.LOOKUP: ParameterUse.LOOKUP,
    How.POSITION: ParameterUse.POSITION,
    How.GAIN: ParameterUse.GAIN,
    How.BIAS: ParameterUse.BIAS,
    How.TOKEN: ParameterUse.TOKEN,
}


@dataclass(frozen=True, slots=True)
class Placed:
    """What a parameter does, and the sides of its axes."""

    use: ParameterUse
    fan_in: tuple[int, ...]
    fan_out: tuple[int, ...]
    uses: tuple[Sides, ...] = ()  #: that it rests on
    whole: bool = True  #: used whole: its rows are not picked
    question: str | None = None
    evidence: tuple[str, ...] = field(default=())

    def stack(self, axes: int) -> tuple[int, ...]:
        """The axes on neither side."""
        return tuple(axis for axis in range(axes) if axis not in self.fan_in + self.fan_out)


class Placing:
    """Places parameters by their uses."""

    def __init__(self, graph: Graph, low_rank: set[int]) -> None:
        self._graph, self._low_rank = graph, low_rank
        self._experts = expert_classes(graph)
        self._features = _feature_classes(graph) - self._experts

    def places(self, name: str, uses: Sequence[Sides]) -> tuple[Placed, ...]:
        """What a parameter does; two places for one that is looked up and multiplied with (tied weights)."""
        live = [sides for sides in uses if not sides.use.dead]
        if not live:
            said = "no operation uses it" if not uses else "its results reach no output of the model"
            return (Placed(ParameterUse.UNUSED, (), (), question=f"{said} in the pass that was read"),)
        matrices = [sides for sides in live if sides.how in (How.CONTRACTION, How.CONVOLUTION)]
        tables = [sides for sides in live if sides.how is How.LOOKUP or _is_picked(sides)]
        if any(sides.flat for sides in live):
            return (self._unknown("one axis of it holds a whole matrix", live),)
        if any(sides.how is How.OTHER for sides in live) and not matrices and not tables:
            operation = next(sides.use.node.operation for sides in live if sides.how is How.OTHER)
            return (self._unknown(f"meets data in {operation}, which has no rule", live),)
        found = []
        if tables:
            found.append(self._table(tables))
        if matrices:
            found.append(self._matrix(matrices))
        return tuple(found) or (self._vector(name, live),)

    def _unknown(self, why: str, uses: Sequence[Sides]) -> Placed:
        return Placed(ParameterUse.UNKNOWN, (), (), tuple(uses), question=f"it {why}, so that its axes are not known")

    def _table(self, uses: Sequence[Sides]) -> Placed:
        by_data = [sides for sides in uses if sides.how is How.LOOKUP]
        first = (by_data or uses)[0]
        use = ParameterUse.LOOKUP if by_data else ParameterUse.POSITION
        who = "the model's inputs pick" if by_data else "constants pick"
        return Placed(use, first.fan_in, first.fan_out, tuple(uses), whole=False, evidence=(f"{who} its rows",))

    def _matrix(self, uses: Sequence[Sides]) -> Placed:
        first = uses[0]
        is_factor = any(sides.low_rank or id(sides.use) in self._low_rank for sides in uses)
        use = ParameterUse.LOW_RANK if is_factor else _NAMED[first.how]
        signatures = {(sides.fan_in, sides.fan_out) for sides in uses}
        question = None
        if len(signatures) > 1:
            said = " and ".join(f"over axes {list(fan_in)}" for fan_in, _ in sorted(signatures))
            question = f"it is summed {said} in different operations"
        evidence = [_seen(sides) for sides in uses[:1]]
        if len(uses) > 1:
            evidence.append(f"used {len(uses)} times")
        evidence += dict.fromkeys(sides.doubt for sides in uses if sides.doubt is not None)
        return Placed(use, first.fan_in, first.fan_out, tuple(uses), question=question, evidence=tuple(evidence))

    def _vector(self, name: str, uses: Sequence[Sides]) -> Placed:
        present = sorted({axis for sides in uses for axis in sides.fan_out})
        features = tuple(axis for axis in present if self._is_feature(name, axis))
        out = features or tuple(present)
        shape = self._graph.shapes[name]
        experts = {axis for axis in present if self._class_of(name, axis) in self._experts}
        spread = [axis for axis in present if axis not in out and axis not in experts and shape[axis] > 1]
        if not out and len(shape) == 1 and not any("softmax" in sides.use.value.operations for sides in uses):
            out = (0,)
        hows = {sides.how for sides in uses}
        if How.TOKEN in hows:
            how = How.TOKEN
        elif How.BIAS in hows and spread:
            how = How.POSITION
        else:
            how = next(how for how in (How.POSITION, How.GAIN, How.BIAS, How.OTHER) if how in hows)
        node = uses[0].use.node
        evidence = (f"meets data entry by entry in {node.operation}{_at(node.where)}",)
        return Placed(_NAMED.get(how, ParameterUse.GAIN), (), out, tuple(uses), evidence=evidence)

    def _class_of(self, name: str, axis: int) -> Hashable:
        return self._graph.axes.class_of(self._graph.parameter_axes[name][axis])

    def _is_feature(self, name: str, axis: int) -> bool:
        atom = self._graph.parameter_axes[name][axis]
        return bool(self._graph.axes.classes([atom]) & self._features)


def _is_picked(sides: Sides) -> bool:
    return sides.how is How.POSITION and sides.use.value.picked and bool(sides.fan_in)


def _feature_classes(graph: Graph) -> set[Hashable]:
    """The axes that some matrix, norm or table has: features, unlike positions and layers."""
    found: set[Hashable] = set()
    for use in graph.uses:
        if use.is_matrix:
            found |= graph.axes.classes([*use.summed, *use.free])
        elif use.norm:
            found |= {graph.axes.class_of(atom) for atom in flat(use.value.dims)}
        elif use.how is How.LOOKUP and use.value.dims:
            found |= {graph.axes.class_of(atom) for atom in use.value.dims[-1]}
    return found


def _seen(sides: Sides) -> str:
    node = sides.use.node
    return f"{node.operation}{_at(node.where)} sums it over axes {list(sides.fan_in)}"


def _at(where: str) -> str:
    return f" of {where}" if where else ""
