"""Deletion: a calibration that has ended goes with all its rows, in one transaction; retention does it by age."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.errors import StateConflictError
from service.store.database.states import FINAL_CALIBRATION_STATES, CalibrationState
from service.store.database.tables import calibrations
from service.store.database.transitions import lock_calibration

AT_ONCE = 10  # calibrations that one sweep deletes (chosen): the largest takes about a second
SHOWN = 5  # extensions that a refusal names (chosen)
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long calibrations are kept after they have ended; 0 keeps them for ever."""

    unsuccessful_days: float = 0  #: failed and cancelled ones
    succeeded_days: float = 0  #: with their exponents, which a transfer may name


KEEP_ALL = Retention()


def delete_calibration(connection: sa.Connection, calibration_id: str) -> None:
    """Delete a calibration with its shards, trials, measurements, exponents and events.

    StateConflictError if it has not ended, or if an extension shares its trials; nothing changes then.
    """
    locked = lock_calibration(connection, calibration_id)
    if locked.state not in FINAL_CALIBRATION_STATES:
        raise StateConflictError(
            f"Calibration {locked.id!r} is {locked.state.value}; cancel it, and delete it once it has ended."
        )
    sharing = sa.select(calibrations.c.id).where(calibrations.c.shares == locked.id).order_by(calibrations.c.created_at)
    found = connection.execute(sharing.limit(SHOWN + 1)).scalars().all()
    if found:
        more = ", …" if len(found) > SHOWN else ""
        raise StateConflictError(
            f"Calibration {locked.id!r} has trials that {', '.join(found[:SHOWN])}{more} shares; delete what extends "
            "it first."
        )
    connection.execute(sa.delete(calibrations).where(calibrations.c.id == locked.id))  # all other rows by cascade


def outdated(connection: sa.Connection, retention: Retention) -> list[str]:
    """Return calibrations that have been kept long enough, the oldest first, without those that others share."""
    of_states = [
        _ended_before(days, *states)
        for days, states in (
            (retention.unsuccessful_days, (CalibrationState.FAILED, CalibrationState.CANCELLED)),
            (retention.succeeded_days, (CalibrationState.SUCCEEDED,)),
        )
        if days > 0
    ]
    if not of_states:
        return []
    sharing = calibrations.alias()
    shared = sa.exists().where(sharing.c.shares == calibrations.c.id)
    query = sa.select(calibrations.c.id).where(sa.or_(*of_states), ~shared)
    return list(connection.execute(query.order_by(calibrations.c.created_at).limit(AT_ONCE)).scalars())


def _ended_before(days: float, *states: CalibrationState) -> sa.ColumnElement[Any]:
    then = now(-days * _DAY_SECONDS)
    # created_at too, since there is an index over it
    return sa.and_(
        calibrations.c.state.in_(states), calibrations.c.created_at < then, calibrations.c.finished_at < then
    )
