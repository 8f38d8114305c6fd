"""Trials: stored once for each (width, learning rate, seed), from a worker or an upload."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.calibrations import new_id, require
from service.store.clock import now
from service.store.door import checked_trial, checked_widths
from service.store.engine import insert_or
from service.store.errors import StateConflictError
from service.store.paging import page
from service.store.records import Page, Trial, TrialRow
from service.store.states import FINAL_CALIBRATION_STATES, CalibrationState
from service.store.tables import trials
from service.store.transitions import add_events, lock_calibration, move_calibration

RESULT_COLUMNS = ("shard_id", "status", "loss", "seconds", "steps", "flops")

#: Rows of one INSERT, of 12 parameters each: 6,000, below SQLite's 32,766 and Postgres's 65,535.
ROWS_PER_STATEMENT = 500


def upsert(connection: sa.Connection, calibration_id: str, shard_id: str | None, checked: Sequence[Trial]) -> int:
    """Store checked trials in place of earlier reports of them; give how many rows that changed.

    Of several reports of one (width, learning rate, seed) in `checked` the last counts. Rows are listed in the
    order given.
    """
    # one statement can't change a row twice (Postgres refuses, SQLite would count both)
    latest = {(trial.width, trial.learning_rate, trial.seed): trial for trial in checked}
    insert = insert_or(connection, trials).values(created_at=now())
    differs = sa.or_(*(trials.c[name].is_distinct_from(insert.excluded[name]) for name in RESULT_COLUMNS))
    insert = insert.on_conflict_do_update(
        index_elements=[trials.c.calibration_id, trials.c.width, trials.c.learning_rate, trials.c.seed],
        set_={name: insert.excluded[name] for name in RESULT_COLUMNS},
        where=differs,
    ).returning(trials.c.id)
    # ids are random; sorted ones keep the order of trials that were created at the same moment
    identifiers = sorted(new_id("tri") for _ in latest)
    rows = [
        {
            "id": identifier,
            "calibration_id": calibration_id,
            "shard_id": shard_id,
            "width": trial.width,
            "learning_rate": trial.learning_rate,
            "seed": trial.seed,
            "status": trial.status,
            "loss": trial.loss,
            "seconds": trial.seconds,
            "steps": trial.steps,
            "flops": trial.flops,
        }
        for identifier, trial in zip(identifiers, latest.values(), strict=True)
    ]
    # SQLAlchemy compiles this once and sends it as INSERT … VALUES (…), (…), … of ROWS_PER_STATEMENT each
    options = {"insertmanyvalues_page_size": ROWS_PER_STATEMENT}
    return len(connection.execute(insert, rows, execution_options=options).all()) if rows else 0


def upload(connection: sa.Connection, calibration_id: str, given: Sequence[Trial | Mapping[str, Any]]) -> None:
    """Store trials that were run elsewhere, all or none; of a trial given twice the last report counts."""
    checked = [checked_trial(trial, f"trials[{index}]") for index, trial in enumerate(given)]
    locked = lock_calibration(connection, calibration_id)
    if locked.runner != "external":
        raise StateConflictError(
            f"Calibration {locked.id!r} is run by workers, which store its trials; create one with runner "
            "'external' to upload your own."
        )
    if locked.state in FINAL_CALIBRATION_STATES:
        raise StateConflictError(
            f"Calibration {locked.id!r} has ended ({locked.state.value}) and takes no more trials; create another."
        )
    checked_widths(checked, locked.spec["widths"])
    changed = upsert(connection, locked.id, None, checked)
    if changed:
        if locked.state is CalibrationState.QUEUED:
            move_calibration(connection, locked, CalibrationState.RUNNING)
        add_events(connection, locked.id, [("trials", {"stored": changed})])


def list_page(connection: sa.Connection, calibration_id: str, cursor: str | None, limit: int) -> Page[TrialRow]:
    """Give a calibration's trials, oldest first."""
    require(connection, calibration_id)
    query = sa.select(trials).where(trials.c.calibration_id == calibration_id)
    return page(connection, query, trials, _read, cursor=cursor, limit=limit, newest_first=False)


def all_of(connection: sa.Connection, calibration_id: str) -> list[dict[str, Any]]:
    """Give every trial as the fit reads it, ordered by width, learning rate and seed."""
    require(connection, calibration_id)
    query = (
        sa.select(trials)
        .where(trials.c.calibration_id == calibration_id)
        .order_by(trials.c.width, trials.c.learning_rate, trials.c.seed)
    )
    return [_read(row).to_trial_dict() for row in connection.execute(query)]


def _read(row: sa.Row[Any]) -> TrialRow:
    return TrialRow(
        id=row.id,
        calibration_id=row.calibration_id,
        created_at=row.created_at,
        shard_id=row.shard_id,
        width=row.width,
        learning_rate=row.learning_rate,
        seed=row.seed,
        status=row.status,
        loss=row.loss,
        seconds=row.seconds,
        steps=row.steps,
        flops=row.flops,
    )
