"""The curves of a sweep's cells: loss against learning rate, with the fitted curve and the optimum."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from widthwise.estimate.shape import CurveShape, phi
from widthwise.figures.axes import Axes
from widthwise.figures.colours import FAINT, INK, PAPER, ramp
from widthwise.figures.lettering import wrapped
from widthwise.figures.panel import TICK, clipped, described, draw_panel, room_for
from widthwise.figures.svg import add, arrow, cross, diamond, path, text
from widthwise.figures.ticks import log_ticks, loss_ticks
from widthwise.sweeps.cell import SweepCell
from widthwise.sweeps.fit import SweepFit
from widthwise.sweeps.optimum import CellOptimum

MOST = 12  # panels (chosen): six rows of two
COLUMNS, LEFT, GAP, DESCENT = 2, 50, 12, 3  # of panels; pixels left of and above each
HEIGHT, LINE = 118, 14  # pixels of a frame, and of a line of words
MOST_LINES = 6  # over a frame
BELOW = 40  # pixels under a frame
SHADE = ramp(0.4)
SKEWS = np.linspace(-2, 2, 9)  # standard deviations of s over cells, that a cell's curve may take


def draw_cells(root: Element, fit: SweepFit, top: float, width: float) -> float:
    """Draw a panel for each cell, or for a dozen of them; return where they end."""
    shown = _shown(fit)
    each = width / COLUMNS
    varying, room = _varying([cell.axes for cell in fit.cells]), each - LEFT - GAP
    words = [", ".join(f"{name} {described(fit.cells[index].axes[name])}" for name in varying) for index in shown]
    heads = [wrapped(one, room, TICK)[:MOST_LINES] for one in words]
    lines = max(map(len, heads), default=1)
    for place, index in enumerate(shown):
        row, column = divmod(place, COLUMNS)
        above = top + row * (lines * LINE + DESCENT + HEIGHT + BELOW)
        left, right = column * each + LEFT, (column + 1) * each - GAP
        for line, head in enumerate(heads[place]):
            text(root, left, above + LINE * (line + 0.75), head, size=TICK)
        frame = above + lines * LINE + DESCENT
        _draw_cell(root, fit, index, (left, right, frame, frame + HEIGHT))
    rows = math.ceil(len(shown) / COLUMNS)
    return top + rows * (lines * LINE + DESCENT + HEIGHT + BELOW)


def cells_title(fit: SweepFit) -> str:
    """Return the heading of the panels."""
    count, shown = len(fit.cells), len(_shown(fit))
    which = f"{shown} of {count} cells" if shown < count else f"{count} cell{'s' * (count != 1)}"
    return f"Loss (nats) over learning rate: {which}"


def _shown(fit: SweepFit) -> list[int]:
    """Return the cells with a panel: all, or a dozen spread evenly over their best rates."""
    some = [index for index, cell in enumerate(fit.cells) if cell.x.size]
    order = sorted(some, key=lambda index: fit.optima[index].learning_rate)
    if len(order) <= MOST:
        return some
    return [order[round(k * (len(order) - 1) / (MOST - 1))] for k in range(MOST)]


def _varying(places: Sequence[Mapping[str, float | str]]) -> list[str]:
    """Return the axes on which cells differ."""
    return [name for name in places[0] if len({str(place[name]) for place in places}) > 1]


def _draw_cell(root: Element, fit: SweepFit, index: int, frame: tuple[float, float, float, float]) -> None:
    cell, optimum = fit.cells[index], fit.optima[index]
    at = math.log2(optimum.learning_rate)
    curve = _curve(cell, at, fit.shape)
    walls = [wall for wall in (cell.wall_below, cell.wall_above) if wall is not None]
    low, high = min(*cell.x, *walls, at), max(*cell.x, *walls, at)
    margin = max(0.05 * (high - low), 0.3)
    bottom, top = min(float(cell.losses.min()), curve.level), float(cell.losses.max())
    pad = max(0.12 * (top - bottom), 2e-4 * top)
    left, right, above, below = frame
    losses = loss_ticks(bottom - pad, top + 1.6 * pad, 4)
    left += room_for(losses, LEFT) - LEFT
    axes = Axes(low - margin, high + margin, bottom - pad, top + 1.6 * pad, left, right, above, below)
    draw_panel(root, axes, log_ticks(2.0**axes.x_low, 2.0**axes.x_high, right - left, TICK), losses)
    group = clipped(root, axes, f"widthwise-cell-{index}")
    x_P = np.linspace(min(float(cell.x.min()), at), max(float(cell.x.max()), at), 49)
    y_P = curve.level + curve.curvature * phi(x_P - at, curve.skew)
    path(group, axes, list(zip(x_P.tolist(), y_P.tolist(), strict=True)), stroke=SHADE, **{"stroke-width": 1.8})
    for x, loss in zip(cell.x.tolist(), cell.losses.tolist(), strict=True):
        dot = add(group, "circle", cx=axes.x(x), cy=axes.y(loss), r=2.6, fill=INK)
        SubElement(dot, "title").text = f"learning rate {2.0**x:.4g}: {loss:.4f} nats"
    for wall in walls:
        cross(add(root, "g", stroke=FAINT, **{"stroke-width": 1.6}), axes.x(wall), above + 9, 1.0)
    _draw_optimum(group, axes, optimum, curve.level)


def _draw_optimum(group: Element, axes: Axes, optimum: CellOptimum, level: float) -> None:
    """Draw a diamond with its interval; open with an arrow if the optimum may lie beyond the rates on a side."""
    x, y = axes.x(math.log2(optimum.learning_rate)), axes.y(level)
    low, high = (min(max(axes.x(math.log2(end)), axes.left), axes.right) for end in optimum.interval)
    mark = add(group, "g", stroke=SHADE, fill=SHADE)
    SubElement(mark, "title").text = (
        f"best learning rate {optimum.learning_rate:.3g}, 95 % interval {optimum.interval[0]:.3g} to "
        f"{optimum.interval[1]:.3g}" + ("" if optimum.edge is None else f", open on this side: {optimum.edge}")
    )
    add(mark, "line", x1=low, x2=high, y1=y, y2=y, **{"stroke-width": 2.4})
    diamond(mark, x, y, SHADE if optimum.edge is None else PAPER, SHADE)
    if optimum.edge in ("low", "both"):
        arrow(mark, x - 6, y, -1, length=16)
    if optimum.edge in ("high", "both"):
        arrow(mark, x + 6, y, 1, length=16)


@dataclass(frozen=True)
class _Curve:
    """The curve of one cell: its lowest loss, κ and s."""

    level: float
    curvature: float
    skew: float


def _curve(cell: SweepCell, at: float, shape: CurveShape) -> _Curve:
    """Return the likeliest curve of a cell with this optimum, under the shape that all cells share."""
    found = [_with_skew(cell, at, shape, shape.skew + shape.skew_spread * step) for step in SKEWS]
    return min(found, key=lambda pair: pair[0])[1]


def _with_skew(cell: SweepCell, at: float, shape: CurveShape, skew: float) -> tuple[float, _Curve]:
    """Return minus twice the log posterior, and the curve, for one s: level and κ by least squares."""
    rise_P = phi(cell.x - at, skew)
    weight_P = 1 / (shape.noise**2 / cell.run_counts + (shape.misfit * shape.curvature * rise_P) ** 2)
    mean_rise, mean_loss = np.average(rise_P, weights=weight_P), np.average(cell.losses, weights=weight_P)
    prior = (shape.curvature * shape.curvature_spread) ** -2
    slope = prior * shape.curvature + weight_P @ ((rise_P - mean_rise) * cell.losses)
    curvature = max(float(slope / (prior + weight_P @ (rise_P - mean_rise) ** 2)), 0.0)
    level = float(mean_loss - curvature * mean_rise)
    missed = float(weight_P @ (cell.losses - level - curvature * rise_P) ** 2 - np.log(weight_P).sum())
    missed += ((skew - shape.skew) / shape.skew_spread) ** 2 + prior * (curvature - shape.curvature) ** 2
    return missed, _Curve(level, curvature, skew)
