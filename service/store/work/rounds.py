"""Rounds: plans the shards that a calibration still needs from what it has, and stores them together."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.identifiers import new_id
from service.store.database.records import JsonObject
from service.store.database.states import ShardState
from service.store.database.tables import shards
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial
from widthwise.search.expectation import stage_name, stage_of_trial, to_come
from widthwise.vocabulary import Runner, ShardKind

INSERTED = sa.insert(shards).values(queued_at=now())


class NextRound(Protocol):
    """A pure function that plans the next shards, such as widthwise.search.rounds.next_round."""

    def __call__(
        self, spec: CalibrationSpec, trials: Sequence[Trial], measurements: Sequence[Measurement]
    ) -> Sequence[ShardSpec]:
        """Return the next shards, longest first; empty if the calibration has all it needs."""


@dataclass(frozen=True, slots=True)
class Planner:
    """How a calibration searches: the next round, and all rounds as far as they can be predicted."""

    next_round: NextRound
    outline: Callable[[CalibrationSpec], Sequence[ShardSpec]]


def default_planner() -> Planner:
    """The library's search, imported when first needed because it loads scipy."""
    from widthwise.search.rounds import next_round, outline

    return Planner(next_round, outline)


def outlined(planner: Planner, spec: CalibrationSpec) -> Sequence[ShardSpec]:
    """Return every shard that a calibration is expected to run; empty if its runner is external."""
    return () if spec.runner is Runner.EXTERNAL else planner.outline(spec)


def next_shards(
    planner: Planner, spec: CalibrationSpec, trials: Sequence[Trial], measurements: Sequence[Measurement]
) -> list[ShardSpec]:
    """Return the shards of the next round; empty if the calibration's runner is external.

    A shard whose outcomes are all stored, failures included, is left out, so that planning always ends.
    """
    if spec.runner is Runner.EXTERNAL:
        return []
    ran = {trial.identity for trial in trials}
    measured = {found.identity for found in measurements}
    planned = planner.next_round(spec, trials, measurements)
    return [shard for shard in planned if shard.trials() - ran or shard.measurements() - measured]


def count_trials(expected: JsonObject, planned: Sequence[ShardSpec], trials: Sequence[Trial]) -> int:
    """Count the trials of a calibration: stored, planned now, and expected in rounds that can't be planned yet."""
    everything = {trial.identity for trial in trials}.union(*(shard.trials() for shard in planned))
    known = Counter((stage_of_trial(one.width, one.role, one.horizon), one.horizon or 0) for one in everything)
    left = to_come(expected, known, {stage_name(shard) for shard in planned})
    return len(everything) + sum(count for (kind, _, _), count in left.items() if kind != ShardKind.MEASURE)


def insert_more(connection: sa.Connection, calibration: sa.Row[Any], planned: Sequence[ShardSpec]) -> list[str]:
    """Store shards after those that a calibration has; return their ids."""
    query = sa.select(sa.func.max(shards.c.position)).where(shards.c.calibration_id == calibration.id)
    last = connection.execute(query).scalar_one()
    return insert(connection, calibration, planned, first=0 if last is None else last + 1)


def insert(
    connection: sa.Connection, calibration: sa.Row[Any], planned: Sequence[ShardSpec], *, first: int = 0
) -> list[str]:
    """Store shards at positions from `first` on; return their ids."""
    rows = [
        {
            "id": new_id("shd"),
            "calibration_id": calibration.id,
            "owner": calibration.owner,
            # the calibration's time orders claims, so later rounds do not queue behind newer calibrations
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
        connection.execute(INSERTED, rows)
    return [row["id"] for row in rows]
