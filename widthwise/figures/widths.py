"""The plot of a transfer: the best learning rate over width, the candidate laws, and how far they reach."""

import math
from collections.abc import Sequence
from dataclasses import replace
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.errors import EstimateError
from widthwise.estimate import CalibrationResult, WidthOptimum, fit_calibration
from widthwise.estimate.candidates import Candidates
from widthwise.figures.axes import Axes
from widthwise.figures.svg import (
    FAINT,
    GRID,
    INK,
    PAPER,
    add,
    arrow,
    diamond,
    document,
    key_line,
    path,
    ramp,
    text,
    tick_step,
)
from widthwise.figures.sweep import heading
from widthwise.vocabulary import Measured

WIDTH, HEIGHT = 900, 460
LEFT, RIGHT, TOP, BOTTOM = 76, 690, 74, 390  # of the area with the curves; the legend is to its right
FARTHEST = 16.0  # times the largest width (chosen): how far the laws are drawn; result["predictions"] ends there too
POINTS = 61  # of each curve
DASHES = {"none": "", "shift": "7 4", "power": "2 4"}
NAMES = {"none": "theory, no shift", "shift": "shift in 1/width", "power": "power of width"}


def width_plot(spec: CalibrationSpec, trials: Sequence[Trial]) -> str:
    """Draw width against the best base learning rate (both log2), as an SVG document.

    Diamonds are fitted optima with their 95 % intervals, arrows start at the bounds of optima at the edge of a grid,
    lines are the candidate laws (the chosen one solid), the band is the 95 % interval of the prediction. It is fitted
    from `trials`, so a running calibration can be plotted too.
    """
    result = _fitted(spec, trials)
    root = document(WIDTH, HEIGHT, f"Best learning rate over width: {heading(spec)}")
    add(root, "rect", width=WIDTH, height=HEIGHT, rx=6, fill=PAPER, stroke=GRID)
    text(root, LEFT, 30, heading(spec), size=17, weight="600")
    if result is None or not result.optima:
        text(root, LEFT, 50, "No width has an optimum yet", fill=FAINT)
        indent(root)
        return tostring(root, encoding="unicode")
    SubElement(root, "desc").text = _described(result)
    text(root, LEFT, 50, _described(result), fill=FAINT)
    axes = _axes(result)
    _draw_axes(root, axes)
    clip = SubElement(SubElement(root, "defs"), "clipPath", {"id": "widthwise-laws"})
    add(clip, "rect", x=LEFT, y=TOP, width=RIGHT - LEFT, height=BOTTOM - TOP)
    laws = result.candidates
    if laws is not None:
        _draw_laws(root, axes, result, laws)
    for entry in result.optima:
        _draw_optimum(root, axes, entry)
    _draw_legend(root, laws)
    indent(root)
    return tostring(root, encoding="unicode")


def _fitted(spec: CalibrationSpec, trials: Sequence[Trial]) -> CalibrationResult | None:
    try:
        return fit_calibration(replace(spec, measure=(Measured.LEARNING_RATE,)), trials)
    except EstimateError:
        return None


def _described(result: CalibrationResult) -> str:
    """Return the chosen law in words."""
    laws = result.candidates
    if laws is None:
        return "No width has an optimum inside its grid"
    if laws.widths == 1:
        return f"{laws.widths} of {len(result.optima)} widths have an optimum inside their grid: theory's law, untested"
    law, missed = result.power_law, laws.chosen.out_of_sample_error
    raw = "" if law is None else f": the optima alone go as width^({law.slope:+.2f} ± {law.standard_error:.2f})"
    if laws.chosen.name == "none":
        return f"Chosen: {NAMES['none']}, not refuted{raw}"
    tail = "" if missed is None else f"; widths left out are missed by {missed:.2f} octaves"
    return f"Chosen: {NAMES[laws.chosen.name]}{tail}" + (f"; theory, not refuted{raw}" * (laws.chosen.name == "shift"))


def _axes(result: CalibrationResult) -> Axes:
    """Return axes that cover every optimum, and the laws as far as they are drawn."""
    widths = [math.log2(entry.width) for entry in result.optima]
    optima = [entry.optimum.log2_learning_rate for entry in result.optima if entry.optimum is not None]
    high = max(widths) + (math.log2(FARTHEST) if result.candidates is not None else 0.0)
    if result.candidates is not None:
        far = result.predict(2.0**high)
        optima += [far.log2_learning_rate, *(far.interval or ())]
    low, top = min(optima), max(optima)
    margin = max(0.08 * (top - low), 0.5)  # at least half an octave, or noise would look like a law
    return Axes(min(widths) - 0.4, high + 0.2, low - margin, top + margin, LEFT, RIGHT, TOP, BOTTOM)


def _draw_axes(root: Element, axes: Axes) -> None:
    area = add(root, "g", stroke=GRID, fill="none")
    for k in range(math.ceil(axes.x_low), math.floor(axes.x_high) + 1):
        add(area, "line", x1=axes.x(k), x2=axes.x(k), y1=TOP, y2=BOTTOM + 5)
        text(root, axes.x(k), BOTTOM + 20, f"{2**k}", fill=FAINT, anchor="middle")
    step = max(tick_step(axes.y_high - axes.y_low), 0.5)
    for k in range(math.ceil(axes.y_low / step), math.floor(axes.y_high / step) + 1):
        add(area, "line", x1=LEFT - 5, x2=RIGHT, y1=axes.y(k * step), y2=axes.y(k * step))
        text(root, LEFT - 9, axes.y(k * step) + 4, f"{2.0 ** (k * step):.3g}", fill=FAINT, anchor="end")
    add(area, "rect", x=LEFT, y=TOP, width=RIGHT - LEFT, height=BOTTOM - TOP, stroke=FAINT)
    text(root, (LEFT + RIGHT) / 2, BOTTOM + 46, "width (log scale)", anchor="middle")
    label = text(root, 0, 0, "best base learning rate (log scale)", anchor="middle")
    label.set("transform", f"translate(20 {(TOP + BOTTOM) / 2:.1f}) rotate(-90)")


def _draw_laws(root: Element, axes: Axes, result: CalibrationResult, laws: Candidates) -> None:
    """Draw the interval of the prediction as a band, then every candidate as a line."""
    group = add(root, "g", fill="none", **{"clip-path": "url(#widthwise-laws)"})
    x_P = np.linspace(axes.x_low, axes.x_high, POINTS).tolist()
    spans = [(x, span) for x in x_P if (span := result.predict(2.0**x).interval) is not None]
    if spans:
        rim = [(x, high) for x, (_, high) in spans] + [(x, low) for x, (low, _) in reversed(spans)]
        path(group, axes, rim, fill=GRID, stroke="none", opacity=0.7)
    for law in laws.all:
        chosen = law is laws.chosen
        style: dict[str, float | str] = {"stroke-width": 2.4 if chosen else 1.4}
        if not chosen:
            style["stroke-dasharray"] = DASHES[law.name] or "12 3"
        path(group, axes, [(x, law.predict(2.0**x)[0]) for x in x_P], stroke=INK if chosen else FAINT, **style)


def _draw_optimum(root: Element, axes: Axes, entry: WidthOptimum) -> None:
    """Draw a diamond with its interval, or an upright arrow from the bound of an optimum at the edge of its grid."""
    optimum = entry.optimum
    if optimum is None:
        return
    x, y = axes.x(math.log2(entry.width)), axes.y(math.log2(optimum.bound or optimum.learning_rate))
    shade = ramp(0.4)
    group = add(root, "g", stroke=shade, fill=shade)
    SubElement(group, "title").text = f"width {entry.width}: {entry.remark}"
    if optimum.interval is None:
        turn = add(group, "g", transform=f"rotate({90 if optimum.kind == 'upper_bound' else -90} {x:.1f} {y:.1f})")
        arrow(turn, x, y, 1)
        return
    low, high = (axes.y(math.log2(end)) for end in optimum.interval)
    add(group, "line", x1=x, x2=x, y1=low, y2=high, **{"stroke-width": 2.2})
    for end in (low, high):
        add(group, "line", x1=x - 5, x2=x + 5, y1=end, y2=end, **{"stroke-width": 2.2})
    diamond(group, x, y, PAPER if optimum.next_to_divergence else shade, shade)


def _draw_legend(root: Element, laws: Candidates | None) -> None:
    x, y = RIGHT + 24, TOP + 12
    text(root, x, y, "law", weight="600")
    text(root, WIDTH - 18, y, "missed", weight="600", anchor="end")
    for law in laws.all if laws is not None else ():
        y += 22
        chosen = laws is not None and law is laws.chosen
        line = add(root, "g", stroke=INK if chosen else FAINT, **{"stroke-width": 2.4 if chosen else 1.4})
        key_line(line, x, y, **({} if chosen else {"stroke-dasharray": DASHES[law.name] or "12 3"}))
        text(root, x + 27, y, NAMES[law.name], size=11, weight="600" if chosen else "400")
        missed = law.out_of_sample_error
        text(root, WIDTH - 18, y, "–" if missed is None else f"{missed:.2f}", size=11, anchor="end")
    notes = ["missed: octaves, each width", "predicted from the others", "band: 95 % of the prediction"]
    y += 14
    for note in notes:
        y += 20
        text(root, x, y, note, fill=FAINT, size=11)
