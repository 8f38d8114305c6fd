"""Which learning rates one width still needs: further ones where the best is at an end, finer ones around it.

Learning rates that a search adds lie on one lattice, 2^(mesh·k) with k whole, so that widths, seeds and extensions of a
calibration share them to the last bit. What is asked depends on the outcomes alone, not on their order.
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

EXTENSION_OCTAVES = 1.0  # one extension of an end (chosen): the next fit looks one octave to each side
EXTENSION_LIMIT = 6.0  # octaves beyond the grid (chosen): where the wrong alignment puts the optimum after 12 doublings
LARGEST_RATE = 1e6  # what the service takes; times any multiplier it is still a float32
SMALLEST_RATE = 1e-12  # chosen: Adam's steps below it vanish beside float32 weights
REFINEMENT_POINTS = 8  # of one round of a finer mesh (chosen): noise, not the mesh, limits the vertex beyond
TOLERANCE = 1e-6  # octaves: rounding of logarithms, far below any spacing


@dataclass(frozen=True)
class Outcomes:
    """What the sweep trials of one width say, whatever their order."""

    tried: frozenset[tuple[float, int]]  #: (learning rate, seed) with any outcome, a failure included
    losses: Mapping[tuple[float, int], float]  #: of the completed ones, nats
    worse: frozenset[float]  #: learning rates at which some seed diverged or was stopped: none of them is the best

    @classmethod
    def of(cls, trials: Iterable[Trial], width: int, horizon: int | None = None) -> "Outcomes":
        """The outcomes at `width` and `horizon`; trials of a γ are no part of the sweep."""
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
        """Every learning rate tried, ascending."""
        return tuple(sorted({rate for rate, _ in self.tried}))

    def means(self) -> dict[float, float]:
        """Mean loss of each learning rate that no seed spoke against, as if every seed had run there."""
        good = sorted({rate for rate, _ in self.losses} - self.worse)
        seeds = sorted({seed for rate, seed in self.losses if rate not in self.worse})
        if not good:
            return {}
        loss_LxS = np.array([[self.losses.get((rate, seed), np.nan) for seed in seeds] for rate in good])
        return dict(zip(good, adjusted_means(loss_LxS).tolist(), strict=True))


def lattice_points(low: float, high: float, spacing: float, mesh: float, through: float) -> list[float]:
    """Learning rates with log2 in [low, high], `spacing` octaves apart, on the lattice of `mesh` nearest `through`.

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
    """Learning rates to try next at a width, ascending; empty once the optimum is found or stays a bound.

    An end of the tried range that is the best is extended by an octave, up to EXTENSION_LIMIT octaves beyond `grid`;
    where everything diverged, downwards. An optimum inside gets neighbours on both sides at most `spacing` octaves from
    it, and `mesh` octaves where the one beside it diverged or was stopped: that says nothing of how the loss rises.
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
    """An octave of learning rates beyond `end`, as far apart as the two there, within the limits."""
    gaps = [abs(math.log2(rate / end)) for rate in rates if rate != end]
    spacing = min(max(min(gaps, default=mesh), mesh), EXTENSION_OCTAVES)
    at = math.log2(end)
    far = at + side * EXTENSION_OCTAVES
    points = lattice_points(min(at, far) - mesh / 2, max(at, far) + mesh / 2, spacing, mesh, far)
    low = max(math.log2(min(grid)) - EXTENSION_LIMIT, math.log2(SMALLEST_RATE))
    high = min(math.log2(max(grid)) + EXTENSION_LIMIT, math.log2(LARGEST_RATE))
    return _new([rate for rate in points if low - TOLERANCE <= math.log2(rate) <= high], rates, mesh)


def _between(rates: Sequence[float], vertex: float, mesh: float, spacing: float) -> list[float]:
    """Lattice points that fill the gaps beside the learning rate nearest the vertex down to `spacing`."""
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
    """Those at least half a mesh from every learning rate tried: a nearer one would say the same again."""
    return [p for p in points if all(abs(math.log2(p / rate)) >= mesh / 2 - TOLERANCE for rate in tried)]
