"""Workers: who reported, from where, with what, what it does, and when it was last seen."""

from typing import Any

import sqlalchemy as sa

from service.store.database.clock import elapsed_seconds, now
from service.store.database.engine import insert_or
from service.store.database.records import JsonObject, Worker, WorkerState
from service.store.database.states import ShardState
from service.store.database.tables import calibrations, shards, workers
from service.store.database.validation import checked_json

ALIVE_SECONDS = 60.0  # since a worker's last report: it reports six times as often (chosen)
FORGOTTEN_SECONDS = 7 * 86400.0  # after which a worker that is gone is no longer listed (chosen)


def heartbeat(
    connection: sa.Connection,
    worker_id: str,
    *,
    host: str,
    device: str | None,
    versions: JsonObject | None,
    totals: JsonObject | None,
    begins: bool,
) -> None:
    """Note that a worker is alive; what is not given stays as it was. begins: a new process, perhaps of an old name."""
    checked_json(versions or {}, "versions")
    checked_json(totals or {}, "totals")
    insert = insert_or(connection, workers).values(
        id=worker_id,
        host=host,
        device=device,
        versions=dict(versions or {}),
        totals=dict(totals or {}),
        started_at=now(),
        last_seen=now(),
    )
    changed: dict[str, Any] = {"host": insert.excluded.host, "last_seen": insert.excluded.last_seen, "stopped_at": None}
    given = {"device": device is not None, "versions": versions is not None, "totals": totals is not None or begins}
    changed |= {name: insert.excluded[name] for name, is_given in given.items() if is_given}
    if begins:
        changed["started_at"] = insert.excluded.started_at
    connection.execute(insert.on_conflict_do_update(index_elements=[workers.c.id], set_=changed))


def stop(connection: sa.Connection, worker_id: str, totals: JsonObject | None) -> None:
    """Note that a worker has ended in order."""
    values: dict[str, Any] = {"stopped_at": now(), "last_seen": now()}
    if totals is not None:
        values["totals"] = dict(totals)
    connection.execute(sa.update(workers).where(workers.c.id == worker_id).values(**values))


def forget(connection: sa.Connection) -> int:
    """Drop workers that were last seen long ago and hold nothing; return their number."""
    holds = sa.select(shards.c.id).where(shards.c.worker_id == workers.c.id, shards.c.state == ShardState.RUNNING)
    old = sa.delete(workers).where(workers.c.last_seen < now(-FORGOTTEN_SECONDS), ~holds.exists())
    return connection.execute(old).rowcount


def list_all(connection: sa.Connection) -> tuple[Worker, ...]:
    """Return every worker, the one that reported last first."""
    held = (
        sa.select(shards.c.worker_id, shards.c.id, shards.c.calibration_id, calibrations.c.owner)
        .join(calibrations, calibrations.c.id == shards.c.calibration_id)
        .where(shards.c.state == ShardState.RUNNING)
    )
    running = {row.worker_id: row for row in connection.execute(held)}
    query = sa.select(workers, elapsed_seconds(workers.c.last_seen).label("seconds")).order_by(
        workers.c.last_seen.desc(), workers.c.id
    )
    return tuple(_read(row, running.get(row.id)) for row in connection.execute(query))


def _read(row: sa.Row[*tuple[Any, ...]], held: sa.Row[*tuple[Any, ...]] | None) -> Worker:
    if row.stopped_at is not None:
        state = WorkerState.STOPPED
    elif row.seconds > ALIVE_SECONDS:
        state = WorkerState.STALE
    else:
        state = WorkerState.IDLE if held is None else WorkerState.RUNNING
    return Worker(
        id=row.id,
        host=row.host,
        device=row.device,
        versions=row.versions,
        last_seen=row.last_seen,
        state=state,
        seconds_since_seen=max(0.0, float(row.seconds)),
        started_at=row.started_at,
        stopped_at=row.stopped_at,
        totals=row.totals or {},
        shard_id=None if held is None else held.id,
        calibration_id=None if held is None else held.calibration_id,
        owner=None if held is None else held.owner,
    )
