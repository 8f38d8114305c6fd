"""The plot of a calibration: learning rate against loss for each width, as SVG."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate import Optimum, WidthOptimum, fit_optima
from widthwise.estimate.parabola import adjusted_means
from widthwise.figures.axes import Axes
from widthwise.figures.svg import (
    FAINT,
    GRID,
    PAPER,
    add,
    arrow,
    bar,
    clean,
    cross,
    diamond,
    document,
    key_line,
    path,
    ramp,
    text,
    tick_step,
)

WIDTH, HEIGHT = 900, 560
LEFT, RIGHT, BOTTOM = 76, 690, 490  # of the area with the curves; the legend is to its right
HEADER = 74  # height of title and subtitle
ROW = 13  # height of one width's row of divergence marks, above the curves

WORST_SHOWN = 0.25  # chosen: losses over 25 % above the worst optimum are cut off, or the basins would look flat


def learning_rate_plot(spec: CalibrationSpec, trials: Sequence[Trial], result: Mapping[str, Any] | None = None) -> str:
    """Draw learning rate (log scale) against loss (nats) for every width, as an SVG document.

    Dots are single seeds, lines their means, dashes the fitted parabolas, diamonds the optima with their 95 %
    intervals; an arrow starts at the bound of an optimum at the edge of the grid, a cross is a divergence. The optima
    are fitted from `trials`, so a running calibration can be plotted too; `result` (in the shape of
    `CalibrationResult.to_dict`) adds the drift to the heading.
    """
    optima = fit_optima(trials)
    title, details = heading(spec), _details(spec, optima, result)
    root = document(WIDTH, HEIGHT, f"Learning rate against loss: {title}")
    SubElement(root, "desc").text = "; ".join(
        [details, *(f"width {entry.width}: {_described(entry)}" for entry in optima)]
    )
    add(root, "rect", width=WIDTH, height=HEIGHT, rx=6, fill=PAPER, stroke=GRID)
    text(root, LEFT, 30, title, size=17, weight="600")
    text(root, LEFT, 50, details, fill=FAINT)
    axes = _axes(spec, optima)
    _draw_axes(root, axes, loss_ticks=any(entry.surface.completed_count for entry in optima))
    if not any(entry.surface.completed_count or entry.surface.diverged_count for entry in optima):
        text(
            root, (LEFT + RIGHT) / 2, (axes.top + BOTTOM) / 2, "No trial has finished yet", fill=FAINT, anchor="middle"
        )
    clip = SubElement(SubElement(root, "defs"), "clipPath", {"id": "widthwise-curves"})
    add(clip, "rect", x=LEFT, y=axes.top, width=RIGHT - LEFT, height=BOTTOM - axes.top)
    colours = [ramp(k / max(len(optima) - 1, 1)) for k in range(len(optima))]
    for layer in (
        _draw_trials,
        _draw_fit,
        _draw_optimum,
    ):  # in this order, so that no dot of one width hides another's optimum
        for entry, colour in zip(optima, colours, strict=True):
            layer(root, axes, entry, colour)
    _draw_ends(root, axes, optima, colours)
    _draw_legend(root, optima, colours)
    indent(root)
    return tostring(root, encoding="unicode")


def heading(spec: CalibrationSpec) -> str:
    """The setting of a calibration, in one line."""
    named = f"{spec.alignment} alignment" if isinstance(spec.alignment, str) else "measured alignment"
    return clean(f"{spec.parameterization.value} · {spec.optimizer.value} · {named}")


def _details(spec: CalibrationSpec, optima: Sequence[WidthOptimum], result: Mapping[str, Any] | None) -> str:
    """Return what was trained and, once known, how the optimum drifts with width."""
    seeds = max((len(entry.surface.seeds) for entry in optima), default=0)
    parts = [
        f"{spec.proxy.architecture.value} on {spec.proxy.dataset}",
        f"{spec.steps} steps",
        f"{seeds} seed{'s' * (seeds != 1)}" if seeds else "",
    ]
    drift = (result or {}).get("drift")
    if drift:
        interval = drift.get("interval")
        span = f" (95 %: {-interval[1]:+.2f} to {-interval[0]:+.2f})" if interval else " (two widths: no interval)"
        parts.append(f"best learning rate ∝ width^({0.0 - drift['value']:+.2f}){span}")
    return clean("  ·  ".join(part for part in parts if part))


def _axes(spec: CalibrationSpec, optima: Sequence[WidthOptimum]) -> Axes:
    """Return axes that cover every learning rate tried, and the losses near the optima."""
    rates = [rate for entry in optima for rate in entry.surface.learning_rates]
    rates = rates or list(spec.learning_rates) or [1e-4, 1e-1]
    low, high = math.log2(min(rates)), math.log2(max(rates))
    margin = max(0.05 * (high - low), 0.5)
    losses = np.concatenate([e.surface.losses[np.isfinite(e.surface.losses)] for e in optima] or [np.empty(0)])
    bottom, top = (float(losses.min()), float(losses.max())) if losses.size else (0.0, 1.0)
    best = [entry.optimum.loss for entry in optima if entry.optimum is not None]
    if best:
        bottom, top = min(bottom, *best), min(top, max(best) + WORST_SHOWN * abs(max(best)))
    pad = 0.06 * (top - bottom) or 0.05 * abs(top) or 1.0  # equal losses still need an axis
    rows = sum(1 for entry in optima if _without_loss(entry))
    edge = HEADER + ROW * rows + (8 if rows else 0)
    return Axes(low - margin, high + margin, bottom - pad, top + pad, LEFT, RIGHT, edge, BOTTOM)


def _draw_axes(root: Element, axes: Axes, loss_ticks: bool) -> None:
    """Draw frame, ticks, grid lines and the names of the axes."""
    area = add(root, "g", stroke=GRID, fill="none")
    decades = (axes.x_high - axes.x_low) * math.log10(2)
    labelled = (1, 2, 5) if decades < 2.5 else (1,)  # chosen: this many labels fit next to each other
    for exponent in range(math.floor(axes.x_low * math.log10(2)), math.ceil(axes.x_high * math.log10(2)) + 1):
        for digit in (1, 2, 5):
            at = math.log2(digit) + exponent * math.log2(10)
            if not axes.x_low <= at <= axes.x_high:
                continue
            add(area, "line", x1=axes.x(at), x2=axes.x(at), y1=axes.top, y2=BOTTOM + (5 if digit in labelled else 0))
            if digit in labelled:
                text(root, axes.x(at), BOTTOM + 20, f"{digit * 10.0**exponent:.3g}", fill=FAINT, anchor="middle")
    if loss_ticks:
        step = tick_step(axes.y_high - axes.y_low)
        decimals = max(0, -math.floor(math.log10(step)))
        for k in range(math.ceil(axes.y_low / step), math.floor(axes.y_high / step) + 1):
            add(area, "line", x1=LEFT - 5, x2=RIGHT, y1=axes.y(k * step), y2=axes.y(k * step))
            text(root, LEFT - 9, axes.y(k * step) + 4, f"{k * step:.{decimals}f}", fill=FAINT, anchor="end")
    add(area, "rect", x=LEFT, y=axes.top, width=RIGHT - LEFT, height=BOTTOM - axes.top, stroke=FAINT)
    text(root, (LEFT + RIGHT) / 2, BOTTOM + 46, "base learning rate (log scale)", anchor="middle")
    middle = (axes.top + BOTTOM) / 2
    label = text(root, 0, 0, "loss (nats)", anchor="middle")
    label.set("transform", f"translate(22 {middle:.1f}) rotate(-90)")


def _draw_trials(root: Element, axes: Axes, entry: WidthOptimum, colour: str) -> None:
    """Draw seeds as dots, and the mean over seeds as a line wherever none diverged."""
    surface = entry.surface
    group = add(root, "g", fill=colour, **{"clip-path": "url(#widthwise-curves)"})
    usable = np.isfinite(surface.losses).any(axis=1) & ~surface.diverged.any(axis=1)
    means = adjusted_means(surface.losses[usable]).tolist() if usable.any() else []
    rates = np.log2(np.array(surface.learning_rates)[usable]).tolist()
    for i, rate in enumerate(surface.learning_rates):
        for seed, loss in zip(surface.seeds, surface.losses[i].tolist(), strict=True):
            if math.isfinite(loss) and loss <= axes.y_high:
                dot = add(group, "circle", cx=axes.x(math.log2(rate)), cy=axes.y(loss), r=2.2, opacity=0.55)
                tip = f"width {surface.width}, learning rate {rate:.4g}, seed {seed}: {loss:.4f} nats"
                SubElement(dot, "title").text = tip
    path(group, axes, list(zip(rates, means, strict=True)), stroke=colour, fill="none", **{"stroke-width": 1.8})


def _draw_fit(root: Element, axes: Axes, entry: WidthOptimum, colour: str) -> None:
    """Draw the fitted parabola over the learning rates it was fitted to."""
    fit = entry.optimum
    if fit is None or fit.window is None or fit.curvature is None:
        return
    curvature, at, loss = fit.curvature, fit.log2_learning_rate - fit.skew_shift, fit.loss
    span = np.linspace(math.log2(fit.window[0]), math.log2(fit.window[1]), 41).tolist()
    points = [(x, loss + curvature * (x - at) ** 2) for x in span]
    style: dict[str, float | str] = {
        "fill": "none",
        "stroke-width": 1.6,
        "stroke-dasharray": "5 4",
        "clip-path": "url(#widthwise-curves)",
    }
    path(root, axes, points, stroke=colour, **style)


def _draw_optimum(root: Element, axes: Axes, entry: WidthOptimum, colour: str) -> None:
    """Draw a diamond with its interval, or an arrow from the bound if the optimum is at the edge of the grid."""
    optimum = entry.optimum
    if optimum is None:
        return
    x, y = axes.x(math.log2(optimum.bound or optimum.learning_rate)), axes.y(optimum.loss)
    group = add(root, "g", stroke=colour, fill=colour)
    SubElement(group, "title").text = f"width {entry.width}: {_described(entry)}"
    if optimum.interval is None:
        arrow(group, x, y, -1 if optimum.kind == "upper_bound" else 1)
        return
    low, high = (axes.x(math.log2(end)) for end in optimum.interval)
    bar = add(group, "g", **{"stroke-width": 2.2})
    add(bar, "line", x1=low, x2=high, y1=y, y2=y)
    for end in (low, high):
        add(bar, "line", x1=end, x2=end, y1=y - 5, y2=y + 5)
    diamond(group, x, y, PAPER if optimum.next_to_divergence else colour, colour)


def _without_loss(entry: WidthOptimum) -> int:
    """Return how many trials of a width ended without a usable loss."""
    return entry.surface.diverged_count + entry.surface.stopped_count


def _draw_ends(root: Element, axes: Axes, optima: Sequence[WidthOptimum], colours: Sequence[str]) -> None:
    """Draw a row above the curves for each width with divergences (crosses) or early stops (bars)."""
    row = 0
    for entry, colour in zip(optima, colours, strict=True):
        if not _without_loss(entry):
            continue
        surface = entry.surface
        y = HEADER + ROW * row + ROW / 2
        if row == 0:
            text(root, LEFT - 9, y + 4, "no loss", fill=FAINT, anchor="end")
        row += 1
        group = add(root, "g", stroke=colour, **{"stroke-width": 1.8})
        for name, ended, draw in (("diverged", surface.diverged, cross), ("stopped early", surface.stopped, bar)):
            for rate, seeds in zip(surface.learning_rates, ended.sum(axis=1).tolist(), strict=True):
                if seeds:
                    # A lighter mark if it happened to only some of the seeds.
                    mark = draw(group, axes.x(math.log2(rate)), y, 1.0 if seeds == len(surface.seeds) else 0.5)
                    tip = (
                        f"width {surface.width}, learning rate {rate:.4g}: {seeds} of {len(surface.seeds)} seeds {name}"
                    )
                    SubElement(mark, "title").text = tip


def _draw_legend(root: Element, optima: Sequence[WidthOptimum], colours: Sequence[str]) -> None:
    """Draw the widths with their optima, then what each mark means."""
    x, y = RIGHT + 24, HEADER + 12
    text(root, x, y, "width", weight="600")
    text(root, WIDTH - 18, y, "best rate", weight="600", anchor="end")
    for entry, colour in zip(optima, colours, strict=True):
        y += 20
        add(root, "line", x1=x, x2=x + 20, y1=y - 4, y2=y - 4, stroke=colour, **{"stroke-width": 3})
        text(root, x + 27, y, str(entry.width))
        text(root, WIDTH - 18, y, _best(entry.optimum), anchor="end")
    y += 34
    keys: list[tuple[str, Callable[[Element], object]]] = [
        ("one seed", lambda g: add(g, "circle", cx=x + 10, cy=y - 4, r=2.2)),
        ("mean over seeds", lambda g: key_line(g, x, y)),
        ("fitted parabola", lambda g: key_line(g, x, y, **{"stroke-dasharray": "5 4"})),
        ("optimum, 95 % interval", lambda g: (key_line(g, x, y), diamond(g, x + 10, y - 4, FAINT, FAINT))),
        ("… next to divergence", lambda g: (key_line(g, x, y), diamond(g, x + 10, y - 4, PAPER, FAINT))),
        ("optimum beyond this bound", lambda g: arrow(g, x, y - 4, 1, length=20)),
        ("diverged (faint: in part)", lambda g: cross(g, x + 10, y - 4, 1.0)),
        ("stopped early (likewise)", lambda g: bar(g, x + 10, y - 4, 1.0)),
    ]
    for label, mark in keys:
        mark(add(root, "g", stroke=FAINT, fill=FAINT, **{"stroke-width": 1.6}))
        text(root, x + 27, y, label, fill=FAINT, size=11)
        y += 18


def _best(optimum: Optimum | None) -> str:
    """Return the best learning rate as the legend shows it."""
    if optimum is None:
        return "–"
    if optimum.bound is None:
        return f"{optimum.learning_rate:.3g}"
    return {"interior": "", "upper_bound": "< ", "lower_bound": "> "}[optimum.kind] + f"{optimum.bound:.3g}"


def _described(entry: WidthOptimum) -> str:
    """Return the optimum of a width in words."""
    if entry.optimum is None or entry.optimum.interval is None:
        return clean(entry.remark)
    low, high = entry.optimum.interval
    return f"best learning rate {entry.optimum.learning_rate:.3g}, 95 % interval {low:.3g} to {high:.3g}"
