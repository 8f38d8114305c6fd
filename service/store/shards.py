"""Shards: claimed by one statement, held by a lease on the database's clock, every write fenced by epoch and worker."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store import measurements as measurement_rows
from service.store import trials as trial_rows
from service.store.clock import now
from service.store.door import checked_json, checked_measurement, checked_trial, cleaned_text
from service.store.engine import Database
from service.store.provenance import add_environment
from service.store.records import Claim, JsonObject, Lease, Measurement, ShardSpec, Trial, TrialStatus
from service.store.states import CalibrationState, ShardState
from service.store.tables import calibrations, shards
from service.store.transitions import add_events, lock_calibration, move_calibration, move_shard
from widthwise.errors import InvalidInputError

ATTEMPTS_MAXIMUM = 3  # of one shard: a fault of the machine passes, one of the work does not (chosen)
CANDIDATES = 8  # claimable shards read at once: where rivals took all of one calibration, there may be another
UNHEARD_SECONDS = 30.0  # after which a shard that was never announced is announced again (chosen)
LOST_SECONDS = 600.0  # after which a message that no worker has come for counts as lost (chosen)
ANNOUNCED_AT_ONCE = 500  # shards at the head of the queue that a sweep looks at (chosen)
REASON_MAXIMUM = 4000  # characters of a stored reason: a traceback's ends (chosen)

#: The order of claims: the oldest calibration first, and its shards by their position.
QUEUE_ORDER = (shards.c.created_at, shards.c.calibration_id, shards.c.position)


def waiting() -> sa.ColumnElement[bool]:
    """The condition on a shard's row that it waits for a worker."""
    return sa.and_(shards.c.state == ShardState.QUEUED, shards.c.attempts < ATTEMPTS_MAXIMUM)


def expired() -> sa.ColumnElement[bool]:
    """The condition that its worker has stopped reporting, and another may take it."""
    return sa.and_(
        shards.c.state == ShardState.RUNNING,
        shards.c.lease_until < now(),
        shards.c.attempts < ATTEMPTS_MAXIMUM,
    )


def claimable() -> sa.ColumnElement[bool]:
    """The condition on a shard's row under which a worker may take it."""
    return sa.or_(waiting(), expired())


def held_by(claim: Claim) -> sa.ColumnElement[bool]:
    """The fence: the shard still belongs to this claim.

    The worker counts too: a failover that loses the commit of a claim hands its epoch out a second time.
    """
    return sa.and_(
        shards.c.epoch == claim.epoch,
        shards.c.worker_id == claim.worker_id,
        shards.c.state == ShardState.RUNNING,
    )


def claim_next(database: Database, worker_id: str, lease_seconds: float) -> Claim | None:
    """Take the next claimable shard, oldest calibration and largest width first."""
    while True:
        with database.read() as connection:
            # apart, each reads no further than its limit along the index; with OR the whole queue would be sorted
            found = [*_oldest(connection, waiting()), *_oldest(connection, expired())]
        if not found:
            return None
        ordered = sorted(found, key=lambda row: (row.created_at, row.calibration_id, row.position))
        for calibration_id in dict.fromkeys(row.calibration_id for row in ordered):
            with database.write() as connection:
                claim = _claim(connection, calibration_id, worker_id, lease_seconds)
            if claim is not None:
                return claim


def _oldest(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> Sequence[sa.Row[*tuple[Any, ...]]]:
    """Give the first shards under a condition, in the order of claims."""
    query = (
        sa.select(*QUEUE_ORDER)
        .join(calibrations, calibrations.c.id == shards.c.calibration_id)
        .where(condition, calibrations.c.cancel_requested_at.is_(None))
        .order_by(*QUEUE_ORDER)
        .limit(CANDIDATES)
    )
    return connection.execute(query).all()


def _claim(connection: sa.Connection, calibration_id: str, worker_id: str, lease_seconds: float) -> Claim | None:
    """Take the first claimable shard of a calibration."""
    locked = lock_calibration(connection, calibration_id)
    if locked.cancel_requested_at is not None:
        return None
    # looked for only now: rivals may have taken several while this waited for the lock
    first = sa.select(shards.c.id).where(shards.c.calibration_id == calibration_id, claimable())
    shard_id = connection.execute(first.order_by(shards.c.position).limit(1)).scalar_one_or_none()
    if shard_id is None:
        return None
    row = move_shard(
        connection,
        shard_id,
        ShardState.RUNNING,
        claimable(),
        attempts=shards.c.attempts + 1,
        epoch=shards.c.epoch + 1,
        worker_id=worker_id,
        lease_until=now(lease_seconds),
        started_at=sa.func.coalesce(shards.c.started_at, now()),
    )
    if row is None:
        return None
    if locked.state is CalibrationState.QUEUED:
        move_calibration(connection, locked, CalibrationState.RUNNING)
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


def check(connection: sa.Connection, claim: Claim) -> Lease:
    """Say whether the claim holds."""
    held = connection.execute(sa.select(shards.c.id).where(shards.c.id == claim.shard_id, held_by(claim)))
    return _verdict(connection, claim) if held.first() else Lease.LOST


def extend(connection: sa.Connection, claim: Claim, lease_seconds: float, **values: Any) -> Lease:
    """Hold the shard for another lease, and set other columns of it."""
    extended = (
        sa.update(shards)
        .where(shards.c.id == claim.shard_id, held_by(claim))
        .values(lease_until=now(lease_seconds), **values)
        .returning(shards.c.id)
    )
    return _verdict(connection, claim) if connection.execute(extended).first() else Lease.LOST


def _verdict(connection: sa.Connection, claim: Claim) -> Lease:
    """HELD, or CANCEL_REQUESTED if the flag is up."""
    flag = sa.select(calibrations.c.cancel_requested_at).where(calibrations.c.id == claim.calibration_id)
    return Lease.HELD if connection.execute(flag).scalar_one() is None else Lease.CANCEL_REQUESTED


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
    lock_calibration(connection, claim.calibration_id)
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
        return _end_attempt(connection, claim, reason, retryable=True)
    return _moved(connection, claim, ShardState.SUCCEEDED, reason=None)


def fail(connection: sa.Connection, claim: Claim, reason: str, *, retryable: bool) -> tuple[Lease, bool]:
    """End the attempt with its reason."""
    lock_calibration(connection, claim.calibration_id)
    return _end_attempt(connection, claim, reason, retryable=retryable)


def _end_attempt(connection: sa.Connection, claim: Claim, reason: str, *, retryable: bool) -> tuple[Lease, bool]:
    """Queue the shard again if that may help, else fail it."""
    values: dict[str, Any] = {"reason": cleaned_text(reason, REASON_MAXIMUM)}
    target = ShardState.QUEUED if retryable and claim.attempt < ATTEMPTS_MAXIMUM else ShardState.FAILED
    if target is ShardState.QUEUED and _verdict(connection, claim) is Lease.CANCEL_REQUESTED:
        target = ShardState.CANCELLED  # nobody would claim it again
    return _moved(connection, claim, target, **values)


def _moved(connection: sa.Connection, claim: Claim, target: ShardState, **values: Any) -> tuple[Lease, bool]:
    row = move_shard(connection, claim.shard_id, target, held_by(claim), **values)
    return (Lease.LOST, False) if row is None else (Lease.HELD, target is ShardState.QUEUED)


def release(connection: sa.Connection, claim: Claim) -> tuple[Lease, bool]:
    """Queue the shard again as if this attempt had not begun (its epoch stays used)."""
    lock_calibration(connection, claim.calibration_id)
    cancelled = _verdict(connection, claim) is Lease.CANCEL_REQUESTED
    target = ShardState.CANCELLED if cancelled else ShardState.QUEUED
    return _moved(connection, claim, target, attempts=shards.c.attempts - 1, worker_id=None)


def cancel(connection: sa.Connection, claim: Claim) -> Lease:
    """End the shard as cancelled; programming mistake unless that was requested."""
    lock_calibration(connection, claim.calibration_id)
    if _verdict(connection, claim) is not Lease.CANCEL_REQUESTED:
        raise AssertionError(f"nobody asked to cancel calibration {claim.calibration_id}")
    row = move_shard(connection, claim.shard_id, ShardState.CANCELLED, held_by(claim))
    return Lease.LOST if row is None else Lease.HELD


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
    """Give shards at the head of the queue whose message was never sent, or seems to be lost.

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
            locked = lock_calibration(connection, row.calibration_id)
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
    """Give the calibrations run by workers whose shards have all ended and that have not."""
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
