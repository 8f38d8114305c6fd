"""Measurements from workers, stored once per width, seed and kind."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.engine import dump_json, insert_or
from service.store.database.identifiers import new_id
from service.store.database.paging import page
from service.store.database.records import MeasurementRow, Page
from service.store.database.tables import measurements
from service.store.database.transitions import StoredGrowth
from service.store.database.validation import LIMIT_MAXIMUM
from service.store.database.view import View
from service.store.results.lineage import Lineage, lineage_of, measurements_of
from widthwise.calibration.trial import Measurement, MeasurementIdentity
from widthwise.vocabulary import Measured

MEASUREMENT_BYTES = 700  # of a row with its indexes, besides its data (chosen: a trial's and the event)

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
        with self._view.database.read() as connection:
            self._view.require(connection, calibration_id)
            query = sa.select(measurements).where(measurements_of(lineage_of(connection, calibration_id)))
            found = page(connection, query, measurements, _read, cursor=cursor, limit=limit, newest_first=False)
        return replace(found, items=tuple(_as_of(calibration_id, row) for row in found.items))


def upsert(connection: sa.Connection, calibration_id: str, shard_id: str, checked: Measurement) -> StoredGrowth:
    """Store a checked measurement, replacing an earlier report of it; return what its calibration has more of."""
    identifier = new_id("mea")
    insert = insert_or(connection.dialect.name, measurements).values(
        id=identifier,
        calibration_id=calibration_id,
        shard_id=shard_id,
        created_at=now(),
        width=checked.width,
        seed=checked.seed,
        kind=checked.kind.value,
        data=checked.data,
    )
    columns = measurements.c
    replacing = insert.on_conflict_do_update(
        index_elements=[columns.calibration_id, columns.width, columns.seed, columns.kind],
        set_={"shard_id": insert.excluded.shard_id, "data": insert.excluded.data},
    )
    stored = connection.execute(replacing.returning(columns.id)).scalar_one()
    new = stored == identifier  # a row that was replaced keeps its id
    return StoredGrowth(bytes=new * (MEASUREMENT_BYTES + len(dump_json(checked.data))))


def identities(connection: sa.Connection, lineage: Lineage, width: int) -> set[MeasurementIdentity]:
    """Return the identities of a width's stored measurements."""
    query = sa.select(measurements.c.width, measurements.c.seed, measurements.c.kind).where(
        measurements.c.calibration_id.in_(lineage), measurements.c.width == width, KNOWN
    )
    return {MeasurementIdentity(row.width, row.seed, Measured(row.kind)) for row in connection.execute(query)}


def every_measurement(connection: sa.Connection, lineage: Lineage) -> list[Measurement]:
    """Return every measurement whose kind this version knows, ordered by width, seed and kind."""
    query = (
        sa.select(measurements)
        .where(measurements_of(lineage), KNOWN)
        .order_by(measurements.c.width, measurements.c.seed, measurements.c.kind)
    )
    return [Measurement(row.width, row.seed, Measured(row.kind), row.data) for row in connection.execute(query)]


def _as_of(calibration_id: str, row: MeasurementRow) -> MeasurementRow:
    """A measurement as the calibration has it: of a shared one, the shard is not its own."""
    if row.calibration_id == calibration_id:
        return row
    return replace(row, calibration_id=calibration_id, shard_id=None)


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
