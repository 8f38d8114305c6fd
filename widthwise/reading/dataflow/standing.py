"""The role of a matrix: where it stands between what the model reads and what it returns."""

from dataclasses import dataclass

from widthwise.reading.dataflow.flow import Flow
from widthwise.reading.dataflow.graph import Kind, Value, WeightUse
from widthwise.reading.dataflow.residuals import Join
from widthwise.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Onwards:
    """What the output of a matrix reaches before it goes through another one."""

    output: bool = False  #: the model's
    weights: bool = False
    stream: bool = False  #: is added to a residual stream
    attention: bool = False
    compared: bool = False  #: is multiplied with other data, and that product is the model's output
    choice: bool = False  #: decides which entries are taken
    scored: bool = False  #: is added to products of queries and keys


class Standing:
    """Tells where matrices stand."""

    def __init__(self, flow: Flow, joins: list[Join]) -> None:
        self._flow = flow
        self._fed, self._from_input, self._from_token = _origins(flow)
        axes = flow.graph.axes
        self._made = axes.classes(atom for each in flow.graph.uses if each.is_matrix for atom in each.free)
        self._streams = {join.result.index: join.skip for join in joins}

    def fed_by_weights(self, value: Value) -> bool:
        """Whether data went through a matrix or a table on its way to a value."""
        return self._fed[value.index]

    def role(self, use: WeightUse) -> tuple[Role | None, str]:
        """The role of a matrix in one use, with the reason; None with the question if it is open."""
        if use.depthwise:
            return Role.VECTOR, "a depthwise convolution multiplies each channel by its own numbers"
        reads = self._reads(use)
        if reads is not None:
            return Role.EMBEDDING, f"reads {reads}"
        ahead = self.onwards(use)
        if use.batch and ahead.scored:
            return None, (
                "each head's queries are compared with it as with a learned key: its fan-in is a head, and its fan-out "
                "the number of keys, which may or may not grow"
            )
        if ahead.compared and not (ahead.weights or ahead.stream):
            return None, (
                "its output is compared with other outputs of the model: it is a readout if its fan-out stays as the "
                "model grows, and hidden if it grows"
            )
        if ahead.output and not (ahead.weights or ahead.stream or ahead.attention):
            return Role.READOUT, "its output is the model's output"
        return Role.HIDDEN, "stands inside the model"

    def _reads(self, use: WeightUse) -> str | None:
        """What from outside the model a matrix reads; None if it stands inside."""
        operand = use.operand
        if operand is None or self._fed[operand.index]:
            return None
        if self._from_input[operand.index]:
            return "the model's input"
        return None if self._from_token[operand.index] or self._is_width(use) else "constants"

    def onwards(self, use: WeightUse) -> Onwards:
        """What the output of a matrix reaches."""
        output = weights = stream = attention = compared = choice = scored = False
        waiting: list[tuple[Value, bool]] = [(use.node.output, False)]
        seen = {use.node.output.index}
        while waiting:
            value, product = waiting.pop()
            if value.discrete:
                choice = True
                continue
            if value.index in self._flow.outputs:
                output, compared = output or not product, compared or product
            for node in self._flow.readers(value):
                if node.starts_stream:
                    weights = True
                    continue
                if any(each.score is not None for each in node.inputs if each is not value):
                    scored = scored or self._flow.reaches_softmax(node.output)
                skip = self._streams.get(node.output.index)
                if skip is not None and skip is not value and self._fed[skip.index]:
                    stream = True
                    continue
                multiplied = product
                if (node.contraction is not None and node.contraction.of_data) or node.operation == "attention":
                    if node.operation == "attention" or self._is_attention(node.output):
                        attention = True
                        continue
                    multiplied = True
                if node.operation in ("topk", "sort"):
                    choice = True
                    continue
                if node.output.index not in seen:
                    seen.add(node.output.index)
                    waiting.append((node.output, multiplied))
        return Onwards(output, weights, stream, attention, compared, choice, scored)

    def _is_width(self, use: WeightUse) -> bool:
        """Whether a matrix sums over an axis that other matrices make: the model's own, whatever it starts from."""
        return bool(self._flow.graph.axes.classes(use.summed) & self._made)

    def _is_attention(self, product: Value) -> bool:
        if self._flow.reaches_softmax(product):
            return True
        node = product.node
        assert node is not None and node.contraction is not None  # noqa: S101, PT018 - a product of data
        both = (node.contraction.left, node.contraction.right)
        return any(self._flow.comes_from_softmax(value) for value in both)


def _origins(flow: Flow) -> tuple[list[bool], list[bool], list[bool]]:
    """Of every value: whether a matrix or table, an input of the model, or a learned token lies behind it."""
    fed: list[bool] = []
    from_input: list[bool] = []
    from_token: list[bool] = []
    for value in flow.graph.values:
        parents = value.parents
        starts = value.node is not None and value.node.starts_stream and value.kind is Kind.DATA
        fed.append(starts or any(fed[parent.index] for parent in parents))
        is_input = value.kind is Kind.DATA and not parents
        from_input.append(is_input or any(from_input[parent.index] for parent in parents))
        from_token.append(value.kind is Kind.WEIGHT or any(from_token[parent.index] for parent in parents))
    return fed, from_input, from_token
