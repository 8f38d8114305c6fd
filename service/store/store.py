"""The store: every read and write of calibrations, shards, trials, measurements, exponents, events and workers."""

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self

import sqlalchemy as sa

from service.store import (
    backlog,
    calibrations,
    exponents,
    extensions,
    finishing,
    keys,
    measurements,
    retry,
    shards,
    sweeps,
    workers,
)
from service.store import trials as trials_of
from service.store.calibrations import Submission
from service.store.door import LIMIT_MAXIMUM, checked_spec
from service.store.doorbell import Doorbell, NoDoorbell
from service.store.engine import Database, create_store_engine
from service.store.errors import NotFoundError, StoreUnavailableError
from service.store.finishing import Fit, default_fit
from service.store.records import (
    ApiKey,
    Backlog,
    Calibration,
    Claim,
    CreatedCalibration,
    Event,
    ExponentFilter,
    ExponentRow,
    JsonObject,
    Lease,
    Measurement,
    MeasurementRow,
    Page,
    Shard,
    Trial,
    TrialRow,
    Worker,
)
from service.store.rounds import Search, default_search
from service.store.schema import check_schema
from service.store.states import CalibrationState

log = logging.getLogger(__name__)

P = ParamSpec("P")


def lost_if_gone(
    method: Callable[Concatenate["Store", Claim, P], Lease],
) -> Callable[Concatenate["Store", Claim, P], Lease]:
    """Make a method of a claim give LOST where the calibration is no longer there: a backup without it was restored."""

    @wraps(method)
    def held_or_lost(store: "Store", claim: Claim, /, *args: P.args, **kwargs: P.kwargs) -> Lease:
        try:
            return method(store, claim, *args, **kwargs)
        except NotFoundError as error:
            log.warning("a claim is lost: %s", error)
            return Lease.LOST

    return held_or_lost


class Store:
    """All SQL of the service, synchronous and safe to share between threads (never between processes).

    Every method may raise StoreUnavailableError when the database does not answer. Identifiers that
    name nothing raise NotFoundError, bad cursors and values InvalidInputError.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        doorbell: Doorbell | None = None,
        fit: Fit | None = None,
        search: Search | None = None,
        lease: timedelta = timedelta(seconds=60),
    ) -> None:
        self._engine = engine
        self._database = Database(engine)
        self._doorbell = doorbell or NoDoorbell()
        self._fit = fit or default_fit
        self._search = search
        self._lease_seconds = lease.total_seconds()
        self._owner = ""  #: of what is created
        self._sees: str | None = None  #: whose calibrations are to be seen; None: everyone's

    def of(self, owner: str, *, everyone: bool = False) -> Self:
        """Give the same store as one owner sees it: what is created is theirs, and the rest is not there.

        everyone: see and cancel what belongs to others too. Workers keep the store itself, which sees everything.
        """
        theirs = copy.copy(self)
        theirs._owner, theirs._sees = owner, None if everyone else owner
        return theirs

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def check_ready(self) -> None:
        """Return if the database answers and its schema is this version's; else raise (for /readyz)."""
        check_schema(self._engine)

    # calibrations -----------------------------------------------------------------------------

    def create_calibration(
        self, spec: JsonObject, *, idempotency_key: str | None = None, request_id: str | None = None
    ) -> CreatedCalibration:
        """Store a calibration and the shards of its first round in one transaction.

        spec: the full specification, every default filled in. With a key that this owner used before and the same
        specification the existing row comes back (`replayed`); with another one IdempotencyConflictError.
        request_id: kept for the logs of those who work on it.
        """
        submission = Submission(self._owner, idempotency_key, request_id)
        replayed_id = self._submitted_before(submission, spec, None)
        if replayed_id is not None:
            return CreatedCalibration(self.get_calibration(replayed_id), replayed=True)
        beginning = calibrations.begin(spec, self._searched())
        with self._database.read() as connection:
            beginning = calibrations.timed(connection, beginning)
        with self._database.write() as connection:
            row, shard_ids, replayed = calibrations.create(connection, beginning, submission)
            # read before the commit: nothing that fails after it may deny what is stored
            created = calibrations.get(connection, row.id)
        self._ring(shard_ids)
        return CreatedCalibration(created, replayed=replayed)

    def extend_calibration(
        self,
        parent_id: str,
        spec: JsonObject,
        *,
        idempotency_key: str | None = None,
        request_id: str | None = None,
    ) -> CreatedCalibration:
        """Store a calibration that begins with every trial and measurement of a succeeded one.

        spec: the parent's specification with more in it, every default filled in; only what its trials leave open is
        run. StateConflictError unless the parent has succeeded. The key is honoured as `create_calibration` does.
        """
        submission = Submission(self._owner, idempotency_key, request_id)
        with self._database.read() as connection:
            self._require(connection, parent_id)
        replayed_id = self._submitted_before(submission, spec, parent_id)
        if replayed_id is not None:
            return CreatedCalibration(self.get_calibration(replayed_id), replayed=True)
        with self._database.read() as connection:
            beginning = extensions.begin(connection, parent_id, spec, self._searched())
            beginning = calibrations.timed(connection, beginning)
        with self._database.write() as connection:
            identifier, shard_ids, replayed = extensions.create(connection, beginning, submission)
        self._ring(shard_ids)
        if not replayed:
            self._follow_committed(identifier)  # nothing may be left to run
        return CreatedCalibration(self.get_calibration(identifier), replayed=replayed)

    def _submitted_before(self, submission: Submission, spec: JsonObject, extends: str | None) -> str | None:
        """Give the calibration that a key named before, without the planning that a new one takes."""
        if submission.idempotency_key is None:
            return None
        _, digest = checked_spec(spec)
        with self._database.read() as connection:
            row = calibrations.submitted_before(connection, submission, digest, extends)
        return None if row is None else str(row.id)

    def _searched(self) -> Search:
        return self._search or default_search()

    def _ring(self, shard_ids: Sequence[str]) -> int:
        # after the commit: a worker must find the row it is rung for
        sent = self._doorbell.ring(list(shard_ids)) if shard_ids else ()
        if sent:
            try:
                with self._database.write() as connection:
                    shards.mark_published(connection, sent)
            except StoreUnavailableError:
                # what was committed stays so, and is no error of the caller's; the shards are announced once more
                log.warning("shards announced, but not marked so: the database went away")
        return len(sent)

    def _require(self, connection: sa.Connection, calibration_id: str) -> None:
        """Raise NotFoundError for a calibration that is not there, or not for this owner to see."""
        calibrations.require(connection, calibration_id, self._sees)

    def _follow(self, calibration_id: str) -> bool:
        """Begin the next round of a calibration whose shards have all ended, or end it; say whether it ended."""
        followed = finishing.finish_if_ready(self._database, calibration_id, self._fit, self._searched())
        self._ring(followed.shard_ids)
        return followed.ended

    def _follow_committed(self, calibration_id: str) -> None:
        """Do the same after a write that stays: it must not seem to have failed, and a sweep does the rest."""
        try:
            self._follow(calibration_id)
        except StoreUnavailableError as error:
            log.warning("what follows in calibration %s is left to the next sweep: %s", calibration_id, error)

    def get_calibration(self, calibration_id: str) -> Calibration:
        """Give one calibration with its progress."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return calibrations.get(connection, calibration_id)

    def list_calibrations(
        self, *, state: CalibrationState | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Calibration]:
        """Give calibrations, newest first. limit: 1 to LIMIT_MAXIMUM."""
        with self._database.read() as connection:
            return calibrations.list_page(connection, self._sees, state, cursor, limit)

    def cancel_calibration(self, calibration_id: str) -> Calibration:
        """Ask for its end: queued shards are cancelled at once, running ones by their workers within ~1 s.

        A finished calibration is returned as it is.
        """
        with self._database.write() as connection:
            self._require(connection, calibration_id)
            calibrations.cancel(connection, calibration_id)
        return self.get_calibration(calibration_id)

    def retry_calibration(self, calibration_id: str) -> Calibration:
        """Run the failed shards of a failed calibration again, keeping every trial; StateConflictError otherwise.

        Where no shard had failed, but the search or the fit, these are made again at once.
        """
        with self._database.write() as connection:
            self._require(connection, calibration_id)
            shard_ids = retry.retry(connection, calibration_id)
        self._ring(shard_ids)
        if not shard_ids:
            self._follow_committed(calibration_id)
        return self.get_calibration(calibration_id)

    def list_shards(self, calibration_id: str) -> tuple[Shard, ...]:
        """Give its shards, in the order in which they are claimed."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return calibrations.list_shards(connection, calibration_id)

    def list_trials(
        self, calibration_id: str, *, cursor: str | None = None, limit: int = LIMIT_MAXIMUM
    ) -> Page[TrialRow]:
        """Give its trials, oldest first. limit: 1 to LIMIT_MAXIMUM."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return trials_of.list_page(connection, calibration_id, cursor, limit)

    def list_measurements(
        self, calibration_id: str, *, cursor: str | None = None, limit: int = LIMIT_MAXIMUM
    ) -> Page[MeasurementRow]:
        """Give its measurements, oldest first. limit: 1 to LIMIT_MAXIMUM."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return measurements.list_page(connection, calibration_id, cursor, limit)

    def all_trials(self, calibration_id: str) -> list[dict[str, Any]]:
        """Give every trial as the fit and the plot read it, by width, learning rate, seed, role, γ and horizon."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return trials_of.all_of(connection, calibration_id)

    def list_events(self, calibration_id: str, *, after: int = 0, limit: int = LIMIT_MAXIMUM) -> tuple[Event, ...]:
        """Give its events with `seq` > after, in order: resume a stream with the last seq that was seen."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return calibrations.list_events(connection, calibration_id, after, limit)

    def list_exponents(
        self, where: ExponentFilter | None = None, *, cursor: str | None = None, limit: int = 50
    ) -> Page[ExponentRow]:
        """Give stored exponents that match, newest first. limit: 1 to LIMIT_MAXIMUM."""
        with self._database.read() as connection:
            return exponents.list_page(connection, self._sees, where or ExponentFilter(), cursor, limit)

    # external runner --------------------------------------------------------------------------

    def upload_trials(self, calibration_id: str, trials: Sequence[Mapping[str, Any]]) -> Calibration:
        """Store trials of a calibration with runner "external" (the same again changes nothing).

        Each: {"width" (one of the specification's), "learning_rate" > 0, "seed" ≥ 0, "loss": finite or
        None = diverged}; of one given twice the last counts. All or none are stored. StateConflictError unless
        the runner is external and the state queued or running, and beyond TRIALS_PER_WIDTH for each width.
        """
        with self._database.write() as connection:
            self._require(connection, calibration_id)
            trials_of.upload(connection, calibration_id, trials)
        return self.get_calibration(calibration_id)

    def finish_external(self, calibration_id: str) -> Calibration:
        """Fit what was uploaded; a succeeded calibration is returned as it is.

        EstimateError if the trials do not suffice: the calibration stays running, so upload more and
        finish again. StateConflictError if it was cancelled, failed or is run by workers.
        """
        self.get_calibration(calibration_id)  # NotFoundError
        finishing.finish_external(self._database, calibration_id, self._fit)
        return self.get_calibration(calibration_id)

    # workers ----------------------------------------------------------------------------------

    def claim_shard(self, worker_id: str) -> Claim | None:
        """Take the next shard that is queued or whose lease ran out; None if there is none."""
        return shards.claim_next(self._database, worker_id, self._lease_seconds)

    @lost_if_gone
    def check_lease(self, claim: Claim) -> Lease:
        """Say whether the claim still holds, writing nothing."""
        with self._database.read() as connection:
            return shards.check(connection, claim)

    @lost_if_gone
    def extend_lease(self, claim: Claim) -> Lease:
        """Hold the shard for another lease, counted from now by the database's clock."""
        with self._database.write() as connection:
            return shards.extend(connection, claim, self._lease_seconds)

    @lost_if_gone
    def record_environment(self, claim: Claim, environment: JsonObject) -> Lease:
        """Store which device and versions run the shard."""
        with self._database.write() as connection:
            return shards.record_environment(connection, claim, environment, self._lease_seconds)

    @lost_if_gone
    def record_trial(self, claim: Claim, trial: Trial | Mapping[str, Any]) -> Lease:
        """Store a trial of the shard; a second report of the same trial replaces the first."""
        with self._database.write() as connection:
            return shards.record_trial(connection, claim, trial, self._lease_seconds)

    @lost_if_gone
    def record_measurement(self, claim: Claim, measurement: Measurement | Mapping[str, Any]) -> Lease:
        """Store a measurement of the shard; a second report of the same replaces the first."""
        with self._database.write() as connection:
            return shards.record_measurement(connection, claim, measurement, self._lease_seconds)

    @lost_if_gone
    def finish_shard(self, claim: Claim) -> Lease:
        """End the shard; the last of a round begins the next one or ends the calibration.

        Where trials or measurements are missing the attempt has failed.
        """
        with self._database.write() as connection:
            lease, waits = shards.finish(connection, claim)
        self._after(claim, waits=waits)
        return lease

    @lost_if_gone
    def fail_shard(self, claim: Claim, reason: str, *, retryable: bool) -> Lease:
        """End the attempt: back to the queue if retryable and attempts remain, else failed for good."""
        with self._database.write() as connection:
            lease, waits = shards.fail(connection, claim, reason, retryable=retryable)
        self._after(claim, waits=waits)
        return lease

    @lost_if_gone
    def release_shard(self, claim: Claim) -> Lease:
        """Give the shard back untouched (graceful stop): queued again, the attempt not counted."""
        with self._database.write() as connection:
            lease, waits = shards.release(connection, claim)
        self._after(claim, waits=waits)
        return lease

    def _after(self, claim: Claim, *, waits: bool) -> None:
        """Ring for a shard that waits again; else see to what follows its end."""
        if waits:
            self._ring([claim.shard_id])
        else:
            self._follow_committed(claim.calibration_id)

    @lost_if_gone
    def cancel_shard(self, claim: Claim) -> Lease:
        """End the shard as cancelled, after CANCEL_REQUESTED and once the child is dead."""
        with self._database.write() as connection:
            lease = shards.cancel(connection, claim)
        self._follow_committed(claim.calibration_id)
        return lease

    def abandon_worker(self, worker_id: str) -> int:
        """End the leases of a worker known to be dead, so that others need not wait; give their number."""
        with self._database.write() as connection:
            sweeps.give_back(connection, worker_id)
            return shards.abandon(connection, worker_id)

    def sweep(self, worker_id: str) -> int:
        """Republish and finish what is ready, if that is due and no other worker is at it; give the messages sent.

        Every worker calls it every few seconds, and one at a time does it for all. A worker whose sweep was cut short
        by the database goes on with its next call.
        """
        if not sweeps.take(self._database, worker_id):
            return 0
        sent = self.republish()
        for identifier in self._ready():
            if not sweeps.take(self._database, worker_id):  # a fit took so long that another began anew
                return sent
            self._follow(identifier)
        with self._database.write() as connection:
            sweeps.give_back(connection, worker_id, sweeps.PERIOD_SECONDS)
        return sent

    def finish_ready_calibrations(self) -> int:
        """Finish what a crash left behind: rounds not begun, fits not made, dead claims out of attempts or cancelled.

        Give how many calibrations ended. Workers call `sweep`, which does this for all of them.
        """
        return sum(self._follow(identifier) for identifier in self._ready())

    def _ready(self) -> list[str]:
        """End dead claims; give the calibrations that only wait for somebody to go on with them."""
        shards.end_dead_claims(self._database)
        with self._database.read() as connection:
            return shards.ready_calibrations(connection)

    def republish(self) -> int:
        """Ring again for shards that wait and whose message was never sent or seems lost; give how many were sent."""
        with self._database.read() as connection:
            found = shards.unheard(connection)
        return self._ring(found)

    def heartbeat(
        self,
        worker_id: str,
        *,
        host: str,
        device: str | None = None,
        versions: JsonObject | None = None,
        totals: JsonObject | None = None,
        begins: bool = False,
    ) -> None:
        """Note that the worker is alive; what is not given stays as it was.

        totals: what it did since it started. begins: a new process, perhaps under the name of one that is gone.
        """
        with self._database.write() as connection:
            workers.heartbeat(
                connection, worker_id, host=host, device=device, versions=versions, totals=totals, begins=begins
            )

    def stop_worker(self, worker_id: str, *, totals: JsonObject | None = None) -> None:
        """Note that the worker has ended in order."""
        with self._database.write() as connection:
            sweeps.give_back(connection, worker_id)
            workers.stop(connection, worker_id, totals)

    def forget_workers(self) -> int:
        """Drop workers that have been gone for a week; give their number."""
        with self._database.write() as connection:
            return workers.forget(connection)

    def list_workers(self) -> tuple[Worker, ...]:
        """Give every worker that has reported, latest first, and what it holds, if that is this owner's to see."""
        with self._database.read() as connection:
            found = workers.list_all(connection)
        return tuple(
            worker
            if self._sees in (None, worker.owner)
            else replace(worker, shard_id=None, calibration_id=None, owner=None)
            for worker in found
        )

    def backlog(self) -> Backlog:
        """Count shards and calibrations by state, and say how long the oldest has waited."""
        with self._database.read() as connection:
            return backlog.read(connection)

    # keys -------------------------------------------------------------------------------------

    def create_key(
        self,
        key_id: str,
        *,
        owner: str,
        name: str,
        scopes: Sequence[str],
        digest: str,
        lifetime_seconds: float | None = None,
    ) -> ApiKey:
        """Store an API key by the digest of its secret; lifetime_seconds: None for ever."""
        with self._database.write() as connection:
            return keys.create(
                connection,
                key_id,
                owner=owner,
                name=name,
                scopes=scopes,
                digest=digest,
                lifetime_seconds=lifetime_seconds,
            )

    def find_key(self, key_id: str) -> ApiKey | None:
        """Give a key, or None; `valid` says whether it counts now."""
        with self._database.read() as connection:
            return keys.find(connection, key_id)

    def list_keys(self, owner: str | None = None) -> tuple[ApiKey, ...]:
        """Give every key, or an owner's, newest first."""
        with self._database.read() as connection:
            return keys.list_all(connection, owner)

    def revoke_key(self, key_id: str) -> ApiKey:
        """End a key now."""
        with self._database.write() as connection:
            return keys.revoke(connection, key_id)

    def touch_key(self, key_id: str) -> None:
        """Note that a key was used, to the minute."""
        with self._database.write() as connection:
            keys.touch(connection, key_id)


def open_store(
    url: str,
    *,
    doorbell: Doorbell | None = None,
    fit: Fit | None = None,
    lease_seconds: float = 60.0,
) -> Store:
    """Open the store at a database URL; the schema must be current (see service.store.schema)."""
    return Store(create_store_engine(url), doorbell=doorbell, fit=fit, lease=timedelta(seconds=lease_seconds))
