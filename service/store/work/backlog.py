"""The table of work in numbers, for monitoring."""

import sqlalchemy as sa

from service.store.database.clock import elapsed_seconds
from service.store.database.records import Backlog
from service.store.database.states import CalibrationState, ShardState
from service.store.database.tables import calibrations, shards


def read_backlog(connection: sa.Connection) -> Backlog:
    """Count shards and calibrations by state, and return how long the oldest queued shard has waited."""
    counted = dict.fromkeys(ShardState, 0)
    for state, count in connection.execute(sa.select(shards.c.state, sa.func.count()).group_by(shards.c.state)):
        counted[state] = count
    oldest = sa.select(sa.func.min(shards.c.queued_at)).where(shards.c.state == ShardState.QUEUED).scalar_subquery()
    seconds = connection.execute(sa.select(elapsed_seconds(oldest))).scalar_one()
    calibrated = dict.fromkeys(CalibrationState, 0)
    by_state = sa.select(calibrations.c.state, sa.func.count()).group_by(calibrations.c.state)
    for state, count in connection.execute(by_state):
        calibrated[state] = count
    return Backlog(counted, None if seconds is None else max(0.0, float(seconds)), calibrated)
