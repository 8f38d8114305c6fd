"""Retry: a failed calibration continues its work and keeps all its trials."""

import sqlalchemy as sa

from service.store.database.errors import StateConflictError
from service.store.database.states import CalibrationState, ShardState
from service.store.database.tables import shards
from service.store.database.transitions import lock_calibration, move_calibration, move_shard


def requeue_failed(connection: sa.Connection, calibration_id: str) -> list[str]:
    """Queue the failed shards again, with a full set of attempts; return their ids.

    If no shard had failed, but the search or the fit, the calibration runs again without shards, which repeats both.
    StateConflictError unless it has failed.
    """
    locked = lock_calibration(connection, calibration_id)
    if locked.state is not CalibrationState.FAILED:
        raise StateConflictError(
            f"Calibration {locked.id!r} is {locked.state.value}; only one that has failed can be retried."
        )
    query = sa.select(shards.c.id).where(shards.c.calibration_id == locked.id, shards.c.state == ShardState.FAILED)
    failed = list(connection.execute(query.order_by(shards.c.position)).scalars())
    move_calibration(connection, locked, CalibrationState.RUNNING, reason=None)
    for shard_id in failed:
        # the epoch is kept, so writes of earlier claims are never accepted; the last reason stays until it succeeds
        move_shard(connection, shard_id, ShardState.QUEUED, attempts=0)
    return failed
