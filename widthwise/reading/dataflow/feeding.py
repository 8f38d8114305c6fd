"""What a matrix's output becomes: query, key, value, gate, …; and the parts of a matrix that holds several."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from widthwise.reading.dataflow.axes import Atom
from widthwise.reading.dataflow.elementwise import ACTIVATIONS
from widthwise.reading.dataflow.entries import Entries, entries, joined, slices
from widthwise.reading.dataflow.flow import VIEWS, Flow, between
from widthwise.reading.dataflow.graph import Kind, Node, Value, WeightUse
from widthwise.reading.dataflow.residuals import Join
from widthwise.reading.parameter import Feeds, FusedPart

_LIMIT = 400  # chosen: values that a walk looks at
_CHOOSING = frozenset({"topk", "sort", "argmax", "max", "kthvalue", "top_k"})
_SUMS = frozenset({"add", "sub"})
#: On the way to a gate.
_PLAIN = VIEWS | _SUMS | {"mul", "div", "dropout", "clamp"}
#: What a value passes through and stays what it is.
_PASSING = _PLAIN | {"neg", "where", "pow"}
#: What puts values side by side.
_JOINING = frozenset({"concatenate", "stack", "copy", "written"})
#: Pieces of a norm that is written out, and of a router.
_ALONE = frozenset({"rsqrt", "sqrt", "mean", "sum", "reciprocal", "softmax"})


@dataclass(frozen=True, slots=True)
class _Part:
    """What some entries of an axis feed; all of them if there are no slices."""

    feeds: Feeds
    axis: int
    slices: tuple[slice, ...]


class Feeding:
    """Follows the outputs of matrices to what they feed."""

    def __init__(self, flow: Flow, joins: Sequence[Join]) -> None:
        self.flow = flow
        self.results = {join.result.index for join in joins}
        scores = [scored.score for scored in flow.graph.attentions]
        self.sides = {score.key.index: Feeds.KEY for score in scores}
        self.sides |= {score.query.index: Feeds.QUERY for score in scores}

    def of(
        self, name: str, fan_out: Sequence[int], uses: Sequence[WeightUse]
    ) -> tuple[Feeds | None, tuple[FusedPart, ...]]:
        """What a parameter feeds as a whole, or what parts of it feed."""
        axes = {axis: self.flow.graph.parameter_axes[name][axis] for axis in fan_out}
        found = {str(part): part for use in uses for part in _Walk(self, axes, use).parts()}.values()
        whole = {part.feeds for part in found if not part.slices}
        if whole:
            return (whole.pop() if len(whole) == 1 else None), ()
        ordered = sorted(found, key=lambda part: (part.axis, part.slices[0].start))
        return None, tuple(FusedPart(part.feeds, part.axis, part.slices) for part in ordered)


class _Walk:
    """One walk from the output of one matrix, breadth first."""

    def __init__(self, feeding: Feeding, axes: Mapping[int, Atom], use: WeightUse) -> None:
        self._flow, self._sides, self._results = feeding.flow, feeding.sides, feeding.results
        self._axes, self._use = axes, use

    def parts(self) -> Iterator[_Part]:
        start = self._use.node.output
        waiting = [(start, self._now(start, {}), True)]
        seen = {start.index}
        while waiting and len(seen) < _LIMIT:
            value, held, plain = waiting.pop(0)
            if value.index in self._sides:
                yield from self._found(self._sides[value.index], held)
                continue
            for node in self._flow.readers(value):
                feeds = self._feeds(node, value, plain=plain)
                if feeds is not None:
                    yield from self._found(feeds, held)
                elif node.output.index not in seen and self._passes(node, value):
                    seen.add(node.output.index)
                    still = plain and (node.operation in _PLAIN or node.operation in ACTIVATIONS)
                    waiting.append((node.output, self._after(node, held), still))

    def _now(self, value: Value, held: Mapping[int, Entries]) -> dict[int, Entries]:
        """The entries of each axis that a value holds: those that were held, where it has lost the axis."""
        found = {axis: entries(atom, value) or held.get(axis) for axis, atom in self._axes.items()}
        return {axis: now for axis, now in found.items() if now is not None}

    def _after(self, node: Node, held: Mapping[int, Entries]) -> dict[int, Entries]:
        """The entries that an operation's output holds; those of all its inputs, where it puts several together."""
        found = self._now(node.output, held)
        if node.operation in _JOINING:
            for axis, atom in self._axes.items():
                parts = [part for each in node.inputs if (part := entries(atom, each)) is not None]
                if len(parts) > 1:
                    found[axis] = joined(parts)
        return found

    def _found(self, feeds: Feeds, held: Mapping[int, Entries]) -> Iterator[_Part]:
        cut = {axis: of for axis, of in held.items() if len(of) < self._axes[axis].size}
        if not cut:
            yield _Part(feeds, next(iter(self._axes), 0), ())
        for axis, of in cut.items():
            yield _Part(feeds, axis, slices(of, self._axes[axis].size))

    def _feeds(self, node: Node, value: Value, *, plain: bool) -> Feeds | None:
        if node.operation == "attention":
            places = [place for place, each in enumerate(node.inputs[:3]) if each is value]
            return (Feeds.QUERY, Feeds.KEY, Feeds.VALUE)[places[0]] if places else None
        if node.contraction is not None and node.contraction.of_data:
            other = node.contraction.right if node.contraction.left is value else node.contraction.left
            return Feeds.VALUE if self._flow.comes_from_softmax(other) else None
        if node.operation in _CHOOSING:
            return Feeds.ROUTER
        if node.gates and plain:
            (other,) = (each for each in node.inputs if each is not value)
            return _gate(value, other)
        return None

    def _passes(self, node: Node, value: Value) -> bool:
        if node.starts_stream or node.contraction is not None or node.output.discrete or node.gates:
            return False
        if node.operation in _JOINING or (node.operation in _SUMS and node.output.index not in self._results):
            return True
        others = [each for each in node.inputs if each is not value and each.kind is Kind.DATA]
        if node.operation not in _PASSING and node.operation not in ACTIVATIONS and "norm" not in node.operation:
            return not others and node.operation in _ALONE
        return all(
            (each.source is value.source and value.source is not None)
            or not each.weighted
            or between(self._use.node.output, each)
            for each in others
        )


def _gate(value: Value, other: Value) -> Feeds | None:
    """Which side of a product with an activated side a value is: of two activated ones, the gate is the smaller."""
    if value.activated and other.activated:
        ours, theirs = (sum(size == 1 for size in each.shape) for each in (value, other))
        return Feeds.GATE if ours > theirs else None
    if value.activated:
        return Feeds.GATE
    return Feeds.UP if value.shape == other.shape else None
