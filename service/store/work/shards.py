"""Shards that housekeeping handles: with a lost message, with a dead worker, or of a calibration that must continue."""

from collections.abc import Sequence

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.engine import Database
from service.store.database.states import CalibrationState, ShardState
from service.store.database.tables import calibrations, shards
from service.store.database.transitions import lock_if_free, move_shard
from service.store.database.validation import REASON_MAXIMUM, cleaned_text
from service.store.work.queue import ATTEMPTS_MAXIMUM, QUEUE_ORDER, expired, waiting

UNHEARD_SECONDS = 30.0  # until a shard that was never announced is announced again (chosen)
LOST_SECONDS = 600.0  # until a message that no worker has responded to counts as lost (chosen)
ANNOUNCED_AT_ONCE = 500  # shards at the head of the queue that housekeeping checks (chosen)


def mark_published(connection: sa.Connection, shard_ids: Sequence[str]) -> None:
    """Record that the doorbell rang for these shards."""
    # Locked rows are skipped: they are being claimed or cancelled, and waiting for one while holding
    # others could deadlock. (SQLite drops the clause: there the transaction has locked the whole file.)
    free = sa.select(shards.c.id).where(shards.c.id.in_(shard_ids)).with_for_update(skip_locked=True)
    connection.execute(sa.update(shards).where(shards.c.id.in_(free)).values(published_at=now()))


def unheard(connection: sa.Connection) -> list[str]:
    """Return shards at the head of the queue whose message was never sent or seems lost.

    Any message brings a worker to the head of the queue, so shards further back need none, and a long queue is not
    announced again as a whole every ten minutes.
    """
    lost = shards.c.published_at < now(-LOST_SECONDS)
    never_sent = sa.and_(shards.c.published_at.is_(None), shards.c.queued_at < now(-UNHEARD_SECONDS))
    # if its worker died, its message was used up by that worker
    since_expiry = sa.or_(shards.c.published_at.is_(None), shards.c.published_at < shards.c.lease_until)
    found: list[str] = []
    for condition, missed in ((waiting(), sa.or_(never_sent, lost)), (expired(), sa.or_(since_expiry, lost))):
        head = sa.select(shards.c.id, missed.label("missed")).where(condition)
        rows = connection.execute(head.order_by(*QUEUE_ORDER).limit(ANNOUNCED_AT_ONCE))
        found += [row.id for row in rows if row.missed]
    return found


def end_dead_claims(database: Database) -> None:
    """End shards with an expired lease that no worker may claim: out of attempts, or cancelled."""
    dead = sa.and_(shards.c.state == ShardState.RUNNING, shards.c.lease_until < now())
    with database.read() as connection:
        found = connection.execute(
            sa.select(shards.c.id, shards.c.calibration_id)
            .join(calibrations, calibrations.c.id == shards.c.calibration_id)
            .where(
                dead,
                sa.or_(shards.c.attempts >= ATTEMPTS_MAXIMUM, calibrations.c.cancel_requested_at.is_not(None)),
            )
        ).all()
    for row in found:
        with database.write() as connection:
            locked = lock_if_free(connection, row.calibration_id)
            if locked is None:
                continue  # a frozen process must not make the others wait; housekeeping tries again
            if locked.cancel_requested_at is not None:
                move_shard(connection, row.id, ShardState.CANCELLED, dead)
                continue
            last = connection.execute(sa.select(shards).where(shards.c.id == row.id)).one()
            before = f" The attempt before it: {last.reason}" if last.reason else ""
            reason = (
                f"Worker {last.worker_id!r} stopped reporting on attempt {last.attempts} of {ATTEMPTS_MAXIMUM}; "
                f"check its log.{before}"
            )
            exhausted = sa.and_(dead, shards.c.attempts >= ATTEMPTS_MAXIMUM)
            move_shard(connection, row.id, ShardState.FAILED, exhausted, reason=cleaned_text(reason, REASON_MAXIMUM))


def ready_calibrations(connection: sa.Connection) -> list[str]:
    """Return the unfinished calibrations run by workers whose shards have all ended."""
    active = (
        sa.select(shards.c.id)
        .where(
            shards.c.calibration_id == calibrations.c.id,
            shards.c.state.in_([ShardState.QUEUED, ShardState.RUNNING]),
        )
        .exists()
    )
    query = sa.select(calibrations.c.id).where(
        calibrations.c.state == CalibrationState.RUNNING, calibrations.c.runner != "external", ~active
    )
    return list(connection.execute(query).scalars())


def has_active_shards(connection: sa.Connection, calibration_id: str) -> bool:
    """Return whether any shard is queued or running."""
    query = sa.select(shards.c.id).where(
        shards.c.calibration_id == calibration_id,
        shards.c.state.in_([ShardState.QUEUED, ShardState.RUNNING]),
    )
    return connection.execute(query.limit(1)).first() is not None
