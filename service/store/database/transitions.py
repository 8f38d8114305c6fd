"""Changes of state: lock the row, check the move against the table of transitions, write an event.

Statements that run for every claim and every trial are built once, with parameters, here and in `queue` and `shards`:
building them for each claim costs the client time. A name in capitals is such a statement, or a part of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.dml import ReturningUpdate

from service.store.database.clock import now
from service.store.database.errors import NotFoundError
from service.store.database.records import JsonObject
from service.store.database.states import (
    FINAL_CALIBRATION_STATES,
    FINAL_SHARD_STATES,
    CalibrationState,
    ShardState,
    calibration_sources,
    shard_sources,
)
from service.store.database.tables import calibrations, events, shards
from service.store.database.validation import storable
from widthwise.calibration.shard import ShardSpec

EVENT_BYTES = 324  # of a row with its index: measured by benchmarks.database_growth

#: An event before it has a number: its kind and data.
Entry = tuple[str, JsonObject]


@dataclass(frozen=True, slots=True)
class StoredGrowth:
    """What a calibration has more of than before, besides events."""

    trials: int = 0  #: that it shows
    rows: int = 0  #: of trials that it stores
    bytes: int = 0  #: of rows in all tables, roughly


NOTHING = StoredGrowth()

THE_CALIBRATION = calibrations.c.id == sa.bindparam("calibration")
LOCKED = sa.select(calibrations).where(THE_CALIBRATION).with_for_update(key_share=True)
LOCKED_IF_FREE = sa.select(calibrations).where(THE_CALIBRATION).with_for_update(key_share=True, skip_locked=True)
NUMBERED_ON = (
    sa.update(calibrations)
    .where(THE_CALIBRATION)
    .values(
        last_event=calibrations.c.last_event + sa.bindparam("added"),
        trials_done=calibrations.c.trials_done + sa.bindparam("more_trials"),
        stored_trials=calibrations.c.stored_trials + sa.bindparam("more_rows"),
        stored_bytes=calibrations.c.stored_bytes + sa.bindparam("more_bytes"),
    )
    .returning(calibrations.c.last_event)
)
APPENDED = sa.insert(events).values(created_at=now())


def lock_calibration(connection: sa.Connection, calibration_id: str) -> sa.Row[Any]:
    """Return a calibration's row, locked until the transaction ends.

    Every transaction that changes a calibration, its shards or its trials starts here, so these transactions take
    turns, can't deadlock, and number their events without gaps. (SQLite has no row locks and drops the clause;
    BEGIN IMMEDIATE is the lock there.)
    """
    found = connection.execute(LOCKED, {"calibration": calibration_id}) if storable(calibration_id) else None
    row = None if found is None else found.one_or_none()
    if row is None:
        raise NotFoundError("calibration", calibration_id)
    return row


def lock_if_free(connection: sa.Connection, calibration_id: str) -> sa.Row[Any] | None:
    """Return the same without waiting: None if another transaction has it locked."""
    return connection.execute(LOCKED_IF_FREE, {"calibration": calibration_id}).one_or_none()


def add_events(
    connection: sa.Connection,
    calibration_id: str,
    entries: Sequence[Entry],
    growth: StoredGrowth = NOTHING,
    *,
    numbered: ReturningUpdate[Any] = NUMBERED_ON,
    **values: Any,
) -> None:
    """Append events to a locked calibration, numbered from its last one.

    growth: what its other tables have more of. numbered: the update of its row, built once. values: more columns of its
    row to set.
    """
    if not entries:
        return
    raised = numbered.values(**values) if values else numbered
    more = {
        "added": len(entries),
        "more_trials": growth.trials,
        "more_rows": growth.rows,
        "more_bytes": growth.bytes + EVENT_BYTES * len(entries),
    }
    last = connection.execute(raised, {"calibration": calibration_id, **more}).scalar_one()
    rows = [
        {"calibration_id": calibration_id, "seq": seq, "kind": kind, "data": dict(data)}
        for seq, (kind, data) in enumerate(entries, start=last - len(entries) + 1)
    ]
    connection.execute(APPENDED, rows)


def add_first_event(connection: sa.Connection, calibration_id: str, entry: Entry) -> None:
    """Append event 1 to a calibration that was inserted with it counted: `last_event` 1, EVENT_BYTES stored."""
    kind, data = entry
    connection.execute(APPENDED, [{"calibration_id": calibration_id, "seq": 1, "kind": kind, "data": dict(data)}])


def move_calibration(
    connection: sa.Connection, locked: sa.Row[Any], target: CalibrationState, *earlier: Entry, **values: Any
) -> None:
    """Move a locked calibration to another state, with its event after `earlier`; values: other columns to set."""
    source = CalibrationState(locked.state)
    if source not in calibration_sources(target):
        raise AssertionError(f"calibration {locked.id}: {source} → {target} is not an allowed transition")
    if target in FINAL_CALIBRATION_STATES:
        values["finished_at"] = now()
    else:
        values |= {"started_at": sa.func.coalesce(calibrations.c.started_at, now()), "finished_at": None}
    data = {"from": source.value, "to": target.value, "reason": values.get("reason")}
    add_events(connection, locked.id, [*earlier, ("calibration", data)], state=target, **values)


def moved_shard(target: ShardState, *where: sa.ColumnElement[bool], **values: Any) -> ReturningUpdate[Any]:
    """The UPDATE that moves shards to a state they may enter; returns the columns that `shard_entry` reads."""
    if target in FINAL_SHARD_STATES:
        values["finished_at"] = now()
    if target is ShardState.QUEUED:
        values |= {"queued_at": now(), "published_at": None, "finished_at": None}
    if target is not ShardState.RUNNING:
        values["lease_until"] = None
    names = ("id", "calibration_id", "spec", "state", "attempts", "epoch", "worker_id", "reason")
    return (
        sa.update(shards)
        .where(shards.c.state.in_(shard_sources(target)), *where)
        .values(state=target, **values)
        .returning(*(shards.c[name] for name in names))
    )


def shard_entry(source: ShardState, row: sa.Row[Any], *, with_reason: bool = False) -> Entry:
    """The event of a shard's move, made from its new row."""
    shard = ShardSpec.from_dict(row.spec)
    data = {
        "shard_id": row.id,
        "width": shard.width,
        "seeds": list(shard.seeds),
        "kind": shard.kind.value,
        "from": source.value,
        "to": row.state.value,
        "attempt": row.attempts,
        "worker_id": row.worker_id,
        "reason": row.reason if with_reason else None,
    }
    return "shard", data


def move_shard(
    connection: sa.Connection,
    shard_id: str,
    target: ShardState,
    *where: sa.ColumnElement[bool],
    **values: Any,
) -> sa.Row[Any] | None:
    """Move a shard of a locked calibration to another state if `where` holds, with its event.

    Returns its new row. If its state does not allow the move or `where` does not hold, writes nothing and returns
    None.
    """
    source = connection.execute(sa.select(shards.c.state).where(shards.c.id == shard_id)).scalar_one()
    row = connection.execute(moved_shard(target, shards.c.id == shard_id, *where, **values)).one_or_none()
    if row is not None:
        add_events(connection, row.calibration_id, [shard_entry(source, row, with_reason="reason" in values)])
    return row
