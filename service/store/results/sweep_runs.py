"""Runs of users' sweeps: stored once for each cell, learning rate, seed and repeat."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.errors import ContradictionError
from service.store.database.identifiers import new_id
from service.store.database.tables import sweep_runs
from widthwise.errors import InvalidInputError

#: Rows per statement: with 13 parameters each that makes 6,500, below SQLite's 32,766 and Postgres's 65,535.
ROWS_PER_STATEMENT = 500

Axes = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class GivenRun:
    """One training run, as a request gives it; every number is finite and above 0."""

    learning_rate: float
    loss: float | None  #: None if the run diverged
    axes: Axes
    seed: int | None = None  #: None if runs that differ in nothing else are repeats
    unused: Axes = field(default_factory=dict)  #: columns that are not axes: no part of what tells it from other runs


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun(GivenRun):
    """One training run as stored."""

    id: str
    created_at: datetime
    revision: int  #: of its sweep, since which it belongs to it
    repeat: int  #: number among the runs of one request that differ in nothing and have no seed


@dataclass(frozen=True, slots=True)
class IdentifiedRun:
    """One run of a request with what tells it from every other run of its sweep."""

    index: int  #: in the request
    run: GivenRun
    repeat: int
    cell: str
    identity: str


def identified(runs: Sequence[GivenRun]) -> tuple[IdentifiedRun, ...]:
    """Return the runs of a request, each once; without seeds, equal runs are repeats 0, 1, 2 … of one another.

    InvalidInputError if two of them have the same seed and different losses.
    """
    found: dict[str, IdentifiedRun] = {}
    repeats = Counter[tuple[str, float]]()
    for index, run in enumerate(runs):
        cell = digest(dict(sorted(run.axes.items())))
        repeat = 0
        if run.seed is None:
            repeat = repeats[cell, run.learning_rate]
            repeats[cell, run.learning_rate] += 1
        identity = digest([cell, run.learning_rate, run.seed, repeat])
        earlier = found.setdefault(identity, IdentifiedRun(index, run, repeat, cell, identity))
        if earlier.run.loss != run.loss:
            raise InvalidInputError(
                f"runs {earlier.index + 1} and {index + 1} are the same one ({described(run)}) with losses "
                f"{shown(earlier.run.loss)} and {shown(run.loss)}; keep one, or leave out the seeds of repeats.",
                field=f"runs[{index}]",
            )
    return tuple(found.values())


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's JSON; numbers must be floats, so that 1 and 1.0 are one."""
    return hashlib.sha256(json.dumps(value, allow_nan=False).encode()).hexdigest()


def described(run: GivenRun) -> str:
    """Return what a run is, for messages."""
    seed = "" if run.seed is None else f", seed {run.seed}"
    places = "".join(
        f", {name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in run.axes.items()
    )
    return f"learning rate {run.learning_rate:g}{seed}{places}"


def shown(loss: float | None) -> str:
    """Return a loss for messages, with every digit."""
    return "diverged" if loss is None else repr(loss)


def new_of(connection: sa.Connection, sweep_id: str, runs: Sequence[IdentifiedRun]) -> list[IdentifiedRun]:
    """Return the runs that a sweep lacks; ContradictionError if it has one of them with another loss."""
    stored: dict[str, float | None] = {}
    for part in _parts(runs):
        query = sa.select(sweep_runs.c.identity, sweep_runs.c.loss).where(
            sweep_runs.c.sweep_id == sweep_id, sweep_runs.c.identity.in_([one.identity for one in part])
        )
        stored |= {row.identity: row.loss for row in connection.execute(query)}
    for one in runs:
        if one.identity in stored and stored[one.identity] != one.run.loss:
            raise ContradictionError(one.index, described(one.run), shown(stored[one.identity]), shown(one.run.loss))
    return [one for one in runs if one.identity not in stored]


def insert(connection: sa.Connection, sweep_id: str, revision: int, runs: Sequence[IdentifiedRun]) -> None:
    """Store runs in the given order."""
    # ids are random; sorting them keeps the order of runs that were created at the same moment
    identifiers = sorted(new_id("run") for _ in runs)
    rows = [
        {
            "id": identifier,
            "sweep_id": sweep_id,
            "revision": revision,
            "cell": one.cell,
            "identity": one.identity,
            "axes": dict(one.run.axes),
            "learning_rate": one.run.learning_rate,
            "seed": one.run.seed,
            "repeat": one.repeat,
            "loss": one.run.loss,
            "unused": dict(one.run.unused) or None,
        }
        for identifier, one in zip(identifiers, runs, strict=True)
    ]
    instant = connection.execute(sa.select(now())).scalar_one()  # one for all, so that the ids alone order them
    statement = sa.insert(sweep_runs).values(created_at=instant)
    connection.execute(statement, rows, execution_options={"insertmanyvalues_page_size": ROWS_PER_STATEMENT})


def count_cells(connection: sa.Connection, sweep_id: str) -> int:
    """Return how many cells a sweep has."""
    query = sa.select(sa.func.count(sweep_runs.c.cell.distinct())).where(sweep_runs.c.sweep_id == sweep_id)
    return connection.execute(query).scalar_one()


def every_run(connection: sa.Connection, sweep_id: str, revision: int) -> tuple[StoredRun, ...]:
    """Return the runs that a sweep had at a revision, in the order in which they were given."""
    query = (
        sa.select(sweep_runs)
        .where(sweep_runs.c.sweep_id == sweep_id, sweep_runs.c.revision <= revision)
        .order_by(sweep_runs.c.created_at, sweep_runs.c.id)
    )
    return tuple(run_of(row) for row in connection.execute(query))


def run_of(row: sa.Row[Any]) -> StoredRun:
    """Return a row as a record."""
    return StoredRun(
        id=row.id,
        created_at=row.created_at,
        revision=row.revision,
        axes=row.axes,
        learning_rate=row.learning_rate,
        seed=row.seed,
        repeat=row.repeat,
        loss=row.loss,
        unused=row.unused or {},
    )


def _parts(runs: Sequence[IdentifiedRun]) -> Iterator[Sequence[IdentifiedRun]]:
    for start in range(0, len(runs), ROWS_PER_STATEMENT):
        yield runs[start : start + ROWS_PER_STATEMENT]
