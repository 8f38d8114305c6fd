"""Every change of state: the row locked, the move checked against the table of transitions, an event written.

Statements that every claim and every trial runs are built once, here, in `queue` and in `shards`, with parameters:
building them anew is work for the client at every claim. A name in capitals is such a statement, or a part of one.
"""

from collections.abc import Sequence
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

#: An event before it has a number: its kind and data.
Entry = tuple[str, JsonObject]

THE_CALIBRATION = calibrations.c.id == sa.bindparam("calibration")
LOCKED = sa.select(calibrations).where(THE_CALIBRATION).with_for_update(key_share=True)
LOCKED_IF_FREE = sa.select(calibrations).where(THE_CALIBRATION).with_for_update(key_share=True, skip_locked=True)
NUMBERED_ON = (
    sa.update(calibrations)
    .where(THE_CALIBRATION)
    .values(last_event=calibrations.c.last_event + sa.bindparam("added"))
    .returning(calibrations.c.last_event)
)
APPENDED = sa.insert(events).values(created_at=now())


def lock_calibration(connection: sa.Connection, calibration_id: str) -> sa.Row[Any]:
    """Return a calibration's row, locked until the transaction ends.

    Every transaction that changes a calibration, its shards or its trials begins here, so that they take
    turns, can't deadlock, and number their events without gaps. (SQLite has no row locks and drops the
    clause; there BEGIN IMMEDIATE is the lock.)
    """
    found = connection.execute(LOCKED, {"calibration": calibration_id}) if storable(calibration_id) else None
    row = None if found is None else found.one_or_none()
    if row is None:
        raise NotFoundError("calibration", calibration_id)
    return row


def lock_if_free(connection: sa.Connection, calibration_id: str) -> sa.Row[Any] | None:
    """Return the same without a wait: None if somebody else has it locked."""
    return connection.execute(LOCKED_IF_FREE, {"calibration": calibration_id}).one_or_none()


def add_events(connection: sa.Connection, calibration_id: str, entries: Sequence[Entry], **values: Any) -> None:
    """Append events of a locked calibration, numbered on from its last one; values: columns of its row to set."""
    if not entries:
        return
    raised = NUMBERED_ON.values(**values) if values else NUMBERED_ON
    last = connection.execute(raised, {"calibration": calibration_id, "added": len(entries)}).scalar_one()
    rows = [
        {"calibration_id": calibration_id, "seq": seq, "kind": kind, "data": dict(data)}
        for seq, (kind, data) in enumerate(entries, start=last - len(entries) + 1)
    ]
    connection.execute(APPENDED, rows)


def move_calibration(
    connection: sa.Connection, locked: sa.Row[Any], target: CalibrationState, *earlier: Entry, **values: Any
) -> None:
    """Take a locked calibration to another state, with its event after earlier ones; values: other columns to set."""
    source = CalibrationState(locked.state)
    if source not in calibration_sources(target):
        raise AssertionError(f"calibration {locked.id}: {source} → {target} is no transition")
    if target in FINAL_CALIBRATION_STATES:
        values["finished_at"] = now()
    else:
        values |= {"started_at": sa.func.coalesce(calibrations.c.started_at, now()), "finished_at": None}
    data = {"from": source.value, "to": target.value, "reason": values.get("reason")}
    add_events(connection, locked.id, [*earlier, ("calibration", data)], state=target, **values)


def moved_shard(target: ShardState, *where: sa.ColumnElement[bool], **values: Any) -> ReturningUpdate[Any]:
    """The UPDATE of shards to a state, if they are in one from which it follows; gives what `shard_entry` reads."""
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
    """The event of a shard's move, from its new row."""
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
    """Take a shard of a locked calibration to another state if `where` holds, with its event.

    Gives its new row, or None if it was in no state from which `target` follows, or `where` did not hold:
    then nothing was written.
    """
    source = connection.execute(sa.select(shards.c.state).where(shards.c.id == shard_id)).scalar_one()
    row = connection.execute(moved_shard(target, shards.c.id == shard_id, *where, **values)).one_or_none()
    if row is not None:
        add_events(connection, row.calibration_id, [shard_entry(source, row, with_reason="reason" in values)])
    return row
