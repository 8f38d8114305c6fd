"""Every change of state: the row locked, the move checked against the table of transitions, an event written."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from service.store.clock import now
from service.store.door import storable
from service.store.errors import NotFoundError
from service.store.records import JsonObject
from service.store.states import (
    FINAL_CALIBRATION_STATES,
    FINAL_SHARD_STATES,
    CalibrationState,
    ShardState,
    calibration_sources,
    shard_sources,
)
from service.store.tables import calibrations, events, shards


def lock_calibration(connection: sa.Connection, calibration_id: str) -> sa.Row[Any]:
    """Give a calibration's row, locked until the transaction ends.

    Every transaction that changes a calibration, its shards or its trials begins here, so that they take
    turns, can't deadlock, and number their events without gaps. (SQLite has no row locks and drops the
    clause; there BEGIN IMMEDIATE is the lock.)
    """
    query = sa.select(calibrations).where(calibrations.c.id == calibration_id).with_for_update(key_share=True)
    row = connection.execute(query).one_or_none() if storable(calibration_id) else None
    if row is None:
        raise NotFoundError("calibration", calibration_id)
    return row


def add_events(connection: sa.Connection, calibration_id: str, entries: Sequence[tuple[str, JsonObject]]) -> None:
    """Append (kind, data) events of a locked calibration, numbered on from its last one."""
    if not entries:
        return
    raised = (
        sa.update(calibrations)
        .where(calibrations.c.id == calibration_id)
        .values(last_event=calibrations.c.last_event + len(entries))
        .returning(calibrations.c.last_event)
    )
    first = connection.execute(raised).scalar_one() - len(entries) + 1
    for seq, (kind, data) in enumerate(entries, start=first):
        connection.execute(
            sa.insert(events).values(
                calibration_id=calibration_id, seq=seq, created_at=now(), kind=kind, data=dict(data)
            )
        )


def move_calibration(connection: sa.Connection, locked: sa.Row[Any], target: CalibrationState, **values: Any) -> None:
    """Take a locked calibration to another state, with its event; values: other columns to set."""
    source = CalibrationState(locked.state)
    if source not in calibration_sources(target):
        raise AssertionError(f"calibration {locked.id}: {source} → {target} is no transition")
    if target in FINAL_CALIBRATION_STATES:
        values["finished_at"] = now()
    else:
        values |= {"started_at": sa.func.coalesce(calibrations.c.started_at, now()), "finished_at": None}
    connection.execute(sa.update(calibrations).where(calibrations.c.id == locked.id).values(state=target, **values))
    data = {"from": source.value, "to": target.value, "reason": values.get("reason")}
    add_events(connection, locked.id, [("calibration", data)])


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
    if target in FINAL_SHARD_STATES:
        values["finished_at"] = now()
    if target is ShardState.QUEUED:
        values |= {"queued_at": now(), "published_at": None, "finished_at": None}
    if target is not ShardState.RUNNING:
        values["lease_until"] = None
    moved = (
        sa.update(shards)
        .where(shards.c.id == shard_id, shards.c.state.in_(shard_sources(target)), *where)
        .values(state=target, **values)
        .returning(*shards.c)
    )
    row = connection.execute(moved).one_or_none()
    if row is not None:
        data = {
            "shard_id": row.id,
            "width": row.spec["width"],
            "seeds": row.spec["seeds"],
            "kind": row.spec.get("kind", "sweep"),
            "from": source.value,
            "to": target.value,
            "attempt": row.attempts,
            "worker_id": row.worker_id,
            "reason": row.reason if "reason" in values else None,
        }
        add_events(connection, row.calibration_id, [("shard", data)])
    return row
