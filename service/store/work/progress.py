"""Progress: counts of trials and shards, and the time left, estimated from the rate of trials so far."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.records import CalibrationProgress, JsonObject
from service.store.database.states import CalibrationState, ShardState
from service.store.database.tables import calibrations, measurements, shards, trials, workers
from service.store.results.lineage import lineage_of_row, trials_of
from service.store.work.expectation import expected_of
from service.store.work.queue import ALIVE_SECONDS
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.search.effort import Cell, FlopRate, cells, flops_by_width, seconds_at
from widthwise.search.expectation import StageName, expected_cells, stage_name, stage_of_trial, to_come
from widthwise.vocabulary import Runner, ShardKind, TrialStatus

RECENT_CALIBRATIONS = 20  # whose trials an estimate of time uses (chosen): machines and versions change
LOOKED_AT = 300  # newest calibrations searched for these, however many there are (chosen)


_BY_STATE = (
    sa.select(shards.c.calibration_id, shards.c.state, sa.func.count())
    .where(shards.c.calibration_id.in_(sa.bindparam("calibrations", expanding=True)))
    .group_by(shards.c.calibration_id, shards.c.state)
)
_ALIVE = (
    sa.select(sa.func.count())
    .select_from(workers)
    .where(workers.c.last_seen > now(-ALIVE_SECONDS), workers.c.stopped_at.is_(None))
)
_NEWEST = (
    sa.select(
        *(calibrations.c.id, calibrations.c.created_at, calibrations.c.runner),
        *(calibrations.c.stored_trials, calibrations.c.spec),
    )
    .order_by(calibrations.c.created_at.desc(), calibrations.c.id.desc())
    .limit(LOOKED_AT)
    .subquery()
)
_RECENT = (
    sa.select(_NEWEST.c.id)
    .where(
        _NEWEST.c.stored_trials > 0,  # first: most that wait in a queue have none, and reading a specification costs
        _NEWEST.c.runner != Runner.EXTERNAL.value,
        _NEWEST.c.spec["proxy"]["architecture"].as_string() == sa.bindparam("architecture"),
    )
    .order_by(_NEWEST.c.created_at.desc(), _NEWEST.c.id.desc())
    .limit(RECENT_CALIBRATIONS)
)


def at_start(row: sa.Row[Any], queued: int) -> CalibrationProgress:
    """The progress of a calibration that was just inserted with so many shards."""
    return CalibrationProgress(row.trials_done, row.trials_total, {ShardState.QUEUED: queued} if queued else {}, None)


def of(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> dict[str, CalibrationProgress]:
    """Count the shards of several calibrations, in one query plus three or four for each running one."""
    ids = [row.id for row in rows]
    states: dict[str, dict[ShardState, int]] = {identifier: {} for identifier in ids}
    for identifier, state, count in connection.execute(_BY_STATE, {"calibrations": ids}):
        states[identifier][state] = count
    return {
        row.id: CalibrationProgress(
            row.trials_done, row.trials_total, states[row.id], _seconds_left(connection, row, states[row.id])
        )
        for row in rows
    }


def _seconds_left(connection: sa.Connection, row: sa.Row[Any], states: dict[ShardState, int]) -> float | None:
    """Seconds left, at the rates of the stored trials, divided among the running shards.

    Each width's operations at its rate, plus what shards take besides their trials for each one yet to start.
    """
    if row.state is not CalibrationState.RUNNING or row.runner == Runner.EXTERNAL:
        return None
    lineage = lineage_of_row(connection, row)
    rates = _rates(connection, trials_of(lineage))
    if not rates:
        return None
    known: Counter[tuple[StageName, int]] = Counter()
    current: set[StageName] = set()
    left: Counter[Cell] = Counter()
    waiting = 0  # shards that have yet to start their process and compile
    query = sa.select(shards.c.spec, shards.c.state).where(shards.c.calibration_id == row.id)
    for spec, state in connection.execute(query):
        shard = ShardSpec.from_dict(spec)
        for cell, count in cells([shard]).items():
            known[stage_name(shard), cell[2]] += count
            left[cell] += count
        if state in (ShardState.QUEUED, ShardState.RUNNING):
            current.add(stage_name(shard))
            waiting += state is ShardState.QUEUED
    foreign = sa.or_(trials.c.calibration_id != row.id, trials.c.shard_id.is_(None))
    for width, role, horizon, count in _counted(connection, trials_of(lineage), foreign):
        known[stage_of_trial(width, role, horizon), horizon] += count  # of the calibration that this one extends
    left.subtract(_done(connection, row.id))
    further = to_come(expected_of(row.expected, row.spec), known, current)
    left.update(further)
    waiting += len({cell[:2] for cell in further})  # at least one shard for each width and kind still expected
    running = max(1, states.get(ShardState.RUNNING, 0))
    working = seconds_at(flops_by_width(CalibrationSpec.from_dict(row.spec), left), rates, running)
    return None if working is None else working + waiting * _overhead(connection, [row.id]) / running


def _counted(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Any]:
    """Count trials by width, role and horizon."""
    columns = (trials.c.width, trials.c.role, trials.c.horizon)
    query = sa.select(*columns, sa.func.count()).where(*where)
    return list(connection.execute(query.group_by(*columns)))


def _done(connection: sa.Connection, calibration_id: str) -> Counter[Cell]:
    """Count the trials that the calibration's own shards have stored."""
    done: Counter[Cell] = Counter()
    for width, role, horizon, count in _counted(
        connection, trials.c.calibration_id == calibration_id, trials.c.shard_id.is_not(None)
    ):
        done[stage_of_trial(width, role, horizon)[0], width, horizon] += count
    measured = (
        sa.select(measurements.c.width, sa.func.count())
        .where(measurements.c.calibration_id == calibration_id, measurements.c.shard_id.is_not(None))
        .group_by(measurements.c.width)
    )
    for width, count in connection.execute(measured):
        done[ShardKind.MEASURE, width, 0] += count
    return done


def _rates(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[FlopRate]:
    """Operations per second of the matching trials, by width."""
    flops, seconds = sa.func.sum(trials.c.flops), sa.func.sum(trials.c.seconds)
    query = (
        sa.select(trials.c.width, sa.func.count(), flops, seconds)
        .where(*where, trials.c.status == TrialStatus.COMPLETED, trials.c.flops > 0, trials.c.seconds > 0)
        .group_by(trials.c.width)
    )
    return [FlopRate(width, count, float(f / s)) for width, count, f, s in connection.execute(query)]


def _overhead(connection: sa.Connection, calibration_ids: Sequence[str]) -> float:
    """Mean seconds that a shard takes besides its trials, to start a process and compile; 0 if unknown.

    Only shards that were claimed once are used: for others, waiting in the queue again would be included.
    """
    spent = (
        sa.select(shards.c.started_at, shards.c.finished_at, sa.func.sum(trials.c.seconds))
        .join(trials, trials.c.shard_id == shards.c.id)
        .where(
            shards.c.calibration_id.in_(calibration_ids), shards.c.state == ShardState.SUCCEEDED, shards.c.epoch == 1
        )
        .group_by(shards.c.id, shards.c.started_at, shards.c.finished_at)
    )
    beyond = [
        max(0.0, (finished - started).total_seconds() - (seconds or 0.0))
        for started, finished, seconds in connection.execute(spent)
    ]
    return sum(beyond) / len(beyond) if beyond else 0.0


def expected_time(connection: sa.Connection, spec: CalibrationSpec, expected: JsonObject) -> JsonObject:
    """Estimate the time of a calibration before it starts: {"seconds", "seconds_from", "workers"}.

    Uses the trials of the latest calibrations with the same architecture that have any, among the newest in this
    database, and the number of workers that reported within a minute (at least one).
    """
    count = max(1, connection.execute(_ALIVE).scalar_one())
    recently = connection.execute(_RECENT, {"architecture": spec.proxy.architecture.value}).scalars().all()
    rates = _rates(connection, trials.c.calibration_id.in_(recently)) if recently else []
    if not rates or not expected["stages"]:
        return {"seconds": None, "seconds_from": None, "workers": count}
    working = seconds_at(flops_by_width(spec, expected_cells(expected)), rates, count) or 0.0
    seconds = working + expected["shards"] * _overhead(connection, recently) / count
    return {"seconds": seconds, "seconds_from": "stored_trials", "workers": count}
