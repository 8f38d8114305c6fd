"""The shards besides the sweep: runs that measure, horizons branched around the optimum, γ of each role."""

import math
from collections.abc import Sequence

from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.parts.gamma import gamma_learning_rate, gamma_roles, next_gammas
from widthwise.estimate.widths import WidthOptimum
from widthwise.search.bracket import Outcomes, lattice_points, next_rates
from widthwise.search.cut import cut
from widthwise.vocabulary import MEASURED_BY_RUNS, ShardKind

Trials = Sequence[Trial]
Shards = list[ShardSpec]

# Four times the tokens lower the optimum by an octave if LR ∝ tokens^−½, the steepest published (Complete(d)P); the
# window of a parabola needs another octave
OCTAVES_BELOW, OCTAVES_ABOVE = 2.0, 1.0
HORIZON_SPACING = 0.5  # octaves between a horizon's learning rates: five fit in the optimum's window


def measure_shards(spec: CalibrationSpec, measurements: Sequence[Measurement]) -> Shards:
    """Return one shard per width, with the seeds that lack a measurement."""
    kinds = tuple(kind for kind in MEASURED_BY_RUNS if kind in spec.measure)
    if not kinds:
        return []
    probe = spec.probe_learning_rate or spec.learning_rates[len(spec.learning_rates) // 2]
    known = {each.identity for each in measurements}
    shards = []
    for width in spec.widths:
        seeds = tuple(s for s in range(spec.seeds) if any((width, s, kind) not in known for kind in kinds))
        if seeds:
            shards.append(ShardSpec(width, (probe,), seeds, ShardKind.MEASURE, measure=kinds))
    return shards


def horizon_shards(spec: CalibrationSpec, trials: Trials, optimum: Optimum | None) -> Shards:
    """Return every horizon at the smallest width, over learning rates around its optimum; if an end is best, extend it.

    The smallest width is used because the longest horizon costs several times as much as a trial; the optimum is
    assumed to move with tokens in the same way at every width. All horizons of one learning rate and seed branch from
    one run.
    """
    if optimum is None:
        return []
    width, mesh, horizons = spec.base_width, spec.mesh, spec.horizons
    by_horizon = [Outcomes.of(trials, width, horizon) for horizon in horizons]
    seeds = range(spec.seeds)
    rates = {rate for outcomes in by_horizon for rate in outcomes.rates} or _around_horizon(optimum, mesh)
    cells = {
        (rate, seed)
        for rate in rates
        for seed in seeds
        if any((rate, seed) not in outcomes.tried for outcomes in by_horizon)
    }
    if not cells:
        beyond = (next_rates(each, None, spec.learning_rates, mesh=mesh, spacing=math.inf) for each in by_horizon)
        cells = {(rate, seed) for further in beyond for rate in further for seed in seeds}
    return cut(spec, width, cells, kind=ShardKind.HORIZON, horizons=horizons)


def gamma_shards(spec: CalibrationSpec, trials: Trials, optima: Sequence[WidthOptimum]) -> Shards:
    """Return γ of every role at every width that has an optimum, at a learning rate tried near it."""
    shards = []
    for width in spec.widths:
        seeds = sorted({seed for _, seed in Outcomes.of(trials, width).tried})
        for role in gamma_roles(spec):
            done = {
                (each.learning_rate, each.gamma, each.seed)
                for each in trials
                if each.width == width and each.role is role
            }
            # of the existing sweep, since more seeds might otherwise move it to a neighbour
            rates = {rate for rate, _, _ in done}
            rate = min(rates) if rates else gamma_learning_rate(optima, width)
            if rate is None:
                continue
            missing: dict[tuple[float, ...], list[int]] = {}
            tried = {gamma for other, gamma, _ in done if other == rate}
            for seed in seeds:
                gammas = tuple(sorted(gamma for gamma in tried if (rate, gamma, seed) not in done))
                missing.setdefault(gammas, []).append(seed)
            missing.pop((), None)
            further = () if missing else next_gammas(trials, width, role, rate)
            if new := tuple(gamma for gamma in further if gamma not in tried):
                missing = {new: seeds}
            shards += [
                ShardSpec(width, (rate,), tuple(lacking), ShardKind.GAMMA, role, gammas)
                for gammas, lacking in missing.items()
            ]
    return shards


def _around_horizon(optimum: Optimum, mesh: float) -> set[float]:
    centre = round(optimum.log2_learning_rate / mesh) * mesh
    return set(lattice_points(centre - OCTAVES_BELOW, centre + OCTAVES_ABOVE, HORIZON_SPACING, mesh, centre))
