"""A database restored from a backup: no claim made before the restore may write to it."""

import time

import sqlalchemy as sa

from service.store.database.engine import Database
from service.store.database.states import ShardState
from service.store.database.tables import shards
from service.store.database.transitions import lock_calibration, move_shard

#: The epochs of a restored database continue from the seconds since this day (2026-01-01 UTC): above any that were
#: handed out in the lost time, since they count claims, and above those of an earlier restore. They fit 32 bits until
#: 2094.
FENCE_ORIGIN = 1_767_225_600


def end_claims(engine: sa.Engine) -> int:
    """Queue every running shard again, without counting its attempt, and fence all others; return how many were queued.

    Otherwise a shard's epochs would be handed out a second time, and a worker that claimed it in the lost time would
    be taken for its current holder. The trials in the backup stay, and the next claim continues from them. Running
    shards of a calibration that was being cancelled end here, and housekeeping ends the calibration.
    """
    database = Database(engine)
    fence = max(1, int(time.time()) - FENCE_ORIGIN)
    with database.read() as connection:
        running = connection.execute(
            sa.select(shards.c.id, shards.c.calibration_id).where(shards.c.state == ShardState.RUNNING)
        ).all()
    waiting = 0
    for row in running:
        with database.write() as connection:
            locked = lock_calibration(connection, row.calibration_id)
            # no worker claims a shard of a calibration that is being cancelled, so none would end it
            target = ShardState.QUEUED if locked.cancel_requested_at is None else ShardState.CANCELLED
            waiting += target is ShardState.QUEUED
            values = {"attempts": shards.c.attempts - 1, "worker_id": None}
            move_shard(connection, row.id, target, shards.c.state == ShardState.RUNNING, **values)
    with database.write() as connection:
        beyond = sa.case((shards.c.epoch < fence, fence), else_=shards.c.epoch + 1)
        # succeeded shards are never claimed again
        connection.execute(sa.update(shards).where(shards.c.state != ShardState.SUCCEEDED).values(epoch=beyond))
    return waiting
