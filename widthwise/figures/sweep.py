"""The figure of a calibration: learning rate against loss, with a curve for each width."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate import Optimum, WidthOptimum, fit_optima
from widthwise.estimate.parabola import adjusted_means
from widthwise.figures.axes import Axes
from widthwise.figures.colours import FAINT, PAPER, ramp
from widthwise.figures.figure import Figure, Rows
from widthwise.figures.keys import Column, Key, draw_keys, draw_table
from widthwise.figures.lettering import clean
from widthwise.figures.panel import ABOVE, BELOW, EDGE, LEFT, TICK, WIDTH, clipped, draw_panel, heading, paper, room_for
from widthwise.figures.svg import add, arrow, bar, cross, diamond, document, key_line, path, text, written
from widthwise.figures.ticks import log_ticks, loss_ticks, short

TITLE = "Loss over learning rate"
HEIGHT = 250  # pixels of the frame with the curves
RIGHT = WIDTH - EDGE
ROW = 13  # height of one width's row of divergence marks, above the curves

WORST_SHOWN = 0.25  # chosen: losses over 25 % above the worst optimum are cut off, or the basins would look flat


def learning_rate_plot(
    spec: CalibrationSpec, trials: Sequence[Trial], result: Mapping[str, Any] | None = None
) -> Figure:
    """Draw learning rate (log scale) against loss (nats) for every width.

    Dots are single seeds, lines their means, dashes the fitted parabolas, diamonds the optima with their 95 %
    intervals; an arrow starts at the bound of an optimum at the edge of the grid, a cross is a divergence. The optima
    are fitted from `trials`, so a running calibration can be plotted too; `result` (in the shape of
    `CalibrationResult.to_dict`) adds the drift to the heading.
    """
    optima = fit_optima(trials)
    title, details = setting(spec), _details(spec, optima, result)
    root = document(WIDTH, f"{TITLE}: {title}")
    SubElement(root, "desc").text = clean(
        "; ".join([*details, *(f"width {entry.width}: {_described(entry)}" for entry in optima)])
    )
    sheet = paper(root)
    top = heading(root, 8, TITLE, [title, *details]) + ABOVE
    rows = sum(1 for entry in optima if _without_loss(entry))
    edge = top + ROW * rows + (4 if rows else 0)
    axes = _axes(spec, optima, edge)
    losses = any(entry.surface.completed_count for entry in optima)
    y_ticks = loss_ticks(axes.y_low, axes.y_high, 8) if losses else []
    axes = replace(axes, left=room_for(y_ticks))
    ends = 2.0**axes.x_low, 2.0**axes.x_high
    draw_panel(
        root,
        axes,
        log_ticks(*ends, RIGHT - axes.left, TICK),
        y_ticks,
        ("base learning rate (log scale)", "" if rows else "loss (nats)"),
    )
    if rows:
        text(root, EDGE, top - 9, "loss (nats); above the frame: no loss")
    if not any(entry.surface.completed_count or entry.surface.diverged_count for entry in optima):
        middle = (axes.left + RIGHT) / 2, (axes.top + axes.bottom) / 2
        text(root, *middle, "No trial has finished yet", fill=FAINT, anchor="middle")
    group = clipped(root, axes, "widthwise-curves")
    colours = [ramp(k / max(len(optima) - 1, 1)) for k in range(len(optima))]
    for layer in (_draw_trials, _draw_fit):  # in this order, so that no dot of one width hides another's curve
        for entry, colour in zip(optima, colours, strict=True):
            layer(group, axes, entry, colour)
    for entry, colour in zip(optima, colours, strict=True):
        _draw_optimum(root, axes, entry, colour)
    _draw_ends(root, axes, optima, colours, top)
    end = _draw_legend(root, axes.bottom + BELOW, optima, colours)
    sheet.set("height", f"{end + 7:.0f}")
    return _data(optima).of(f"{TITLE}: {title}", written(root, end + 8))


def setting(spec: CalibrationSpec) -> str:
    """Return the setting of a calibration, in one line."""
    named = f"{spec.alignment} alignment" if isinstance(spec.alignment, str) else "measured alignment"
    return clean(f"{spec.parameterization.value} · {spec.optimizer.value} · {named}")


def _details(spec: CalibrationSpec, optima: Sequence[WidthOptimum], result: Mapping[str, Any] | None) -> list[str]:
    """Return what was trained and, once known, how the optimum drifts with width."""
    seeds = max((len(entry.surface.seeds) for entry in optima), default=0)
    parts = [
        f"{spec.proxy.architecture.value} on {spec.proxy.dataset}",
        f"{spec.steps} steps",
        f"{seeds} seed{'s' * (seeds != 1)}" if seeds else "",
    ]
    lines = [" · ".join(part for part in parts if part)]
    drift = (result or {}).get("drift")
    if drift:
        interval = drift.get("interval")
        span = f" (95 %: {-interval[1]:+.2f} to {-interval[0]:+.2f})" if interval else " (two widths: no interval)"
        lines.append(f"best learning rate goes as width^({0.0 - drift['value']:+.2f}){span}")
    return lines


def _axes(spec: CalibrationSpec, optima: Sequence[WidthOptimum], top: float) -> Axes:
    """Return axes that cover every learning rate tried, and the losses near the optima."""
    rates = [rate for entry in optima for rate in entry.surface.learning_rates]
    rates = rates or list(spec.learning_rates) or [1e-4, 1e-1]
    low, high = math.log2(min(rates)), math.log2(max(rates))
    margin = max(0.05 * (high - low), 0.5)
    losses = np.concatenate([e.surface.losses[np.isfinite(e.surface.losses)] for e in optima] or [np.empty(0)])
    bottom, peak = (float(losses.min()), float(losses.max())) if losses.size else (0.0, 1.0)
    best = [entry.optimum.loss for entry in optima if entry.optimum is not None]
    if best:
        bottom, peak = min(bottom, *best), min(peak, max(best) + WORST_SHOWN * abs(max(best)))
    pad = max(0.06 * (peak - bottom), 1e-6 * abs(peak)) or 1.0  # equal losses still need an axis
    return Axes(low - margin, high + margin, bottom - pad, peak + pad, LEFT, RIGHT, top, top + HEIGHT)


def _draw_trials(root: Element, axes: Axes, entry: WidthOptimum, colour: str) -> None:
    """Draw seeds as dots, and the mean over seeds as a line wherever none diverged."""
    surface = entry.surface
    group = add(root, "g", fill=colour)
    usable = np.isfinite(surface.losses).any(axis=1) & ~surface.diverged.any(axis=1)
    means = adjusted_means(surface.losses[usable]).tolist() if usable.any() else []
    rates = np.log2(np.array(surface.learning_rates)[usable]).tolist()
    for i, rate in enumerate(surface.learning_rates):
        for seed, loss in zip(surface.seeds, surface.losses[i].tolist(), strict=True):
            if math.isfinite(loss) and loss <= axes.y_high:
                dot = add(group, "circle", cx=axes.x(math.log2(rate)), cy=axes.y(loss), r=2.2, opacity=0.45)
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
    bar = add(group, "g", **{"stroke-width": 2})
    # The frame cuts off an interval that is wider than the grid: it has no end there.
    low, high = (axes.x(math.log2(end)) for end in optimum.interval)
    add(bar, "line", x1=max(low, axes.left), x2=min(high, axes.right), y1=y, y2=y)
    for end in (low, high):
        if axes.left <= end <= axes.right:
            add(bar, "line", x1=end, x2=end, y1=y - 5, y2=y + 5)
    diamond(group, min(max(x, axes.left), axes.right), y, PAPER if optimum.next_to_divergence else colour, colour)


def _without_loss(entry: WidthOptimum) -> int:
    """Return how many trials of a width ended without a usable loss."""
    return entry.surface.diverged_count + entry.surface.stopped_count


def _draw_ends(root: Element, axes: Axes, optima: Sequence[WidthOptimum], colours: Sequence[str], top: float) -> None:
    """Draw a row above the curves for each width with divergences (crosses) or early stops (bars)."""
    row = 0
    for entry, colour in zip(optima, colours, strict=True):
        if not _without_loss(entry):
            continue
        surface = entry.surface
        y = top + ROW * (row + 0.5)
        text(root, axes.left - 7, y + 4, short(entry.width), size=TICK, fill=FAINT, anchor="end")
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


def _draw_legend(root: Element, top: float, optima: Sequence[WidthOptimum], colours: Sequence[str]) -> float:
    """Draw a table of the widths with their optima, then what each mark means; return where they end."""
    found = [entry.optimum for entry in optima]
    if optima:
        columns = [
            Column(EDGE + 27, "width", [str(entry.width) for entry in optima]),
            Column(190, "best rate", [_best(one) for one in found], "end"),
            Column(340, "95 % interval", [_interval(one) for one in found], "end"),
            Column(RIGHT, "loss", ["–" if one is None else _loss(one.loss) for one in found], "end"),
        ]
        marks = [partial(key_line, stroke=colour, width=3) for colour in colours]
        top = draw_table(root, top, columns, marks=marks) + 8
    return draw_keys(root, top, _keys(optima))


def _keys(optima: Sequence[WidthOptimum]) -> list[Key]:
    """Return what the marks of this figure mean."""
    found = [entry.optimum for entry in optima if entry.optimum is not None]
    inside = [one for one in found if one.interval is not None]
    keys = [
        Key(lambda g, x, y: add(g, "circle", cx=x + 10, cy=y, r=2.2), "one seed"),
        Key(key_line, "mean over seeds"),
    ]
    if inside:
        keys.append(Key(partial(key_line, dashes="5 4"), "fitted parabola"))
    if any(not one.next_to_divergence for one in inside):
        keys.append(Key(lambda g, x, y: (key_line(g, x, y), diamond(g, x + 10, y, FAINT, FAINT)), "optimum, 95 %"))
    if any(one.next_to_divergence for one in inside):
        words = "optimum next to divergence"
        keys.append(Key(lambda g, x, y: (key_line(g, x, y), diamond(g, x + 10, y, PAPER, FAINT)), words))
    if len(inside) < len(found):
        keys.append(Key(lambda g, x, y: arrow(g, x, y, 1, length=20), "optimum beyond this bound"))
    if any(entry.surface.diverged_count for entry in optima):
        keys.append(Key(lambda g, x, y: cross(g, x + 10, y, 1.0), "diverged (faint: some seeds)"))
    if any(entry.surface.stopped_count for entry in optima):
        keys.append(Key(lambda g, x, y: bar(g, x + 10, y, 1.0), "stopped early (likewise)"))
    return keys if optima else []


def _data(optima: Sequence[WidthOptimum]) -> Rows:
    """Return a row for each trial and for each optimum."""
    rows = Rows("mark", "width", "learning_rate", "seed", "loss", "low", "high", "kind")
    for entry in optima:
        surface = entry.surface
        for i, rate in enumerate(surface.learning_rates):
            for j, seed in enumerate(surface.seeds):
                loss = float(surface.losses[i, j])
                ended = "diverged" if surface.diverged[i, j] else "stopped" if surface.stopped[i, j] else ""
                if ended or math.isfinite(loss):
                    kind = ended or "completed"
                    shown = loss if math.isfinite(loss) else None
                    rows.add(mark="trial", width=entry.width, learning_rate=rate, seed=seed, loss=shown, kind=kind)
        one = entry.optimum
        if one is not None:
            low, high = one.interval or (None, None)
            rate = one.bound or one.learning_rate
            rows.add(
                mark="optimum",
                width=entry.width,
                learning_rate=rate,
                loss=one.loss,
                low=low,
                high=high,
                kind=one.kind,
            )
    return rows


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


def _interval(optimum: Optimum | None) -> str:
    if optimum is None:
        return "–"
    if optimum.interval is None:
        return "at the edge"
    return f"{optimum.interval[0]:.3g} to {optimum.interval[1]:.3g}"


def _loss(loss: float) -> str:
    return f"{loss:.4f}" if 0.01 <= abs(loss) < 1e4 else f"{loss:.3g}"
