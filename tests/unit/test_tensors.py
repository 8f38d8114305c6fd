"""Placing tensors: from declared roles, axes or layout, and never from a name."""

import pytest

from widthwise import Role, Tensor, UnplacedTensorsError
from widthwise.tensors.placement import place
from widthwise.theory.fans import Fans


def one(tensor: Tensor, layout: str | None = None):
    (placement,) = place([tensor], layout)
    return placement


def refused(tensor: Tensor, layout: str | None = None) -> str:
    with pytest.raises(UnplacedTensorsError) as caught:
        place([tensor], layout)
    ((name, why),) = caught.value.problems
    assert name == tensor.name
    return why


@pytest.mark.parametrize(
    ("tensor", "layout", "role", "fans"),
    [
        # both layouts of one projection
        (Tensor("up", (256, 64), (2048, 256)), "out_in", Role.HIDDEN, (64, 256, 256, 2048)),
        (Tensor("up", (64, 256), (256, 2048)), "in_out", Role.HIDDEN, (64, 256, 256, 2048)),
        # a square projection reads alike either way
        (Tensor("o", (64, 64), (256, 256)), None, Role.HIDDEN, (64, 256, 64, 256)),
        # explicit axes: fused MoE experts, scan-stacked layers, convolution
        (Tensor("moe", (8, 64, 128), (8, 256, 512), (1,), (2,)), None, Role.HIDDEN, (64, 256, 128, 512)),
        (Tensor("scan", (4, 64, 128), (4, 256, 512), (-2,), (-1,)), None, Role.HIDDEN, (64, 256, 128, 512)),
        (Tensor("conv", (64, 3, 16, 16), (256, 3, 16, 16), (1, 2, 3), (0,)), None, Role.EMBEDDING, (768, 768, 64, 256)),
        # per-head projections: fan-out is heads × head dim
        (Tensor("q", (64, 4, 16), (256, 16, 16), (0,), (1, 2)), None, Role.HIDDEN, (64, 256, 64, 256)),
        # one growing axis
        (Tensor("wte", (101, 64), (101, 256), (0,), (1,)), None, Role.EMBEDDING, (101, 101, 64, 256)),
        (Tensor("head", (101, 64), (101, 256), (1,), (0,)), None, Role.READOUT, (64, 256, 101, 101)),
        (Tensor("wte", (101, 64), (101, 256), role="embedding"), "out_in", Role.EMBEDDING, (101, 101, 64, 256)),
        (Tensor("head", (101, 64), (101, 256), role="readout"), None, Role.READOUT, (64, 256, 101, 101)),
        # constant key/value width
        (Tensor("k", (32, 64), (32, 256), role="hidden"), "out_in", Role.HIDDEN, (64, 256, 32, 32)),
        # gains and biases
        (Tensor("gain", (64,), (256,)), None, Role.VECTOR, (1, 1, 64, 256)),
        (Tensor("gains", (4, 64), (4, 256), role="vector"), None, Role.VECTOR, (1, 1, 64, 256)),
        (Tensor("gains", (4, 64), (4, 256), (), (1,)), None, Role.VECTOR, (1, 1, 64, 256)),
        # nothing grows
        (Tensor("head.bias", (101,), (101,)), None, Role.SCALAR, (1, 1, 101, 101)),
        (Tensor("temperature", (), ()), None, Role.SCALAR, (1, 1, 1, 1)),
        (Tensor("rel", (8, 8, 3), (8, 8, 3)), None, Role.SCALAR, (1, 1, 192, 192)),
    ],
)
def test_placement(tensor, layout, role, fans) -> None:
    placement = one(tensor, layout)
    assert placement.role is role
    assert placement.fans == Fans(*fans)


@pytest.mark.parametrize(
    ("tensor", "layout", "settles"),
    [
        (Tensor("out_emb", (101, 64), (101, 256)), "out_in", "give role"),
        (Tensor("up", (256, 64), (2048, 256)), None, "give layout"),
        (Tensor("moe", (8, 64, 128), (8, 256, 512)), "in_out", "give fan_in_axes and fan_out_axes"),
        (Tensor("head", (50257, 64), (50304, 256), (1,), (0,)), None, "padded vocabulary"),
        (Tensor("wpe", (512, 64), (1024, 256), role="embedding"), None, "give fan_in_axes and fan_out_axes"),
        (Tensor("gains", (4, 64), (8, 256), role="vector"), None, "more than one axis changes"),
        (Tensor("head", (50257, 768), (50304, 1024)), "out_in", "padded vocabulary"),
        (Tensor("w", (4, 4), (8, 8), (0,)), None, "give both"),
        (Tensor("w", (4, 4), (8, 8), (0,), (2,)), None, "fan axis 2 does not exist"),
        (Tensor("w", (4, 4), (8, 8), (1,), (-1,)), None, "named twice"),
        (Tensor("w", (4, 4), (8, 8, 1)), None, "must agree"),
        (Tensor("w", (4, 0), (8, 8)), None, "holds 0"),
        (Tensor("w", (4, True), (8, 8)), None, "holds True"),
        (Tensor("w", (1,) * 9, (1,) * 9), None, "at most 8"),
        (Tensor("w", (4, 4), (8, 8), role="attention"), None, "give one of embedding"),
        (Tensor("wte", (101, 64), (101, 256), (1,), (0,), role="embedding"), None, "swap"),
        (Tensor("head", (101, 64), (101, 256), (0,), (1,), role="readout"), None, "swap"),
        (Tensor("head", (4, 8), (4, 16), tied_to="wte"), None, "not among the tensors"),
    ],
)
def test_refusals_say_what_settles_them(tensor, layout, settles) -> None:
    assert settles in refused(tensor, layout)


def test_every_open_tensor_is_listed_and_names_are_never_read() -> None:
    tensors = [
        Tensor("embedding.weight", (101, 64), (101, 256)),
        Tensor("good", (64, 64), (256, 256)),
        Tensor("lm_head.weight", (101, 64), (101, 256)),
    ]
    with pytest.raises(UnplacedTensorsError) as caught:
        place(tensors, "out_in")
    assert [name for name, _ in caught.value.problems] == ["embedding.weight", "lm_head.weight"]
    assert "2 tensor(s)" in str(caught.value)


def test_repeated_names_are_refused() -> None:
    with pytest.raises(UnplacedTensorsError, match="more than once"):
        place([Tensor("a", (4,), (8,)), Tensor("a", (4,), (8,))])


def test_a_tie_places_both_of_its_sides() -> None:
    table, head = place([Tensor("wte", (101, 64), (101, 256)), Tensor("head", (101, 64), (101, 256), tied_to="wte")])
    assert (table.role, head.role) == (Role.EMBEDDING, Role.READOUT)
    assert head.fans == Fans(64, 256, 101, 101)


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ([Tensor("a", (4, 8), (4, 16)), Tensor("b", (4, 4), (4, 8), tied_to="a")], "sizes differ"),
        ([Tensor("a", (4, 8), (4, 16), tied_to="b"), Tensor("b", (4, 8), (4, 16), tied_to="a")], "itself tied"),
        ([Tensor("a", (4, 8), (4, 16), tied_to="a")], "itself tied"),
    ],
)
def test_ties_that_lead_nowhere(tensors, why) -> None:
    with pytest.raises(UnplacedTensorsError, match=why):
        place(tensors)
