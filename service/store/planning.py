"""Planning: a calibration's specification → the shards its workers run."""

from service.store.records import JsonObject, ShardSpec
from widthwise.errors import InvalidInputError


def plan_shards(spec: JsonObject) -> list[ShardSpec]:
    """Give one shard for each (width, seed), largest width first: the longest work starts soonest.

    Seeds are 0 … seeds−1. A calibration whose runner is "external" has no shards.

    >>> spec = {"runner": "worker", "widths": [32, 64], "seeds": 2, "learning_rates": [0.01, 0.1]}
    >>> [(shard.width, shard.seeds, shard.trials) for shard in plan_shards(spec)]
    [(64, (0,), 2), (64, (1,), 2), (32, (0,), 2), (32, (1,), 2)]
    """
    if spec["runner"] == "external":
        return []
    learning_rates = tuple(float(rate) for rate in spec.get("learning_rates") or ())
    widths, seeds = sorted(set(spec["widths"]), reverse=True), int(spec["seeds"])
    if not learning_rates or not widths or seeds < 1:
        raise InvalidInputError(
            f"Nothing to run: {len(widths)} widths, {seeds} seeds, {len(learning_rates)} learning rates; give "
            "at least one of each.",
            field="spec",
        )
    return [ShardSpec(width, learning_rates, (seed,)) for width in widths for seed in range(seeds)]


def planned_trials(spec: JsonObject) -> int:
    """Give the number of trials of the grid: widths × seeds × learning rates."""
    return len(set(spec["widths"])) * int(spec["seeds"]) * len(spec.get("learning_rates") or ())
