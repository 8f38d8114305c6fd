"""Claims: a worker takes a shard in one transaction, holds it by a lease on the database's clock, fences each write.

The fence checks epoch and worker. Statements that run for every claim, trial and report are built once; a name in
capitals is such a statement, or a part of one.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import sqlalchemy as sa

from service.store.database.clock import DatabaseTime, now
from service.store.database.engine import Database
from service.store.database.errors import NotFoundError
from service.store.database.records import Backlog, Claim, JsonObject, Lease
from service.store.database.states import CalibrationState, ShardState
from service.store.database.tables import calibrations, shards
from service.store.database.transitions import (
    THE_CALIBRATION,
    add_events,
    lock_calibration,
    move_calibration,
    move_shard,
    moved_shard,
    shard_entry,
)
from service.store.database.validation import (
    REASON_MAXIMUM,
    checked_json,
    checked_measurement,
    checked_trial,
    cleaned_text,
)
from service.store.results import measurements as measurement_rows
from service.store.results import trials as trial_rows
from service.store.results.lineage import DONE_STATUSES, Lineage, lineage_of_row
from service.store.results.provenance import add_environment
from service.store.work import queue
from service.store.work.backlog import read_backlog
from service.store.work.begun import read_begun_widths
from service.store.work.followup import FollowUp
from service.store.work.queue import ATTEMPTS_MAXIMUM, NEXT_TURN, TURN_TAKEN, Left, claimable
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, MeasurementIdentity, Trial, TrialIdentity
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import ShardKind, TrialStatus

log = logging.getLogger(__name__)

P = ParamSpec("P")

#: When a lease taken now ends; takes the seconds as a parameter.
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


def held_by(shard_id: Any, epoch: Any, worker_id: Any) -> sa.ColumnElement[bool]:
    """The fence: the shard still belongs to the claim.

    The worker is checked too: if a failover loses the commit of a claim, its epoch is handed out a second time.
    """
    return sa.and_(
        shards.c.id == shard_id,
        shards.c.epoch == epoch,
        shards.c.worker_id == worker_id,
        shards.c.state == ShardState.RUNNING,
    )


#: Whether cancellation was requested; read with the fence, so that a worker learns it from each write.
CANCEL_FLAG = sa.select(calibrations.c.cancel_requested_at).where(THE_CALIBRATION)
HELD = held_by(sa.bindparam("shard"), sa.bindparam("claimed_epoch"), sa.bindparam("claimed_by"))
CHECKED = CANCEL_FLAG.where(sa.exists().where(HELD))
EXTENDED = (
    sa.update(shards)
    .where(HELD)
    .values(lease_until=LEASE_END)
    .returning(CANCEL_FLAG.scalar_subquery().label("cancel_requested_at"))
)


def lost_if_gone(
    method: Callable[Concatenate["Claims", Claim, P], Lease],
) -> Callable[Concatenate["Claims", Claim, P], Lease]:
    """Make a method return LOST if the calibration no longer exists because a backup without it was restored."""

    @wraps(method)
    def held_or_lost(claims: "Claims", claim: Claim, /, *args: P.args, **kwargs: P.kwargs) -> Lease:
        try:
            return method(claims, claim, *args, **kwargs)
        except NotFoundError as error:
            log.warning("a claim is lost: %s", error)
            return Lease.LOST

    return held_or_lost


class Claims:
    """What workers do with the table of work: claim a shard, and write everything that belongs to it."""

    def __init__(self, database: Database, followup: FollowUp, lease_seconds: float, running_of_one: int = 0) -> None:
        """running_of_one: shards of one owner that may run at once; 0 sets no limit. Claims at once may go beyond."""
        self._database = database
        self._running_of_one = running_of_one
        self._followup = followup
        self._lease_seconds = lease_seconds

    def claim(
        self,
        worker_id: str,
        *,
        without: Collection[str] = (),
        without_owners: Collection[str] = (),
        prefer: str | None = None,
    ) -> Claim | None:
        """Take the next claimable shard; None if there is none.

        Owners take turns, and of one the oldest calibration and its largest width come first.
        without, without_owners: calibrations and owners that this worker leaves alone for now. prefer: a calibration to
        stay with if it is its owner's turn.

        Queued shards are claimable, and running ones with an expired lease. Calibrations that are locked are skipped.
        If all claimable ones are locked, this waits for the first; StoreUnavailableError if it stays locked for
        RIVAL_TIMEOUT_MS.
        """
        left = Left(without, self._owners_to_leave(without_owners))
        if self._database.engine.dialect.name == "sqlite" and queue.is_empty(self._database, left):
            return None  # polling an empty queue takes no write lock: SQLite has only one
        while True:
            with self._database.write() as connection:
                locked = queue.next_calibration(connection, left)
                if locked is None:
                    return None
                if prefer is not None and prefer != locked.id:
                    locked = queue.preferred(connection, prefer, locked.owner) or locked
                claim = _claimed(connection, locked, worker_id, self._lease_seconds)
            if claim is not None:
                return claim

    def _owners_to_leave(self, given: Collection[str]) -> Collection[str]:
        """The given owners, and those who have as many shards running as one owner may."""
        if not self._running_of_one:
            return given
        with self._database.read() as connection:
            return {*given, *queue.owners_at(connection, self._running_of_one)}

    @lost_if_gone
    def check(self, claim: Claim) -> Lease:
        """Return whether the claim still holds, without writing."""
        with self._database.read() as connection:
            return _verdict(connection.execute(CHECKED, _parameters(claim)).one_or_none())

    @lost_if_gone
    def extend(self, claim: Claim) -> Lease:
        """Hold the shard for another lease, counted from now by the database's clock."""
        with self._database.write() as connection:
            return self._extended(connection, claim)

    @lost_if_gone
    def record_environment(self, claim: Claim, environment: JsonObject) -> Lease:
        """Store the device, versions and code of the child that runs the shard, also with its calibration."""
        checked_json(environment, "environment")
        with self._database.write() as connection:
            locked = lock_calibration(connection, claim.calibration_id)
            lease = self._extended(connection, claim, environment=dict(environment))
            if lease is not Lease.LOST:
                add_environment(connection, locked, environment)
            return lease

    @lost_if_gone
    def record_trial(self, claim: Claim, given: Trial | Mapping[str, Any]) -> Lease:
        """Store a trial of the shard, if the claim holds; a second report of the same trial replaces the first."""
        trial = checked_trial(given)
        if trial.identity not in claim.shard.trials():
            raise InvalidInputError(
                f"The trial (width {trial.width}, learning rate {trial.learning_rate!r}, seed {trial.seed}, role "
                f"{trial.role!r}, gamma {trial.gamma!r}, horizon {trial.horizon!r}) is not part of shard "
                f"{claim.shard_id!r}: {claim.shard.to_dict()}.",
                field="trial",
            )
        with self._database.write() as connection:
            locked = lock_calibration(connection, claim.calibration_id)
            lease = self._extended(connection, claim)
            if lease is Lease.LOST:
                return lease
            stored = trial_rows.upsert(connection, lineage_of_row(connection, locked), claim.shard_id, [trial])
            if stored.changed:
                written = trial.to_dict()
                data = {name: written[name] for name in (*TrialIdentity._fields, "status", "loss")}
                add_events(connection, claim.calibration_id, [("trial", data)], stored.growth)
            return lease

    @lost_if_gone
    def record_measurement(self, claim: Claim, given: Measurement | Mapping[str, Any]) -> Lease:
        """Store a measurement of the shard, if the claim holds; a second report of the same one replaces the first."""
        measured = checked_measurement(given)
        if measured.identity not in claim.shard.measurements():
            raise InvalidInputError(
                f"The measurement (width {measured.width}, seed {measured.seed}, kind {measured.kind!r}) is not part "
                f"of shard {claim.shard_id!r}: {claim.shard.to_dict()}.",
                field="measurement",
            )
        with self._database.write() as connection:
            lock_calibration(connection, claim.calibration_id)
            lease = self._extended(connection, claim)
            if lease is not Lease.LOST:
                growth = measurement_rows.upsert(connection, claim.calibration_id, claim.shard_id, measured)
                data = {"width": measured.width, "seed": measured.seed, "kind": measured.kind.value}
                add_events(connection, claim.calibration_id, [("measurement", data)], growth)
            return lease

    @lost_if_gone
    def finish(self, claim: Claim) -> Lease:
        """End the shard; the last shard of a round starts the next round or ends the calibration.

        If trials or measurements are missing, the attempt has failed.
        """
        with self._database.write() as connection:
            locked = lock_calibration(connection, claim.calibration_id)
            stored, wanted, what = _stored(connection, lineage_of_row(connection, locked), claim)
            if stored < wanted:
                reason = f"The child process ended with {stored} of {wanted} {what} stored."
                lease, waits = _end_attempt(connection, locked, claim, reason, retryable=True)
            else:
                lease, waits = _moved(connection, claim, ShardState.SUCCEEDED, reason=None)
        return self._after(claim, lease, waits=waits)

    @lost_if_gone
    def fail(self, claim: Claim, reason: str, *, retryable: bool, of_all: bool = False) -> Lease:
        """End the attempt: queue the shard again if retryable and attempts remain, else fail it for good.

        of_all: the calibration's other shards would fail in the same way, as at the deadline or out of memory. The
        first that fails for good then fails those that are queued, and those that run have no further attempt. A retry
        queues all of them again.
        """
        with self._database.write() as connection:
            locked = lock_calibration(connection, claim.calibration_id)
            retryable = retryable and not (of_all and _some_failed(connection, claim))
            lease, waits = _end_attempt(connection, locked, claim, reason, retryable=retryable)
            if of_all and lease is not Lease.LOST and not waits and locked.cancel_requested_at is None:
                _fail_queued(connection, claim)
        return self._after(claim, lease, waits=waits)

    @lost_if_gone
    def release(self, claim: Claim) -> Lease:
        """Queue the shard again after a graceful stop, without counting the attempt; its epoch stays used."""
        with self._database.write() as connection:
            locked = lock_calibration(connection, claim.calibration_id)
            target = ShardState.QUEUED if locked.cancel_requested_at is None else ShardState.CANCELLED
            lease, waits = _moved(connection, claim, target, attempts=shards.c.attempts - 1, worker_id=None)
        return self._after(claim, lease, waits=waits)

    @lost_if_gone
    def cancel(self, claim: Claim) -> Lease:
        """End the shard as cancelled; call after CANCEL_REQUESTED, once the child is dead."""
        with self._database.write() as connection:
            locked = lock_calibration(connection, claim.calibration_id)
            if locked.cancel_requested_at is None:
                raise AssertionError(f"cancellation of calibration {claim.calibration_id} was not requested")
            lease, waits = _moved(connection, claim, ShardState.CANCELLED)
        return self._after(claim, lease, waits=waits)

    def begun_widths(self, calibration_id: str) -> frozenset[int] | None:
        """Return the widths of which a calibration has trials, planned or stored; None unless it runs on."""
        with self._database.read() as connection:
            return read_begun_widths(connection, calibration_id)

    def backlog(self) -> Backlog:
        """Count shards and calibrations by state, and return how long the oldest queued shard has waited."""
        with self._database.read() as connection:
            return read_backlog(connection)

    def _extended(self, connection: sa.Connection, claim: Claim, **values: Any) -> Lease:
        """Hold the shard for another lease, and set other columns of its row."""
        statement = EXTENDED.values(**values) if values else EXTENDED
        parameters = {**_parameters(claim), "lease_seconds": self._lease_seconds}
        return _verdict(connection.execute(statement, parameters).one_or_none())

    def _after(self, claim: Claim, lease: Lease, *, waits: bool) -> Lease:
        """Ring for a shard that was queued again; otherwise handle what follows its end."""
        if waits:
            self._followup.ring([claim.shard_id])
        else:
            self._followup.follow_or_leave(claim.calibration_id)
        return lease


def _claimed(connection: sa.Connection, locked: sa.Row[Any], worker_id: str, lease_seconds: float) -> Claim | None:
    """Take the first claimable shard of a locked calibration; None if others were faster or it is being cancelled."""
    if locked.cancel_requested_at is not None:
        return None
    first = connection.execute(FIRST_SHARD, {"calibration": locked.id}).one_or_none()
    if first is None:
        return None
    taking = {"shard": first.id, "taker": worker_id, "lease_seconds": lease_seconds}
    row = connection.execute(TAKEN, taking).one_or_none()
    if row is None:  # its worker was alive after all, and has extended its lease
        return None
    entry = shard_entry(first.state, row)
    if locked.state is CalibrationState.QUEUED:
        move_calibration(connection, locked, CalibrationState.RUNNING, entry, turn=NEXT_TURN)
    else:
        add_events(connection, locked.id, [entry], numbered=TURN_TAKEN)
    shard = ShardSpec.from_dict(row.spec)
    return Claim(
        shard_id=row.id,
        calibration_id=row.calibration_id,
        worker_id=worker_id,
        epoch=row.epoch,
        attempt=row.attempts,
        spec=CalibrationSpec.from_dict(locked.spec),
        shard=shard,
        done=_done(connection, lineage_of_row(connection, locked), shard),
        request_id=locked.request_id,
        owner=locked.owner,
    )


def _done(
    connection: sa.Connection, lineage: Lineage, shard: ShardSpec
) -> tuple[TrialIdentity, ...] | tuple[MeasurementIdentity, ...]:
    """The outcomes of a shard that are stored, whichever shard or calibration they came from."""
    if shard.kind is ShardKind.MEASURE:
        measured = shard.measurements() & measurement_rows.identities(connection, lineage, shard.width)
        return tuple(sorted(measured, key=lambda found: (found.kind, found.seed)))
    ran = shard.trials() & trial_rows.identities(connection, lineage, shard.width, DONE_STATUSES)
    return tuple(sorted(ran, key=lambda found: (found.learning_rate, found.seed, found.gamma, found.horizon or 0)))


def _stored(connection: sa.Connection, lineage: Lineage, claim: Claim) -> tuple[int, int, str]:
    """How many outcomes of a shard are stored, how many it has in all, and what they are called."""
    if claim.shard.kind is ShardKind.MEASURE:
        measured = measurement_rows.identities(connection, lineage, claim.shard.width)
        wanted_measurements = claim.shard.measurements()
        return len(measured & wanted_measurements), len(wanted_measurements), "measurements"
    ran = trial_rows.identities(connection, lineage, claim.shard.width, tuple(TrialStatus))
    wanted_trials = claim.shard.trials()
    return len(ran & wanted_trials), len(wanted_trials), "trials"


def _parameters(claim: Claim) -> dict[str, Any]:
    return {
        "shard": claim.shard_id,
        "claimed_epoch": claim.epoch,
        "claimed_by": claim.worker_id,
        "calibration": claim.calibration_id,
    }


def _verdict(held: sa.Row[Any] | None) -> Lease:
    """HELD, or CANCEL_REQUESTED if the flag is set; LOST if no row passed the fence."""
    if held is None:
        return Lease.LOST
    return Lease.HELD if held.cancel_requested_at is None else Lease.CANCEL_REQUESTED


def _end_attempt(
    connection: sa.Connection, locked: sa.Row[Any], claim: Claim, reason: str, *, retryable: bool
) -> tuple[Lease, bool]:
    """Queue the shard again if that may help, else fail it; also return whether it is queued."""
    values: dict[str, Any] = {"reason": cleaned_text(reason, REASON_MAXIMUM)}
    target = ShardState.QUEUED if retryable and claim.attempt < ATTEMPTS_MAXIMUM else ShardState.FAILED
    if target is ShardState.QUEUED and locked.cancel_requested_at is not None:
        target = ShardState.CANCELLED  # no worker would claim it again
    return _moved(connection, claim, target, **values)


def _some_failed(connection: sa.Connection, claim: Claim) -> bool:
    """Whether a shard of the claim's calibration has failed for good."""
    failed = sa.and_(shards.c.calibration_id == claim.calibration_id, shards.c.state == ShardState.FAILED)
    return connection.execute(sa.select(shards.c.id).where(failed).limit(1)).first() is not None


def _fail_queued(connection: sa.Connection, claim: Claim) -> None:
    """Fail the shards of a calibration that wait for an attempt, because one like them has used up its own."""
    waiting = sa.and_(shards.c.calibration_id == claim.calibration_id, shards.c.state == ShardState.QUEUED)
    query = sa.select(shards.c.id).where(waiting).order_by(shards.c.position)
    reason = f"Not tried, because a shard of width {claim.shard.width} failed: see its reason."
    for shard_id in connection.execute(query).scalars().all():
        move_shard(connection, shard_id, ShardState.FAILED, reason=reason)


def _moved(connection: sa.Connection, claim: Claim, target: ShardState, **values: Any) -> tuple[Lease, bool]:
    """Move the shard if the fence allows it; also return whether it is queued."""
    fence = held_by(claim.shard_id, claim.epoch, claim.worker_id)
    row = move_shard(connection, claim.shard_id, target, fence, **values)
    return (Lease.LOST, False) if row is None else (Lease.HELD, target is ShardState.QUEUED)
