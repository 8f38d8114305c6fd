"""Finishing: after the last shard of a round, starts another round or ends the calibration; also ends uploads.

Plan and fit run outside any transaction, so that no lock waits for arithmetic; their outcome is written only if no
event was added since the trials were read. A crash in between leaves a running calibration without active shards; the
next worker that looks picks it up.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from service.store.database.engine import Database
from service.store.database.errors import NotFoundError, StateConflictError
from service.store.database.records import JsonObject
from service.store.database.states import CalibrationState, ShardState
from service.store.database.tables import calibrations, shards
from service.store.database.transitions import add_events, lock_calibration, move_calibration
from service.store.database.validation import REASON_MAXIMUM, checked_json, cleaned_text
from service.store.results import exponents as exponent_rows
from service.store.results import measurements as measurement_rows
from service.store.results import trials as trial_rows
from service.store.results.lineage import lineage_of_row
from service.store.results.provenance import with_provenance
from service.store.work import rounds
from service.store.work.expectation import expected_of
from service.store.work.rounds import Planner
from service.store.work.shards import has_active_shards
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial
from widthwise.errors import EstimateError, WidthwiseError
from widthwise.vocabulary import ShardKind

log = logging.getLogger(__name__)

REASONS_SHOWN = 3  # failed shards quoted in a calibration's reason (chosen); each shard keeps its own reason


class Fit(Protocol):
    """A pure function from trials to a result, such as widthwise.estimate.calibration.fit_calibration."""

    def __call__(self, spec: CalibrationSpec, trials: Sequence[Trial], measurements: Sequence[Measurement]) -> Any:
        """Return a result with `to_dict()` and `exponents`; EstimateError if there is too little data."""


def default_fit(spec: CalibrationSpec, trials: Sequence[Trial], measurements: Sequence[Measurement]) -> Any:
    """Fit with the library, which is imported when first needed because it loads scipy."""
    from widthwise.estimate.calibration import fit_calibration

    return fit_calibration(spec, trials, measurements)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a calibration ends."""

    state: CalibrationState
    reason: str | None = None
    result: JsonObject | None = None
    estimates: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Followed:
    """What happened after a calibration's shards ended."""

    ended: bool = False  #: this call ended the calibration
    shard_ids: tuple[str, ...] = ()  #: of the round that this call started


def finish_if_ready(database: Database, calibration_id: str, fit: Fit, planner: Planner) -> Followed:
    """Start the next round of a calibration whose shards have all ended, or end it; nothing if another call did."""
    while True:
        with database.read() as connection:
            row = _row(connection, calibration_id)
            if row.state is not CalibrationState.RUNNING or row.runner == "external":
                return Followed()
            if has_active_shards(connection, calibration_id):
                return Followed()
            failures = _failures(connection, calibration_id)
            lineage = lineage_of_row(connection, row)
            trials = trial_rows.every_trial(connection, lineage)
            measurements = measurement_rows.every_measurement(connection, lineage)
        planned: list[ShardSpec] = []
        if row.cancel_requested_at is not None:
            ending = Ending(CalibrationState.CANCELLED)
        elif failures:
            ending = Ending(CalibrationState.FAILED, reason=cleaned_text(failures, REASON_MAXIMUM))
        else:
            ending, planned = _planned_or_fitted(row, trials, measurements, fit, planner)
        if planned:
            begun = _begin_round(database, row, planned, trials)
            if begun is not None:
                return Followed(shard_ids=tuple(begun))
        elif (written := _write(database, row, ending)) is not None:
            return Followed(ended=written)


def _planned_or_fitted(
    row: sa.Row[Any], trials: list[Trial], measurements: list[Measurement], fit: Fit, planner: Planner
) -> tuple[Ending, list[ShardSpec]]:
    """The shards of the next round or, if there are none, the ending by a fit."""
    try:
        planned = rounds.next_shards(planner, CalibrationSpec.from_dict(row.spec), trials, measurements)
    except Exception as error:  # an error here must end this calibration, not every worker that tries it
        if not isinstance(error, WidthwiseError):
            log.exception("the search of calibration %s failed", row.id)
        return _faulty("search", error), []
    return (Ending(CalibrationState.RUNNING), planned) if planned else (_fitted(row, trials, measurements, fit), [])


def finish_uploaded(database: Database, calibration_id: str, fit: Fit) -> None:
    """End a calibration whose trials were uploaded; EstimateError, without a change, if there are too few."""
    written: bool | None = None
    while not written:
        with database.read() as connection:
            row = _row(connection, calibration_id)
            trials = trial_rows.every_trial(connection, lineage_of_row(connection, row))
        if row.runner != "external":
            raise StateConflictError(
                f"Calibration {row.id!r} is run by workers and finishes by itself; wait, or cancel it."
            )
        if row.state is CalibrationState.SUCCEEDED:
            return
        if row.state in (CalibrationState.FAILED, CalibrationState.CANCELLED):
            raise StateConflictError(
                f"Calibration {row.id!r} has ended ({row.state.value}) and can't be finished; create another."
            )
        if not trials:
            raise EstimateError(f"Calibration {row.id!r} has no trials yet; upload some, then finish it.")
        ending = _fitted(row, trials, [], fit, raise_estimate_errors=True)
        written = _write(database, row, ending)


def _fitted(
    row: sa.Row[Any],
    trials: list[Trial],
    measurements: list[Measurement],
    fit: Fit,
    *,
    raise_estimate_errors: bool = False,
) -> Ending:
    """Fit, add the provenance, and check that the result can be stored."""
    try:
        spec = CalibrationSpec.from_dict(row.spec)
        result = fit(spec, trials, measurements)
        if raise_estimate_errors and not result.exponents:
            raise EstimateError(
                "Fewer than two widths have an optimum inside their learning rates, so no exponent can be fitted yet; "
                "upload more learning rates, then finish."
            )
        return Ending(
            CalibrationState.SUCCEEDED,
            result=json.loads(checked_json(with_provenance(_searched(spec, trials, result.to_dict()), row), "result")),
            estimates=tuple(exponent_rows.checked(estimate) for estimate in result.exponents),
        )
    except EstimateError as error:
        if raise_estimate_errors:
            raise
        return Ending(CalibrationState.FAILED, reason=str(error))
    except Exception as error:  # an error here must end this calibration, not every worker that tries it
        if not isinstance(error, WidthwiseError):
            log.exception("the fit of calibration %s failed", row.id)
        return _faulty("fit", error)


def _searched(spec: CalibrationSpec, trials: list[Trial], result: JsonObject) -> JsonObject:
    """Add why an information search ended."""
    if not spec.is_information:
        return result
    from widthwise.search.information import ending  # imported when first needed: it loads scipy

    return {**result, "search": ending(spec, trials)}


def _faulty(what: str, error: Exception) -> Ending:
    """The ending after an internal error."""
    reason = f"The {what} failed ({type(error).__name__}: {error}); this is a bug in widthwise, please report it."
    return Ending(CalibrationState.FAILED, reason=cleaned_text(reason, REASON_MAXIMUM))


def _write(database: Database, seen: sa.Row[Any], ending: Ending) -> bool | None:
    """Write an ending; return False if the calibration has ended, None if it has changed since it was read."""
    with database.write() as connection:
        locked = lock_calibration(connection, seen.id)
        if locked.state not in (CalibrationState.RUNNING, CalibrationState.QUEUED):
            return False
        if _changed(locked, seen):
            return None
        values: dict[str, Any] = {"reason": ending.reason, "result": ending.result}
        if ending.state is CalibrationState.SUCCEEDED and locked.runner != "external":
            values["trials_total"] = locked.trials_done  # no further stage follows
        exponent_rows.insert(connection, locked, list(ending.estimates))
        move_calibration(connection, locked, ending.state, **values)
        return True


def _begin_round(
    database: Database, seen: sa.Row[Any], planned: list[ShardSpec], trials: list[Trial]
) -> list[str] | None:
    """Store the shards of a round and return their ids; () if the calibration has ended, None if it has changed."""
    with database.write() as connection:
        locked = lock_calibration(connection, seen.id)
        if locked.state is not CalibrationState.RUNNING:
            return []
        if _changed(locked, seen):
            return None
        total = rounds.count_trials(expected_of(locked.expected, locked.spec), planned, trials)
        shard_ids = rounds.insert_more(connection, locked, planned)
        number = locked.rounds + 1
        connection.execute(
            sa.update(calibrations).where(calibrations.c.id == locked.id).values(rounds=number, trials_total=total)
        )
        data = {"round": number, "shards": len(planned), "trials_total": total}
        add_events(connection, locked.id, [("round", data)])
        return shard_ids


def _changed(locked: sa.Row[Any], seen: sa.Row[Any]) -> bool:
    """Whether anything has happened to a calibration since it was read."""
    return bool(locked.last_event != seen.last_event or locked.cancel_requested_at != seen.cancel_requested_at)


def _row(connection: sa.Connection, calibration_id: str) -> sa.Row[Any]:
    row = connection.execute(sa.select(calibrations).where(calibrations.c.id == calibration_id)).one_or_none()
    if row is None:
        raise NotFoundError("calibration", calibration_id)
    return row


def _failures(connection: sa.Connection, calibration_id: str) -> str | None:
    """Return why shards failed for good, as text; None if none did."""
    query = (
        sa.select(shards)
        .where(shards.c.calibration_id == calibration_id, shards.c.state == ShardState.FAILED)
        .order_by(shards.c.position)
    )
    failed = connection.execute(query).all()
    if not failed:
        return None
    shown = [f"{_named(ShardSpec.from_dict(row.spec))}: {row.reason}" for row in failed[:REASONS_SHOWN]]
    more = f"; and {len(failed) - REASONS_SHOWN} more" if len(failed) > REASONS_SHOWN else ""
    return f"{len(failed)} shard(s) failed after their last attempt: {'; '.join(shown)}{more}"


def _named(shard: ShardSpec) -> str:
    kind = "" if shard.kind is ShardKind.SWEEP else f"{shard.kind.value}, "
    return f"{kind}width {shard.width}, seeds {list(shard.seeds)}"
