"""Shards: claimed in one transaction, held by a lease on the database's clock, each write fenced by epoch and worker.

Statements that every claim, trial and report runs are built once; a name in capitals is such a statement, or a part.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import DatabaseTime, now
from service.store.database.engine import Database
from service.store.database.records import Claim, JsonObject, Lease, Measurement, ShardSpec, Trial
from service.store.database.states import CalibrationState, ShardState
from service.store.database.tables import calibrations, shards
from service.store.database.transitions import (
    THE_CALIBRATION,
    add_events,
    lock_calibration,
    lock_if_free,
    move_calibration,
    move_shard,
    moved_shard,
    shard_entry,
)
from service.store.database.validation import checked_json, checked_measurement, checked_trial, cleaned_text
from service.store.results import measurements as measurement_rows
from service.store.results import trials as trial_rows
from service.store.results.provenance import add_environment
from service.store.work import queue
from service.store.work.queue import ATTEMPTS_MAXIMUM, QUEUE_ORDER, claimable, expired, waiting
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import TrialStatus

UNHEARD_SECONDS = 30.0  # after which a shard that was never announced is announced again (chosen)
LOST_SECONDS = 600.0  # after which a message that no worker has come for counts as lost (chosen)
ANNOUNCED_AT_ONCE = 500  # shards at the head of the queue that a sweep looks at (chosen)
REASON_MAXIMUM = 4000  # characters of a stored reason: a traceback's ends (chosen)

#: When a lease taken now ends; with a parameter.
LEASE_END = DatabaseTime(sa.bindparam("lease_seconds", type_=sa.Double))


FIRST_SHARD = (
    sa.select(shards.c.id, shards.c.state)
    .where(shards.c.calibration_id == sa.bindparam("calibration"), claimable())
    .order_by(shards.c.position)
    .limit(1)
)
TAKEN = moved_shard(
    ShardState.RUNNING,
    shards.c.id == sa.bindparam("shard"),
    claimable(),
    attempts=shards.c.attempts + 1,
    epoch=shards.c.epoch + 1,
    worker_id=sa.bindparam("taker"),
    lease_until=LEASE_END,
    started_at=sa.func.coalesce(shards.c.started_at, now()),
)


def claim_next(database: Database, worker_id: str, lease_seconds: float) -> Claim | None:
    """Take the next claimable shard, oldest calibration and largest width first; None if there is none.

    A calibration that somebody has locked is passed over. If that is so of every claimable one, the oldest is waited
    for; StoreUnavailableError if it stays locked for RIVAL_TIMEOUT_MS.
    """
    if database.engine.dialect.name == "sqlite" and queue.is_empty(database):
        return None  # who polls an empty queue takes no write lock: SQLite has one
    while True:
        with database.write() as connection:
            locked = queue.next_calibration(connection)
            if locked is None:
                return None
            claim = _claim(connection, locked, worker_id, lease_seconds)
        if claim is not None:
            return claim


def _claim(connection: sa.Connection, locked: sa.Row[Any], worker_id: str, lease_seconds: float) -> Claim | None:
    """Take the first claimable shard of a locked calibration; None if rivals were faster, or it is to be cancelled."""
    if locked.cancel_requested_at is not None:
        return None
    first = connection.execute(FIRST_SHARD, {"calibration": locked.id}).one_or_none()
    if first is None:
        return None
    taking = {"shard": first.id, "taker": worker_id, "lease_seconds": lease_seconds}
    row = connection.execute(TAKEN, taking).one_or_none()
    if row is None:  # its worker was not dead, and has extended its lease
        return None
    entry = shard_entry(first.state, row)
    if locked.state is CalibrationState.QUEUED:
        move_calibration(connection, locked, CalibrationState.RUNNING, entry)
    else:
        add_events(connection, locked.id, [entry])
    shard = ShardSpec.from_dict(row.spec)
    return Claim(
        shard_id=row.id,
        calibration_id=row.calibration_id,
        worker_id=worker_id,
        epoch=row.epoch,
        attempt=row.attempts,
        spec=locked.spec,
        shard=shard,
        done=_done(connection, row.calibration_id, shard),
        request_id=locked.request_id,
    )


def _done(connection: sa.Connection, calibration_id: str, shard: ShardSpec) -> tuple[tuple[Any, ...], ...]:
    """What of a shard is stored, by whichever shard or calibration it came: in the form of `Claim.done`."""
    if shard.kind == "measure":
        measured = shard.measurements() & measurement_rows.identities(connection, calibration_id, shard.width)
        return tuple(sorted((kind, seed) for _, seed, kind in measured))
    ran = shard.trials() & trial_rows.identities(connection, calibration_id, shard.width, trial_rows.DONE_STATUSES)
    return tuple(identity[1:] for identity in sorted(ran, key=lambda found: (found[1:3], found[4], found[5] or 0)))


def held_by(shard_id: Any, epoch: Any, worker_id: Any) -> sa.ColumnElement[bool]:
    """The fence: the shard still belongs to the claim.

    The worker counts too: a failover that loses the commit of a claim hands its epoch out a second time.
    """
    return sa.and_(
        shards.c.id == shard_id,
        shards.c.epoch == epoch,
        shards.c.worker_id == worker_id,
        shards.c.state == ShardState.RUNNING,
    )


#: Whether cancel was asked for: read with the fence, so that a worker learns it from each write.
CANCEL_FLAG = sa.select(calibrations.c.cancel_requested_at).where(THE_CALIBRATION)
HELD = held_by(sa.bindparam("shard"), sa.bindparam("claimed_epoch"), sa.bindparam("claimed_by"))
CHECKED = CANCEL_FLAG.where(sa.exists().where(HELD))
EXTENDED = (
    sa.update(shards)
    .where(HELD)
    .values(lease_until=LEASE_END)
    .returning(CANCEL_FLAG.scalar_subquery().label("cancel_requested_at"))
)


def check(connection: sa.Connection, claim: Claim) -> Lease:
    """Say whether the claim holds."""
    return _verdict(connection.execute(CHECKED, _parameters(claim)).one_or_none())


def extend(connection: sa.Connection, claim: Claim, lease_seconds: float, **values: Any) -> Lease:
    """Hold the shard for another lease, and set other columns of it."""
    extended = EXTENDED.values(**values) if values else EXTENDED
    parameters = {**_parameters(claim), "lease_seconds": lease_seconds}
    return _verdict(connection.execute(extended, parameters).one_or_none())


def _parameters(claim: Claim) -> dict[str, Any]:
    return {
        "shard": claim.shard_id,
        "claimed_epoch": claim.epoch,
        "claimed_by": claim.worker_id,
        "calibration": claim.calibration_id,
    }


def _verdict(held: sa.Row[Any] | None) -> Lease:
    """HELD, or CANCEL_REQUESTED if the flag is up; LOST if the fence let no row pass."""
    if held is None:
        return Lease.LOST
    return Lease.HELD if held.cancel_requested_at is None else Lease.CANCEL_REQUESTED


def record_environment(connection: sa.Connection, claim: Claim, environment: JsonObject, lease_seconds: float) -> Lease:
    """Store the device, versions and code of the child that runs the shard, with its calibration too."""
    checked_json(environment, "environment")
    locked = lock_calibration(connection, claim.calibration_id)
    lease = extend(connection, claim, lease_seconds, environment=dict(environment))
    if lease is not Lease.LOST:
        add_environment(connection, locked, environment)
    return lease


def record_trial(
    connection: sa.Connection, claim: Claim, given: Trial | Mapping[str, Any], lease_seconds: float
) -> Lease:
    """Store a trial of the shard, if the claim holds."""
    trial = checked_trial(given)
    if trial.identity not in claim.shard.trials():
        raise InvalidInputError(
            f"The trial (width {trial.width}, learning rate {trial.learning_rate!r}, seed {trial.seed}, role "
            f"{trial.role!r}, gamma {trial.gamma!r}, horizon {trial.horizon!r}) is none of shard {claim.shard_id!r}: "
            f"{claim.shard.to_dict()}.",
            field="trial",
        )
    lock_calibration(connection, claim.calibration_id)
    lease = extend(connection, claim, lease_seconds)
    if lease is not Lease.LOST and trial_rows.upsert(connection, claim.calibration_id, claim.shard_id, [trial]):
        data = {
            "width": trial.width,
            "learning_rate": trial.learning_rate,
            "seed": trial.seed,
            "role": trial.role,
            "gamma": trial.gamma,
            "horizon": trial.horizon,
            "status": trial.status.value,
            "loss": trial.loss,
        }
        add_events(connection, claim.calibration_id, [("trial", data)])
    return lease


def record_measurement(
    connection: sa.Connection, claim: Claim, given: Measurement | Mapping[str, Any], lease_seconds: float
) -> Lease:
    """Store a measurement of the shard, if the claim holds."""
    measured = checked_measurement(given)
    if measured.identity not in claim.shard.measurements():
        raise InvalidInputError(
            f"The measurement (width {measured.width}, seed {measured.seed}, kind {measured.kind!r}) is none of shard "
            f"{claim.shard_id!r}: {claim.shard.to_dict()}.",
            field="measurement",
        )
    lock_calibration(connection, claim.calibration_id)
    lease = extend(connection, claim, lease_seconds)
    if lease is not Lease.LOST:
        measurement_rows.upsert(connection, claim.calibration_id, claim.shard_id, measured)
        data = {"width": measured.width, "seed": measured.seed, "kind": measured.kind}
        add_events(connection, claim.calibration_id, [("measurement", data)])
    return lease


def finish(connection: sa.Connection, claim: Claim) -> tuple[Lease, bool]:
    """End the shard as succeeded; an attempt that left trials or measurements out has failed.

    This and the next two also say whether the shard waits again.
    """
    locked = lock_calibration(connection, claim.calibration_id)
    if claim.shard.kind == "measure":
        wanted, what = len(claim.shard.measurements()), "measurements"
        found = measurement_rows.identities(connection, claim.calibration_id, claim.shard.width)
        stored = len(found & claim.shard.measurements())
    else:
        wanted, what = len(claim.shard.trials()), "trials"
        ran = trial_rows.identities(connection, claim.calibration_id, claim.shard.width, tuple(TrialStatus))
        stored = len(ran & claim.shard.trials())
    if stored < wanted:
        reason = f"The child process ended with {stored} of {wanted} {what} stored."
        return _end_attempt(connection, locked, claim, reason, retryable=True)
    return _moved(connection, claim, ShardState.SUCCEEDED, reason=None)


def fail(connection: sa.Connection, claim: Claim, reason: str, *, retryable: bool) -> tuple[Lease, bool]:
    """End the attempt with its reason."""
    locked = lock_calibration(connection, claim.calibration_id)
    return _end_attempt(connection, locked, claim, reason, retryable=retryable)


def _end_attempt(
    connection: sa.Connection, locked: sa.Row[Any], claim: Claim, reason: str, *, retryable: bool
) -> tuple[Lease, bool]:
    """Queue the shard again if that may help, else fail it."""
    values: dict[str, Any] = {"reason": cleaned_text(reason, REASON_MAXIMUM)}
    target = ShardState.QUEUED if retryable and claim.attempt < ATTEMPTS_MAXIMUM else ShardState.FAILED
    if target is ShardState.QUEUED and locked.cancel_requested_at is not None:
        target = ShardState.CANCELLED  # nobody would claim it again
    return _moved(connection, claim, target, **values)


def _moved(connection: sa.Connection, claim: Claim, target: ShardState, **values: Any) -> tuple[Lease, bool]:
    fence = held_by(claim.shard_id, claim.epoch, claim.worker_id)
    row = move_shard(connection, claim.shard_id, target, fence, **values)
    return (Lease.LOST, False) if row is None else (Lease.HELD, target is ShardState.QUEUED)


def release(connection: sa.Connection, claim: Claim) -> tuple[Lease, bool]:
    """Queue the shard again as if this attempt had not begun (its epoch stays used)."""
    locked = lock_calibration(connection, claim.calibration_id)
    target = ShardState.QUEUED if locked.cancel_requested_at is None else ShardState.CANCELLED
    return _moved(connection, claim, target, attempts=shards.c.attempts - 1, worker_id=None)


def cancel(connection: sa.Connection, claim: Claim) -> Lease:
    """End the shard as cancelled; programming mistake unless that was requested."""
    locked = lock_calibration(connection, claim.calibration_id)
    if locked.cancel_requested_at is None:
        raise AssertionError(f"nobody asked to cancel calibration {claim.calibration_id}")
    return _moved(connection, claim, ShardState.CANCELLED)[0]


def abandon(connection: sa.Connection, worker_id: str) -> int:
    """End every lease of a dead worker now."""
    ended = (
        sa.update(shards)
        .where(shards.c.worker_id == worker_id, shards.c.state == ShardState.RUNNING)
        .values(lease_until=now(-1.0))
    )
    return connection.execute(ended).rowcount


def mark_published(connection: sa.Connection, shard_ids: Sequence[str]) -> None:
    """Note that the doorbell rang for these shards."""
    # Rows that somebody holds are left out: they are being claimed or cancelled, and to wait for one while holding
    # others would be a deadlock. (SQLite drops the clause: there the transaction has the whole file.)
    free = sa.select(shards.c.id).where(shards.c.id.in_(shard_ids)).with_for_update(skip_locked=True)
    connection.execute(sa.update(shards).where(shards.c.id.in_(free)).values(published_at=now()))


def unheard(connection: sa.Connection) -> list[str]:
    """Return shards at the head of the queue whose message was never sent, or seems to be lost.

    Any message brings a worker to the head, so those behind need none: however long the queue is, it is not all
    announced again every ten minutes.
    """
    lost = shards.c.published_at < now(-LOST_SECONDS)
    never_sent = sa.and_(shards.c.published_at.is_(None), shards.c.queued_at < now(-UNHEARD_SECONDS))
    # the message of a claim whose worker died was for that worker
    since_expiry = sa.or_(shards.c.published_at.is_(None), shards.c.published_at < shards.c.lease_until)
    found: list[str] = []
    for condition, missed in ((waiting(), sa.or_(never_sent, lost)), (expired(), sa.or_(since_expiry, lost))):
        head = sa.select(shards.c.id, missed.label("missed")).where(condition)
        rows = connection.execute(head.order_by(*QUEUE_ORDER).limit(ANNOUNCED_AT_ONCE))
        found += [row.id for row in rows if row.missed]
    return found


def end_dead_claims(database: Database) -> None:
    """End shards whose lease ran out and that nobody may claim: out of attempts, or cancelled."""
    dead = sa.and_(shards.c.state == ShardState.RUNNING, shards.c.lease_until < now())
    with database.read() as connection:
        found = connection.execute(
            sa.select(shards.c.id, shards.c.calibration_id)
            .join(calibrations, calibrations.c.id == shards.c.calibration_id)
            .where(
                dead,
                sa.or_(shards.c.attempts >= ATTEMPTS_MAXIMUM, calibrations.c.cancel_requested_at.is_not(None)),
            )
        ).all()
    for row in found:
        with database.write() as connection:
            locked = lock_if_free(connection, row.calibration_id)
            if locked is None:
                continue  # a frozen process must not keep the others waiting; the next sweep looks again
            if locked.cancel_requested_at is not None:
                move_shard(connection, row.id, ShardState.CANCELLED, dead)
                continue
            last = connection.execute(sa.select(shards).where(shards.c.id == row.id)).one()
            before = f" The attempt before it: {last.reason}" if last.reason else ""
            reason = (
                f"Worker {last.worker_id!r} stopped reporting on attempt {last.attempts} of {ATTEMPTS_MAXIMUM}; "
                f"look at its log.{before}"
            )
            exhausted = sa.and_(dead, shards.c.attempts >= ATTEMPTS_MAXIMUM)
            move_shard(connection, row.id, ShardState.FAILED, exhausted, reason=cleaned_text(reason, REASON_MAXIMUM))


def ready_calibrations(connection: sa.Connection) -> list[str]:
    """Return the calibrations run by workers whose shards have all ended and that have not."""
    active = (
        sa.select(shards.c.id)
        .where(
            shards.c.calibration_id == calibrations.c.id,
            shards.c.state.in_([ShardState.QUEUED, ShardState.RUNNING]),
        )
        .exists()
    )
    query = sa.select(calibrations.c.id).where(
        calibrations.c.state == CalibrationState.RUNNING, calibrations.c.runner != "external", ~active
    )
    return list(connection.execute(query).scalars())
