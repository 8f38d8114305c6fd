"""Which sizes are widths of a model: what its tensors show, and what a matrix's first axis is next to them."""

import pytest

from widthwise import Tensor
from widthwise.tensors.widths import KnownWidths, Pair
from widthwise.vocabulary import Layout

SIZES = {(a, b) for a in range(1, 400) for b in (a, 2 * a, 4 * a)}  # that any tensor below could show


def shown(tensor: Tensor, **more: Pair) -> set[Pair]:
    """The widths that one tensor shows, with what the request states."""
    known = KnownWidths([tensor], None, **more)
    return {pair for pair in SIZES if pair in known}


@pytest.mark.parametrize(
    ("tensor", "widths"),
    [
        (Tensor("w", (4, 8), (8, 16)), {(8, 16)}),  # the first axis may count layers
        (Tensor("w", (4, 8), (8, 8)), set()),
        (Tensor("w", (4, 8), (4, 16)), {(8, 16)}),
        (Tensor("w", (8,), (16,)), {(8, 16)}),
        (Tensor("w", (8,), (8,)), set()),
        (Tensor("w", (), ()), set()),
        (Tensor("w", (4, 8), (8, 16), role="hidden"), {(4, 8), (8, 16)}),
        (Tensor("w", (4, 8), (8, 16), role="readout"), {(4, 8), (8, 16)}),
        (Tensor("w", (4, 8), (8, 16), role="embedding"), {(8, 16)}),
        (Tensor("w", (8, 4), (16, 4), role="embedding"), {(8, 16)}),
        (Tensor("w", (4, 8), (8, 16), role="vector"), {(8, 16)}),
        (Tensor("w", (4, 8), (8, 16), role="scalar"), set()),
        (Tensor("w", (4, 8), (8, 16), (0,), (1,)), {(4, 8), (8, 16)}),
        (Tensor("w", (4, 8), (4, 16), (0,), (1,)), {(8, 16)}),
        (Tensor("w", (4, 8), (8, 16), (-2,), (-1,)), {(4, 8), (8, 16)}),
        (Tensor("w", (4, 8), (8, 16), (-3,), (2,)), set()),  # no axes of it
        (Tensor("w", (3, 4, 8), (6, 4, 16), (0, 1), (2,)), {(3, 6), (12, 24), (8, 16)}),  # heads · head dim
        (Tensor("w", (3, 4, 8), (3, 4, 16), (0, 1), (2,)), {(8, 16)}),
        (Tensor("w", (4, 8), (8, 16), (0,)), {(8, 16)}),  # one side says nothing
        (Tensor("w", (4, 8), (8, 16, 1)), set()),  # refused elsewhere
        (Tensor("w", (4, 8), (8, 16.0)), set()),  # type: ignore[arg-type]  # as a library may be called
        (Tensor("w", (True, 8), (8, 16)), set()),
    ],
)
def test_a_tensor_shows_its_widths(tensor: Tensor, widths: set[Pair]) -> None:
    assert shown(tensor) == widths


def test_a_stated_width_is_one_if_it_grows() -> None:
    assert shown(Tensor("w", (8,), (16,)), stated=(64, 256)) == {(8, 16), (64, 256)}
    assert shown(Tensor("w", (8,), (16,)), stated=(64, 64)) == {(8, 16)}


def explains(pair: Pair, *tensors: Tensor, alike: int = 1, layout: Layout | None = None, **more: Pair) -> bool:
    """Whether a matrix's first axis is a width next to gains of (64, 256) and other tensors."""
    known = KnownWidths([Tensor("gain", (64,), (256,)), *tensors], layout, **more)
    return known.explains(pair, lambda: alike)


@pytest.mark.parametrize(
    ("pair", "width"),
    [
        ((64, 256), True),
        ((64, 128), False),
        ((192, 768), True),  # queries, keys and values
        ((193, 769), True),  # and one constant feature
        ((192, 767), False),
        ((128, 512), False),  # as many as usual numbers of positions
        ((256, 1024), False),
        # k·64 + c features, which grow as k widths do: c is fewer than a width has, and k at most 8
        ((65, 257), True),
        ((127, 319), True),
        ((128, 320), False),
        ((8 * 64 + 1, 8 * 256 + 1), True),
        ((9 * 64 + 1, 9 * 256 + 1), False),
        ((65, 258), False),
        ((63, 255), False),
    ],
)
def test_a_first_axis_is_a_width_by_what_is_in_it(pair: Pair, *, width: bool) -> None:
    assert explains(pair) is width


def test_a_fused_gate_is_twice_what_nothing_gives_out() -> None:
    """Gate and up side by side are taken in by halves: [out, in] shows the half as a last axis alone, or the whole."""
    whole, half = (352, 1408), (176, 704)
    down = Tensor("down", (64, half[0]), (256, half[1]))
    assert explains(whole, down, layout=Layout.OUT_IN)
    assert not explains(whole, layout=Layout.OUT_IN)
    assert not explains((352, 1409), down, layout=Layout.OUT_IN)
    assert not explains((353, 1408), down, layout=Layout.OUT_IN)
    given_out = Tensor("up", (half[0], 64), (half[1], 256))
    assert not explains(whole, down, given_out, layout=Layout.OUT_IN)
    bias = Tensor("bias", half[:1], half[1:])
    assert not explains(whole, down, bias, layout=Layout.OUT_IN)
    assert not explains(whole, down, layout=Layout.OUT_IN, stated=half)
    fused = Tensor("gate_up", (64, whole[0]), (256, whole[1]))
    assert explains(half, fused, layout=Layout.IN_OUT)
    assert not explains(half, fused, Tensor("next", (whole[0], 64), (whole[1], 256)), layout=Layout.IN_OUT)
    assert not explains(half, layout=Layout.IN_OUT)
    declared = Tensor("gate_up", (64, whole[0]), (256, whole[1]), role="embedding")
    assert not explains(half, declared, layout=Layout.IN_OUT)


@pytest.mark.parametrize(
    ("groups", "base", "width"),
    [(2, 128, True), (2, 127, False), (128, 128, True), (129, 128, False), (1.5, 128, False)],
)
def test_keys_that_queries_share_are_two_alike_and_whole_parts_of_a_width(
    groups: float, base: int, width: bool
) -> None:
    queries = Tensor("q", (int(groups * base),), (int(groups * base * 4),))
    assert explains((base, 4 * base), queries, alike=2) is width
    assert not explains((base, 4 * base), queries, alike=1)


@pytest.mark.parametrize(
    ("pair", "width"),
    [
        ((32, 64), True),  # 2 heads of 16, then 2 of 32: of 8, and of 12
        ((64, 64), True),  # 4 of 8, and 2 of 12
        ((48, 96), False),  # 3 of 8
        ((32, 160), False),  # 5 of 12
        ((33, 64), False),
        ((32, 65), False),
        ((64, 128), True),
        ((16, 128), True),  # 1 of 8, then 4 of 12
    ],
)
def test_fewer_heads_divide_the_heads_of_the_queries_at_both_sizes(pair: Pair, *, width: bool) -> None:
    queries = Tensor("q", (8 * 16,), (12 * 32,))
    known = KnownWidths([queries], None, head_dim=(16, 32))
    assert known.explains(pair, lambda: 2) is width
    assert not known.explains(pair, lambda: 1)
    assert not KnownWidths([queries], None).explains(pair, lambda: 2)
