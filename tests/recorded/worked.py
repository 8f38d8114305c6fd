"""A pretended worker: it claims shards and reports losses and measurements that were made up."""

import math
from typing import Any

from tests.recorded import asks, door, fits

Json = dict[str, Any]
ENVIRONMENT = {"device": "cpu", "platform": "test", "versions": {"jax": "0.10.2"}, "code_sha256": "a" * 64}
STOP_BEYOND = 3.0  # octaves below the optimum, where the engine gives up


def specifications() -> list[tuple[str, Json]]:
    """What the worker runs to the end: every search, and everything that can be measured."""
    common = asks.specification(widths=[32, 64, 128], steps=50, seeds=2)
    everything = {**common, "measure": fits.EVERYTHING}
    return [
        ("telescope", common),
        ("grid", {**common, "search": "grid"}),
        ("everything, telescope", everything),
        ("everything, grid", {**everything, "search": "grid", "parameterization": "mup", "seeds": 3}),
        ("fine and global", {**common, "mesh": 0.25, "learning_rate_rule": "global", "early_stopping": False}),
        ("only measured", {**common, "measure": ["epsilon", "coordinates"], "probe_learning_rate": 0.01}),
        ("an edge", {**common, "learning_rates": [2.0**power for power in range(-14, -8)], "search": "grid"}),
    ]


def outcomes(spec: Json, shard: Json) -> tuple[list[Json], list[Json]]:
    """The trials and measurements of one shard, as its child reports them."""
    if shard["kind"] == "measure":
        powers = fits.AS_THEORY
        kinds = shard["measure"]
        return [], [fits.readings(kind, shard["width"], s, powers[kind]) for s in shard["seeds"] for kind in kinds]
    cost = {"seconds": 0.5, "steps": 50, "flops": 1e9}
    trials = []
    for trial in asks.outcomes(shard):
        low = (
            math.log2(trial["learning_rate"] * trial["gamma"])
            < asks.best(trial["width"], trial["horizon"]) - STOP_BEYOND
        )
        stopped = {"status": "stopped", "loss": None} if low and spec["early_stopping"] else {}
        trials.append({**trial, **cost, **stopped})
    return trials, []


def run(work: door.Work, shards: int | None = None) -> list[Json]:
    """Run so many shards, or all there are; the shards in the order in which they were claimed."""
    ran: list[Json] = []
    work.report("w1", host="node", device="cpu", versions={"jax": "0.10.2"}, totals={}, begins=True)
    while (shards is None or len(ran) < shards) and (claim := work.claim("w1")) is not None:
        shard = claim.shard.to_dict()
        work.record(claim, ENVIRONMENT, *outcomes(claim.spec.to_dict(), shard))
        work.finish(claim)
        ran.append(shard)
    return ran
