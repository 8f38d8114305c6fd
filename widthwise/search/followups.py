"""The shards beside the sweep: runs that measure, horizons branched around the optimum, γ of each role."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from widthwise.calibration.grids import default_horizons
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.parts.gamma import gamma_learning_rate, gamma_roles, next_gammas
from widthwise.estimate.widths import WidthOptimum
from widthwise.search.bracket import Outcomes, lattice_points, next_rates
from widthwise.search.cut import cut, shard
from widthwise.vocabulary import MEASURED_BY_RUNS, ShardKind

Trials = Sequence[Mapping[str, Any]]
Shards = list[dict[str, Any]]

# Four times the tokens lower the optimum by an octave if LR ∝ tokens^−½, the steepest published (Complete(d)P), and the
# window of a parabola is another octave
OCTAVES_BELOW, OCTAVES_ABOVE = 2.0, 1.0
HORIZON_SPACING = 0.5  # octaves between the learning rates of a horizon: five in the optimum's window


def measure_shards(spec: Mapping[str, Any], measurements: Sequence[Mapping[str, Any]]) -> Shards:
    """One shard for each width, with the seeds that lack a measurement."""
    kinds = [kind.value for kind in MEASURED_BY_RUNS if kind in (spec.get("measure") or ())]
    if not kinds:
        return []
    rates = sorted(spec["learning_rates"])
    probe = float(spec.get("probe_learning_rate") or rates[len(rates) // 2])
    known = {(each["width"], each["seed"], each["kind"]) for each in measurements}
    shards = []
    for width in sorted(set(spec["widths"])):
        seeds = [s for s in range(int(spec["seeds"])) if any((width, s, kind) not in known for kind in kinds)]
        if seeds:
            shards.append(shard(ShardKind.MEASURE, width, [probe], seeds, measure=kinds))
    return shards


def horizon_shards(spec: Mapping[str, Any], trials: Trials, optimum: Optimum | None) -> Shards:
    """Every horizon at the smallest width, over learning rates around its optimum; ends that are best are extended.

    The smallest, since the longest horizon costs several times a trial, and how the optimum moves with tokens is taken
    to be the same at every width. All horizons of one learning rate and seed are branches of one run.
    """
    if optimum is None:
        return []
    width, mesh = min(spec["widths"]), float(spec.get("mesh", 0.5))
    horizons = sorted(spec.get("horizons") or default_horizons(int(spec["steps"])))
    by_horizon = [Outcomes.of(trials, width, horizon) for horizon in horizons]
    seeds = range(int(spec["seeds"]))
    rates = {rate for outcomes in by_horizon for rate in outcomes.rates} or _around_horizon(optimum, mesh)
    cells = {
        (rate, seed)
        for rate in rates
        for seed in seeds
        if any((rate, seed) not in outcomes.tried for outcomes in by_horizon)
    }
    if not cells:
        grid = [float(rate) for rate in spec["learning_rates"]]
        beyond = (next_rates(each, None, grid, mesh=mesh, spacing=math.inf) for each in by_horizon)
        cells = {(rate, seed) for further in beyond for rate in further for seed in seeds}
    return cut(spec, width, cells, kind=ShardKind.HORIZON, horizons=horizons)


def gamma_shards(spec: Mapping[str, Any], trials: Trials, optima: Sequence[WidthOptimum]) -> Shards:
    """γ of every role at every width that has an optimum, at a learning rate tried near it."""
    shards = []
    for width in sorted(set(spec["widths"])):
        seeds = sorted({seed for _, seed in Outcomes.of(trials, width).tried})
        for role in gamma_roles(spec):
            done = {
                (float(each["learning_rate"]), float(each["gamma"]), int(each["seed"]))
                for each in trials
                if each["width"] == width and each.get("role") == role.value
            }
            # of the sweep already made, which an extension by seeds might otherwise leave for a neighbour
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
                shard(ShardKind.GAMMA, width, [rate], lacking, role=role.value, gammas=list(gammas))
                for gammas, lacking in missing.items()
            ]
    return shards


def _around_horizon(optimum: Optimum, mesh: float) -> set[float]:
    centre = round(optimum.log2_learning_rate / mesh) * mesh
    return set(lattice_points(centre - OCTAVES_BELOW, centre + OCTAVES_ABOVE, HORIZON_SPACING, mesh, centre))
