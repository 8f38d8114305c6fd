"""What a matrix's output becomes: query, key, value, gate, …; and the parts of a matrix that holds several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from widthwise.reading.dataflow.elementwise import ACTIVATIONS
from widthwise.reading.dataflow.entries import Entries, entries, slices
from widthwise.reading.dataflow.flow import VIEWS, Flow, between
from widthwise.reading.dataflow.graph import Kind, Node, Value, WeightUse
from widthwise.reading.parameter import Feeds, FusedPart

_LIMIT = 400  # chosen: values that a walk looks at
_CHOOSING = frozenset({"topk", "sort", "argmax", "max", "kthvalue", "top_k"})
#: What a value passes through and stays what it is.
_PASSING = VIEWS | {"add", "sub", "mul", "div", "neg", "dropout", "concatenate", "where", "stack", "pow", "written"}


@dataclass(frozen=True, slots=True)
class _Part:
    """What some entries of an axis feed."""

    feeds: Feeds
    axis: int
    slices: tuple[slice, ...]
    whole: bool


class Feeding:
    """Follows the outputs of matrices to what they feed."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        scores = [scored.score for scored in flow.graph.attentions]
        self._sides = {score.key.index: Feeds.KEY for score in scores}
        self._sides |= {score.query.index: Feeds.QUERY for score in scores}

    def of(
        self, name: str, fan_out: Sequence[int], uses: Sequence[WeightUse]
    ) -> tuple[Feeds | None, tuple[FusedPart, ...]]:
        """What a parameter feeds as a whole, or what its parts feed if these are different things."""
        found: dict[tuple[Feeds, int, str], _Part] = {}
        for use in uses:
            for part in _Walk(self._flow, self._sides, name, fan_out, use).parts():
                found.setdefault((part.feeds, part.axis, str(part.slices)), part)
        kinds = dict.fromkeys(part.feeds for part in found.values())
        parts = [part for part in found.values() if not part.whole]
        if len({part.feeds for part in parts}) > 1:
            ordered = sorted(parts, key=lambda part: (part.axis, part.slices[0].start))
            return None, tuple(FusedPart(part.feeds, part.axis, part.slices) for part in ordered)
        return (next(iter(kinds)) if len(kinds) == 1 else None), ()


class _Walk:
    """One walk from the output of one matrix."""

    def __init__(self, flow: Flow, sides: dict[int, Feeds], name: str, fan_out: Sequence[int], use: WeightUse) -> None:
        self._flow, self._sides, self._use = flow, sides, use
        self._axes = {axis: flow.graph.parameter_axes[name][axis] for axis in fan_out}

    def parts(self) -> Iterator[_Part]:
        start = self._use.node.output
        waiting = [(start, self._now(start, {}))]
        seen = {start.index}
        while waiting and len(seen) < _LIMIT:
            value, held = waiting.pop(0)
            if value.index in self._sides:
                yield from self._found(self._sides[value.index], held)
                continue
            for node in self._flow.readers(value):
                feeds = self._feeds(node, value, held)
                if feeds is not None:
                    yield from self._found(feeds, held)
                elif node.output.index not in seen and self._passes(node, value):
                    seen.add(node.output.index)
                    waiting.append((node.output, self._now(node.output, held)))

    def _now(self, value: Value, held: dict[int, Entries]) -> dict[int, Entries]:
        """The entries of each axis that a value holds: those that were held, where it has lost the axis."""
        found = {axis: entries(atom, value) for axis, atom in self._axes.items()}
        return {axis: now for axis, before in found.items() if (now := before or held.get(axis)) is not None}

    def _found(self, feeds: Feeds, held: dict[int, Entries]) -> Iterator[_Part]:
        cut = {axis: of for axis, of in held.items() if len(of) < self._axes[axis].size}
        if not cut:
            axis = next(iter(self._axes), 0)
            yield _Part(feeds, axis, (), whole=True)
        for axis, of in cut.items():
            yield _Part(feeds, axis, slices(of), whole=False)

    def _feeds(self, node: Node, value: Value, held: dict[int, Entries]) -> Feeds | None:
        if node.operation == "attention":
            places = [place for place, each in enumerate(node.inputs[:3]) if each is value]
            return (Feeds.QUERY, Feeds.KEY, Feeds.VALUE)[places[0]] if places else None
        if node.contraction is not None and node.contraction.of_data:
            other = node.contraction.right if node.contraction.left is value else node.contraction.left
            return Feeds.VALUE if self._flow.comes_from_softmax(other) else None
        if node.operation in _CHOOSING:
            return Feeds.ROUTER
        if node.gates:
            (other,) = (each for each in node.inputs if each is not value)
            return self._gate(value, other, held)
        return None

    def _gate(self, value: Value, other: Value, held: dict[int, Entries]) -> Feeds | None:
        """Which side of a product with an activated side this is; None if both come from the same entries."""
        if self._now(other, held) == held and between(self._use.node.output, other):
            return None
        if value.activated and other.activated:
            ours, theirs = (sum(size == 1 for size in each.shape) for each in (value, other))
            return None if ours == theirs else Feeds.GATE if ours > theirs else Feeds.UP
        return Feeds.GATE if value.activated else Feeds.UP

    def _passes(self, node: Node, value: Value) -> bool:
        if node.starts_stream or node.contraction is not None or node.output.discrete:
            return False
        others = [each for each in node.inputs if each is not value and each.kind is Kind.DATA]
        if node.operation not in _PASSING and node.operation not in ACTIVATIONS and "norm" not in node.operation:
            return not others and node.operation in ("rsqrt", "sqrt", "mean", "sum", "reciprocal", "softmax")
        return all(
            (each.source is value.source and value.source is not None) or between(self._use.node.output, each)
            for each in others
        )
