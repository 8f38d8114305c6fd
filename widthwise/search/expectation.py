"""Expectation: what a calibration will run, as far as that can be predicted before its outcomes."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.search.effort import Cell, cell_steps, cells, sum_of_flops

JsonObject = Mapping[str, Any]

#: Part of a search that is planned in one go: kind of shard, width, role.
StageName = tuple[str, int, str | None]


def stage_name(shard: ShardSpec) -> StageName:
    """Return the stage that a shard belongs to."""
    return (shard.kind, shard.width, shard.role if shard.kind == "gamma" else None)


def stage_of_trial(width: int, role: str | None, horizon: int | None) -> StageName:
    """Return the stage that a trial belongs to."""
    return ("gamma", width, role) if role else ("horizon" if horizon else "sweep", width, None)


def expected_cells(expected: JsonObject) -> Counter[Cell]:
    """Count the runs of an expectation by cost."""
    return to_come(expected, {}, frozenset())


def expect(
    spec: CalibrationSpec,
    outline: Sequence[ShardSpec],
    planned: Sequence[ShardSpec] | None = None,
    begun: Iterable[StageName] = (),
) -> JsonObject:
    """Return what a calibration is expected to run: trials, shards, training_steps, flops, and their stages.

    outline: every shard that it would run from scratch. planned: if it continues from another one's trials, the shards
    of its first round; `begun` are the stages of those trials. `upper_bound`: a search that ends earlier, as soon as it
    knows enough.
    """
    shards = tuple(outline)
    if planned is not None and not spec.is_information:  # which may return to a stage that has trials
        known = {*begun, *map(stage_name, planned)}
        shards = (*planned, *(shard for shard in shards if stage_name(shard) not in known))
    stages: dict[StageName, dict[str, Any]] = {}
    for shard in shards:
        name = stage_name(shard)
        kind, width, role = name
        stage = stages.setdefault(name, {"kind": kind, "width": width, "role": role, "runs": Counter()})
        stage["runs"].update({str(horizon): count for (_, _, horizon), count in cells([shard]).items()})
    counted = cells(shards)
    return {
        "trials": sum(count for (kind, _, _), count in counted.items() if kind != "measure"),
        "shards": len(shards),
        "training_steps": round(math.fsum(count * cell_steps(spec, cell) for cell, count in counted.items())),
        "flops": sum_of_flops(spec, counted),
        **({"upper_bound": True} if spec.is_information else {}),
        "stages": [{**stage, "runs": dict(stage["runs"])} for stage in stages.values()],
    }


def to_come(expected: JsonObject, known: Mapping[tuple[StageName, int], int], current: Set[StageName]) -> Counter[Cell]:
    """Count the expected runs beyond those that are stored or planned.

    known: runs stored or planned, by stage and horizon (0: the specification's steps). current: stages in progress,
    which may still need all of their expected runs; finished stages need no more.
    """
    over = {name for name, _ in known} - current
    counted: Counter[Cell] = Counter()
    for stage in expected["stages"]:
        name = (stage["kind"], stage["width"], stage["role"])
        for horizon, count in () if name in over else stage["runs"].items():
            left = count - known.get((name, int(horizon)), 0)
            if left > 0:
                counted[stage["kind"], stage["width"], int(horizon)] += left
    return counted
