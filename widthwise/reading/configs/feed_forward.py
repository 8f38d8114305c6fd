"""The feed-forward part of a transformer's block as an outline: gated or not, alone or as experts."""

from widthwise.reading.configs.outline import Outline, as_part, together, under
from widthwise.reading.configs.weights import GATE_AND_UP, linear, side_by_side, stacked
from widthwise.reading.parameter import Feeds
from widthwise.vocabulary import TensorPart


def two_layers(first: str, second: str, width: int, inner: int, *, bias: bool = False) -> Outline:
    """Return a matrix up to the inner size and one back, with a nonlinearity between them."""
    return together(linear(first, width, inner, bias=bias), linear(second, inner, width, bias=bias))


def gated(width: int, inner: int, *, bias: bool = False) -> Outline:
    """Return down(activation(gate(x)) × up(x))."""
    return together(
        linear("gate_proj", width, inner, bias=bias, feeds=Feeds.GATE),
        linear("up_proj", width, inner, bias=bias, feeds=Feeds.UP),
        linear("down_proj", inner, width, bias=bias),
    )


def shared_expert(width: int, inner: int) -> Outline:
    """Return a gated feed-forward part that every token passes next to its experts."""
    gate, up, down = gated(width, inner).pieces
    return together(
        as_part(gate, TensorPart.EXPERT_UP), as_part(up, TensorPart.EXPERT_UP), as_part(down, TensorPart.EXPERT_DOWN)
    )


def gated_experts(count: int, width: int, inner: int) -> Outline:
    """Return gated feed-forward parts side by side, gate and up in one parameter: (experts, out, in)."""
    parts = side_by_side(GATE_AND_UP, (inner, inner), axis=1)
    return under(
        "experts",
        stacked("gate_up_proj", count, width, 2 * inner, parts=parts),
        stacked("down_proj", count, inner, width),
    )


def router(name: str, width: int, experts: int, *, bias: bool = False) -> Outline:
    """Return the matrix whose output chooses experts."""
    return linear(name, width, experts, bias=bias, feeds=Feeds.ROUTER)
