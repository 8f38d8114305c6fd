"""Rounds: the shards that a calibration still needs, planned from what it has, and stored together."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.identifiers import new_id
from service.store.database.records import JsonObject, ShardSpec
from service.store.database.states import ShardState
from service.store.database.tables import shards
from service.store.work.expectation import stage_name, stage_of_trial, to_come


class NextRound(Protocol):
    """What says which shards are to be run next, purely: widthwise.estimate.search.next_round."""

    def __call__(
        self, spec: JsonObject, trials: Sequence[JsonObject], measurements: Sequence[JsonObject]
    ) -> Sequence[JsonObject]:
        """Return the next shards, longest work first; none: the calibration has all it needs."""


@dataclass(frozen=True, slots=True)
class Search:
    """How a calibration finds what it looks for: the next round, and every round as far as it can be foreseen."""

    next_round: NextRound
    outline: Callable[[JsonObject], Sequence[JsonObject]]


def default_search() -> Search:
    """The library's search, imported when first needed: it loads scipy."""
    from widthwise.search.rounds import next_round, outline

    return Search(next_round, outline)


def outlined(search: Search, spec: JsonObject) -> list[ShardSpec]:
    """Return every shard that a calibration is expected to run; none where the runner is external."""
    return [] if spec["runner"] == "external" else [ShardSpec.from_dict(shard) for shard in search.outline(spec)]


def next_shards(
    search: Search, spec: JsonObject, trials: Sequence[JsonObject], measurements: Sequence[JsonObject]
) -> list[ShardSpec]:
    """Return the shards of the next round; none for a calibration whose runner is external.

    A shard of which everything is stored already, failures included, is left out: no plan can go on without end.
    """
    if spec["runner"] == "external":
        return []
    ran = {_trial_identity(trial) for trial in trials}
    measured = {(found["width"], found["seed"], found["kind"]) for found in measurements}
    planned = [ShardSpec.from_dict(shard) for shard in search.next_round(spec, trials, measurements)]
    return [shard for shard in planned if shard.trials() - ran or shard.measurements() - measured]


def count_trials(expected: JsonObject, planned: Sequence[ShardSpec], trials: Sequence[JsonObject]) -> int:
    """Count the trials of a calibration: stored, planned now, and expected of what can't be planned yet."""
    everything = {_trial_identity(trial) for trial in trials}.union(*(shard.trials() for shard in planned))
    known = Counter((stage_of_trial(one[0], one[3], one[5]), one[5] or 0) for one in everything)
    left = to_come(expected, known, {stage_name(shard) for shard in planned})
    return len(everything) + sum(count for (kind, _, _), count in left.items() if kind != "measure")


def insert(connection: sa.Connection, calibration: sa.Row[Any], planned: Sequence[ShardSpec]) -> list[str]:
    """Store shards behind those that a calibration has; return their ids."""
    query = sa.select(sa.func.max(shards.c.position)).where(shards.c.calibration_id == calibration.id)
    last = connection.execute(query).scalar_one()
    first = 0 if last is None else last + 1
    rows = [
        {
            "id": new_id("shd"),
            "calibration_id": calibration.id,
            # the calibration's own, by which shards are claimed: later rounds do not queue behind newer calibrations
            "created_at": calibration.created_at,
            "position": position,
            "spec": shard.to_dict(),
            "state": ShardState.QUEUED,
            "attempts": 0,
            "epoch": 0,
        }
        for position, shard in enumerate(planned, start=first)
    ]
    if rows:
        connection.execute(sa.insert(shards).values(queued_at=now()), rows)
    return [row["id"] for row in rows]


def _trial_identity(trial: JsonObject) -> tuple[Any, ...]:
    return (
        trial["width"],
        trial["learning_rate"],
        trial["seed"],
        trial.get("role"),
        trial.get("gamma", 1.0),
        trial.get("horizon"),
    )
