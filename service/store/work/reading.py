"""Reads calibrations, shards and events: turns rows into records."""

from typing import Any

import sqlalchemy as sa

from service.store.database.clock import elapsed_seconds
from service.store.database.errors import NotFoundError
from service.store.database.records import CalibrationProgress, Event, Shard, StoredCalibration
from service.store.database.states import ShardState
from service.store.database.tables import calibrations, events, shards
from service.store.database.transitions import THE_CALIBRATION
from service.store.database.validation import storable
from service.store.work import progress
from widthwise.calibration.shard import ShardSpec

_ONE = sa.select(calibrations).where(THE_CALIBRATION)


def read_calibration(connection: sa.Connection, calibration_id: str) -> StoredCalibration:
    """Return one calibration with its progress; NotFoundError if there is none."""
    row = connection.execute(_ONE, {"calibration": calibration_id}).one_or_none() if storable(calibration_id) else None
    if row is None:
        raise NotFoundError("calibration", calibration_id)
    return calibration_of(row, progress.of(connection, [row]))


def calibration_of(row: sa.Row[Any], counted: dict[str, CalibrationProgress]) -> StoredCalibration:
    """Return the record of a calibration's row."""
    return StoredCalibration(
        id=row.id,
        created_at=row.created_at,
        state=row.state,
        stored_spec=row.spec,
        runner=row.runner,
        reason=row.reason,
        cancel_requested=row.cancel_requested_at is not None,
        result=row.result,
        started_at=row.started_at,
        finished_at=row.finished_at,
        last_event=row.last_event,
        progress=counted[row.id],
        spec_digest=row.spec_digest,
        extends=row.extends,
        rounds=row.rounds,
        environments=tuple(row.environments or ()),
        expected=row.expected,
        owner=row.owner,
        name=row.name,
        note=row.note,
    )


def shard_of(row: sa.Row[Any]) -> Shard:
    """Return the record of a shard's row, read with `SHARDS`."""
    return Shard(
        id=row.id,
        calibration_id=row.calibration_id,
        position=row.position,
        spec=ShardSpec.from_dict(row.spec),
        state=row.state,
        attempts=row.attempts,
        epoch=row.epoch,
        worker_id=row.worker_id,
        lease_until=row.lease_until,
        queued_at=row.queued_at,
        published_at=row.published_at,
        reason=row.reason,
        environment=row.environment,
        started_at=row.started_at,
        finished_at=row.finished_at,
        lease_seconds=None if row.overdue is None or row.state != ShardState.RUNNING else -float(row.overdue),
    )


#: Every column of the shards, and how long ago each lease ended.
SHARDS = sa.select(shards, elapsed_seconds(shards.c.lease_until).label("overdue")).order_by(shards.c.position)
EVENTS = sa.select(events).order_by(events.c.seq)


def event_of(row: sa.Row[Any]) -> Event:
    """Return the record of an event's row."""
    return Event(row.calibration_id, row.seq, row.created_at, row.kind, row.data)
