"""Workers: their host, device and versions, what they do, and when they were last seen."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import elapsed_seconds, now
from service.store.database.engine import insert_or
from service.store.database.records import JsonObject, StoredWorker, WorkerState
from service.store.database.states import ShardState
from service.store.database.tables import calibrations, shards, workers
from service.store.database.validation import checked_json
from service.store.database.view import View
from service.store.work.housekeeping import give_back
from service.store.work.queue import ALIVE_SECONDS

FORGOTTEN_SECONDS = 7 * 86400.0  # until a worker that is gone is no longer listed (chosen)


class Workers:
    """The workers' reports, as one owner sees them."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._database = view.database

    def report(
        self,
        worker_id: str,
        *,
        host: str,
        device: str | None = None,
        versions: JsonObject | None = None,
        totals: JsonObject | None = None,
        begins: bool = False,
    ) -> None:
        """Record that the worker is alive; omitted values stay unchanged.

        totals: what it has done since it started. begins: this is a new process, perhaps with the name of an old one.
        """
        checked_json(versions or {}, "versions")
        checked_json(totals or {}, "totals")
        given = {"device": device is not None, "versions": versions is not None, "totals": totals is not None or begins}
        with self._database.write() as connection:
            insert = insert_or(connection.dialect.name, workers).values(
                id=worker_id,
                host=host,
                device=device,
                versions=dict(versions or {}),
                totals=dict(totals or {}),
                started_at=now(),
                last_seen=now(),
            )
            excluded = insert.excluded
            changed: dict[str, Any] = {"host": excluded.host, "last_seen": excluded.last_seen, "stopped_at": None}
            changed |= {name: excluded[name] for name, is_given in given.items() if is_given}
            if begins:
                changed["started_at"] = excluded.started_at
            connection.execute(insert.on_conflict_do_update(index_elements=[workers.c.id], set_=changed))

    def stop(self, worker_id: str, *, totals: JsonObject | None = None) -> None:
        """Record that the worker has shut down properly."""
        values: dict[str, Any] = {"stopped_at": now(), "last_seen": now()}
        if totals is not None:
            values["totals"] = dict(totals)
        with self._database.write() as connection:
            give_back(connection, worker_id)
            connection.execute(sa.update(workers).where(workers.c.id == worker_id).values(**values))

    def abandon(self, worker_id: str) -> int:
        """End the leases of a worker known to be dead, so that others need not wait for them; return how many."""
        ended = (
            sa.update(shards)
            .where(shards.c.worker_id == worker_id, shards.c.state == ShardState.RUNNING)
            .values(lease_until=now(-1.0))
        )
        with self._database.write() as connection:
            give_back(connection, worker_id)
            return connection.execute(ended).rowcount

    def forget(self) -> int:
        """Delete workers not seen for a week that hold nothing; return how many."""
        holds = sa.select(shards.c.id).where(shards.c.worker_id == workers.c.id, shards.c.state == ShardState.RUNNING)
        old = sa.delete(workers).where(workers.c.last_seen < now(-FORGOTTEN_SECONDS), ~holds.exists())
        with self._database.write() as connection:
            return connection.execute(old).rowcount

    def all(self) -> tuple[StoredWorker, ...]:
        """Return every worker that has reported, latest first, with its shard if this owner may see it."""
        held = (
            sa.select(shards.c.worker_id, shards.c.id, shards.c.calibration_id, calibrations.c.owner)
            .join(calibrations, calibrations.c.id == shards.c.calibration_id)
            .where(shards.c.state == ShardState.RUNNING)
        )
        query = sa.select(workers, elapsed_seconds(workers.c.last_seen).label("seconds")).order_by(
            workers.c.last_seen.desc(), workers.c.id
        )
        with self._database.read() as connection:
            running = {row.worker_id: row for row in connection.execute(held)}
            found = [_read(row, running.get(row.id)) for row in connection.execute(query)]
        return tuple(
            worker
            if self._view.sees in (None, worker.owner)
            else replace(worker, shard_id=None, calibration_id=None, owner=None)
            for worker in found
        )


def _read(row: sa.Row[*tuple[Any, ...]], held: sa.Row[*tuple[Any, ...]] | None) -> StoredWorker:
    if row.stopped_at is not None:
        state = WorkerState.STOPPED
    elif row.seconds > ALIVE_SECONDS:
        state = WorkerState.STALE
    else:
        state = WorkerState.IDLE if held is None else WorkerState.RUNNING
    return StoredWorker(
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
