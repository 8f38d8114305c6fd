"""Workers: who reported, from where, with what, and when last."""

from typing import Any

import sqlalchemy as sa

from service.store.clock import now
from service.store.door import checked_json
from service.store.engine import insert_or
from service.store.records import JsonObject, Worker
from service.store.tables import workers


def heartbeat(
    connection: sa.Connection, worker_id: str, host: str, device: str | None, versions: JsonObject | None
) -> None:
    """Note that a worker is alive; what is not given stays as it was."""
    checked_json(versions or {}, "versions")
    insert = insert_or(connection, workers).values(
        id=worker_id, host=host, device=device, versions=dict(versions or {}), last_seen=now()
    )
    changed: dict[str, Any] = {"host": insert.excluded.host, "last_seen": insert.excluded.last_seen}
    if device is not None:
        changed["device"] = insert.excluded.device
    if versions is not None:
        changed["versions"] = insert.excluded.versions
    connection.execute(insert.on_conflict_do_update(index_elements=[workers.c.id], set_=changed))


def list_all(connection: sa.Connection) -> tuple[Worker, ...]:
    """Give every worker, the one that reported last first."""
    query = sa.select(workers).order_by(workers.c.last_seen.desc(), workers.c.id)
    return tuple(Worker(row.id, row.host, row.device, row.versions, row.last_seen) for row in connection.execute(query))
