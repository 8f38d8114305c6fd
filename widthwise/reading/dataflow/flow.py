"""Who reads each value, and what lies before and behind it: the walks over a recorded graph."""

from collections.abc import Callable, Iterable, Iterator

from widthwise.reading.dataflow.graph import Graph, How, Kind, Node, Value, WeightUse

VIEWS = frozenset(
    (
        "reshape",
        "permute",
        "squeeze",
        "unsqueeze",
        "slice",
        "select",
        "expand",
        "unfold",
        "repeat_interleave",
        "clone",
        "alias",
        "detach",
        "contiguous",
        "lift",
        "_to_copy",
        "convert",
        "to",
        "flip",
        "roll",
    )
)
#: Operations between a product of query and key and its softmax.
_SCORING = VIEWS | {"add", "sub", "mul", "div", "where", "masked_fill", "concatenate", "look_up", "tanh", "dropout"}
#: Operations between a softmax and the product with the values.
_WEIGHING = VIEWS | {"mul", "div", "dropout", "where", "masked_fill"}
_LIMIT = 4000  # chosen: values that a search looks at before it gives up


class Flow:
    """A graph with the way from each value to its readers."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._readers: list[list[Node]] = [[] for _ in graph.values]
        for node in graph.nodes:
            for value in dict.fromkeys(node.inputs):
                self._readers[value.index].append(node)
        self.outputs = {value.index for value in graph.outputs}

    def readers(self, value: Value) -> list[Node]:
        """The operations that a value goes into."""
        return self._readers[value.index]

    def reaches_softmax(self, value: Value) -> bool:
        """Whether a value is the score of an attention."""
        return any(node.operation in ("softmax", "exp") for node in self._onwards(value, _SCORING))

    def comes_from_softmax(self, value: Value) -> bool:
        """Whether a value holds the weights of an attention."""
        return any(before.operation == "softmax" for before in back(value, _WEIGHING))

    def _onwards(self, value: Value, through: Iterable[str]) -> Iterator[Node]:
        """The operations that a value reaches through some kinds of others."""
        waiting, seen = [value], {value.index}
        while waiting:
            for node in self.readers(waiting.pop()):
                yield node
                if node.operation in through and node.output.index not in seen:
                    seen.add(node.output.index)
                    waiting.append(node.output)

    def weight_readers(self, value: Value) -> Iterator[Node]:
        """The operations in which something made of a weight meets data."""
        waiting, seen = [value], {value.index}
        while waiting:
            for node in self.readers(waiting.pop()):
                if node.output.kind is not Kind.WEIGHT:
                    yield node
                elif node.output.index not in seen:
                    seen.add(node.output.index)
                    waiting.append(node.output)


def back(value: Value, through: Iterable[str]) -> Iterator[Node]:
    """The operations that made a value, through some kinds of them."""
    waiting, seen = [value], {value.index}
    while waiting:
        node = waiting.pop().node
        if node is None:
            continue
        yield node
        if node.operation in through:
            fresh = [each for each in node.inputs if each.kind is Kind.DATA and each.index not in seen]
            seen.update(each.index for each in fresh)
            waiting += fresh


def matrices_behind(value: Value, stop: Callable[[Node], bool] = lambda _: False) -> list[WeightUse]:
    """The matrices and tables that data went through last on its way to a value."""
    found: list[WeightUse] = []
    waiting, seen = [value], {value.index}
    while waiting and len(seen) < _LIMIT:
        of = waiting.pop()
        if of.node is not None and of.node.starts_stream:
            found += [use for use in of.node.uses if use.is_matrix or use.how is How.LOOKUP]
            continue
        if of.node is not None and stop(of.node):
            continue
        for parent in of.parents:
            if parent.kind is Kind.DATA and parent.index not in seen:
                seen.add(parent.index)
                waiting.append(parent)
    return found


def between(start: Value, end: Value) -> set[int]:
    """The values on the ways from one value to a later one, both included; none if there is no way."""
    waiting, seen = [end], {end.index: end}
    while waiting:
        for parent in waiting.pop().parents:
            if parent.index >= start.index and parent.kind is Kind.DATA and parent.index not in seen:
                seen[parent.index] = parent
                waiting.append(parent)
        if len(seen) > _LIMIT:
            return set()
    if start.index not in seen:
        return set()
    reached = {start.index}
    for index in sorted(seen):
        if index not in reached and any(parent.index in reached for parent in seen[index].parents):
            reached.add(index)
    return reached if end.index in reached else set()
