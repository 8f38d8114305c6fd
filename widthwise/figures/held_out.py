"""Predicted against observed: the best learning rates of cells that a fit did not see."""

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

from widthwise.figures.axes import Axes
from widthwise.figures.colours import FAINT, INK, MISSED, PAPER, ramp
from widthwise.figures.panel import TICK, clipped, described, draw_panel
from widthwise.figures.svg import add, path
from widthwise.figures.ticks import log_ticks
from widthwise.sweeps.holdout import HeldOutCell

SIDE, LEFT, BELOW = 300, 64, 50  # pixels
GOOD = ramp(0.4)


def draw_held_out(root: Element, held: Sequence[HeldOutCell], top: float) -> float:
    """Draw a square with the observed optima along x and the predicted ones along y; return where it ends."""
    ends = [end for each in held for end in (*_pair(each), *each.prediction.interval)]
    low, high = math.log2(min(ends)), math.log2(max(ends))
    margin = max(0.06 * (high - low), 0.3)
    axes = Axes(low - margin, high + margin, low - margin, high + margin, LEFT, LEFT + SIDE, top, top + SIDE)
    ends_of = 2.0**axes.x_low, 2.0**axes.x_high
    across, up = log_ticks(*ends_of, SIDE, TICK), log_ticks(*ends_of, SIDE, TICK, upright=True)
    draw_panel(root, axes, across, up, ("observed best learning rate", "predicted"))
    group = clipped(root, axes, "widthwise-held-out")
    path(group, axes, [(axes.x_low, axes.x_low), (axes.x_high, axes.x_high)], stroke=INK, **{"stroke-width": 1.2})
    for octave in (-1, 1):
        style: dict[str, float | str] = {"stroke-width": 1, "stroke-dasharray": "3 4"}
        parallel = [(axes.x_low, axes.x_low + octave), (axes.x_high, axes.x_high + octave)]
        path(group, axes, parallel, stroke=FAINT, **style)
    for each in held:
        _draw(group, axes, each)
    return top + SIDE + BELOW


def held_out_title(held: Sequence[HeldOutCell]) -> str:
    """Return the heading, with the score."""
    covered = sum(each.covered for each in held)
    apart = sorted(abs(each.octaves) for each in held)
    return f"Held out: {covered} of {len(held)} intervals hold, {apart[len(apart) // 2]:.2f} octave off"


def _pair(each: HeldOutCell) -> tuple[float, float]:
    return each.optimum.learning_rate, each.prediction.learning_rate


def _draw(group: Element, axes: Axes, each: HeldOutCell) -> None:
    """Draw a dot with both intervals; an open one if the observed optimum is at the edge of its rates."""
    observed, predicted = (math.log2(rate) for rate in _pair(each))
    colour = GOOD if each.covered else MISSED
    mark = add(group, "g", stroke=colour, fill=colour)
    place = ", ".join(f"{name} {described(value)}" for name, value in each.optimum.axes.items())
    SubElement(mark, "title").text = f"{place}: observed {2.0**observed:.3g}, predicted {2.0**predicted:.3g}"
    x, y = axes.x(observed), axes.y(predicted)
    left, right = (axes.x(math.log2(end)) for end in each.optimum.interval)
    low, high = (axes.y(math.log2(end)) for end in each.prediction.interval)
    add(mark, "line", x1=left, x2=right, y1=y, y2=y, **{"stroke-width": 1.2})
    add(mark, "line", x1=x, x2=x, y1=low, y2=high, **{"stroke-width": 1.2})
    add(mark, "circle", cx=x, cy=y, r=3.4, fill=colour if each.optimum.edge is None else PAPER)
