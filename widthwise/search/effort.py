"""Effort: the operations of shards, known before they run, and their seconds at measured rates."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from widthwise.calibration.cost import COOLDOWN_SHARE, run_flops
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.vocabulary import MEASURED_BY_RUNS, ShardKind


@dataclass(frozen=True, slots=True)
class FlopRate:
    """The measured speed of trials of one width."""

    width: int
    trials: int
    flops_per_second: float


#: Runs with the same cost: kind of shard, width, and steps of a branched horizon (0: the specification's).
Cell = tuple[str, int, int]


def cells(shards: Iterable[ShardSpec]) -> Counter[Cell]:
    """Count the runs of shards by cost: trials, or for a measure shard its measurements."""
    counted: Counter[Cell] = Counter()
    for shard in shards:
        if shard.kind == ShardKind.MEASURE:
            counted[ShardKind.MEASURE, shard.width, 0] += len(shard.seeds) * len(shard.measure)
            continue
        each = (
            len(shard.learning_rates) * len(shard.seeds) * (len(shard.gammas) if shard.kind == ShardKind.GAMMA else 1)
        )
        for horizon in shard.horizons if shard.kind == ShardKind.HORIZON else (0,):
            counted[shard.kind, shard.width, horizon] += each
    return counted


def cell_steps(spec: CalibrationSpec, cell: Cell) -> float:
    """Return the optimizer steps of one run of a cell; steps that runs share are counted once.

    >>> given = {"parameterization": "mup", "optimizer": "adam", "widths": [8], "steps": 100, "horizons": [100, 200]}
    >>> spec = CalibrationSpec.from_dict({**given, "measure": ["epsilon", "alignment"]})
    >>> [round(cell_steps(spec, cell)) for cell in (("sweep", 8, 0), ("horizon", 8, 200), ("measure", 8, 0))]
    [100, 120, 50]
    """
    kind, _, horizon = cell
    if kind == ShardKind.MEASURE:  # one run yields a measurement of every requested kind
        kinds = len(set(spec.measure) & set(MEASURED_BY_RUNS))
        return spec.steps / max(1, kinds)
    if kind == ShardKind.HORIZON:
        before = max((steps for steps in spec.horizons if steps < horizon), default=0)
        return COOLDOWN_SHARE * horizon + (1 - COOLDOWN_SHARE) * (horizon - before)
    return float(spec.steps)


def cell_flops(spec: CalibrationSpec, cell: Cell) -> float:
    """Return the operations of one complete run of a cell, without those of measurements."""
    return run_flops(spec, cell[1], steps=cell_steps(spec, cell), evaluated=cell[0] != ShardKind.MEASURE)


def flops_by_width(spec: CalibrationSpec, counted: Mapping[Cell, int]) -> dict[int, float]:
    """Return the operations of the given number of runs of each cell, by width; counts below 0 are taken as 0."""
    by_width: dict[int, float] = {}
    for cell, count in counted.items():
        by_width[cell[1]] = by_width.get(cell[1], 0.0) + max(0, count) * cell_flops(spec, cell)
    return by_width


def sum_of_flops(spec: CalibrationSpec, counted: Mapping[Cell, int]) -> float:
    """Return the operations of all these runs; sweeps with a budget take no more than that."""
    sweeps = {cell: count for cell, count in counted.items() if cell[0] == ShardKind.SWEEP}
    others = {cell: count for cell, count in counted.items() if cell[0] != ShardKind.SWEEP}
    swept, rest = (math.fsum(flops_by_width(spec, each).values()) for each in (sweeps, others))
    return rest + (swept if spec.budget is None else min(swept, spec.budget))


def seconds_at(flops: Mapping[int, float], rates: Iterable[FlopRate], workers: int) -> float | None:
    """Return the seconds that each width's operations take at the nearest width's rate; None without any rate.

    Narrow models run at a fraction of the rate of wide ones, so each width has its own rate. Time that is not part of a
    trial's seconds, mainly compilation, is not included here either.

    >>> seconds_at({32: 1e9, 512: 8e9}, [FlopRate(64, 3, 1e9), FlopRate(256, 3, 4e9)], workers=1)
    3.0
    """
    known = {rate.width: rate.flops_per_second for rate in rates if rate.flops_per_second > 0}
    if not known:
        return None
    total = 0.0
    for width, operations in flops.items():
        nearest = min(known, key=lambda other: (abs(math.log(other / width)), other))
        total += operations / known[nearest]
    return total / max(1, workers)
