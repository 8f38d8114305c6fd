"""Placing tensors: from declared roles, axes or layout, and never from a name."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from widthwise import Role, Tensor, UnplacedTensorsError
from widthwise.tensors.placement import place
from widthwise.tensors.ties import tied_names
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
        (Tensor("up", (256, 64), (2048, 256), role="hidden"), "out_in", Role.HIDDEN, (64, 256, 256, 2048)),
        (Tensor("up", (64, 256), (256, 2048), role="hidden"), "in_out", Role.HIDDEN, (64, 256, 256, 2048)),
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
        # a role settles any number of axes
        (Tensor("cls", (1, 1, 64), (1, 1, 256), role="embedding"), "out_in", Role.EMBEDDING, (1, 1, 64, 256)),
        (Tensor("pos", (1, 197, 64), (1, 197, 256), role="embedding"), None, Role.EMBEDDING, (197, 197, 64, 256)),
        (Tensor("stem", (64, 3, 8, 8), (256, 3, 8, 8), role="embedding"), None, Role.EMBEDDING, (192, 192, 64, 256)),
        (Tensor("wpe", (512, 64), (1024, 256), role="embedding"), None, Role.EMBEDDING, (512, 1024, 64, 256)),
        (Tensor("heads", (64, 2, 5), (256, 2, 5), role="readout"), None, Role.READOUT, (64, 256, 10, 10)),
        (Tensor("gains", (4, 64), (8, 256), role="vector"), None, Role.VECTOR, (1, 1, 64, 256)),
        (Tensor("biases", (4, 2, 64), (4, 4, 128), role="vector"), None, Role.VECTOR, (1, 1, 128, 512)),
        # nothing grows: a matrix keeps its place
        (Tensor("edges", (128, 400), (128, 400)), "out_in", Role.HIDDEN, (400, 400, 128, 128)),
        (Tensor("conv", (8, 4, 3), (8, 4, 3), (1, 2), (0,)), None, Role.HIDDEN, (12, 12, 8, 8)),
        (Tensor("wte", (101, 64), (101, 64), role="embedding"), None, Role.EMBEDDING, (101, 101, 64, 64)),
        (Tensor("heads", (5, 2, 64), (5, 2, 64), role="readout"), None, Role.READOUT, (64, 64, 10, 10)),
        (Tensor("probe", (64,), (64,), role="readout"), None, Role.READOUT, (64, 64, 1, 1)),
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
        (Tensor("up", (96, 64), (384, 256)), "out_in", "give role (hidden, vector, embedding, readout)"),
        (Tensor("gains", (12, 64), (12, 256)), "out_in", "give role (embedding, readout, hidden, vector)"),
        (Tensor("cls", (1, 1, 64), (1, 1, 256)), "out_in", "role 'embedding'"),
        (Tensor("moe", (8, 64, 128), (8, 256, 512)), "in_out", "give fan_in_axes and fan_out_axes"),
        (Tensor("head", (50257, 64), (50304, 256), (1,), (0,)), None, "padded vocabulary"),
        (Tensor("gains", (4, 2, 64), (8, 4, 128), role="vector"), None, "more than one axis changes"),
        (Tensor("stem", (64, 3, 8, 8), (256, 3, 9, 8), role="embedding"), None, "more than one axis"),
        (Tensor("head", (50257, 768), (50304, 1024)), "out_in", "the first axis barely changes (×1.001) while the"),
        (Tensor("head", (768, 50257), (1024, 50304)), "in_out", "the second axis barely changes (×1.001) while the"),
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


def test_eight_axes_are_the_most() -> None:
    assert one(Tensor("w", (1,) * 7 + (4,), (1,) * 7 + (8,), (), (7,))).role is Role.VECTOR


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


def test_like_tensors_share_a_line() -> None:
    blocks = [Tensor(f"h.{block}.fc1.router", (8, 64), (8, 256)) for block in range(24)]
    with pytest.raises(UnplacedTensorsError) as caught:
        place([*blocks, Tensor("wte", (101, 64), (101, 256))], "out_in")
    header, routers, table = str(caught.value).split("\n")
    assert header == "25 tensor(s) can't be placed:"
    assert routers.startswith("  'h.*.fc1.router' (×24): [8, 64] → [8, 256]: only axis 1")
    assert table.startswith("  'wte': [101, 64] → [101, 256]: ")
    assert [(group.name, group.count) for group in caught.value.groups] == [("h.*.fc1.router", 24), ("wte", 1)]
    assert len(caught.value.problems) == 25


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


@pytest.mark.parametrize("axes", [((0,), (1,)), ((1,), (0,))])
def test_a_tie_joins_an_embedding_and_a_readout_or_what_is_alike(axes) -> None:
    """Two hidden tensors that read different axes, or of equal fans and different roles, are not one set of weights."""
    sizes = (64, 256), (128, 512)
    owner = Tensor("a", *sizes, *axes)
    assert tied([owner, Tensor("b", *sizes, *axes, tied_to="a")]) == frozenset()
    for other in (
        Tensor("b", *sizes, *axes[::-1], tied_to="a"),
        Tensor("b", *sizes, *axes, role="vector", tied_to="a"),
    ):
        with pytest.raises(
            UnplacedTensorsError, match="a tie joins an embedding and a readout, or two tensors of one role"
        ):
            tied([owner, other])


def tied(tensors: list[Tensor]) -> frozenset[str]:
    return tied_names(tensors, place(tensors))


# Which first axes are widths

_Q, _UP, _DOWN = (
    Tensor("q", (256, 256), (1024, 1024)),
    Tensor("up", (1024, 256), (3584, 1024)),
    Tensor("down", (256, 1024), (1024, 3584)),
)
_MODEL = (
    Tensor("wte", (999, 256), (999, 1024), role="embedding"),
    _Q,
    _UP,
    _DOWN,
    Tensor("norm", (256,), (1024,)),
    Tensor("head", (999, 256), (999, 1024), role="readout"),
)


def turned(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The same matrices in the other order; tables are [entries, width] in both."""
    return [
        replace(t, base_shape=t.base_shape[::-1], target_shape=t.target_shape[::-1]) if t.role is None else t
        for t in tensors
    ]


@pytest.mark.parametrize(
    "matrices",
    [
        [Tensor("o", (256, 256), (1024, 1024))],
        [Tensor("qkv", (768, 256), (3072, 1024))],  # three widths side by side
        [Tensor("gate_up", (1000, 256), (2800, 1024)), Tensor("out", (256, 500), (1024, 1400))],  # a gate and its half
        [Tensor("k", (128, 256), (512, 1024)), Tensor("v", (128, 256), (512, 1024))],  # shared keys and values
        [Tensor("nodes", (256, 544), (1024, 2080))],  # two widths and 32 features that stay
        [Tensor("wide", (1300, 256), (3000, 1024)), Tensor("wide.bias", (1300,), (3000,))],
    ],
)
def test_matrices_of_a_model_need_no_word(matrices: list[Tensor]) -> None:
    for tensors, layout in (([*_MODEL, *matrices], "out_in"), (turned([*_MODEL, *matrices]), "in_out")):
        placements = place(tensors, layout)[len(_MODEL) :]
        tail = [p for p, t in zip(placements, matrices, strict=True) if len(t.base_shape) == 2]
        assert {placement.role for placement in tail} == {Role.HIDDEN}
        assert [p.fans[::2] for p in tail] == [t.base_shape[::-1] for t in matrices if len(t.base_shape) == 2]


@pytest.mark.parametrize("layout", ["out_in", "in_out"])
@pytest.mark.parametrize(
    ("base", "target"),
    [
        ((12, 256), (24, 1024)),  # gains of layers
        ((512, 256), (2048, 1024)),  # positions that grow as the width does
        ((512, 256), (1024, 1024)),  # positions
        ((197, 256), (577, 1024)),  # patches
        ((8, 256), (32, 1024)),  # experts
        ((128, 256), (512, 1024)),  # alone: positions, for keys and values come in twos
    ],
)
def test_what_could_be_a_stack_or_a_table_is_refused(base, target, layout) -> None:
    tensors = list(_MODEL) if layout == "out_in" else turned(_MODEL)
    place(tensors, layout)
    with pytest.raises(UnplacedTensorsError, match="a width nowhere else") as caught:
        place([*tensors, Tensor("x", base, target)], layout)
    assert [name for name, _ in caught.value.problems] == ["x"]


def test_the_stated_width_is_a_width() -> None:
    alone = [Tensor("down", (96, 384), (384, 999))]
    assert place(alone, "out_in", width=(96, 384))[0].role is Role.HIDDEN
    with pytest.raises(UnplacedTensorsError):
        place(alone, "out_in")


def test_without_a_readout_one_first_axis_may_be_the_last_layers() -> None:
    trunk, last = _MODEL[:-1], Tensor("last", (512, 256), (2048, 1024))
    assert place([*trunk, last], "out_in")[-1].unmatched
    assert not any(placement.unmatched for placement in place(trunk, "out_in"))
    with pytest.raises(UnplacedTensorsError):  # as few as layers
        place([*trunk, Tensor("gains", (16, 256), (32, 1024))], "out_in")


def test_stated_head_sizes_explain_keys_and_values_of_any_width() -> None:
    pair = [Tensor(name, (64, 256), (128, 1024)) for name in "kv"]  # 2 of 8 heads of 32, 2 of 16 heads of 64
    with pytest.raises(UnplacedTensorsError):
        place([*_MODEL, *pair], "out_in")
    assert place([*_MODEL, *pair], "out_in", head_dim=(32, 64))[-1].role is Role.HIDDEN


@pytest.mark.parametrize(
    ("tensor", "role", "fans", "stack_changes"),
    [
        (Tensor("gains", (12, 256), (24, 1024)), Role.VECTOR, (1, 1, 256, 1024), True),
        (Tensor("gains", (256, 12), (1024, 24)), Role.VECTOR, (1, 1, 256, 1024), True),
        (Tensor("stack", (12, 1024, 256), (24, 3584, 1024)), Role.HIDDEN, (256, 1024, 1024, 3584), True),
        (Tensor("scales", (12,), (24,)), Role.SCALAR, (1, 1, 1, 1), True),
        (Tensor("tables", (12, 99, 256), (24, 99, 1024), role="embedding"), Role.EMBEDDING, (99, 99, 256, 1024), True),
        (Tensor("moe", (12, 8, 256), (24, 8, 1024), (1,), (2,)), Role.EMBEDDING, (8, 8, 256, 1024), True),
        (Tensor("biases", (12, 4, 64), (24, 8, 128), role="vector"), Role.VECTOR, (1, 1, 256, 1024), True),
    ],
)
def test_an_axis_equal_to_the_stated_depth_is_a_stack(tensor, role, fans, stack_changes) -> None:
    placement = place([*_MODEL, tensor], "out_in", depth=(12, 24))[-1]
    assert (placement.role, placement.fans, placement.stack_changes) == (role, Fans(*fans), stack_changes)
    assert placement.stacked_by_depth is (tensor.role is None and tensor.fan_in_axes is None)
