"""Small models, recorded by hand as a front end would, and what is read from them."""

import pytest

from widthwise.reading.dataflow import elementwise, gathering, products, views
from widthwise.reading.dataflow.graph import Graph, Value
from widthwise.reading.dataflow.reading import read
from widthwise.reading.parameter import ParameterUse
from widthwise.vocabulary import Role

BATCH, IN, WIDTH, OUT, VOCABULARY = 3, 5, 8, 7, 11


def linear(graph: Graph, data: Value, name: str, out: int, into: int) -> Value:
    """data @ W.T with W [out, in]."""
    weight = views.permute(graph, graph.parameter(name, (out, into)), (1, 0))
    shape = (*data.shape[:-1], out)
    return products.contract(graph, "mm", data, weight, shape, summed=([len(data.shape) - 1], [0]))


def perceptron() -> Graph:
    graph = Graph()
    h = linear(graph, graph.data((BATCH, IN)), "first", WIDTH, IN)
    h = elementwise.elementwise(graph, "add", [h, graph.parameter("bias", (WIDTH,))], (BATCH, WIDTH))
    h = elementwise.elementwise(graph, "relu", [h], h.shape)
    h = linear(graph, h, "middle", WIDTH, WIDTH)
    graph.outputs = [linear(graph, h, "last", OUT, WIDTH)]
    graph.parameter("forgotten", (2, 2))
    return graph


def test_the_role_of_a_matrix_is_where_it_stands() -> None:
    reading = read(perceptron(), "by hand")
    assert {name: found.role for name, found in reading.by_name.items()} == {
        "first": Role.EMBEDDING,
        "bias": Role.VECTOR,
        "middle": Role.HIDDEN,
        "last": Role.READOUT,
        "forgotten": None,
    }
    assert reading["first"].fan_in_axes == (1,)
    assert reading["first"].fan_out_axes == (0,)
    assert reading.source == "by hand"


def test_a_parameter_that_nothing_uses_is_a_question() -> None:
    found = read(perceptron(), "by hand")["forgotten"]
    assert found.use is ParameterUse.UNUSED
    assert found.question == "no operation uses it in the pass that was read"


def test_a_result_that_reaches_no_output_leaves_its_weight_unused() -> None:
    graph = perceptron()
    linear(graph, graph.outputs[0], "beyond", OUT, OUT)
    found = read(graph, "by hand")["beyond"]
    assert found.use is ParameterUse.UNUSED
    assert "reaches" not in str(found.question)
    assert found.question == "its results reach no output of the model in the pass that was read"


@pytest.mark.parametrize("aliases", [{}, {"table": ("head.weight",)}])
def test_a_table_that_also_reads_out_stands_twice(aliases: dict[str, tuple[str, ...]]) -> None:
    graph = Graph()
    ids = graph.data((BATCH, 4))
    ids.discrete = True
    table = graph.parameter("table", (VOCABULARY, WIDTH))
    dims = [*ids.dims, table.dims[1]]
    h = gathering.look_up(graph, table, [ids], dims, (BATCH, 4, WIDTH))
    turned = views.permute(graph, table, (1, 0))
    graph.where = "head"
    graph.outputs = [products.contract(graph, "mm", h, turned, (BATCH, 4, VOCABULARY), summed=([2], [0]))]
    owner, other = read(graph, "by hand", aliases).parameters
    assert (owner.use, owner.role, owner.tied_to) == (ParameterUse.LOOKUP, Role.EMBEDDING, None)
    assert (owner.fan_in_axes, owner.fan_out_axes) == ((0,), (1,))
    assert (other.use, other.role, other.tied_to) == (ParameterUse.CONTRACTION, Role.READOUT, "table")
    assert (other.fan_in_axes, other.fan_out_axes) == ((1,), (0,))
    assert other.name == (aliases["table"][0] if aliases else "table@contraction")


def test_data_times_a_vector_summed_over_it_is_a_contraction() -> None:
    graph = Graph()
    h = linear(graph, graph.data((BATCH, IN)), "first", WIDTH, IN)
    h = elementwise.elementwise(graph, "mul", [h, graph.parameter("vector", (WIDTH,))], h.shape)
    graph.outputs = [gathering.reduce(graph, "sum", h, [1], (BATCH,))]
    found = read(graph, "by hand")["vector"]
    assert (found.use, found.role, found.fan_in_axes) == (ParameterUse.CONTRACTION, Role.READOUT, (0,))


def test_a_parameter_in_an_operation_without_a_rule_is_a_question() -> None:
    graph = Graph()
    x = graph.data((BATCH, IN))
    graph.outputs = [elementwise.opaque(graph, "secret", [x, graph.parameter("w", (IN, IN))], (BATCH, IN))]
    found = read(graph, "by hand")["w"]
    assert (found.use, found.role) == (ParameterUse.UNKNOWN, None)
    assert "secret" in str(found.question)
    assert graph.unknown == {"secret": 1}
