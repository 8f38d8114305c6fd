"""Methods that predict the best learning rate of a held-out cell of a sweep, each without seeing it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.sweep_tasks import Cell, Task, axis, series_of
from widthwise.errors import EstimateError
from widthwise.estimate import Optimum, Surface, fit_candidates, fit_optimum
from widthwise.estimate.intervals import moderated_errors, quantile
from widthwise.estimate.skew import corrected
from widthwise.laws.step_law import STEP_LAW
from widthwise.sweeps import fit_sweep

Interval = tuple[float, float]


@dataclass(frozen=True)
class Guess:
    """log2 of a learning rate."""

    x: float
    interval: Interval | None = None


Guesses = dict[str, Guess]  # by held-out cell; without those of which a method says nothing


def joint(task: Task, trained: Mapping[str, Cell], cells: Mapping[str, Cell]) -> Guesses:
    """The fit of all axes at once."""
    fit = fit_sweep([run for cell in trained.values() for run in cell])
    found = {}
    for name in task.held:
        predicted = fit.predict(**cells[name][0].axes)
        low, high = predicted.interval
        found[name] = Guess(math.log2(predicted.learning_rate), (math.log2(low), math.log2(high)))
    return found


def candidates(task: Task, trained: Mapping[str, Cell], cells: Mapping[str, Cell]) -> Guesses:
    """The estimator of calibrations on one series, with the axis in the place of the width."""
    optima = vertices(trained)
    found = {}
    for name in task.held:
        series = [one for one in series_of(list(trained), cells, cells[name], task.along) if one in optima]
        if not series:
            continue
        errors = moderated_errors(
            [optima[one].standard_error or 0.0 for one in series], [optima[one].degrees_of_freedom for one in series]
        )
        fitted = fit_candidates(
            [axis(cells[one], task.along) for one in series],
            [optima[one].log2_learning_rate for one in series],
            errors,
        )
        predicted = fitted.predict(axis(cells[name], task.along))
        found[name] = Guess(predicted.log2_learning_rate, predicted.interval)
    return found


def last_optimum(task: Task, trained: Mapping[str, Cell], cells: Mapping[str, Cell]) -> Guesses:
    """The optimum of the nearest cell, along the task's axis if there is one."""
    optima = vertices(trained)
    found = {}
    for name in task.held:
        series = [one for one in series_of(list(trained), cells, cells[name], task.along) if one in optima]
        nearest = min(series or list(optima), key=lambda one: _apart(cells[one], cells[name]))
        found[name] = Guess(optima[nearest].log2_learning_rate)
    return found


def least_squares(task: Task, trained: Mapping[str, Cell], cells: Mapping[str, Cell]) -> Guesses:
    """Powers of all axes by least squares on the vertices of the cells, with the interval of a new observation."""
    optima = vertices(trained)
    numbers = [name for name, value in next(iter(cells.values()))[0].axes.items() if not isinstance(value, str)]

    def row(name: str) -> list[float]:
        return [1.0, *(math.log2(axis(cells[name], one)) for one in numbers)]

    design = np.array([row(name) for name in optima])
    y = np.array([optimum.log2_learning_rate for optimum in optima.values()])
    solution, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    dof = len(y) - int(rank)
    variance = float(np.sum((y - design @ solution) ** 2)) / dof if dof else 0.0
    inverse = np.linalg.pinv(design.T @ design)
    found = {}
    for name in task.held:
        at = np.array(row(name))
        half = quantile(dof) * math.sqrt(variance * (1 + float(at @ inverse @ at))) if dof else math.nan
        x = float(at @ solution)
        found[name] = Guess(x, (x - half, x + half) if dof else None)
    return found


def step_law(task: Task, trained: Mapping[str, Cell], cells: Mapping[str, Cell]) -> Guesses:
    """Li et al. 2025 (2503.04715), fitted by them to cells of both Step Law sources."""
    del trained
    if not task.source.startswith("steplaw"):
        return {}
    return {name: Guess(math.log2(STEP_LAW.rate(cells[name][0].axes))) for name in task.held}


METHODS = {
    "calibration's estimator, one series": candidates,
    "keep the last optimum": last_optimum,
    "least squares on vertices": least_squares,
    "Step Law's formula": step_law,
    "joint law over all axes": joint,
}


def vertices(trained: Mapping[str, Cell]) -> dict[str, Optimum]:
    """Return the interior optimum of every cell that has one, by the estimator of calibrations."""
    surfaces, optima = {}, {}
    for name, cell in trained.items():
        surface = _surface(cell)
        try:
            found = fit_optimum(surface.learning_rates, surface.losses, surface.diverged)
        except EstimateError:
            continue
        if found.standard_error is not None:
            surfaces[name], optima[name] = surface, found
    return dict(zip(optima, corrected(list(surfaces.values()), list(optima.values())), strict=True))


def _surface(cell: Cell) -> Surface:
    """Return the table of a cell as calibrations have it."""
    rates = sorted({run.learning_rate for run in cell})
    seeds = sorted({run.seed or 0 for run in cell})
    losses = np.full((len(rates), len(seeds)), np.nan)
    diverged = np.zeros(losses.shape, dtype=np.bool_)
    for run in cell:
        at = rates.index(run.learning_rate), seeds.index(run.seed or 0)
        losses[at] = np.nan if run.loss is None else run.loss
        diverged[at] = run.diverged
    return Surface(
        1, tuple(rates), tuple(seeds), losses, diverged, np.zeros_like(diverged), np.full_like(losses, np.nan)
    )


def _apart(cell: Cell, other: Cell) -> float:
    """Return the distance of two cells over all axes, in octaves; a different word counts as ten."""
    total = 0.0
    for name, value in cell[0].axes.items():
        theirs = other[0].axes[name]
        if isinstance(value, str) or isinstance(theirs, str):
            total += 0.0 if value == theirs else 100.0
        else:
            total += math.log2(value / theirs) ** 2
    return math.sqrt(total)
