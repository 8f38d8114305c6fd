"""Users' sweeps: created with their runs, appended to, listed, read at a revision, renamed, deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.engine import insert_or
from service.store.database.errors import IdempotencyConflictError, NotFoundError, QuotaExceededError
from service.store.database.identifiers import new_id
from service.store.database.paging import page
from service.store.database.records import JsonObject, Page
from service.store.database.tables import sweep_runs, sweeps
from service.store.database.validation import (
    LIMIT_MAXIMUM,
    checked_json,
    checked_key,
    checked_sweep_labels,
    storable,
)
from service.store.database.view import View
from service.store.results import sweep_runs as run_rows
from service.store.results.sweep_runs import GivenRun, IdentifiedRun, StoredRun
from widthwise.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """How much one sweep and one owner may store; without keys there are no owners, and no limits of theirs.

    Requests that are sent at once are each checked against what was stored before them.
    """

    runs: int  #: of one sweep
    cells: int  #: of one sweep: each makes a fit longer
    owner_runs: int  #: of all sweeps of an owner; 0 for no limit
    owner_sweeps: int  #: 0 for no limit


@dataclass(frozen=True, slots=True)
class SweepDraft:
    """What a sweep is besides its runs."""

    name: str
    notes: str | None
    reading: JsonObject  #: how rows become runs, and what the learning rates mean


@dataclass(frozen=True, slots=True)
class StoredSweep(SweepDraft):
    """A sweep without its runs."""

    id: str
    created_at: datetime
    owner: str  #: "" if no API key was required
    revision: int  #: counts the requests that added runs; the runs of a revision never change
    runs: int
    diverged: int  #: of the runs
    cells: int
    axes: Mapping[str, JsonObject]  #: by name: {"low", "high"} of numbers, {"levels"} of words; {} without runs


@dataclass(frozen=True, slots=True)
class StoredRuns:
    """What a request to store runs did."""

    sweep: StoredSweep
    added: int  #: runs that the sweep lacked
    replayed: bool = False  #: an idempotency key named an existing sweep


class Sweeps:
    """The sweeps of one owner, or of everyone."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._database = view.database

    def create(
        self, draft: SweepDraft, runs: Sequence[GivenRun], limits: SweepLimits, *, idempotency_key: str | None = None
    ) -> StoredRuns:
        """Store a sweep and its runs in one transaction.

        If this owner has used the key before, the same draft and runs return the existing sweep (`replayed`), and
        others raise IdempotencyConflictError. Otherwise it raises what `append` does.
        """
        checked_key(idempotency_key)
        identified = run_rows.identified(runs)
        asked = {**asdict(draft), "runs": [one.identity + run_rows.shown(one.run.loss) for one in identified]}
        checked_json(asked, "sweep")
        values = {
            "id": new_id("swp"),
            "created_at": now(),
            "owner": self._view.owner,
            "idempotency_key": idempotency_key,
            "digest": run_rows.digest(asked),
            "name": draft.name,
            "notes": draft.notes,
            "reading": dict(draft.reading),
            **{"revision": 0, "runs": 0, "diverged": 0, "cells": 0, "axes": {}},
        }
        with self._database.write() as connection:
            insert = (
                insert_or(connection.dialect.name, sweeps)
                .values(**values)
                # a second request with the key waits here for the first to commit, then finds its row
                .on_conflict_do_nothing(index_elements=[sweeps.c.owner, sweeps.c.idempotency_key])
                .returning(*sweeps.c)
            )
            created = connection.execute(insert).one_or_none()
            if created is None:
                return StoredRuns(self._created_before(connection, values), added=0, replayed=True)
            self._check_owner(connection, created.owner, limits)
            return _append(connection, created, identified, limits)

    def append(self, sweep_id: str, runs: Sequence[GivenRun], limits: SweepLimits) -> StoredRuns:
        """Store the runs that a sweep lacks, all or none.

        Raises ContradictionError if it has one of them with another loss, InvalidInputError for other axes than those
        of its runs and for more runs or cells than a sweep may have, QuotaExceededError for more than its owner may.
        """
        identified = run_rows.identified(runs)
        with self._database.write() as connection:
            self._require(connection, sweep_id)
            locked = connection.execute(
                sa.select(sweeps).where(sweeps.c.id == sweep_id).with_for_update()
            ).one_or_none()
            if locked is None:  # deleted since
                raise NotFoundError("sweep", sweep_id)
            return _append(connection, locked, identified, limits)

    def get(self, sweep_id: str) -> StoredSweep:
        """Return one sweep."""
        with self._database.read() as connection:
            return _read(self._require(connection, sweep_id))

    def page(self, *, cursor: str | None = None, limit: int = 50) -> Page[StoredSweep]:
        """Return sweeps, newest first. limit: 1 to LIMIT_MAXIMUM."""
        query = sa.select(sweeps)
        if self._view.sees is not None:
            query = query.where(sweeps.c.owner == self._view.sees)
        with self._database.read() as connection:
            return page(connection, query, sweeps, _read, cursor=cursor, limit=limit, newest_first=True)

    def runs(self, sweep_id: str, *, cursor: str | None = None, limit: int = LIMIT_MAXIMUM) -> Page[StoredRun]:
        """Return a sweep's runs, oldest first. limit: 1 to LIMIT_MAXIMUM."""
        query = sa.select(sweep_runs).where(sweep_runs.c.sweep_id == sweep_id)
        with self._database.read() as connection:
            self._require(connection, sweep_id)
            return page(connection, query, sweep_runs, run_rows.run_of, cursor=cursor, limit=limit, newest_first=False)

    def runs_at(self, sweep: StoredSweep) -> tuple[StoredRun, ...]:
        """Return every run that a sweep had when it was read, in the order in which they were given."""
        with self._database.read() as connection:
            return run_rows.every_run(connection, sweep.id, sweep.revision)

    def label(self, sweep_id: str, labels: Mapping[str, str | None]) -> StoredSweep:
        """Set its name, its notes or both; None removes the notes, and what is not given stays, like its revision."""
        checked = checked_sweep_labels(labels)
        with self._database.write() as connection:
            self._require(connection, sweep_id)
            if checked:
                connection.execute(sa.update(sweeps).where(sweeps.c.id == sweep_id).values(**checked))
        return self.get(sweep_id)

    def delete(self, sweep_id: str) -> None:
        """Delete a sweep and its runs."""
        with self._database.write() as connection:
            self._require(connection, sweep_id)
            connection.execute(sa.delete(sweeps).where(sweeps.c.id == sweep_id))

    def _require(self, connection: sa.Connection, sweep_id: str) -> sa.Row[Any]:
        """Return a sweep's row; NotFoundError if there is none, or if this owner may not see it."""
        query = sa.select(sweeps).where(sweeps.c.id == sweep_id)
        if self._view.sees is not None:
            query = query.where(sweeps.c.owner == self._view.sees)
        found = connection.execute(query).one_or_none() if storable(sweep_id) else None
        if found is None:
            raise NotFoundError("sweep", sweep_id)
        return found

    def _created_before(self, connection: sa.Connection, values: Mapping[str, Any]) -> StoredSweep:
        key = values["idempotency_key"]
        query = sa.select(sweeps).where(sweeps.c.owner == self._view.owner, sweeps.c.idempotency_key == key)
        existing = connection.execute(query).one()
        if existing.digest != values["digest"]:
            raise IdempotencyConflictError(key, existing.id, noun="sweep")
        return _read(existing)

    def _check_owner(self, connection: sa.Connection, owner: str, limits: SweepLimits) -> None:
        """Raise QuotaExceededError if the sweep that was just stored is one too many."""
        if not owner or not limits.owner_sweeps:
            return
        query = sa.select(sa.func.count()).select_from(sweeps).where(sweeps.c.owner == owner)
        before = connection.execute(query).scalar_one() - 1
        if before >= limits.owner_sweeps:
            raise QuotaExceededError(
                "sweeps", asked=1, limit=limits.owner_sweeps, in_use=before, remedy="delete one, or add to one"
            )


def _append(
    connection: sa.Connection, sweep: sa.Row[Any], runs: Sequence[IdentifiedRun], limits: SweepLimits
) -> StoredRuns:
    """Store the runs that a locked sweep lacks."""
    axes: dict[str, JsonObject] = dict(sweep.axes)
    for one in runs:
        axes = _extended(axes, one)
    added = run_rows.new_of(connection, sweep.id, runs)
    if not added:
        return StoredRuns(_read(sweep), added=0)
    total = sweep.runs + len(added)
    if total > limits.runs:
        raise InvalidInputError(
            f"The sweep would have {total} runs, and one may have {limits.runs}; leave out learning rates far from the "
            "optimum, or create another sweep.",
            field="runs",
        )
    _check_runs(connection, sweep.owner, len(added), limits)
    run_rows.insert(connection, sweep.id, sweep.revision + 1, added)
    cells = run_rows.count_cells(connection, sweep.id)
    if cells > limits.cells:
        raise InvalidInputError(
            f"The sweep would have {cells} cells (runs that differ in more than learning rate and seed), and one may "
            f"have {limits.cells}; leave an axis out (`without`), or create another sweep.",
            field="runs",
        )
    change = (
        sa.update(sweeps)
        .where(sweeps.c.id == sweep.id)
        .values(
            revision=sweep.revision + 1,
            runs=total,
            diverged=sweep.diverged + sum(one.run.loss is None for one in added),
            cells=cells,
            axes=axes,
        )
        .returning(*sweeps.c)
    )
    return StoredRuns(_read(connection.execute(change).one()), added=len(added))


def _check_runs(connection: sa.Connection, owner: str, asked: int, limits: SweepLimits) -> None:
    """Raise QuotaExceededError if an owner's sweeps would have too many runs together."""
    if not owner or not limits.owner_runs:
        return
    query = sa.select(sa.func.coalesce(sa.func.sum(sweeps.c.runs), 0)).where(sweeps.c.owner == owner)
    stored = connection.execute(query).scalar_one()
    if stored + asked > limits.owner_runs:
        raise QuotaExceededError(
            "runs of sweeps", asked=asked, limit=limits.owner_runs, in_use=stored, remedy="delete a sweep"
        )


def _extended(axes: dict[str, JsonObject], one: IdentifiedRun) -> dict[str, JsonObject]:
    """Return the axes of a sweep with one more run; InvalidInputError if it has others."""
    given = one.run.axes
    if not axes:
        return {name: _range(value, None) for name, value in given.items()}
    field = f"runs[{one.index}]"
    if set(given) != set(axes):
        raise InvalidInputError(
            f"run {one.index + 1} has the axes {sorted(given)}, and the sweep's runs have {sorted(axes)}; give every "
            "run the same axes.",
            field=field,
        )
    for name, value in given.items():
        if isinstance(value, str) != ("levels" in axes[name]):
            kind = "words" if "levels" in axes[name] else "numbers"
            raise InvalidInputError(
                f"run {one.index + 1} has {name} {value!r}, and the sweep's runs have {kind}; give the same kind.",
                field=field,
            )
    return {name: _range(given[name], seen) for name, seen in axes.items()}


def _range(value: float | str, seen: JsonObject | None) -> JsonObject:
    if isinstance(value, str):
        levels = [] if seen is None else seen["levels"]
        return {"levels": levels if value in levels else [*levels, value]}
    low, high = (value, value) if seen is None else (seen["low"], seen["high"])
    return {"low": min(low, value), "high": max(high, value)}


def _read(row: sa.Row[Any]) -> StoredSweep:
    return StoredSweep(
        id=row.id,
        created_at=row.created_at,
        owner=row.owner,
        name=row.name,
        notes=row.notes,
        reading=row.reading,
        revision=row.revision,
        runs=row.runs,
        diverged=row.diverged,
        cells=row.cells,
        axes=row.axes,
    )
