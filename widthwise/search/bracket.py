"""The learning rates that one width still needs: further ones if the best is at an end, finer ones around it.

Learning rates that a search adds lie on one lattice, 2^(mesh·k) for integers k, so that widths, seeds and extensions of
a calibration share them to the last bit. The result depends only on the outcomes, not on their order.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from widthwise.calibration.trial import Trial
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.parabola import adjusted_means
from widthwise.vocabulary import TrialStatus

EXTENSION_OCTAVES = 1.0  # one extension of an end (chosen): the next fit uses one octave on each side
EXTENSION_LIMIT = 6.0  # octaves beyond the grid (chosen): the optimum's drift under the wrong alignment in 12 doublings
LARGEST_RATE = 1e6  # the service's limit; times any multiplier it still fits a float32
SMALLEST_RATE = 1e-12  # chosen: Adam's steps below it are lost in float32 weights
REFINEMENT_POINTS = 8  # of one round of a finer mesh (chosen): beyond that, noise limits the vertex, not the mesh
TOLERANCE = 1e-6  # octaves: rounding of logarithms, far below any spacing


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of the sweep trials of one width, whatever their order."""

    tried: frozenset[tuple[float, int]]  #: (learning rate, seed) with any outcome, including failures
    losses: Mapping[tuple[float, int], float]  #: of the completed ones, nats
    worse: frozenset[float]  #: learning rates at which some seed diverged or was stopped, so not the best

    @classmethod
    def of(cls, trials: Iterable[Trial], width: int, horizon: int | None = None) -> "Outcomes":
        """Return the outcomes at `width` and `horizon`; trials of a γ are not part of the sweep."""
        tried, losses, worse = set(), {}, set()
        for trial in trials:
            if trial.width != width or trial.role is not None or trial.horizon != horizon:
                continue
            cell = trial.learning_rate, trial.seed
            tried.add(cell)
            if trial.loss is not None:
                losses[cell] = trial.loss
            elif trial.status in (TrialStatus.DIVERGED, TrialStatus.STOPPED):
                worse.add(cell[0])
        return cls(frozenset(tried), losses, frozenset(worse))

    @property
    def rates(self) -> tuple[float, ...]:
        """Every learning rate that was tried, ascending."""
        return tuple(sorted({rate for rate, _ in self.tried}))

    def means(self) -> dict[float, float]:
        """Return the mean loss of each learning rate that no seed ruled out, as if every seed had run there."""
        good = sorted({rate for rate, _ in self.losses} - self.worse)
        seeds = sorted({seed for rate, seed in self.losses if rate not in self.worse})
        if not good:
            return {}
        loss_LxS = np.array([[self.losses.get((rate, seed), np.nan) for seed in seeds] for rate in good])
        return dict(zip(good, adjusted_means(loss_LxS).tolist(), strict=True))


def lattice_points(low: float, high: float, spacing: float, mesh: float, through: float) -> list[float]:
    """Return learning rates with log2 in [low, high], `spacing` octaves apart, on `mesh`'s lattice nearest `through`.

    The spacing is rounded to a whole number of meshes.

    >>> [round(rate, 4) for rate in lattice_points(-7, -5, 1.0, 0.5, -5.9)]
    [0.0078, 0.0156, 0.0312]
    """
    stride = max(1, round(spacing / mesh))
    middle = round(through / mesh)
    down = math.floor((middle * mesh - low + TOLERANCE) / (stride * mesh))
    up = math.floor((high - middle * mesh + TOLERANCE) / (stride * mesh))
    return [2.0 ** (mesh * (middle + stride * step)) for step in range(-down, up + 1)]


def next_rates(
    outcomes: Outcomes, optimum: Optimum | None, grid: Sequence[float], *, mesh: float, spacing: float
) -> list[float]:
    """Return the learning rates to try next at a width, ascending; empty once the optimum is found or remains a bound.

    If the best is at an end of the tried range, that end is extended by an octave, up to EXTENSION_LIMIT octaves beyond
    `grid`; if everything diverged, the lower end. An interior optimum gets neighbours on both sides at most `spacing`
    octaves away, or `mesh` octaves if its neighbour diverged or was stopped, since that does not show how the loss
    rises.
    """
    means = outcomes.means()
    if not means:
        return _beyond(outcomes.rates, min(outcomes.worse), -1, grid, mesh) if outcomes.worse else []
    best = min(means, key=lambda rate: (means[rate], rate))
    evidence = set(means) | outcomes.worse
    if best == min(evidence):
        return _beyond(outcomes.rates, best, -1, grid, mesh)
    if best == max(evidence):
        return _beyond(outcomes.rates, best, +1, grid, mesh)
    if optimum is None or optimum.kind != "interior":
        return []
    wanted = mesh if optimum.next_to_divergence else spacing
    return _between(outcomes.rates, optimum.log2_learning_rate, mesh, wanted)


def _beyond(rates: Sequence[float], end: float, side: int, grid: Sequence[float], mesh: float) -> list[float]:
    """Return an octave of learning rates beyond `end`, spaced like the last two there, within the limits."""
    gaps = [abs(math.log2(rate / end)) for rate in rates if rate != end]
    spacing = min(max(min(gaps, default=mesh), mesh), EXTENSION_OCTAVES)
    at = math.log2(end)
    far = at + side * EXTENSION_OCTAVES
    points = lattice_points(min(at, far) - mesh / 2, max(at, far) + mesh / 2, spacing, mesh, far)
    low = max(math.log2(min(grid)) - EXTENSION_LIMIT, math.log2(SMALLEST_RATE))
    high = min(math.log2(max(grid)) + EXTENSION_LIMIT, math.log2(LARGEST_RATE))
    return _new([rate for rate in points if low - TOLERANCE <= math.log2(rate) <= high], rates, mesh)


def _between(rates: Sequence[float], vertex: float, mesh: float, spacing: float) -> list[float]:
    """Return lattice points that fill the gaps around the learning rate nearest the vertex down to `spacing`."""
    x = np.log2(rates)
    nearest = int(np.argmin(np.abs(x - vertex)))
    around = [float(each) for each in x[max(nearest - 1, 0) : nearest + 2]]
    points = [
        rate
        for low, high in pairwise(around)
        if high - low > spacing + TOLERANCE
        for rate in lattice_points(low, high, spacing, mesh, low)
    ]
    new = sorted(_new(points, rates, mesh), key=lambda rate: (abs(math.log2(rate) - vertex), rate))
    return sorted(new[:REFINEMENT_POINTS])


def _new(points: Iterable[float], tried: Collection[float], mesh: float) -> list[float]:
    """Return those at least half a mesh from every learning rate tried, since nearer ones would add nothing."""
    return [p for p in points if all(abs(math.log2(p / rate)) >= mesh / 2 - TOLERANCE for rate in tried)]
