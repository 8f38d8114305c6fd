"""What only the whole graph can tell: which side of a product of two parameters is the weight, and what is live."""

from dataclasses import dataclass

from widthwise.reading.dataflow.axes import Dims
from widthwise.reading.dataflow.flow import Flow
from widthwise.reading.dataflow.graph import Graph, Kind, Node, Value
from widthwise.reading.dataflow.products import as_token, weight_use


@dataclass(frozen=True, slots=True)
class Merged:
    """A product of two parameters that is a weight, or is added to one."""

    left: Value
    right: Value
    inner: tuple[Dims, Dims]  #: the axis that they share, on each side
    added: bool  #: to another weight


def resolve(graph: Graph) -> list[Merged]:
    """Settle every product of two parameters; return those that are weights."""
    flow = Flow(graph)
    as_matrix, entry_by_entry = _meetings(graph)
    merged = []
    for node in graph.pending:
        contraction = node.contraction
        assert contraction is not None  # noqa: S101 - only contractions are pending
        left, right, output = contraction.left, contraction.right, node.output
        both = left.kind is Kind.WEIGHT and right.kind is Kind.WEIGHT
        readers = [reader for reader in flow.weight_readers(output) if reader.matrices]
        if output.index in as_matrix and len(output.shape) >= 2 and readers and _in_attention(flow, readers):
            _undo(graph, readers)
            _settle(
                graph, node, both=both, doubt="its other side is a parameter or a constant that is a query or a key"
            )
        elif output.index in as_matrix:
            if both:
                inner = contraction.left_summed, contraction.right_summed
                merged.append(Merged(left, right, inner, _is_added(flow, output)))
        elif output.index in entry_by_entry or output.index in flow.outputs:
            _settle(graph, node, both=both, doubt="both sides of the product are parameters" if both else None)
    graph.pending = []
    return merged


def _meetings(graph: Graph) -> tuple[set[int], set[int]]:
    """The values that become a matrix for data, and those that meet data in another way."""
    as_matrix: set[int] = set()
    otherwise: set[int] = set()
    for node in reversed(graph.nodes):
        matrices = {use.value.index for use in node.matrices}
        for value in node.inputs:
            if value.kind is Kind.DATA:
                continue
            if node.output.kind is Kind.DATA:
                (as_matrix if value.index in matrices else otherwise).add(value.index)
            else:
                for found in (as_matrix, otherwise):
                    if node.output.index in found:
                        found.add(value.index)
    return as_matrix, otherwise


def _in_attention(flow: Flow, readers: list[Node]) -> bool:
    """Whether a product meets data only as query, key or value of attentions."""
    return all(
        flow.reaches_softmax(reader.output)
        or any(flow.comes_from_softmax(value) for value in reader.inputs if value.kind is Kind.DATA)
        for reader in readers
    )


def _undo(graph: Graph, readers: list[Node]) -> None:
    """Take back that these operations use a weight: it is data."""
    gone = {id(use) for reader in readers for use in reader.matrices}
    graph.uses = [use for use in graph.uses if id(use) not in gone]
    for reader in readers:
        reader.uses = [use for use in reader.uses if id(use) not in gone]


def _settle(graph: Graph, node: Node, *, both: bool, doubt: str | None) -> None:
    """Say that a product has a weight: its right side if both are parameters."""
    contraction = node.contraction
    assert contraction is not None  # noqa: S101 - only contractions are pending
    if both:
        as_token(graph, contraction.left, node)
    use = weight_use(graph, node, contraction.right if contraction.right.kind is Kind.WEIGHT else contraction.left)
    use.doubt = doubt


def _is_added(flow: Flow, product: Value) -> bool:
    """Whether a product of two parameters is added to another weight, through views and factors."""
    waiting = [product]
    while waiting:
        for reader in flow.readers(waiting.pop()):
            if reader.operation == "add" and sum(value.kind is Kind.WEIGHT for value in reader.inputs) == 2:
                return True
            if reader.output.kind is Kind.WEIGHT and sum(value.kind is Kind.WEIGHT for value in reader.inputs) == 1:
                waiting.append(reader.output)
    return False


def mark_dead(graph: Graph) -> None:
    """Mark the uses of weights whose results reach no output, and drop such joins: no gradient comes back to them."""
    if not graph.outputs:
        return
    live: set[int] = set()
    waiting = list(graph.outputs)
    while waiting:
        value = waiting.pop()
        if value.index in live:
            continue
        live.add(value.index)
        if not value.discrete:
            waiting += value.parents
    for use in graph.uses:
        use.dead = use.node.output.index not in live
    graph.joins = [join for join in graph.joins if join[-1].index in live]
