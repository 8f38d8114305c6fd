"""What the model's own code multiplies by: scales of attentions, and factors on embeddings, branches and logits."""

import math
from collections.abc import Iterator, Mapping, Sequence

from widthwise.reading.dataflow.flow import VIEWS, Flow
from widthwise.reading.dataflow.graph import Kind, Node, Scored, Value, WeightUse
from widthwise.reading.dataflow.residuals import Join
from widthwise.reading.model import Attention, CodeMultiplier, Place
from widthwise.vocabulary import Role

_DIGITS = 6  # chosen: a factor has passed through float32
_DEPTH = 12  # chosen: views and factors that a scaled value passes through before it is used
_NORMALIZING = frozenset({"rsqrt", "linalg_vector_norm", "norm", "native_layer_norm", "_fused_rms_norm"})
_BENDING = frozenset({"pow", "integer_pow", "sigmoid", "logistic", "tanh", "erf", "exp", "silu", "gelu", "relu"})
_PASSING = VIEWS | {"mul", "div", "dropout", "neg", "where", "masked_fill"}


def attentions(flow: Flow) -> tuple[Attention, ...]:
    """The attentions of a model, one for each kind of scale."""
    found: dict[tuple[int, float | None, bool, bool], list[Scored]] = {}
    for scored in flow.graph.attentions:
        score = scored.score
        normalized = _is_normalized(score.query) and _is_normalized(score.key)
        key = (score.head_dim, _rounded(scored.scale), normalized, score.capped)
        found.setdefault(key, []).append(scored)
    return tuple(
        Attention(alike[0].where, len(alike), head_dim, scale, normalized, capped)
        for (head_dim, scale, normalized, capped), alike in found.items()
    )


def _rounded(value: float) -> float | None:
    """The number to six digits; None for NaN, which stands for one that is not known."""
    return None if math.isnan(value) else float(f"{value:.{_DIGITS}g}")


def _is_normalized(side: Value) -> bool:
    """Whether a query or key was normalised since its matrix."""
    waiting, seen = [side], {side.index}
    while waiting:
        node = waiting.pop().node
        if node is None or node.starts_stream:
            continue
        if node.operation in _NORMALIZING:
            return True
        for value in node.inputs:
            if value.kind is Kind.DATA and value.index not in seen:
                seen.add(value.index)
                waiting.append(value)
    return False


class Multipliers:
    """Finds constants that scale embeddings, branches, logits and weights."""

    def __init__(self, flow: Flow, joins: Sequence[Join], roles: Mapping[int, Role | None], low_rank: set[int]) -> None:
        self._flow, self._roles, self._low_rank = flow, roles, low_rank
        self._branches = {join.result.index: join for join in joins}

    def all(self) -> tuple[CodeMultiplier, ...]:
        """Every one of them, like ones together."""
        found: dict[tuple[Place, float | None], dict[str, None]] = {}
        for node in self._flow.graph.nodes:
            for place, value, use in self._of(node):
                names = found.setdefault((place, _rounded(value)), {})
                names.update(dict.fromkeys(sorted(use.value.parameters)))
        return tuple(CodeMultiplier(place, value, tuple(names)) for (place, value), names in found.items())

    def _of(self, node: Node) -> Iterator[tuple[Place, float, WeightUse]]:
        for use in node.uses:
            if use.dead or not (use.is_matrix or (use.value.kind is Kind.WEIGHT and node.operation == "look_up")):
                continue
            if not math.isclose(use.value.factor, 1, abs_tol=1e-6):
                yield Place.WEIGHT, use.value.factor, use
            before = self._before(use)
            if self._roles.get(id(use)) is Role.READOUT and before != 1:
                yield Place.LOGITS, before, use
            after = 1.0
            last: Value | None = None
            for number, value in node.scales:
                if not math.isclose(number, 1, abs_tol=1e-9) and self._is_outer(value):
                    after, last = after * number, value
            if last is not None:
                place = self._place(use, last)
                if place is not None:
                    yield place, after, use

    def _before(self, use: WeightUse) -> float:
        """What the data was multiplied by before a readout, since the last norm or matrix."""
        operand = use.operand
        factor = 1.0
        while operand is not None and operand.node is not None:
            node = operand.node
            data = [value for value in node.inputs if value.kind is Kind.DATA]
            if len(data) != 1 or node.operation not in _PASSING:
                return factor
            if data[0].factor and operand.factor != data[0].factor and node.operation in ("mul", "div"):
                factor *= operand.factor / data[0].factor
            operand = data[0]
        return factor

    def _place(self, use: WeightUse, scaled: Value) -> Place | None:
        role = self._roles.get(id(use))
        if id(use) in self._low_rank:
            return Place.WEIGHT
        if role is Role.READOUT:
            return Place.LOGITS
        if role is Role.EMBEDDING:
            return Place.EMBEDDING
        if self._reaches_join(scaled):
            return Place.BRANCH
        return None

    def _reaches_join(self, value: Value) -> bool:
        waiting, seen = [value], {value.index}
        while waiting:
            of = waiting.pop()
            for node in self._flow.readers(of):
                join = self._branches.get(node.output.index)
                if join is not None and join.branch is of:
                    return True
                if node.operation in _PASSING and node.output.index not in seen:
                    seen.add(node.output.index)
                    waiting.append(node.output)
        return False

    def _is_outer(self, value: Value) -> bool:
        """Whether what a number scales is next added, multiplied with a weight, normalised or returned.

        Else the number belongs to an activation (the ½ of a GELU) or to an attention.
        """
        waiting, seen = [(value, 0)], {value.index}
        while waiting:
            of, depth = waiting.pop()
            if of.index in self._flow.outputs:
                return True
            for node in self._flow.readers(of):
                others = [each for each in node.inputs if each is not of and each.kind is Kind.DATA]
                if node.operation in ("mul", "div") and others:
                    continue
                if node.operation in _PASSING or (node.operation in ("add", "sub") and not others):
                    if node.output.index not in seen and depth < _DEPTH:
                        seen.add(node.output.index)
                        waiting.append((node.output, depth + 1))
                    continue
                if node.operation in _BENDING or (node.contraction is not None and node.contraction.of_data):
                    continue
                return True
        return False
