"""Measurements from workers, stored once per width, seed and kind."""

from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.engine import insert_or
from service.store.database.identifiers import new_id
from service.store.database.paging import page
from service.store.database.records import MeasurementRow, Page
from service.store.database.tables import measurements
from service.store.database.validation import LIMIT_MAXIMUM
from service.store.database.view import View
from widthwise.calibration.trial import Measurement, MeasurementIdentity
from widthwise.vocabulary import Measured

#: Only kinds that this version knows; older versions stored others.
KNOWN = measurements.c.kind.in_([kind.value for kind in Measured])


class Measurements:
    """The stored measurements that one owner sees."""

    def __init__(self, view: View) -> None:
        self._view = view

    def page(
        self, calibration_id: str, *, cursor: str | None = None, limit: int = LIMIT_MAXIMUM
    ) -> Page[MeasurementRow]:
        """Return a calibration's measurements, oldest first. limit: 1 to LIMIT_MAXIMUM."""
        query = sa.select(measurements).where(measurements.c.calibration_id == calibration_id)
        with self._view.database.read() as connection:
            self._view.require(connection, calibration_id)
            return page(connection, query, measurements, _read, cursor=cursor, limit=limit, newest_first=False)


def upsert(connection: sa.Connection, calibration_id: str, shard_id: str, checked: Measurement) -> None:
    """Store a checked measurement, replacing an earlier report of it."""
    insert = insert_or(connection, measurements).values(
        id=new_id("mea"),
        calibration_id=calibration_id,
        shard_id=shard_id,
        created_at=now(),
        width=checked.width,
        seed=checked.seed,
        kind=checked.kind.value,
        data=checked.data,
    )
    columns = measurements.c
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[columns.calibration_id, columns.width, columns.seed, columns.kind],
            set_={"shard_id": insert.excluded.shard_id, "data": insert.excluded.data},
        )
    )


def identities(connection: sa.Connection, calibration_id: str, width: int) -> set[MeasurementIdentity]:
    """Return the identities of a width's stored measurements."""
    query = sa.select(measurements.c.width, measurements.c.seed, measurements.c.kind).where(
        measurements.c.calibration_id == calibration_id, measurements.c.width == width, KNOWN
    )
    return {MeasurementIdentity(row.width, row.seed, Measured(row.kind)) for row in connection.execute(query)}


def copy(connection: sa.Connection, source: str, target: str) -> None:
    """Copy every measurement of one calibration to another."""
    query = sa.select(measurements).where(measurements.c.calibration_id == source)
    found = connection.execute(query.order_by(measurements.c.created_at, measurements.c.id)).all()
    identifiers = sorted(new_id("mea") for _ in found)
    rows = [
        {**row._asdict(), "id": identifier, "calibration_id": target, "shard_id": None}
        for identifier, row in zip(identifiers, found, strict=True)
    ]
    if rows:
        connection.execute(sa.insert(measurements), rows)


def every_measurement(connection: sa.Connection, calibration_id: str) -> list[Measurement]:
    """Return every measurement whose kind this version knows, ordered by width, seed and kind."""
    query = (
        sa.select(measurements)
        .where(measurements.c.calibration_id == calibration_id, KNOWN)
        .order_by(measurements.c.width, measurements.c.seed, measurements.c.kind)
    )
    return [Measurement(row.width, row.seed, Measured(row.kind), row.data) for row in connection.execute(query)]


def _read(row: sa.Row[Any]) -> MeasurementRow:
    return MeasurementRow(
        id=row.id,
        calibration_id=row.calibration_id,
        created_at=row.created_at,
        shard_id=row.shard_id,
        width=row.width,
        seed=row.seed,
        kind=row.kind,
        data=row.data,
    )
