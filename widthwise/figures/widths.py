"""The figure of a transfer: the best learning rate over width, the candidate laws, and how far they reach."""

import math
from collections.abc import Sequence
from functools import partial
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate import CalibrationResult, WidthOptimum
from widthwise.estimate.calibration import PREDICTED
from widthwise.estimate.candidates import Candidates
from widthwise.estimate.choice import NAMES, chosen_in_words
from widthwise.estimate.so_far import fitted_rates
from widthwise.figures.axes import Axes
from widthwise.figures.colours import BAND, FAINT, INK, PAPER, ramp
from widthwise.figures.figure import Figure, Rows
from widthwise.figures.keys import Column, Key, draw_keys, draw_table
from widthwise.figures.panel import ABOVE, BELOW, EDGE, LEFT, TICK, WIDTH, clipped, draw_panel, heading, paper
from widthwise.figures.svg import add, arrow, diamond, document, key_line, path, written
from widthwise.figures.sweep import setting
from widthwise.figures.ticks import log_ticks, width_ticks

TITLE = "Best learning rate over width"
HEIGHT = 230  # pixels of the frame
RIGHT = WIDTH - EDGE
FARTHEST = max(PREDICTED)  # times the largest width: how far the laws are drawn
POINTS = 61  # of each curve
LEAST_OCTAVES = 1.0  # above and below the optima (chosen), or noise would look like a law
DASHES = {"none": "", "shift": "7 4", "power": "2 4"}
SHADE = ramp(0.4)


def width_plot(spec: CalibrationSpec, trials: Sequence[Trial]) -> Figure:
    """Draw width against the best base learning rate (both log2).

    Diamonds are fitted optima with their 95 % intervals, arrows start at the bounds of optima at the edge of a grid,
    lines are the candidate laws (the chosen one solid), the band is the 95 % interval of the prediction, and circles
    are predictions at 2, 4 and 16 times the largest width. It is fitted from `trials`, so a running calibration can be
    plotted too.
    """
    result = fitted_rates(spec, trials)
    title = setting(spec)
    root = document(WIDTH, f"{TITLE}: {title}")
    sheet = paper(root)
    if result is None or not result.optima:
        end = heading(root, 8, TITLE, [title, "No width has an optimum yet"])
    else:
        SubElement(root, "desc").text = chosen_in_words(result)
        end = _draw(root, result, heading(root, 8, TITLE, [title, chosen_in_words(result)]) + ABOVE)
    sheet.set("height", f"{end + 7:.0f}")
    return _data(result).of(f"{TITLE}: {title}", written(root, end + 8))


def _draw(root: Element, result: CalibrationResult, top: float) -> float:
    axes = _axes(result, top)
    draw_panel(
        root,
        axes,
        width_ticks(2.0**axes.x_low, 2.0**axes.x_high, RIGHT - LEFT, TICK),
        log_ticks(2.0**axes.y_low, 2.0**axes.y_high, HEIGHT, TICK, upright=True),
        ("width (log scale)", "best base learning rate (log scale)"),
    )
    group = clipped(root, axes, "widthwise-laws")
    laws = result.candidates
    if laws is not None:
        _draw_laws(group, axes, result, laws)
    for entry in result.optima:
        _draw_optimum(group, axes, entry)
    end = axes.bottom + BELOW
    if laws is not None:
        _draw_predictions(group, axes, result)
        end = _draw_table(root, end, laws) + 10
        end = _draw_predicted(root, end, result) + 8
    return draw_keys(root, end, _keys(result))


def _axes(result: CalibrationResult, top: float) -> Axes:
    """Return axes that cover every optimum with its interval, and the laws as far as they are drawn."""
    widths = [math.log2(entry.width) for entry in result.optima]
    found = [entry.optimum for entry in result.optima if entry.optimum is not None]
    ends = [math.log2(one.bound or one.learning_rate) for one in found]
    middle = float(np.median(ends))
    farthest = max(widths) + (math.log2(FARTHEST) if result.candidates is not None else 0.0)
    if result.candidates is not None:
        far = result.predict(2.0**farthest)
        ends += [far.log2_learning_rate, *(far.interval or ())]
    # An interval may be so wide that nothing else could be told apart.
    reach = max(3.0, max(ends) - min(ends))
    ends += [min(max(math.log2(end), middle - reach), middle + reach) for one in found for end in one.interval or ()]
    low, high = min(ends), max(ends)
    margin = max(0.12 * (high - low), LEAST_OCTAVES - (high - low) / 2, 0.2)
    return Axes(min(widths) - 0.4, farthest + 0.4, low - margin, high + margin, LEFT, RIGHT, top, top + HEIGHT)


def _draw_laws(group: Element, axes: Axes, result: CalibrationResult, laws: Candidates) -> None:
    """Draw the interval of the prediction as a band, then every candidate as a line."""
    x_P = np.linspace(axes.x_low, axes.x_high, POINTS).tolist()
    spans = [(x, span) for x in x_P if (span := result.predict(2.0**x).interval) is not None]
    if spans:
        rim = [(x, high) for x, (_, high) in spans] + [(x, low) for x, (low, _) in reversed(spans)]
        path(group, axes, rim, fill=BAND, stroke="none", opacity=0.7)
    for law in laws.all:
        chosen = law is laws.chosen
        style: dict[str, float | str] = {"stroke-width": 2.4 if chosen else 1.4}
        if not chosen:
            style["stroke-dasharray"] = DASHES[law.name] or "12 3"
        path(group, axes, [(x, law.predict(2.0**x)[0]) for x in x_P], stroke=INK if chosen else FAINT, **style)


def _draw_optimum(group: Element, axes: Axes, entry: WidthOptimum) -> None:
    """Draw a diamond with its interval, or an upright arrow from the bound of an optimum at the edge of its grid."""
    optimum = entry.optimum
    if optimum is None:
        return
    x, y = axes.x(math.log2(entry.width)), axes.y(math.log2(optimum.bound or optimum.learning_rate))
    mark = add(group, "g", stroke=SHADE, fill=SHADE)
    SubElement(mark, "title").text = f"width {entry.width}: {entry.remark}"
    if optimum.interval is None:
        turn = add(mark, "g", transform=f"rotate({90 if optimum.kind == 'upper_bound' else -90} {x:.1f} {y:.1f})")
        arrow(turn, x, y, 1, length=18)
        return
    low, high = optimum.interval
    _draw_bar(mark, axes, x, (axes.y(math.log2(low)), axes.y(math.log2(high))), 2.2)
    diamond(mark, x, y, PAPER if optimum.next_to_divergence else SHADE, SHADE)


def _draw_bar(mark: Element, axes: Axes, x: float, span: tuple[float, float], thick: float) -> None:
    """Draw an upright interval, without an end where the frame cuts it off."""
    low, high = span
    add(mark, "line", x1=x, x2=x, y1=min(low, axes.bottom), y2=max(high, axes.top), **{"stroke-width": thick})
    for end in (low, high):
        if axes.top <= end <= axes.bottom:
            add(mark, "line", x1=x - 5, x2=x + 5, y1=end, y2=end, **{"stroke-width": thick})


def _widths_ahead(result: CalibrationResult) -> list[tuple[int, int]]:
    """Return each factor with its width."""
    largest = max(entry.width for entry in result.optima)
    return [(factor, largest * factor) for factor in PREDICTED]


def _draw_predictions(group: Element, axes: Axes, result: CalibrationResult) -> None:
    for factor, width in _widths_ahead(result):
        found = result.predict(width)
        x, y = axes.x(math.log2(width)), axes.y(found.log2_learning_rate)
        mark = add(group, "g", stroke=INK, fill=INK)
        rate = 2.0**found.log2_learning_rate
        SubElement(mark, "title").text = f"×{factor}, width {width}: {rate:.3g} predicted"
        if found.interval is not None:
            low, high = found.interval
            _draw_bar(mark, axes, x, (axes.y(low), axes.y(high)), 1.2)
        add(mark, "circle", cx=x, cy=y, r=3.6, fill=PAPER, **{"stroke-width": 1.6})


def _draw_table(root: Element, top: float, laws: Candidates) -> float:
    """Draw the candidate laws, the chosen one first among equals by its line."""
    missed = [law.out_of_sample_error for law in laws.all]
    words = [NAMES[law.name] + (" (chosen)" if law is laws.chosen else "") for law in laws.all]
    columns = [
        Column(EDGE + 27, "law", words),
        Column(RIGHT, "octaves off at a width left out", ["–" if m is None else f"{m:.2f}" for m in missed], "end"),
    ]
    marks = [
        partial(key_line, stroke=INK, width=2.4)
        if law is laws.chosen
        else partial(key_line, stroke=FAINT, width=1.4, dashes=DASHES[law.name] or "12 3")
        for law in laws.all
    ]
    return draw_table(root, top, columns, marks=marks)


def _draw_predicted(root: Element, top: float, result: CalibrationResult) -> float:
    ahead = [(factor, width, result.predict(width)) for factor, width in _widths_ahead(result)]
    spans = [found.interval for _, _, found in ahead]
    columns = [
        Column(EDGE + 27, "predicted at width", [f"{width} (×{factor})" for factor, width, _ in ahead]),
        Column(280, "best rate", [f"{2.0**found.log2_learning_rate:.3g}" for _, _, found in ahead], "end"),
        Column(
            RIGHT,
            "95 % interval",
            ["–" if span is None else f"{2.0 ** span[0]:.3g} to {2.0 ** span[1]:.3g}" for span in spans],
            "end",
        ),
    ]
    return draw_table(root, top, columns, marks=[_ring] * len(ahead))


def _ring(root: Element, x: float, y: float) -> None:
    add(root, "circle", cx=x + 10, cy=y, r=3.6, fill=PAPER, stroke=INK, **{"stroke-width": 1.6})


def _keys(result: CalibrationResult) -> list[Key]:
    """Return what the marks of this figure mean."""
    found = [entry.optimum for entry in result.optima if entry.optimum is not None]
    inside = [one for one in found if one.interval is not None]
    keys = []
    if any(not one.next_to_divergence for one in inside):
        keys.append(Key(lambda g, x, y: diamond(g, x + 10, y, SHADE, SHADE), "optimum, 95 % interval"))
    if any(one.next_to_divergence for one in inside):
        keys.append(Key(lambda g, x, y: diamond(g, x + 10, y, PAPER, SHADE), "optimum next to divergence"))
    if len(inside) < len(found):
        keys.append(Key(lambda g, x, y: arrow(g, x, y, 1, length=20), "optimum beyond this bound"))
    if result.candidates is not None and result.predict(2.0).interval is not None:
        keys.append(
            Key(
                lambda g, x, y: add(g, "rect", x=x, y=y - 5, width=20, height=10, fill=BAND, stroke="none"),
                "95 % of the prediction",
            )
        )
    return keys


def _data(result: CalibrationResult | None) -> Rows:
    """Return a row for each optimum, for each law at each width, and for each prediction."""
    rows = Rows("mark", "law", "width", "learning_rate", "low", "high", "kind")
    if result is None:
        return rows
    for entry in result.optima:
        one = entry.optimum
        if one is not None:
            low, high = one.interval or (None, None)
            rate = one.bound or one.learning_rate
            rows.add(mark="optimum", width=entry.width, learning_rate=rate, low=low, high=high, kind=one.kind)
    if result.candidates is None:
        return rows
    ahead = [width for _, width in _widths_ahead(result)]
    widths = [*(entry.width for entry in result.optima), *ahead]
    for law in result.candidates.all:
        kind = "chosen" if law is result.candidates.chosen else "candidate"
        for width in widths:
            rows.add(mark="law", law=law.name, width=width, learning_rate=2.0 ** law.predict(width)[0], kind=kind)
    for width in ahead:
        found = result.predict(width)
        low, high = (None, None) if found.interval is None else (2.0 ** found.interval[0], 2.0 ** found.interval[1])
        rows.add(mark="prediction", width=width, learning_rate=2.0**found.log2_learning_rate, low=low, high=high)
    return rows
