"""Calibrations: created with their first shards, read with their progress, cancelled on request."""

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import elapsed_seconds, now
from service.store.database.engine import insert_or
from service.store.database.errors import IdempotencyConflictError, NotFoundError
from service.store.database.identifiers import new_id
from service.store.database.paging import page
from service.store.database.records import Calibration, Event, JsonObject, Page, Progress, Shard, ShardSpec
from service.store.database.states import FINAL_CALIBRATION_STATES, CalibrationState, ShardState
from service.store.database.tables import calibrations, events, shards
from service.store.database.transitions import add_events, lock_calibration, move_calibration, move_shard
from service.store.database.validation import LIMIT_MAXIMUM, checked_key, checked_spec, storable
from service.store.work import progress, rounds
from service.store.work.expectation import expect
from service.store.work.progress import expected_time
from service.store.work.rounds import Search
from widthwise.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a calibration begins with."""

    spec: dict[str, Any]
    digest: str
    shards: list[ShardSpec]
    expected: JsonObject
    trials_total: int
    extends: str | None = None
    environments: tuple[JsonObject, ...] = ()  #: of the trials that come with it


@dataclass(frozen=True, slots=True)
class Submission:
    """Who submits a calibration, and by which request."""

    owner: str = ""
    idempotency_key: str | None = None
    request_id: str | None = None


def submitted_before(
    connection: sa.Connection, submission: Submission, digest: str, extends: str | None
) -> sa.Row[Any] | None:
    """Return the row that this owner's key named before; IdempotencyConflictError if that was another specification."""
    if checked_key(submission.idempotency_key) is None:
        return None
    query = sa.select(calibrations).where(
        calibrations.c.owner == submission.owner, calibrations.c.idempotency_key == submission.idempotency_key
    )
    existing = connection.execute(query).one_or_none()
    if existing is not None and (existing.spec_digest, existing.extends) != (digest, extends):
        raise IdempotencyConflictError(str(submission.idempotency_key), existing.id)
    return existing


def begin(spec: JsonObject, search: Search) -> Beginning:
    """Check a specification and plan its first round."""
    plain, digest = checked_spec(spec)
    planned = rounds.next_shards(search, plain, (), ())
    if not planned and plain["runner"] != "external":
        raise InvalidInputError(
            "Nothing to run: the search asks for no trial; give widths, seeds and learning rates.", field="spec"
        )
    expected = expect(plain, rounds.outlined(search, plain))
    return Beginning(plain, digest, planned, expected, rounds.count_trials(expected, planned, ()))


def timed(connection: sa.Connection, beginning: Beginning) -> Beginning:
    """Add the time that it is expected to take: a read that nobody who writes should wait for."""
    time = expected_time(connection, beginning.spec, beginning.expected)
    return replace(beginning, expected={**beginning.expected, **time})


def create(
    connection: sa.Connection, beginning: Beginning, submission: Submission
) -> tuple[sa.Row[Any], list[str], bool]:
    """Insert a calibration and its shards; return its row, the shards' ids, and whether it existed already."""
    checked_key(submission.idempotency_key)
    insert = (
        insert_or(connection, calibrations)
        .values(
            id=new_id("cal"),
            created_at=now(),
            state=CalibrationState.QUEUED,
            runner=beginning.spec["runner"],
            spec=beginning.spec,
            spec_digest=beginning.digest,
            owner=submission.owner,
            request_id=submission.request_id,
            idempotency_key=submission.idempotency_key,
            trials_total=beginning.trials_total,
            last_event=0,
            extends=beginning.extends,
            environments=list(beginning.environments),
            expected=beginning.expected,
        )
        # a second request with the key waits here for the first to commit, then finds its row
        .on_conflict_do_nothing(index_elements=[calibrations.c.owner, calibrations.c.idempotency_key])
        .returning(*calibrations.c)
    )
    created = connection.execute(insert).one_or_none()
    if created is None:
        existing = submitted_before(connection, submission, beginning.digest, beginning.extends)
        assert existing is not None  # noqa: S101  # its key was in the way
        return existing, [], True
    shard_ids = rounds.insert(connection, created, beginning.shards)
    data = {"from": None, "to": CalibrationState.QUEUED.value, "reason": None}
    add_events(connection, created.id, [("calibration", data)])
    return created, shard_ids, False


def get(connection: sa.Connection, calibration_id: str) -> Calibration:
    """Return one calibration."""
    query = sa.select(calibrations).where(calibrations.c.id == calibration_id)
    row = connection.execute(query).one_or_none() if storable(calibration_id) else None
    if row is None:
        raise NotFoundError("calibration", calibration_id)
    return _read(row, progress.of(connection, [row]))


def list_page(
    connection: sa.Connection, owner: str | None, state: CalibrationState | None, cursor: str | None, limit: int
) -> Page[Calibration]:
    """Return calibrations, newest first; owner: of this one alone."""
    query = sa.select(calibrations)
    if owner is not None:
        query = query.where(calibrations.c.owner == owner)
    if state is not None:
        query = query.where(calibrations.c.state == state)
    rows = page(connection, query, calibrations, _same, cursor=cursor, limit=limit, newest_first=True)
    counted = progress.of(connection, rows.items)
    return Page(tuple(_read(row, counted) for row in rows.items), rows.next_cursor)


def _same(row: sa.Row[Any]) -> sa.Row[Any]:
    return row


def cancel(connection: sa.Connection, calibration_id: str) -> None:
    """Request the end: queued shards are cancelled here, running ones by those who run them."""
    locked = lock_calibration(connection, calibration_id)
    if locked.state in FINAL_CALIBRATION_STATES:
        return
    if locked.cancel_requested_at is None:
        connection.execute(
            sa.update(calibrations).where(calibrations.c.id == locked.id).values(cancel_requested_at=now())
        )
    queued = sa.select(shards.c.id).where(shards.c.calibration_id == locked.id, shards.c.state == ShardState.QUEUED)
    for shard_id in connection.execute(queued.order_by(shards.c.position)).scalars().all():
        move_shard(connection, shard_id, ShardState.CANCELLED)
    if not has_active_shards(connection, locked.id):
        move_calibration(connection, locked, CalibrationState.CANCELLED)


def has_active_shards(connection: sa.Connection, calibration_id: str) -> bool:
    """Say whether any shard is queued or running."""
    query = sa.select(shards.c.id).where(
        shards.c.calibration_id == calibration_id,
        shards.c.state.in_([ShardState.QUEUED, ShardState.RUNNING]),
    )
    return connection.execute(query.limit(1)).first() is not None


def list_shards(connection: sa.Connection, calibration_id: str) -> tuple[Shard, ...]:
    """Return a calibration's shards in their order."""
    require(connection, calibration_id)
    query = sa.select(shards, elapsed_seconds(shards.c.lease_until).label("overdue")).where(
        shards.c.calibration_id == calibration_id
    )
    return tuple(
        Shard(
            id=row.id,
            calibration_id=row.calibration_id,
            position=row.position,
            spec=ShardSpec.from_dict(row.spec),
            state=row.state,
            attempts=row.attempts,
            epoch=row.epoch,
            worker_id=row.worker_id,
            lease_until=row.lease_until,
            queued_at=row.queued_at,
            published_at=row.published_at,
            reason=row.reason,
            environment=row.environment,
            started_at=row.started_at,
            finished_at=row.finished_at,
            lease_seconds=None if row.overdue is None or row.state != ShardState.RUNNING else -float(row.overdue),
        )
        for row in connection.execute(query.order_by(shards.c.position))
    )


def list_events(connection: sa.Connection, calibration_id: str, after: int, limit: int) -> tuple[Event, ...]:
    """Return events numbered above `after`, in order."""
    require(connection, calibration_id)
    query = (
        sa.select(events)
        .where(events.c.calibration_id == calibration_id, events.c.seq > after)
        .order_by(events.c.seq)
        .limit(min(limit, LIMIT_MAXIMUM))
    )
    return tuple(
        Event(row.calibration_id, row.seq, row.created_at, row.kind, row.data) for row in connection.execute(query)
    )


def require(connection: sa.Connection, calibration_id: str, owner: str | None = None) -> None:
    """Raise NotFoundError unless there is such a calibration; owner: and it is this one's."""
    query = sa.select(calibrations.c.id).where(calibrations.c.id == calibration_id)
    if owner is not None:
        query = query.where(calibrations.c.owner == owner)
    if not storable(calibration_id) or connection.execute(query).first() is None:
        raise NotFoundError("calibration", calibration_id)


def _read(row: sa.Row[Any], counted: dict[str, Progress]) -> Calibration:
    return Calibration(
        id=row.id,
        created_at=row.created_at,
        state=row.state,
        spec=row.spec,
        runner=row.runner,
        reason=row.reason,
        cancel_requested=row.cancel_requested_at is not None,
        result=row.result,
        started_at=row.started_at,
        finished_at=row.finished_at,
        last_event=row.last_event,
        progress=counted[row.id],
        spec_digest=row.spec_digest,
        extends=row.extends,
        rounds=row.rounds,
        environments=tuple(row.environments or ()),
        expected=row.expected,
        owner=row.owner,
    )
