"""Which learning rates one width still needs: further ones where the best is at an end, finer ones around it.

Learning rates that a search adds lie on one lattice, 2^(mesh·k) with k whole, so that widths, seeds and extensions of a
calibration share them to the last bit. What is asked depends on the outcomes alone, not on their order.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from widthwise.errors import EstimateError
from widthwise.estimate.optimum import Optimum, fit_optimum
from widthwise.estimate.parabola import adjusted_means

EXTENSION_OCTAVES = 1.0  # one extension of an end (chosen): the next fit looks one octave to each side
EXTENSION_LIMIT = 6.0  # octaves beyond the grid (chosen): twice what a wrong alignment moves the optimum over 64 widths
LARGEST_RATE = 1e6  # what the service takes; times any multiplier it is still a float32
SMALLEST_RATE = 1e-12  # chosen: Adam's steps below it vanish beside float32 weights
REFINEMENT_POINTS = 8  # of one round of a finer mesh (chosen): noise, not the mesh, limits the vertex beyond


@dataclass(frozen=True)
class Outcomes:
    """What the plain sweep trials of one width say, whatever their order."""

    tried: frozenset[tuple[float, int]]  #: (learning rate, seed) with any outcome, a failure included
    losses: Mapping[tuple[float, int], float]  #: of the completed ones, nats
    worse: frozenset[float]  #: learning rates at which some seed diverged or was stopped: none of them is the best

    @classmethod
    def of(cls, trials: Iterable[Mapping[str, Any]], width: int) -> "Outcomes":
        """Reads the records of `width`; trials of a γ or a horizon are no part of the sweep."""
        tried, losses, worse = set(), {}, set()
        for trial in trials:
            if trial["width"] != width or trial.get("role") is not None or trial.get("horizon") is not None:
                continue
            cell = float(trial["learning_rate"]), int(trial["seed"])
            tried.add(cell)
            if trial["status"] == "completed":
                losses[cell] = float(trial["loss"])
            elif trial["status"] in ("diverged", "stopped"):
                worse.add(cell[0])
        return cls(frozenset(tried), losses, frozenset(worse))

    @property
    def rates(self) -> tuple[float, ...]:
        """Every learning rate tried, ascending."""
        return tuple(sorted({rate for rate, _ in self.tried}))

    def means(self) -> dict[float, float]:
        """Mean loss of each learning rate that no seed spoke against, as if every seed had run there."""
        good = sorted({rate for rate, _ in self.losses} - self.worse)
        seeds = sorted({seed for _, seed in self.losses})
        if not good:
            return {}
        loss_LxS = np.array([[self.losses.get((rate, seed), np.nan) for seed in seeds] for rate in good])
        ran = np.isfinite(loss_LxS).any(axis=0)
        return dict(zip(good, adjusted_means(loss_LxS[:, ran]).tolist(), strict=True))

    def optimum(self) -> Optimum | None:
        """The best learning rate so far; None where nothing completed, or nothing to compare with."""
        rates = [rate for rate in self.rates if rate in self.worse or any(cell[0] == rate for cell in self.losses)]
        seeds = sorted({seed for _, seed in self.tried})
        good = set(rates) - self.worse
        losses = [[self.losses.get((r, s), np.nan) if r in good else np.nan for s in seeds] for r in rates]
        try:
            return fit_optimum(rates, losses, [[rate in self.worse] * len(seeds) for rate in rates]) if rates else None
        except EstimateError:
            return None


def lattice_points(low: float, high: float, spacing: float, mesh: float, centre: float) -> list[float]:
    """Learning rates with log2 in [low, high] on the lattice of `mesh`, `spacing` octaves apart, one nearest `centre`.

    >>> [round(rate, 4) for rate in lattice_points(-7, -5, 1.0, 0.5, -5.9)]
    [0.0078, 0.0156, 0.0312]
    """
    stride = max(1, round(spacing / mesh))
    middle = round(centre / mesh)
    down, up = math.floor((middle * mesh - low) / (stride * mesh)), math.floor((high - middle * mesh) / (stride * mesh))
    return [2.0 ** (mesh * (middle + stride * step)) for step in range(-down, up + 1)]


def next_rates(outcomes: Outcomes, grid: Sequence[float], mesh: float) -> list[float]:
    """Learning rates to try next at a width, ascending; empty once the optimum is found or stays a bound.

    An end of the tried range that is the best is extended by an octave, up to EXTENSION_LIMIT octaves beyond `grid`;
    where everything diverged, downwards. An optimum inside is surrounded by lattice points, until the learning rates on
    both sides of it are `mesh` octaves apart.
    """
    rates, means = outcomes.rates, outcomes.means()
    if not means:
        return _beyond(rates, min(outcomes.worse), -1, grid, mesh) if outcomes.worse else []
    best = min(means, key=lambda rate: (means[rate], rate))
    evidence = set(means) | outcomes.worse
    if best == min(evidence):
        return _beyond(rates, best, -1, grid, mesh)
    if best == max(evidence):
        return _beyond(rates, best, +1, grid, mesh)
    return _between(outcomes, mesh)


def _beyond(rates: Sequence[float], end: float, side: int, grid: Sequence[float], mesh: float) -> list[float]:
    """An octave of learning rates beyond `end`, as far apart as the two there, within the limits."""
    gaps = [abs(math.log2(rate / end)) for rate in rates if rate != end]
    spacing = min(max(min(gaps, default=mesh), mesh), EXTENSION_OCTAVES)
    at = math.log2(end)
    far = at + side * EXTENSION_OCTAVES
    points = lattice_points(min(at, far), max(at, far), spacing, mesh, far)
    low = max(math.log2(min(grid)) - EXTENSION_LIMIT, math.log2(SMALLEST_RATE))
    high = min(math.log2(max(grid)) + EXTENSION_LIMIT, math.log2(LARGEST_RATE))
    return _new([rate for rate in points if low <= math.log2(rate) <= high], rates, mesh)


def _between(outcomes: Outcomes, mesh: float) -> list[float]:
    """Lattice points between the learning rates on both sides of the optimum, where those are further apart."""
    optimum, rates = outcomes.optimum(), outcomes.rates
    if optimum is None:
        return []
    vertex = optimum.log2_learning_rate
    x = np.log2(rates)
    nearest = int(np.argmin(np.abs(x - vertex)))
    low, high = float(x[max(nearest - 1, 0)]), float(x[min(nearest + 1, len(x) - 1)])
    points = _new(lattice_points(low, high, mesh, mesh, vertex), rates, mesh)
    return sorted(sorted(points, key=lambda rate: abs(math.log2(rate) - vertex))[:REFINEMENT_POINTS])


def _new(points: Iterable[float], tried: Collection[float], mesh: float) -> list[float]:
    """Those at least half a mesh from every learning rate tried: a nearer one would say the same again."""
    nearest = mesh / 2 - 1e-9  # rounding of a logarithm
    return [p for p in points if all(abs(math.log2(p / rate)) >= nearest for rate in tried)]
