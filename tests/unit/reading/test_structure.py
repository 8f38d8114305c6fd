"""Attentions, parts of fused matrices, gates, blocks, multipliers and low-rank factors of models recorded by hand."""

import pytest

from tests.unit.reading.by_hand import apply, attention, heads, linear, normed, scaled, times
from widthwise.reading.dataflow import elementwise, gathering, products, views
from widthwise.reading.dataflow.graph import Graph, Value
from widthwise.reading.dataflow.reading import read
from widthwise.reading.model import Attention, CodeMultiplier, Place
from widthwise.reading.parameter import Block, Feeds, FusedPart, ParameterUse
from widthwise.vocabulary import Role, TensorPart

BATCH, TOKENS, IN, WIDTH, MLP, HEADS, OUT = 3, 5, 7, 16, 36, 2, 11


def start(graph: Graph) -> Value:
    return linear(graph, graph.data((BATCH, TOKENS, IN)), "first", WIDTH)


def decoder(layers: int = 3) -> Graph:
    graph = Graph()
    x = scaled(graph, start(graph), 4.0)
    for layer in range(layers):
        graph.where = f"layer {layer}"
        h = normed(graph, x, f"{layer}.norm1")
        sides = [heads(graph, linear(graph, h, f"{layer}.{name}", WIDTH), HEADS) for name in ("q", "k", "v")]
        out = linear(graph, attention(graph, sides, 0.25), f"{layer}.out", WIDTH)
        x = apply(graph, "add", x, scaled(graph, out, 0.5))
        h = normed(graph, x, f"{layer}.norm2")
        gate = apply(graph, "silu", linear(graph, h, f"{layer}.gate", MLP))
        inner = apply(graph, "mul", gate, linear(graph, h, f"{layer}.up", MLP))
        x = apply(graph, "add", x, scaled(graph, linear(graph, inner, f"{layer}.down", WIDTH), 0.5))
    logits = linear(graph, normed(graph, x, "norm"), "last", OUT)
    graph.outputs = [scaled(graph, logits, 1 / WIDTH)]
    return graph


def test_what_matrices_feed() -> None:
    reading = read(decoder(), "by hand")
    feeds = {name: reading[f"1.{name}"].feeds for name in ("q", "k", "v", "out", "gate", "up", "down")}
    assert feeds == {
        "q": Feeds.QUERY,
        "k": Feeds.KEY,
        "v": Feeds.VALUE,
        "out": None,
        "gate": Feeds.GATE,
        "up": Feeds.UP,
        "down": None,
    }


def test_blocks_hold_their_matrices_and_norms() -> None:
    reading = read(decoder(), "by hand")
    assert reading.blocks == (3,)
    assert reading.width == WIDTH
    for name, parameter in reading.by_name.items():
        layer = name.partition(".")[0]
        assert parameter.block == (Block(0, int(layer)) if layer.isdigit() else None), name


def test_positions_that_every_layer_adds_to_its_scores_make_no_chain() -> None:
    graph = Graph()
    x = start(graph)
    places = views.select(graph, linear(graph, graph.data((BATCH, TOKENS, TOKENS, 4)), "places", 1), 3, 0)
    for layer in range(2):
        sides = [heads(graph, linear(graph, x, f"{layer}.{name}", WIDTH), 1) for name in ("q", "k", "v")]
        both = ([0, 1], [0, 1])
        scores = products.contract(graph, "bmm", *sides[:2], (BATCH, 1, TOKENS, TOKENS), summed=([3], [3]), batch=both)
        scores = apply(graph, "add", views.reshape(graph, scores, (BATCH, TOKENS, TOKENS)), places)
        weights = elementwise.softmax(graph, scores)
        values = views.reshape(graph, sides[2], (BATCH, TOKENS, WIDTH))
        found = products.contract(graph, "bmm", weights, values, x.shape, summed=([2], [1]), batch=([0], [0]))
        x = apply(graph, "add", x, linear(graph, found, f"{layer}.out", WIDTH))
    graph.outputs = [linear(graph, x, "last", OUT)]
    assert read(graph, "by hand").blocks == (2,)


def test_attentions_of_one_kind_are_counted() -> None:
    assert read(decoder(), "by hand").attentions == (Attention("layer 0", 3, WIDTH // HEADS, 0.25),)


def test_constants_of_the_code_stand_with_what_they_scale() -> None:
    branches = tuple(f"{layer}.{name}" for layer in range(3) for name in ("out", "down"))
    assert read(decoder(), "by hand").multipliers == (
        CodeMultiplier(Place.EMBEDDING, 4.0, ("first",)),
        CodeMultiplier(Place.BRANCH, 0.5, branches),
        CodeMultiplier(Place.LOGITS, 1 / WIDTH, ("last",)),
    )


def test_the_half_of_a_written_out_gelu_is_no_multiplier() -> None:
    graph = Graph()
    x = start(graph)
    h = linear(graph, x, "middle", WIDTH)
    bent = apply(graph, "erf", scaled(graph, h, 0.7071))
    h = apply(graph, "mul", scaled(graph, h, 0.5), apply(graph, "add", bent))
    graph.outputs = [linear(graph, apply(graph, "add", x, h), "last", OUT)]
    reading = read(graph, "by hand")
    assert reading.multipliers == ()
    assert reading.blocks == (1,)


def test_a_gate_whose_nonlinearity_is_written_out_is_a_gate() -> None:
    graph = Graph()
    x = start(graph)
    gate = linear(graph, x, "gate", MLP)
    gate = apply(graph, "mul", gate, apply(graph, "sigmoid", gate))
    inner = apply(graph, "mul", gate, linear(graph, x, "up", MLP))
    graph.outputs = [linear(graph, inner, "last", OUT)]
    reading = read(graph, "by hand")
    assert (reading["gate"].feeds, reading["up"].feeds) == (Feeds.GATE, Feeds.UP)


def test_a_fused_matrix_has_parts_of_each_head() -> None:
    graph = Graph()
    fused = linear(graph, start(graph), "fused", 3 * WIDTH)
    size = WIDTH // HEADS
    by_head = views.reshape(graph, fused, (BATCH, TOKENS, HEADS, 3 * size))
    sides = [
        views.permute(graph, views.narrow(graph, by_head, 3, place * size, size), (0, 2, 1, 3)) for place in range(3)
    ]
    graph.outputs = [linear(graph, attention(graph, sides, 0.25), "last", OUT)]
    found = read(graph, "by hand")["fused"]
    assert found.feeds is None
    assert found.parts == tuple(
        FusedPart(feeds, 0, (slice(place * size, (place + 1) * size), slice((3 + place) * size, (4 + place) * size)))
        for place, feeds in enumerate((Feeds.QUERY, Feeds.KEY, Feeds.VALUE))
    )


def test_interleaved_gates_are_every_second_entry() -> None:
    graph = Graph()
    both = linear(graph, start(graph), "both", 2 * MLP)
    gate, up = (views.narrow(graph, both, 2, place, MLP, step=2) for place in (0, 1))
    inner = apply(graph, "mul", apply(graph, "silu", gate), up)
    graph.outputs = [linear(graph, inner, "last", OUT)]
    assert read(graph, "by hand")["both"].parts == (
        FusedPart(Feeds.GATE, 0, (slice(0, 2 * MLP, 2),)),
        FusedPart(Feeds.UP, 0, (slice(1, 2 * MLP, 2),)),
    )


def test_a_low_rank_change_of_the_output() -> None:
    graph = Graph()
    x = start(graph)
    change = linear(graph, linear(graph, x, "down", 2), "up", MLP)
    h = apply(graph, "add", linear(graph, x, "whole", MLP), scaled(graph, change, 2.0))
    graph.outputs = [linear(graph, apply(graph, "relu", h), "last", OUT)]
    reading = read(graph, "by hand")
    uses = {name: reading[name].use for name in ("whole", "down", "up")}
    low_rank = ParameterUse.LOW_RANK
    assert uses == {"whole": ParameterUse.CONTRACTION, "down": low_rank, "up": low_rank}
    assert [reading[name].part for name in uses] == [None, TensorPart.LORA_A, TensorPart.LORA_B]
    assert reading.rank == 2
    assert reading.multipliers == (CodeMultiplier(Place.WEIGHT, 2.0, ("up",)),)


def test_a_bottleneck_with_a_nonlinearity_is_no_low_rank_change() -> None:
    graph = Graph()
    x = start(graph)
    change = linear(graph, apply(graph, "relu", linear(graph, x, "down", 2)), "up", MLP)
    h = apply(graph, "add", linear(graph, x, "whole", MLP), change)
    graph.outputs = [linear(graph, h, "last", OUT)]
    reading = read(graph, "by hand")
    assert {reading[name].use for name in ("whole", "down", "up")} == {ParameterUse.CONTRACTION}


def test_two_matrices_beside_one_of_no_larger_rank_are_no_low_rank_change() -> None:
    graph = Graph()
    x = start(graph)
    beside = linear(graph, linear(graph, x, "inner", 2 * WIDTH), "outer", MLP)
    graph.outputs = [linear(graph, apply(graph, "add", linear(graph, x, "whole", MLP), beside), "last", OUT)]
    reading = read(graph, "by hand")
    assert {reading[name].use for name in ("whole", "inner", "outer")} == {ParameterUse.CONTRACTION}


def test_branches_side_by_side_are_one_block() -> None:
    graph = Graph()
    x = start(graph)
    for layer in range(3):
        h = normed(graph, x, f"{layer}.norm")
        one = linear(graph, apply(graph, "tanh", linear(graph, h, f"{layer}.a", MLP)), f"{layer}.b", WIDTH)
        other = linear(graph, apply(graph, "relu", linear(graph, h, f"{layer}.c", MLP)), f"{layer}.d", WIDTH)
        x = apply(graph, "add", apply(graph, "add", x, one), other)
    graph.outputs = [linear(graph, x, "last", OUT)]
    reading = read(graph, "by hand")
    assert reading.blocks == (3,)
    for layer in range(3):
        assert {reading[f"{layer}.{name}"].block for name in ("norm", "a", "b", "c", "d")} == {Block(0, layer)}


@pytest.mark.parametrize("layers", [2, 60])  # all that lies behind the last ones is more than is looked at
def test_weighed_experts_beside_a_shared_one_are_one_branch(layers: int) -> None:
    graph = Graph()
    x = start(graph)
    for layer in range(layers):
        h = normed(graph, x, f"{layer}.norm")
        expert, shared = (
            linear(graph, apply(graph, "silu", linear(graph, h, f"{layer}.{name}.up", MLP)), f"{layer}.{name}", WIDTH)
            for name in ("expert", "shared")
        )
        weights = apply(graph, "sigmoid", linear(graph, h, f"{layer}.router", WIDTH))
        expert = apply(graph, "mul", scaled(graph, expert, 0.5), weights)
        x = apply(graph, "add", x, apply(graph, "add", expert, shared))
    graph.outputs = [linear(graph, normed(graph, x, "norm"), "last", OUT)]
    reading = read(graph, "by hand")
    assert reading.blocks == (layers,)
    for name, parameter in reading.by_name.items():
        layer_number = name.partition(".")[0]
        assert parameter.block == (Block(0, int(layer_number)) if layer_number.isdigit() else None), name


def test_a_branch_that_nobody_reads_makes_no_block() -> None:
    """The pooling head of a tower for pictures, of which a model takes the patches alone."""
    graph = decoder(layers=2)
    pooled = linear(graph, graph.data((BATCH, IN)), "pool", WIDTH)
    inner = apply(graph, "gelu", linear(graph, normed(graph, pooled, "pool.norm"), "pool.up", MLP))
    apply(graph, "add", pooled, linear(graph, inner, "pool.down", WIDTH))
    reading = read(graph, "by hand")
    assert reading.blocks == (2,)
    assert reading["pool.up"].use is ParameterUse.UNUSED


def test_a_low_rank_change_of_the_weight() -> None:
    graph = Graph()
    whole, up, down = graph.parameter("whole", (MLP, WIDTH)), graph.parameter("up", (MLP, 2)), None
    down = graph.parameter("down", (2, WIDTH))
    product = products.contract(graph, "mm", up, down, (MLP, WIDTH), summed=([1], [0]))
    changed = apply(graph, "add", whole, product)
    graph.outputs = [linear(graph, times(graph, start(graph), changed), "last", OUT)]
    reading = read(graph, "by hand")
    for name, use in (("whole", ParameterUse.CONTRACTION), ("up", ParameterUse.LOW_RANK)):
        assert (reading[name].use, reading[name].fan_in_axes, reading[name].fan_out_axes) == (use, (1,), (0,))
    assert reading["down"].use is ParameterUse.LOW_RANK
    assert (reading["down"].part, reading["up"].part) == (TensorPart.LORA_A, TensorPart.LORA_B)


@pytest.mark.parametrize("is_linear", [True, False])
def test_learned_tokens_are_the_data_of_a_matrix_that_makes_queries_of_them(is_linear: bool) -> None:
    graph = Graph()
    x = start(graph)
    latents = graph.parameter("latents", (4, WIDTH))
    query = times(graph, latents, graph.parameter("q", (WIDTH, WIDTH)), is_linear=is_linear)
    keys = linear(graph, x, "k", WIDTH)
    scores = products.contract(graph, "mm", keys, query, (BATCH, TOKENS, 4), summed=([2], [1]))
    weights = elementwise.softmax(graph, scores)
    values = linear(graph, x, "v", WIDTH)
    shape = (BATCH, 4, WIDTH)
    found = products.contract(graph, "bmm", weights, values, shape, summed=([1], [1]), batch=([0], [0]))
    graph.outputs = [linear(graph, found, "last", OUT)]
    reading = read(graph, "by hand")
    assert (reading["latents"].use, reading["latents"].role) == (ParameterUse.TOKEN, Role.VECTOR)
    assert (reading["latents"].stack_axes, reading["latents"].fan_out_axes) == ((0,), (1,))
    assert (reading["q"].use, reading["q"].fan_in_axes, reading["q"].role) == (
        *(ParameterUse.CONTRACTION, (1,)),
        Role.HIDDEN,
    )


def test_positions_that_are_added_whole_are_stacked_vectors() -> None:
    graph = Graph()
    x = apply(graph, "add", start(graph), graph.parameter("positions", (TOKENS, WIDTH)))
    graph.outputs = [linear(graph, x, "last", OUT)]
    found = read(graph, "by hand")["positions"]
    assert (found.use, found.role) == (ParameterUse.POSITION, Role.VECTOR)
    assert (found.stack_axes, found.fan_out_axes) == ((0,), (1,))


def test_towers_that_are_compared_are_a_question() -> None:
    graph = Graph()
    towers = [
        linear(graph, linear(graph, graph.data((BATCH, IN)), f"{name}.first", WIDTH), f"{name}.last", OUT)
        for name in ("text", "picture")
    ]
    graph.outputs = [products.contract(graph, "mm", *towers, (BATCH, BATCH), summed=([1], [1]))]
    reading = read(graph, "by hand")
    for name in ("text.last", "picture.last"):
        assert reading[name].role is None
        assert "compared with other outputs" in str(reading[name].question)
    assert reading["text.first"].role is Role.EMBEDDING


def test_a_matrix_that_chooses_experts_is_hidden_with_a_caution() -> None:
    graph = Graph()
    x = start(graph)
    shares = elementwise.softmax(graph, linear(graph, x, "router", 4))
    best = gathering.resize(graph, "topk", [shares], (BATCH, TOKENS, 1))
    h = elementwise.elementwise(graph, "mul", [linear(graph, x, "expert", WIDTH), best], x.shape)
    graph.outputs = [linear(graph, h, "last", OUT)]
    reading = read(graph, "by hand")
    assert (reading["router"].feeds, reading["router"].role) == (Feeds.ROUTER, Role.HIDDEN)
    assert [caution.code for caution in reading.cautions] == ["router_as_hidden"]


def test_steps_in_time_are_no_blocks() -> None:
    graph = Graph()
    inputs = start(graph)
    recurrent = graph.parameter("recurrent", (WIDTH, WIDTH))
    state = views.select(graph, inputs, 1, 0)
    for step in range(1, TOKENS):
        change = apply(graph, "add", times(graph, state, recurrent), views.select(graph, inputs, 1, step))
        state = apply(graph, "add", state, apply(graph, "tanh", change))
    graph.outputs = [linear(graph, state, "last", OUT)]
    reading = read(graph, "by hand")
    assert reading.blocks == ()
    assert reading["recurrent"].role is Role.HIDDEN
    assert reading["recurrent"].block is None
