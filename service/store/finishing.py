"""Finishing: the end of a calibration once its last shard has ended, or its uploads are declared complete.

The fit runs outside any transaction, so that no lock waits for arithmetic; its result is written only if no
event has come in since its trials were read. A crash in between leaves a calibration without active shards
in state running, which the next worker to look finishes.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from service.store import exponents as exponent_rows
from service.store import trials as trial_rows
from service.store.calibrations import has_active_shards
from service.store.door import checked_json, cleaned_text
from service.store.engine import Database
from service.store.errors import StateConflictError
from service.store.records import JsonObject
from service.store.shards import REASON_MAXIMUM
from service.store.states import CalibrationState, ShardState
from service.store.tables import calibrations, shards
from service.store.transitions import lock_calibration, move_calibration
from widthwise.errors import EstimateError, WidthwiseError

log = logging.getLogger(__name__)

REASONS_SHOWN = 3  # failed shards quoted in a calibration's reason; each shard keeps its own (chosen)


class Fit(Protocol):
    """What turns trials into a result, purely: widthwise.estimate.calibration.fit_calibration."""

    def __call__(self, spec: JsonObject, trials: Sequence[JsonObject]) -> Any:
        """Give a result with `to_dict()` and `exponents`; raise EstimateError on too little data."""


def default_fit(spec: JsonObject, trials: Sequence[JsonObject]) -> Any:
    """Fit with the library, imported when first needed: it loads scipy."""
    from widthwise.estimate.calibration import fit_calibration

    return fit_calibration(spec, trials)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a calibration is to end."""

    state: CalibrationState
    reason: str | None = None
    result: JsonObject | None = None
    estimates: tuple[dict[str, Any], ...] = ()


def finish_if_ready(database: Database, calibration_id: str, fit: Fit) -> bool:
    """End a calibration whose shards have all ended; False if it was not ready, or another did it first."""
    while True:
        with database.read() as connection:
            row = _row(connection, calibration_id)
            if row.state is not CalibrationState.RUNNING or row.runner == "external":
                return False
            if has_active_shards(connection, calibration_id):
                return False
            failures = _failures(connection, calibration_id)
            trials = trial_rows.all_of(connection, calibration_id)
        if row.cancel_requested_at is not None:
            ending = Ending(CalibrationState.CANCELLED)
        elif failures:
            ending = Ending(CalibrationState.FAILED, reason=cleaned_text(failures, REASON_MAXIMUM))
        else:
            ending = _fitted(row, trials, fit)
        written = _write(database, row, ending)
        if written is not None:
            return written


def finish_external(database: Database, calibration_id: str, fit: Fit) -> None:
    """End a calibration whose trials were uploaded; EstimateError, and no change, if they do not suffice."""
    written: bool | None = None
    while not written:
        with database.read() as connection:
            row = _row(connection, calibration_id)
            trials = trial_rows.all_of(connection, calibration_id)
        if row.runner != "external":
            raise StateConflictError(
                f"Calibration {row.id!r} is run by workers and finishes by itself; wait for it, or cancel it."
            )
        if row.state is CalibrationState.SUCCEEDED:
            return
        if row.state in (CalibrationState.FAILED, CalibrationState.CANCELLED):
            raise StateConflictError(
                f"Calibration {row.id!r} has ended ({row.state.value}) and can't be finished; create another."
            )
        if not trials:
            raise EstimateError(f"Calibration {row.id!r} has no trials yet; upload some, then finish it.")
        ending = _fitted(row, trials, fit, raise_estimate_errors=True)
        written = _write(database, row, ending)


def _fitted(row: sa.Row[Any], trials: list[dict[str, Any]], fit: Fit, *, raise_estimate_errors: bool = False) -> Ending:
    """Fit, and check that the result can be stored."""
    try:
        result = fit(row.spec, trials)
        if raise_estimate_errors and not result.exponents:
            raise EstimateError(
                "Fewer than two widths have an optimum inside their learning rates, so no exponent follows yet; "
                "upload more learning rates, then finish."
            )
        return Ending(
            CalibrationState.SUCCEEDED,
            result=json.loads(checked_json(result.to_dict(), "result")),
            estimates=tuple(exponent_rows.checked(estimate) for estimate in result.exponents),
        )
    except EstimateError as error:
        if raise_estimate_errors:
            raise
        return Ending(CalibrationState.FAILED, reason=str(error))
    except Exception as error:  # a fault here must end this calibration, not every worker that tries it
        if not isinstance(error, WidthwiseError):
            log.exception("the fit of calibration %s failed", row.id)
        reason = f"The fit failed ({type(error).__name__}: {error}); this is a fault of widthwise, please report it."
        return Ending(CalibrationState.FAILED, reason=cleaned_text(reason, REASON_MAXIMUM))


def _write(database: Database, seen: sa.Row[Any], ending: Ending) -> bool | None:
    """Write an ending; False if the calibration has ended, None if it has changed since it was read."""
    with database.write() as connection:
        locked = lock_calibration(connection, seen.id)
        if locked.state not in (CalibrationState.RUNNING, CalibrationState.QUEUED):
            return False
        if locked.last_event != seen.last_event or locked.cancel_requested_at != seen.cancel_requested_at:
            return None
        exponent_rows.insert(connection, locked, list(ending.estimates))
        move_calibration(connection, locked, ending.state, reason=ending.reason, result=ending.result)
        return True


def _row(connection: sa.Connection, calibration_id: str) -> sa.Row[Any]:
    return connection.execute(sa.select(calibrations).where(calibrations.c.id == calibration_id)).one()


def _failures(connection: sa.Connection, calibration_id: str) -> str | None:
    """Give why shards failed for good, in words; None if none did."""
    query = (
        sa.select(shards)
        .where(shards.c.calibration_id == calibration_id, shards.c.state == ShardState.FAILED)
        .order_by(shards.c.position)
    )
    failed = connection.execute(query).all()
    if not failed:
        return None
    shown = [f"width {row.spec['width']}, seeds {row.spec['seeds']}: {row.reason}" for row in failed[:REASONS_SHOWN]]
    more = f"; and {len(failed) - REASONS_SHOWN} more" if len(failed) > REASONS_SHOWN else ""
    return f"{len(failed)} shard(s) failed after their last attempt: {'; '.join(shown)}{more}"
