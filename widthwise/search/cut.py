"""Runs cut into shards: enough of them for several processes, none so small that its process starts for nothing."""

import math
from collections.abc import Iterable, Sequence

from widthwise.calibration.cost import run_flops
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.vocabulary import ShardKind

# Operations, at some 25 GFLOP/s of one busy core. A child process needs about 4 s to start and compile, a core's worth
# of WORTH_TWO: from there on two children end sooner than one. More than two pay on machines with more cores only, so
# they are made where a start is a small part of each.
WORTH_TWO, WORTH_MORE = 1e11, 6e11
MOST_SHARDS = 8  # of one width and round (chosen): an accelerator runs a whole sweep as one program, so not one a trial


def cut(
    spec: CalibrationSpec,
    width: int,
    cells: Iterable[tuple[float, int]],
    *,
    kind: ShardKind = ShardKind.SWEEP,
    horizons: Sequence[int] = (),
) -> list[ShardSpec]:
    """The (learning rate, seed) cells of one width as shards, each a complete table of learning rates and seeds.

    Seeds are parted where that comes out even; else every so-many-th learning rate goes to each shard, so that each
    spans the range and early stopping has something to compare with.
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
    """The order in which workers take them: what takes longest starts first, ties by content."""

    def flops(part: ShardSpec) -> float:
        return part.runs * run_flops(spec, part.width, steps=part.longest_horizon)

    return sorted(shards, key=lambda part: (-flops(part), -part.width, repr(part.to_dict())))


def _parts(runs: int, flops: float) -> int:
    """A power of two, since most machines have such a number of cores."""
    work = runs * flops
    parts = max(work / WORTH_MORE, 2.0 if work >= WORTH_TWO else 1.0)
    return int(2 ** math.floor(math.log2(min(parts, MOST_SHARDS, runs))))
