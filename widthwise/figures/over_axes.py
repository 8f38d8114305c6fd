"""The best learning rate over each axis of a sweep: the law with its bands, and the cells carried to one line."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from widthwise.figures.axes import Axes
from widthwise.figures.colours import BAND, FAINT, INK, LIGHT_BAND, PAPER, ramp
from widthwise.figures.lettering import fitting, wrapped
from widthwise.figures.panel import EDGE, LABEL, TICK, clipped, described, draw_panel
from widthwise.figures.svg import add, arrow, diamond, path, text
from widthwise.figures.ticks import Tick, log_ticks
from widthwise.sweeps.cell import Floats
from widthwise.sweeps.fit import SweepFit
from widthwise.sweeps.optimum import CellOptimum
from widthwise.sweeps.prediction import SweepPrediction

Place = Mapping[str, float | str]
HEIGHT, LEFT, RIGHT, ABOVE, BELOW, LINE = 190, 64, 14, 46, 50, 14
POINTS = 25  # of each band
HALF = 0.3  # of the distance between two words: the length of a band on either side
MOST_LEVELS = 8  # words with room for a label (chosen)
SHADE = ramp(0.4)
FEW_PIXELS = 3.0  # shorter error bars hide behind their mark


@dataclass(frozen=True)
class _Part:
    """What the panel of one axis shows."""

    fit: SweepFit
    predictions: Sequence[SweepPrediction]
    name: str
    centre: Place

    @property
    def values(self) -> list[float | str]:
        """The axis's values at the cells, then at the predictions."""
        return [*(one.axes[self.name] for one in self.fit.optima), *(one.axes[self.name] for one in self.predictions)]

    @property
    def levels(self) -> list[str]:
        """The words of the axis in their order; none if it holds numbers."""
        return sorted({value for value in self.values if isinstance(value, str)})

    def at(self, value: float | str) -> float:
        """Where a value lies: log2 of a number, the position of a word."""
        return float(self.levels.index(value)) if isinstance(value, str) else math.log2(value)

    def pieces(self) -> list[list[tuple[float, SweepPrediction]]]:
        """The law's line: one piece over all numbers, or a short flat one for each word."""
        if self.levels:
            found = [(k, self._predicted(level)) for k, level in enumerate(self.levels)]
            return [[(k - HALF, one), (k + HALF, one)] for k, one in found]
        low, high = self.span()
        return [[(x, self._predicted(2.0**x)) for x in np.linspace(low, high, POINTS).tolist()]]

    def span(self) -> tuple[float, float]:
        """The ends of the axis."""
        found, margin = [self.at(value) for value in self.values], 0.5 if self.levels else 0.25
        return min(found) - margin, max(found) + margin

    def ticks(self, pixels: float) -> list[Tick]:
        """The labels under the panel."""
        if self.levels:
            each = pixels / len(self.levels) - TICK
            return [Tick(k, fitting(level, each, TICK)) for k, level in enumerate(self.levels)]
        low, high = self.span()
        return log_ticks(2.0**low, 2.0**high, pixels, TICK)

    def _predicted(self, value: float | str) -> SweepPrediction:
        return self.fit.predict(**{**self.centre, self.name: value})


def draw_axes(root: Element, fit: SweepFit, predictions: Sequence[SweepPrediction], top: float, width: float) -> float:
    """Draw a panel for each axis on which cells differ; return where they end."""
    centre = middle(fit)
    for name in moving(fit):
        part = _Part(fit, predictions, name, centre)
        above = _head(root, part, top, width - EDGE - RIGHT)
        _draw_axis(root, part, (LEFT, width - RIGHT, above, above + HEIGHT))
        top = above + HEIGHT + BELOW
    return top


def _head(root: Element, part: _Part, top: float, room: float) -> float:
    """Write which axis the panel is over, and where on the others; return where the frame begins."""
    text(root, EDGE, top + 14, f"over {fitting(part.name, room - 40, LABEL, bold=True)}", size=LABEL, weight="600")
    rest = ", ".join(f"{other} {described(value)}" for other, value in part.centre.items() if other != part.name)
    lines = wrapped(f"carried by the law to {rest}", room, TICK) if rest else []
    for number, line in enumerate(lines):
        text(root, EDGE, top + 14 + LINE * (number + 1), line, size=TICK, fill=FAINT)
    return top + ABOVE + LINE * len(lines)


def moving(fit: SweepFit) -> list[str]:
    """Return the axes on which cells differ: numbers by over 1 %, words if there are not too many."""
    found = []
    for name in fit.cells[0].axes:
        values = [cell.axes[name] for cell in fit.cells]
        numbers = [value for value in values if not isinstance(value, str)]
        if (numbers and max(numbers) > 1.01 * min(numbers)) or (not numbers and 1 < len(set(values)) <= MOST_LEVELS):
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
    fit, name = part.fit, part.name
    left, right, above, below = frame
    carried = _carried(fit, [optimum.axes for optimum in fit.optima], name, part.centre)
    places = [one.axes for one in part.predictions]
    asked = _carried(fit, places, name, part.centre).tolist() if places else []
    pieces = part.pieces()
    ends = [math.log2(end) for piece in pieces for _, one in piece for end in one.law_interval]
    ends += [math.log2(optimum.learning_rate) + shift for optimum, shift in zip(fit.optima, carried, strict=True)]
    ends += [math.log2(one.learning_rate) + shift for one, shift in zip(part.predictions, asked, strict=True)]
    margin = max(0.08 * (max(ends) - min(ends)), 0.4)  # at least .4 octave, or noise would look like a law
    axes = Axes(*part.span(), min(ends) - margin, max(ends) + margin, left, right, above, below)
    rates = log_ticks(2.0**axes.y_low, 2.0**axes.y_high, below - above, TICK, upright=True)
    label = fitting(name if part.levels else f"{name} (log scale)", right - left, LABEL)
    draw_panel(root, axes, part.ticks(right - left), rates, (label, "best learning rate"))
    group = clipped(root, axes, f"widthwise-axis-{moving(fit).index(name)}")
    for piece in pieces:
        x_P = [x for x, _ in piece]
        _draw_band(group, axes, x_P, [one.interval for _, one in piece], LIGHT_BAND)
        _draw_band(group, axes, x_P, [one.law_interval for _, one in piece], BAND)
        path(
            group,
            axes,
            [(x, math.log2(one.learning_rate)) for x, one in piece],
            stroke=INK,
            **{"stroke-width": 1.8},
        )
    bounds_last = sorted(zip(fit.optima, carried, strict=True), key=lambda pair: pair[0].edge is not None)
    for optimum, shift in bounds_last:
        _draw_optimum(group, axes, optimum, part.at(optimum.axes[name]), shift)
    for one, shift in zip(part.predictions, asked, strict=True):
        _draw_prediction(group, axes, one, part.at(one.axes[name]), shift)


def _carried(fit: SweepFit, places: Sequence[Place], name: str, centre: Place) -> Floats:
    """Return by how much the law differs between the middle and each place, at the place's value of one axis."""
    return law_mean(fit, [{**centre, name: place[name]} for place in places]) - law_mean(fit, places)


def _draw_band(
    group: Element, axes: Axes, x_P: Sequence[float], spans: Sequence[tuple[float, float]], fill: str
) -> None:
    rim = [(x, math.log2(high)) for x, (_, high) in zip(x_P, spans, strict=True)]
    rim += [(x, math.log2(low)) for x, (low, _) in reversed(list(zip(x_P, spans, strict=True)))]
    path(group, axes, rim, fill=fill, stroke="none", opacity=0.8)  # the grid stays in sight


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
