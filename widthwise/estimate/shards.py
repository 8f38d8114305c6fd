"""Runs cut into shards: enough of them for several processes, none so small that its process starts for nothing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from widthwise.estimate.cost import trial_flops

WORTH_A_PROCESS = 2e11  # operations: about 8 s at the 25 GFLOP/s of one busy core; a child starts in 3 s
MOST_SHARDS = 8  # of one width and round (chosen): a whole sweep of an accelerator is one program, so not one a trial


def shard(kind: str, width: int, rates: Sequence[float], seeds: Sequence[int], **more: Any) -> dict[str, Any]:
    """A shard as JSON, with every member."""
    return {
        "kind": kind,
        "width": width,
        "learning_rates": list(rates),
        "seeds": list(seeds),
        "role": None,
        "gammas": [],
        "horizons": [],
        "measure": [],
        **more,
    }


def sweep_shards(
    spec: Mapping[str, Any], width: int, cells: Iterable[tuple[float, int]], **more: Any
) -> list[dict[str, Any]]:
    """The (learning rate, seed) cells of one width as shards of complete tables.

    Seeds part first; within one seed every so-many-th learning rate, so that each shard spans the range and early
    stopping has something to compare with.
    """
    by_rates: dict[tuple[float, ...], list[int]] = {}
    wanted = sorted(set(cells))
    for seed in sorted({seed for _, seed in wanted}):
        by_rates.setdefault(tuple(rate for rate, other in wanted if other == seed), []).append(seed)
    shards = []
    for rates, seeds in by_rates.items():
        parts = _parts(spec, width, len(rates) * len(seeds))
        share = max(1, round(parts / len(seeds)))  # of the learning rates of one seed
        groups = min(parts, len(seeds))
        for group in range(groups):
            for part in range(min(share, len(rates))):
                shards.append(
                    shard("sweep", width, rates[part :: min(share, len(rates))], seeds[group::groups], **more)
                )
    return shards


def run_flops(spec: Mapping[str, Any], width: int, steps: int | None = None) -> float:
    """Operations of one run at `width`, of `steps` steps (the specification's unless given)."""
    proxy = spec["proxy"]
    return trial_flops(
        proxy["architecture"],
        width,
        depth=proxy["depth"],
        sequence_length=proxy["sequence_length"],
        windows=(spec["steps"] if steps is None else steps) * proxy["batch_size"],
        feed_forward=proxy.get("feed_forward", "gelu"),
        head_dim=proxy.get("head_dim"),
    )


def shard_flops(spec: Mapping[str, Any], part: Mapping[str, Any]) -> float:
    """Operations of a shard if everything in it runs to its end."""
    runs = len(part["learning_rates"]) * len(part["seeds"]) * max(1, len(part.get("gammas") or ()))
    horizons = part.get("horizons") or ()
    return runs * run_flops(spec, part["width"], max(horizons) if horizons else None)


def longest_first(spec: Mapping[str, Any], shards: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The order in which workers take them: what takes longest starts first, ties by content."""
    return sorted(shards, key=lambda part: (-shard_flops(spec, part), -part["width"], part["kind"], repr(part)))


def _parts(spec: Mapping[str, Any], width: int, runs: int) -> int:
    return min(max(1, math.floor(runs * run_flops(spec, width) / WORTH_A_PROCESS)), MOST_SHARDS, runs)
