"""Which widths of a calibration have begun, so that the program of the next can be compiled while it runs."""

from typing import Any

import sqlalchemy as sa

from service.store.database.states import CalibrationState
from service.store.database.tables import calibrations, shards, trials
from service.store.database.transitions import THE_CALIBRATION
from service.store.results.lineage import lineage_of_row
from widthwise.vocabulary import ShardKind

RUNNING: sa.Select[Any] = sa.select(calibrations.c.id, calibrations.c.shares).where(
    THE_CALIBRATION,
    calibrations.c.state == CalibrationState.RUNNING,
    calibrations.c.cancel_requested_at.is_(None),
)
WIDTHS = sa.union(
    # without those that measure, by another program; those of older versions have no kind
    sa.select(shards.c.spec["width"].as_integer()).where(
        shards.c.calibration_id == sa.bindparam("calibration"),
        shards.c.spec["kind"].as_string().is_distinct_from(ShardKind.MEASURE.value),
    ),
    # by a list: for a subquery of ancestors Postgres reads every trial that there is
    sa.select(trials.c.width).where(trials.c.calibration_id.in_(sa.bindparam("lineage", expanding=True))),
)


def read_begun_widths(connection: sa.Connection, calibration_id: str) -> frozenset[int] | None:
    """Return the widths that have a trial, or a shard that trains some; None unless the calibration runs on."""
    row = connection.execute(RUNNING, {"calibration": calibration_id}).one_or_none()
    if row is None:
        return None
    lineage = lineage_of_row(connection, row)
    return frozenset(connection.execute(WIDTHS, {"calibration": calibration_id, "lineage": lineage}).scalars())
