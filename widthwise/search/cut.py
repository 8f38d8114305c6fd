"""Cuts runs into shards: enough for several processes, but none too small to be worth starting a process."""

import math
from collections.abc import Iterable, Sequence

from widthwise.calibration.cost import run_flops
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.vocabulary import ShardKind

# Operations, at about 25 GFLOP/s of one busy core. A child process needs about 4 s to start and compile, which is
# WORTH_TWO operations: above that, two children finish sooner than one. More than two help only on machines with more
# cores, so they are made if the start is a small part of each.
WORTH_TWO, WORTH_MORE = 1e11, 6e11
MOST_SHARDS = 8  # of one width and round (chosen): not one per trial, as accelerators run a sweep as one program


def cut(
    spec: CalibrationSpec,
    width: int,
    cells: Iterable[tuple[float, int]],
    *,
    kind: ShardKind = ShardKind.SWEEP,
    horizons: Sequence[int] = (),
) -> list[ShardSpec]:
    """Return the (learning rate, seed) cells of one width as shards, each a complete table of learning rates and seeds.

    Seeds are divided if that is even; otherwise each shard gets every k-th learning rate, so that it spans the range
    and early stopping has something to compare with.
    """
    wanted = sorted(set(cells))
    by_rates: dict[tuple[float, ...], list[int]] = {}
    for seed in sorted({seed for _, seed in wanted}):
        by_rates.setdefault(tuple(rate for rate, other in wanted if other == seed), []).append(seed)
    each = run_flops(spec, width, steps=max(horizons, default=None))
    shards = []
    for rates, seeds in by_rates.items():
        parts = _parts(len(rates) * len(seeds), each)
        groups = math.gcd(parts, len(seeds))
        strides = min(parts // groups, len(rates))
        shards += [
            ShardSpec(width, rates[stride::strides], tuple(seeds[group::groups]), kind, horizons=tuple(horizons))
            for group in range(groups)
            for stride in range(strides)
        ]
    return shards


def longest_first(spec: CalibrationSpec, shards: Iterable[ShardSpec]) -> list[ShardSpec]:
    """Return the sort key for the order in which workers take shards: longest first, ties by content."""

    def flops(part: ShardSpec) -> float:
        return part.runs * run_flops(spec, part.width, steps=part.longest_horizon)

    return sorted(shards, key=lambda part: (-flops(part), -part.width, repr(part.to_dict())))


def _parts(runs: int, flops: float) -> int:
    """Return a power of two, since most machines have such a number of cores."""
    work = runs * flops
    parts = max(work / WORTH_MORE, 2.0 if work >= WORTH_TWO else 1.0)
    return int(2 ** math.floor(math.log2(min(parts, MOST_SHARDS, runs))))
