"""Housekeeping recovers from crashes and lost messages; one worker at a time does it, and any worker may.

The database's clock decides when it is due. A worker that finds it due takes it for a limited time, and releases
it with the time of the next one. If that worker dies, it is due again when its time is over.
"""

import logging

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.engine import Database, insert_or
from service.store.database.errors import NotFoundError, StateConflictError
from service.store.database.tables import housekeeping
from service.store.work import deletion, shards
from service.store.work.deletion import KEEP_ALL, Retention
from service.store.work.followup import FollowUp

log = logging.getLogger(__name__)

NAME = "work"  # of the only kind there is: shards and calibrations that nobody else would handle

#: From its end to the next time (chosen): just below the 5 s between a worker's checks, so that each check of a
#: single worker finds it due.
PERIOD_SECONDS = 4.0
HELD_SECONDS = 30.0  # chosen: half a shard's lease, after which a worker counts as dead; a fit takes seconds


class Housekeeping:
    """Recovers from crashes and lost messages, and deletes what has been kept long enough."""

    def __init__(self, database: Database, followup: FollowUp, retention: Retention = KEEP_ALL) -> None:
        self._database = database
        self._followup = followup
        self._retention = retention

    def run(self, worker_id: str) -> int:
        """Republish and finish what is ready, if that is due and no other worker does it; return the messages sent.

        Every worker calls this every few seconds, and one at a time does it for all. If the database interrupts it,
        its worker continues with the next call.
        """
        if not self._take(worker_id):
            return 0
        sent = self.republish()
        for identifier in self.ready():
            if not self._take(worker_id):  # a fit took so long that another worker started
                return sent
            self._followup.follow_or_leave(identifier)
        for identifier in self.outdated():
            if not self._take(worker_id):
                return sent
            self._delete(identifier)
        with self._database.write() as connection:
            give_back(connection, worker_id, PERIOD_SECONDS)
        return sent

    def outdated(self) -> list[str]:
        """Return some calibrations that have been kept long enough."""
        if self._retention == KEEP_ALL:
            return []
        with self._database.read() as connection:
            return deletion.outdated(connection, self._retention)

    def _delete(self, calibration_id: str) -> None:
        """Delete a calibration, unless it runs again, is shared by now, or was deleted by its owner."""
        try:
            with self._database.write() as connection:
                deletion.delete_calibration(connection, calibration_id)
        except (StateConflictError, NotFoundError) as error:
            log.info("a calibration is kept: %s", error)
        else:
            log.info("calibration %s was deleted: it ended longer ago than calibrations are kept", calibration_id)

    def republish(self) -> int:
        """Ring again for queued shards whose message was never sent or seems lost; return how many were sent."""
        with self._database.read() as connection:
            found = shards.unheard(connection)
        return self._followup.ring(found)

    def ready(self) -> list[str]:
        """End dead claims; return the calibrations that are ready to continue."""
        shards.end_dead_claims(self._database)
        with self._database.read() as connection:
            return shards.ready_calibrations(connection)

    def _take(self, worker_id: str) -> bool:
        """Take the task if it is due, or extend it; return whether this worker has it now.

        If it is not due, which is nearly always the case, nothing is written.
        """
        others = sa.select(housekeeping.c.name).where(
            housekeeping.c.name == NAME,
            housekeeping.c.due_at > now(),
            housekeeping.c.worker_id.is_distinct_from(worker_id),
        )
        with self._database.read() as connection:
            if connection.execute(others).first() is not None:
                return False
        with self._database.write() as connection:
            insert = insert_or(connection.dialect.name, housekeeping).values(
                name=NAME, due_at=now(HELD_SECONDS), worker_id=worker_id
            )
            taken = insert.on_conflict_do_update(
                index_elements=[housekeeping.c.name],
                set_={"due_at": insert.excluded.due_at, "worker_id": insert.excluded.worker_id},
                where=sa.or_(housekeeping.c.due_at <= now(), housekeeping.c.worker_id == worker_id),
            )
            return connection.execute(taken.returning(housekeeping.c.name)).first() is not None


def give_back(connection: sa.Connection, worker_id: str, seconds: float = 0.0) -> None:
    """Release the task if this worker has it; the next one is due after the given seconds."""
    held = sa.update(housekeeping).where(housekeeping.c.name == NAME, housekeeping.c.worker_id == worker_id)
    connection.execute(held.values(due_at=now(seconds), worker_id=None))
