"""Lineage: the calibrations whose rows one calibration reads: its own, and those of what it extends, which are final.

An extension shares the trials and measurements of its parent, and with them what the parent shares in turn. Where two
have the same trial, the nearer one counts: only a client that uploads a trial again makes one.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from service.store.database.tables import calibrations, measurements, trials
from widthwise.vocabulary import TrialStatus

#: Identifiers of calibrations, the nearest first.
Lineage = tuple[str, ...]

#: Statuses of trials that need not run again; "failed" ones may.
DONE_STATUSES = (TrialStatus.COMPLETED, TrialStatus.DIVERGED, TrialStatus.STOPPED)

#: The columns that are unique among the rows of a calibration.
TRIAL_IDENTITY = ("width", "learning_rate", "seed", "role", "gamma", "horizon")
MEASUREMENT_IDENTITY = ("width", "seed", "kind")


def _ancestors() -> sa.Select[Any]:
    first = sa.select(calibrations.c.shares.label("id"), sa.literal(1).label("distance")).where(
        calibrations.c.id == sa.bindparam("calibration"), calibrations.c.shares.is_not(None)
    )
    found = first.cte("ancestors", recursive=True)
    further = (
        sa.select(calibrations.c.shares, found.c.distance + 1)
        .join(found, calibrations.c.id == found.c.id)
        .where(calibrations.c.shares.is_not(None))
    )
    found = found.union_all(further)
    return sa.select(found.c.id).order_by(found.c.distance)


ANCESTORS = _ancestors()


def lineage_of(connection: sa.Connection, calibration_id: str) -> Lineage:
    """Return a calibration and those whose rows it shares."""
    return (calibration_id, *connection.execute(ANCESTORS, {"calibration": calibration_id}).scalars())


def lineage_of_row(connection: sa.Connection, row: sa.Row[Any]) -> Lineage:
    """Return the same for a calibration's row, without a query if it shares nothing."""
    return (row.id,) if row.shares is None else lineage_of(connection, row.id)


def trials_of(lineage: Lineage, table: sa.FromClause = trials) -> sa.ColumnElement[bool]:
    """The condition on a trial's row that the first of a lineage has it."""
    own = table.c.calibration_id == lineage[0]
    if len(lineage) == 1:
        return own
    shared = sa.and_(table.c.calibration_id.in_(lineage[1:]), table.c.status.in_(DONE_STATUSES))
    return sa.and_(sa.or_(own, shared), ~_nearer(lineage, table, trials, TRIAL_IDENTITY, done_only=True))


def measurements_of(lineage: Lineage) -> sa.ColumnElement[bool]:
    """The condition on a measurement's row that the first of a lineage has it."""
    if len(lineage) == 1:
        return measurements.c.calibration_id == lineage[0]
    of_any = measurements.c.calibration_id.in_(lineage)
    return sa.and_(of_any, ~_nearer(lineage, measurements, measurements, MEASUREMENT_IDENTITY, done_only=False))


def _nearer(
    lineage: Lineage, table: sa.FromClause, of: sa.Table, identity: Sequence[str], *, done_only: bool
) -> sa.Exists:
    """Whether a nearer calibration has the same row."""
    near = of.alias()
    distance = {each: place for place, each in enumerate(lineage)}
    conditions = [
        near.c.calibration_id.in_(lineage[:-1]),
        *(near.c[name] == table.c[name] for name in identity),
        sa.case(distance, value=near.c.calibration_id) < sa.case(distance, value=table.c.calibration_id),
    ]
    if done_only:
        conditions.append(sa.or_(near.c.calibration_id == lineage[0], near.c.status.in_(DONE_STATUSES)))
    return sa.exists().where(*conditions)
