"""The best learning rate over each axis of a sweep: the law with its bands, and the cells carried to one line."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from widthwise.figures.axes import Axes
from widthwise.figures.panel import LABEL, TICK, Tick, clipped, described, draw_panel, fitting
from widthwise.figures.svg import FAINT, GRID, INK, PAPER, add, arrow, diamond, path, ramp, text
from widthwise.figures.ticks import log_ticks, short
from widthwise.sweeps.cell import Floats
from widthwise.sweeps.fit import SweepFit
from widthwise.sweeps.optimum import CellOptimum
from widthwise.sweeps.prediction import SweepPrediction

Place = Mapping[str, float | str]
HEIGHT, LEFT, RIGHT, ABOVE, BELOW = 190, 64, 12, 34, 50
POINTS = 25  # of each band
UPRIGHT = 3.0  # times the pixels of an upright axis: its labels take a line, not their length
SHADE, BAND = ramp(0.4), "#c9d4e6"
FEW_PIXELS = 3.0  # shorter error bars hide behind their mark


@dataclass(frozen=True)
class _Part:
    """What the panel of one axis shows."""

    fit: SweepFit
    predictions: Sequence[SweepPrediction]
    name: str
    centre: Place


def draw_axes(root: Element, fit: SweepFit, predictions: Sequence[SweepPrediction], top: float, width: float) -> float:
    """Draw a panel for each axis of numbers on which cells differ; return where they end."""
    centre = middle(fit)
    for name in moving(fit):
        frame = (LEFT, width - RIGHT, top + ABOVE, top + ABOVE + HEIGHT)
        _draw_axis(root, _Part(fit, predictions, name, centre), frame)
        top += ABOVE + HEIGHT + BELOW
    return top


def moving(fit: SweepFit) -> list[str]:
    """Return the axes of numbers on which cells differ by over 1 %."""
    found = []
    for name, value in fit.cells[0].axes.items():
        if not isinstance(value, str):
            values = [float(cell.axes[name]) for cell in fit.cells]
            if max(values) > 1.01 * min(values):
                found.append(name)
    return found


def middle(fit: SweepFit) -> dict[str, float | str]:
    """Return a place in the middle of the cells: the median of each number, the most frequent word."""
    found: dict[str, float | str] = {}
    for name, value in fit.cells[0].axes.items():
        seen = [cell.axes[name] for cell in fit.cells]
        if isinstance(value, str):
            found[name] = max(sorted(set(map(str, seen))), key=seen.count)
        else:
            found[name] = float(2.0 ** np.median(np.log2([float(each) for each in seen])))
    return found


def law_mean(fit: SweepFit, places: Sequence[Place]) -> Floats:
    """Return log2 of the law's rate at some places, (C,)."""
    at = fit.data.law.at(places)
    total = sum(one.weight * at(one.theta)[0] for one in fit.components)
    return np.asarray(total, dtype=np.float64)


def _draw_axis(root: Element, part: _Part, frame: tuple[float, float, float, float]) -> None:
    fit, predictions, name, centre = part.fit, part.predictions, part.name, part.centre
    left, right, above, below = frame
    carried = _carried(fit, [optimum.axes for optimum in fit.optima], name, centre)
    asked = _carried(fit, [one.axes for one in predictions], name, centre) if predictions else np.zeros(0)
    values = [float(optimum.axes[name]) for optimum in fit.optima] + [float(one.axes[name]) for one in predictions]
    x_low, x_high = math.log2(min(values)) - 0.25, math.log2(max(values)) + 0.25
    x_P = np.linspace(x_low, x_high, POINTS).tolist()
    line = [fit.predict(**{**centre, name: 2.0**x}) for x in x_P]
    ends = [math.log2(end) for one in line for end in one.law_interval]
    ends += [math.log2(optimum.learning_rate) + shift for optimum, shift in zip(fit.optima, carried, strict=True)]
    ends += [math.log2(one.learning_rate) + shift for one, shift in zip(predictions, asked, strict=True)]
    margin = max(0.08 * (max(ends) - min(ends)), 0.4)  # at least .4 octave, or noise would look like a law
    axes = Axes(x_low, x_high, min(ends) - margin, max(ends) + margin, left, right, above, below)
    rest = ", ".join(f"{other} {described(value)}" for other, value in centre.items() if other != name)
    text(root, left, above - 20, f"over {name}", size=LABEL, weight="600")
    if rest:
        text(root, left, above - 6, fitting(f"carried by the law to {rest}", right - left, TICK), size=TICK, fill=FAINT)
    draw_panel(
        root,
        axes,
        [Tick(math.log2(v), short(v)) for v in log_ticks(2.0**x_low, 2.0**x_high, right - left, TICK)],
        [
            Tick(math.log2(v), short(v))
            for v in log_ticks(2.0**axes.y_low, 2.0**axes.y_high, UPRIGHT * (below - above), TICK)
        ],
        (f"{name} (log scale)", "best learning rate"),
    )
    group = clipped(root, axes, f"widthwise-axis-{moving(fit).index(name)}")
    _draw_band(group, axes, x_P, [one.interval for one in line], GRID)
    _draw_band(group, axes, x_P, [one.law_interval for one in line], BAND)
    law = [(x, math.log2(one.learning_rate)) for x, one in zip(x_P, line, strict=True)]
    path(group, axes, law, stroke=INK, **{"stroke-width": 1.8})
    bounds_last = sorted(zip(fit.optima, carried, strict=True), key=lambda pair: pair[0].edge is not None)
    for optimum, shift in bounds_last:
        _draw_optimum(group, axes, optimum, math.log2(float(optimum.axes[name])), shift)
    for one, shift in zip(predictions, asked, strict=True):
        _draw_prediction(group, axes, one, math.log2(float(one.axes[name])), shift)


def _carried(fit: SweepFit, places: Sequence[Place], name: str, centre: Place) -> Floats:
    """Return by how much the law differs between the middle and each place, at the place's value of one axis."""
    return law_mean(fit, [{**centre, name: place[name]} for place in places]) - law_mean(fit, places)


def _draw_band(
    group: Element, axes: Axes, x_P: Sequence[float], spans: Sequence[tuple[float, float]], fill: str
) -> None:
    rim = [(x, math.log2(high)) for x, (_, high) in zip(x_P, spans, strict=True)]
    rim += [(x, math.log2(low)) for x, (low, _) in reversed(list(zip(x_P, spans, strict=True)))]
    path(group, axes, rim, fill=fill, stroke="none")


def _draw_optimum(group: Element, axes: Axes, optimum: CellOptimum, at: float, shift: float) -> None:
    """Draw a dot with an error bar; an open one with an arrow if the optimum may lie beyond the rates tried."""
    x, y = axes.x(at), axes.y(math.log2(optimum.learning_rate) + shift)
    low, high = (axes.y(math.log2(end) + shift) for end in optimum.interval)
    mark = add(group, "g", stroke=SHADE, fill=SHADE, opacity=0.85)
    SubElement(mark, "title").text = (
        f"{', '.join(f'{name} {described(value)}' for name, value in optimum.axes.items())}: best learning rate "
        f"{optimum.learning_rate:.3g} ({optimum.interval[0]:.3g} to {optimum.interval[1]:.3g})"
    )
    if abs(low - high) > 2 * FEW_PIXELS:
        add(mark, "line", x1=x, x2=x, y1=low, y2=high, **{"stroke-width": 1.2})
    add(mark, "circle", cx=x, cy=y, r=3, fill=SHADE if optimum.edge is None else PAPER, **{"stroke-width": 1.4})
    for side, turn in (("low", 90), ("high", -90)):
        if optimum.edge in (side, "both"):
            arrow(add(mark, "g", transform=f"rotate({turn} {x:.1f} {y:.1f})"), x + 3, y, 1, length=13)


def _draw_prediction(group: Element, axes: Axes, prediction: SweepPrediction, at: float, shift: float) -> None:
    x, y = axes.x(at), axes.y(math.log2(prediction.learning_rate) + shift)
    low, high = (axes.y(math.log2(end) + shift) for end in prediction.interval)
    mark = add(group, "g", stroke=INK, fill=INK)
    SubElement(mark, "title").text = f"predicted {prediction.learning_rate:.3g}"
    add(mark, "line", x1=x, x2=x, y1=low, y2=high, **{"stroke-width": 2})
    diamond(mark, x, y, PAPER, INK)
