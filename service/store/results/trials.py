"""Trials from workers or uploads, stored once per width, learning rate, seed, role, γ and horizon."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.engine import insert_or
from service.store.database.errors import StateConflictError
from service.store.database.identifiers import new_id
from service.store.database.paging import page
from service.store.database.records import Page, TrialRow
from service.store.database.states import FINAL_CALIBRATION_STATES, CalibrationState
from service.store.database.tables import trials
from service.store.database.transitions import StoredGrowth, add_events, lock_calibration, move_calibration
from service.store.database.validation import LIMIT_MAXIMUM, checked_trial, checked_widths
from service.store.database.view import View
from service.store.results.comparing import ComparedTrials, compare_trials
from service.store.results.lineage import (
    DONE_STATUSES,
    TRIAL_IDENTITY,
    Lineage,
    lineage_of,
    lineage_of_row,
    trials_of,
)
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial, TrialIdentity
from widthwise.vocabulary import Role, TrialStatus

RESULT_COLUMNS = ("shard_id", "status", "loss", "seconds", "steps", "flops")

#: Most uploaded trials of a calibration per width: 64 learning rates with 32 seeds each, the most that a specification
#: can name. Every plot, comparison and fit reads them all.
TRIALS_PER_WIDTH = 64 * 32

#: The columns that are unique among a calibration's trials.
IDENTITY_COLUMNS = ("calibration_id", *TRIAL_IDENTITY)

#: The query for the identities of a width's trials; built once, since every claim runs it.
OF_WIDTH = sa.select(*(trials.c[name] for name in TRIAL_IDENTITY)).where(
    trials.c.width == sa.bindparam("of_width"), trials.c.status.in_(sa.bindparam("statuses", expanding=True))
)
IDENTITIES = OF_WIDTH.where(trials.c.calibration_id == sa.bindparam("calibration"))
#: The same of those that a calibration shares.
SHARED_IDENTITIES = OF_WIDTH.where(trials.c.calibration_id.in_(sa.bindparam("shared", expanding=True)))

#: Of a row with its indexes: measured by benchmarks.database_growth.
TRIAL_BYTES = 612

#: Rows per INSERT: with 15 parameters each that makes 7,500, below SQLite's 32,766 and Postgres's 65,535.
ROWS_PER_STATEMENT = 500


class Trials:
    """The stored trials that one owner sees."""

    def __init__(self, view: View) -> None:
        self._view = view

    def page(self, calibration_id: str, *, cursor: str | None = None, limit: int = LIMIT_MAXIMUM) -> Page[TrialRow]:
        """Return a calibration's trials, oldest first. limit: 1 to LIMIT_MAXIMUM."""
        with self._view.database.read() as connection:
            self._view.require(connection, calibration_id)
            query = sa.select(trials).where(trials_of(lineage_of(connection, calibration_id)))
            found = page(connection, query, trials, _read, cursor=cursor, limit=limit, newest_first=False)
        return replace(found, items=tuple(_as_of(calibration_id, row) for row in found.items))

    def all(self, calibration_id: str) -> list[Trial]:
        """Return every trial as the fit and the plot read it, by width, learning rate, seed, role, γ and horizon."""
        with self._view.database.read() as connection:
            self._view.require(connection, calibration_id)
            return every_trial(connection, lineage_of(connection, calibration_id))

    def compared(self, this: str, other: str) -> ComparedTrials:
        """Return how the trials of two calibrations differ."""
        with self._view.database.read() as connection:
            for identifier in (this, other):
                self._view.require(connection, identifier)
            return compare_trials(connection, lineage_of(connection, this), lineage_of(connection, other))


class Stored(NamedTuple):
    """What storing trials changed."""

    changed: int  #: rows that are new or have another outcome
    added: int  #: rows that are new
    visible: int  #: trials that the calibration did not have, shared ones included

    @property
    def growth(self) -> StoredGrowth:
        """What its calibration has more of."""
        return StoredGrowth(trials=self.visible, rows=self.added, bytes=self.added * TRIAL_BYTES)


def upsert(connection: sa.Connection, lineage: Lineage, shard_id: str | None, checked: Sequence[Trial]) -> Stored:
    """Store checked trials of the first of a lineage, replacing its earlier reports of them.

    If `checked` reports a trial several times, the last report counts. Rows are listed in the given order.
    """
    # one statement can't change a row twice (Postgres refuses, SQLite counts both)
    latest = {trial.identity: trial for trial in checked}
    insert = insert_or(connection.dialect.name, trials).values(created_at=now())
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
            "calibration_id": lineage[0],
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
    changed = connection.execute(insert, rows, execution_options=options).scalars().all() if rows else ()
    added = sorted(set(identifiers).intersection(changed))  # a row that was replaced keeps its id
    return Stored(len(changed), len(added), len(added) - _shadowing(connection, lineage, added))


def _shadowing(connection: sa.Connection, lineage: Lineage, identifiers: Sequence[str]) -> int:
    """Count the rows that stand for one which the calibration shares."""
    if len(lineage) == 1:
        return 0
    shared = trials.alias()
    same = sa.exists().where(
        shared.c.calibration_id.in_(lineage[1:]),
        shared.c.status.in_(DONE_STATUSES),
        *(shared.c[name] == trials.c[name] for name in TRIAL_IDENTITY),
    )
    count = 0
    for start in range(0, len(identifiers), ROWS_PER_STATEMENT):
        some = trials.c.id.in_(identifiers[start : start + ROWS_PER_STATEMENT])
        count += connection.execute(sa.select(sa.func.count()).select_from(trials).where(some, same)).scalar_one()
    return count


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
    stored = upsert(connection, lineage_of_row(connection, locked), None, checked)
    if stored.changed:
        total, most = locked.trials_done + stored.visible, TRIALS_PER_WIDTH * len(widths)
        if total > most:
            raise StateConflictError(
                f"Calibration {locked.id!r} would have {total} trials; at most {most} are allowed: {TRIALS_PER_WIDTH} "
                "per width, which is 64 learning rates with 32 seeds. Leave out learning rates far from the "
                "optimum, or create another calibration for the rest."
            )
        if locked.state is CalibrationState.QUEUED:
            move_calibration(connection, locked, CalibrationState.RUNNING)
        add_events(connection, locked.id, [("trials", {"stored": stored.changed})], stored.growth)


def identities(
    connection: sa.Connection, lineage: Lineage, width: int, statuses: Sequence[TrialStatus]
) -> set[TrialIdentity]:
    """Return the identities of a width's stored trials with one of these statuses; of shared ones, those done."""
    asked = {"calibration": lineage[0], "of_width": width, "statuses": statuses}
    found = set(connection.execute(IDENTITIES, asked).all())
    if shared := lineage[1:]:
        done = [status for status in statuses if status in DONE_STATUSES]
        found |= set(connection.execute(SHARED_IDENTITIES, {"shared": shared, "of_width": width, "statuses": done}))
    return {
        TrialIdentity(row.width, row.learning_rate, row.seed, _role(row.role), row.gamma, row.horizon or None)
        for row in found
    }


def count_done(connection: sa.Connection, lineage: Lineage) -> int:
    """Return how many trials that need not run again a calibration has."""
    query = sa.select(sa.func.count()).select_from(trials)
    return connection.execute(query.where(trials_of(lineage), trials.c.status.in_(DONE_STATUSES))).scalar_one()


def every_trial(connection: sa.Connection, lineage: Lineage) -> list[Trial]:
    """Return every trial as the fit reads it, ordered by width, learning rate and seed; then role, γ and horizon."""
    query = sa.select(trials).where(trials_of(lineage)).order_by(*(trials.c[name] for name in TRIAL_IDENTITY))
    # streamed, so that rows and trials are not held at once
    return [_read(row) for row in connection.execution_options(yield_per=ROWS_PER_STATEMENT).execute(query)]


def _role(stored: str) -> Role | None:
    return Role(stored) if stored else None


def _as_of(calibration_id: str, row: TrialRow) -> TrialRow:
    """A trial as the calibration has it: of a shared one, the shard is not its own."""
    if row.calibration_id == calibration_id:
        return row
    return replace(row, calibration_id=calibration_id, shard_id=None)


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
