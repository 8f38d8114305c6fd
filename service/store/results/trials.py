"""Trials from workers or uploads, stored once per width, learning rate, seed, role, γ and horizon."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.engine import insert_or
from service.store.database.errors import StateConflictError
from service.store.database.identifiers import new_id
from service.store.database.paging import page
from service.store.database.records import Page, TrialRow
from service.store.database.states import FINAL_CALIBRATION_STATES, CalibrationState
from service.store.database.tables import trials
from service.store.database.transitions import add_events, lock_calibration, move_calibration
from service.store.database.validation import LIMIT_MAXIMUM, checked_trial, checked_widths
from service.store.database.view import View
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial, TrialIdentity
from widthwise.vocabulary import Role, TrialStatus

#: Statuses of trials that need not run again; "failed" ones may.
DONE_STATUSES = (TrialStatus.COMPLETED, TrialStatus.DIVERGED, TrialStatus.STOPPED)

RESULT_COLUMNS = ("shard_id", "status", "loss", "seconds", "steps", "flops")

#: Most uploaded trials of a calibration per width: 64 learning rates with 32 seeds each, the most that a specification
#: can name. Every plot, comparison and fit reads them all.
TRIALS_PER_WIDTH = 64 * 32

#: The columns that are unique among a calibration's trials.
IDENTITY_COLUMNS = ("calibration_id", "width", "learning_rate", "seed", "role", "gamma", "horizon")

#: The query for the identities of a width's trials; built once, since every claim runs it.
IDENTITIES = sa.select(*(trials.c[name] for name in IDENTITY_COLUMNS[1:])).where(
    trials.c.calibration_id == sa.bindparam("calibration"),
    trials.c.width == sa.bindparam("of_width"),
    trials.c.status.in_(sa.bindparam("statuses", expanding=True)),
)

#: Rows per INSERT: with 15 parameters each that makes 7,500, below SQLite's 32,766 and Postgres's 65,535.
ROWS_PER_STATEMENT = 500


class Trials:
    """The stored trials that one owner sees."""

    def __init__(self, view: View) -> None:
        self._view = view

    def page(self, calibration_id: str, *, cursor: str | None = None, limit: int = LIMIT_MAXIMUM) -> Page[TrialRow]:
        """Return a calibration's trials, oldest first. limit: 1 to LIMIT_MAXIMUM."""
        query = sa.select(trials).where(trials.c.calibration_id == calibration_id)
        with self._view.database.read() as connection:
            self._view.require(connection, calibration_id)
            return page(connection, query, trials, _read, cursor=cursor, limit=limit, newest_first=False)

    def all(self, calibration_id: str) -> list[Trial]:
        """Return every trial as the fit and the plot read it, by width, learning rate, seed, role, γ and horizon."""
        with self._view.database.read() as connection:
            self._view.require(connection, calibration_id)
            return every_trial(connection, calibration_id)


def upsert(connection: sa.Connection, calibration_id: str, shard_id: str | None, checked: Sequence[Trial]) -> int:
    """Store checked trials, replacing earlier reports of them; return how many rows changed.

    If `checked` reports a trial several times, the last report counts. Rows are listed in the given order.
    """
    # one statement can't change a row twice (Postgres refuses, SQLite counts both)
    latest = {trial.identity: trial for trial in checked}
    insert = insert_or(connection, trials).values(created_at=now())
    differs = sa.or_(*(trials.c[name].is_distinct_from(insert.excluded[name]) for name in RESULT_COLUMNS))
    insert = insert.on_conflict_do_update(
        index_elements=[trials.c[name] for name in IDENTITY_COLUMNS],
        set_={name: insert.excluded[name] for name in RESULT_COLUMNS},
        where=differs,
    ).returning(trials.c.id)
    # ids are random; sorting them keeps the order of trials that were created at the same moment
    identifiers = sorted(new_id("tri") for _ in latest)
    rows = [
        {
            "id": identifier,
            "calibration_id": calibration_id,
            "shard_id": shard_id,
            "width": trial.width,
            "learning_rate": trial.learning_rate,
            "seed": trial.seed,
            "role": "" if trial.role is None else trial.role.value,
            "gamma": trial.gamma,
            "horizon": trial.horizon or 0,
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


def store_uploaded(connection: sa.Connection, calibration_id: str, given: Sequence[Trial | Mapping[str, Any]]) -> None:
    """Store trials that were run elsewhere, all or none; if a trial is given twice, the last report counts."""
    checked = [checked_trial(trial, f"trials[{index}]") for index, trial in enumerate(given)]
    locked = lock_calibration(connection, calibration_id)
    if locked.runner != "external":
        raise StateConflictError(
            f"Calibration {locked.id!r} is run by workers, which store its trials; create one with runner "
            "'external' to upload your own."
        )
    if locked.state in FINAL_CALIBRATION_STATES:
        raise StateConflictError(
            f"Calibration {locked.id!r} has ended ({locked.state.value}) and accepts no more trials; create another."
        )
    widths = CalibrationSpec.from_dict(locked.spec).widths
    checked_widths(checked, widths)
    changed = upsert(connection, locked.id, None, checked)
    if changed:
        total, most = count(connection, locked.id), TRIALS_PER_WIDTH * len(widths)
        if total > most:
            raise StateConflictError(
                f"Calibration {locked.id!r} would have {total} trials; at most {most} are allowed: {TRIALS_PER_WIDTH} "
                "per width, which is 64 learning rates with 32 seeds. Leave out learning rates far from the "
                "optimum, or create another calibration for the rest."
            )
        if locked.state is CalibrationState.QUEUED:
            move_calibration(connection, locked, CalibrationState.RUNNING)
        add_events(connection, locked.id, [("trials", {"stored": changed})])


def identities(
    connection: sa.Connection, calibration_id: str, width: int, statuses: Sequence[TrialStatus]
) -> set[TrialIdentity]:
    """Return the identities of a width's stored trials with one of these statuses."""
    found = connection.execute(IDENTITIES, {"calibration": calibration_id, "of_width": width, "statuses": statuses})
    return {
        TrialIdentity(row.width, row.learning_rate, row.seed, _role(row.role), row.gamma, row.horizon or None)
        for row in found
    }


def count(connection: sa.Connection, calibration_id: str) -> int:
    """Return how many trials a calibration has."""
    query = sa.select(sa.func.count()).select_from(trials).where(trials.c.calibration_id == calibration_id)
    return connection.execute(query).scalar_one()


def copy(connection: sa.Connection, source: str, target: str) -> int:
    """Copy every trial that need not run again to another calibration; return how many there were."""
    query = (
        sa.select(trials)
        .where(trials.c.calibration_id == source, trials.c.status.in_(DONE_STATUSES))
        .order_by(trials.c.created_at, trials.c.id)
    )
    found = connection.execute(query).all()
    identifiers = sorted(new_id("tri") for _ in found)
    rows = [
        {**row._asdict(), "id": identifier, "calibration_id": target, "shard_id": None}
        for identifier, row in zip(identifiers, found, strict=True)
    ]
    if rows:
        connection.execute(sa.insert(trials), rows)
    return len(rows)


def every_trial(connection: sa.Connection, calibration_id: str) -> list[Trial]:
    """Return every trial as the fit reads it, ordered by width, learning rate and seed; then role, γ and horizon."""
    query = (
        sa.select(trials)
        .where(trials.c.calibration_id == calibration_id)
        .order_by(*(trials.c[name] for name in IDENTITY_COLUMNS[1:]))
    )
    return [_read(row) for row in connection.execute(query)]


def _role(stored: str) -> Role | None:
    return Role(stored) if stored else None


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
        role=_role(row.role),
        gamma=row.gamma,
        horizon=row.horizon or None,
    )
