"""Exponents: one row per quantity and role that a calibration measured, with its evidence."""

import math
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.identifiers import new_id
from service.store.database.paging import decode_cursor, page_of
from service.store.database.records import ExponentFilter, ExponentRow, Page
from service.store.database.tables import calibrations, exponents
from service.store.database.validation import checked_limit
from service.store.database.view import View
from service.store.results.exponent_families import family_of
from service.store.results.listing import read_rows
from service.store.results.provenance import provenance_of
from widthwise.calibration.spec import CalibrationSpec
from widthwise.theory.alignment import kind_of

SOURCE = "calibration"  # in every stored row: measured by the calibration that it names


def insert(connection: sa.Connection, calibration: sa.Row[Any], estimates: list[dict[str, Any]]) -> None:
    """Store the estimates of a calibration; `estimates` are results of `checked`."""
    if not estimates:
        return
    spec = CalibrationSpec.from_dict(calibration.spec)
    family = {
        "parameterization": spec.parameterization.value,
        "optimizer": spec.optimizer.value,
        "alignment": kind_of(spec.alignment).value,
        "architecture": spec.proxy.architecture.value,
        "dataset": spec.proxy.dataset,
        "source": SOURCE,
    }
    common = {
        "calibration_id": calibration.id,
        "family_id": family_of(connection, family),
        "provenance": provenance_of(calibration),
        "owner": calibration.owner,
    }
    for estimate in estimates:
        connection.execute(sa.insert(exponents).values(id=new_id("exp"), created_at=now(), **common, **estimate))


def checked(estimate: Any) -> dict[str, Any]:
    """Return an ExponentEstimate as columns; ValueError if one of its numbers is not finite."""
    low, high = estimate.interval if estimate.interval is not None else (None, None)
    numbers = {
        "value": estimate.value,
        "standard_error": estimate.standard_error,
        "interval_low": low,
        "interval_high": high,
        "theory": estimate.theory,
    }
    for name, number in numbers.items():
        if number is not None and not math.isfinite(number):
            raise ValueError(f"the estimate of {estimate.quantity} of {estimate.role} has {name} = {number!r}")
    return {
        "quantity": str(estimate.quantity),
        "role": str(estimate.role),
        **{name: None if number is None else float(number) for name, number in numbers.items()},
        "degrees_of_freedom": int(estimate.degrees_of_freedom),
        "widths": [int(width) for width in estimate.widths],
    }


class StoredExponents:
    """The stored exponents that one owner sees."""

    def __init__(self, view: View) -> None:
        self._view = view

    def page(
        self, where: ExponentFilter | None = None, *, cursor: str | None = None, limit: int = 50
    ) -> Page[ExponentRow]:
        """Return matching stored exponents, newest first. limit: 1 to LIMIT_MAXIMUM."""
        checked_limit(limit)
        after = None if cursor is None else decode_cursor(exponents.name, cursor)
        with self._view.database.read() as connection:
            # one extra row shows whether another page follows
            found = read_rows(connection, self._view.sees, where or ExponentFilter(), after, limit + 1)
            names = _names(connection, {row.calibration_id for row in found})
            return page_of(exponents, found, lambda row: _read(row, names.get(row.calibration_id)), limit)


def _names(connection: sa.Connection, identifiers: set[str]) -> dict[str, str | None]:
    """Return what calibrations are called. A name may change at any time, so no exponent stores it."""
    query = sa.select(calibrations.c.id, calibrations.c.name).where(calibrations.c.id.in_(identifiers))
    return {row.id: row.name for row in connection.execute(query)}


def _read(row: sa.Row[Any], calibration_name: str | None) -> ExponentRow:
    return ExponentRow(
        id=row.id,
        calibration_id=row.calibration_id,
        created_at=row.created_at,
        quantity=row.quantity,
        role=row.role,
        value=row.value,
        standard_error=row.standard_error,
        interval=None if row.interval_low is None else (row.interval_low, row.interval_high),
        degrees_of_freedom=row.degrees_of_freedom,
        theory=row.theory,
        widths=tuple(row.widths),
        source=row.source,
        parameterization=row.parameterization,
        optimizer=row.optimizer,
        alignment=row.alignment,
        architecture=row.architecture,
        dataset=row.dataset,
        provenance=row.provenance,
        calibration_name=calibration_name,
    )
