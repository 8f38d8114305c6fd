"""Demand: how many trials, operations and bytes a specification asks for, in closed form before any search is planned.

`outline` says what a search would run shard by shard, and takes seconds for tens of thousands of trials; this takes a
fraction of a millisecond for any specification.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from widthwise.calibration.memory import training_bytes
from widthwise.calibration.spec import CalibrationSpec
from widthwise.estimate.parts.gamma import GAMMAS, gamma_roles
from widthwise.search.bracket import REFINEMENT_POINTS, TOLERANCE
from widthwise.search.effort import Cell, sum_of_flops
from widthwise.search.followups import HORIZON_SPACING, OCTAVES_ABOVE, OCTAVES_BELOW
from widthwise.search.telescope import SCATTER, SLOPE_PRIOR, WINDOW, seeds_of, spacing_of
from widthwise.vocabulary import MEASURED_BY_RUNS, Measured, Runner, ShardKind

MOST = 2.0**40  # points of one window: beyond any limit, and no mesh however fine makes it infinite


@dataclass(frozen=True, slots=True)
class Demand:
    """What a specification asks for."""

    trials: int  #: of its sweeps
    flops: float  #: operations of all its runs, those that only measure included
    training_bytes: int  #: memory of the process that trains its largest model


def demand_of(spec: CalibrationSpec) -> Demand:
    """Return the demand of a calibration whose optima lie inside its grid: about that of its outline, and seldom below.

    >>> given = {"parameterization": "mup", "optimizer": "adam", "widths": [32, 64], "learning_rates": [0.1, 0.2, 0.4]}
    >>> demand_of(CalibrationSpec.from_dict({**given, "seeds": 2, "mesh": 1.0})).trials
    12
    """
    counted = _cells(spec)
    return Demand(
        trials=sum(count for (kind, _, _), count in counted.items() if kind != ShardKind.MEASURE),
        flops=sum_of_flops(spec, counted),
        training_bytes=max((training_bytes(spec, width) for width in spec.widths), default=0),
    )


def _cells(spec: CalibrationSpec) -> Counter[Cell]:
    """Count the runs by cost."""
    counted: Counter[Cell] = Counter()
    measured = set(spec.measure)
    widths = sorted(spec.widths)
    if spec.runner is Runner.EXTERNAL:
        return Counter({(ShardKind.SWEEP, width, 0): len(spec.learning_rates) * spec.seeds for width in widths})
    if kinds := measured & set(MEASURED_BY_RUNS):
        counted.update({(ShardKind.MEASURE, width, 0): len(kinds) * spec.seeds for width in widths})
    swept = widths if measured & {Measured.LEARNING_RATE, Measured.GAMMA} else widths[:1]
    if measured & {Measured.LEARNING_RATE, Measured.GAMMA, Measured.HORIZON}:
        counted.update({(ShardKind.SWEEP, width, 0): _sweep(spec, swept, index) for index, width in enumerate(swept)})
    if Measured.HORIZON in measured:
        rates = _points(OCTAVES_BELOW, OCTAVES_ABOVE, HORIZON_SPACING, spec.mesh)
        counted.update({(ShardKind.HORIZON, widths[0], steps): rates * spec.seeds for steps in spec.horizons})
    if Measured.GAMMA in measured:
        each = len(gamma_roles(spec)) * len(GAMMAS) * spec.seeds
        counted.update({(ShardKind.GAMMA, width, 0): each for width in swept})
    return counted


def _sweep(spec: CalibrationSpec, widths: Sequence[int], index: int) -> int:
    """The trials of one width's sweep: its grid with a finer mesh inside, or the window around a prediction."""
    telescoped = spec.is_telescope and index > 0
    seeds = len(seeds_of(spec.seeds, telescoped))
    spacing = spacing_of(spec.mesh, spec.seeds, telescoped)
    if not telescoped:
        return seeds * (len(spec.learning_rates) + _finer(spec.learning_rates, spacing))
    # a prediction from the widths before this one is no worse than from the nearest alone
    far = math.log2(widths[index] / widths[index - 1])
    error = math.hypot(far * (SLOPE_PRIOR + SCATTER), 2 * SCATTER)
    half = max(WINDOW, math.ceil(error / spacing) * spacing)
    return seeds * _points(half, half, spacing, spec.mesh)


def _points(below: float, above: float, spacing: float, mesh: float) -> int:
    """The points of a window of so many octaves on each side, on the mesh's lattice."""
    octaves = max(1, round(min(spacing / mesh, MOST))) * mesh
    return sum(math.floor(min(side / octaves, MOST) + TOLERANCE) for side in (below, above)) + 1


def _finer(rates: Sequence[float], spacing: float) -> int:
    """The points that a finer mesh puts around the optimum, wherever it lies among `rates`."""
    octaves = [math.log2(high) - math.log2(low) for low, high in pairwise(rates)]
    gaps = sorted(gap for gap in octaves if gap > spacing + TOLERANCE)[-2:]
    return min(REFINEMENT_POINTS, sum(math.ceil(min(gap / spacing, MOST) - TOLERANCE) - 1 for gap in gaps))
