"""The store: every read and write of calibrations, shards, trials, measurements, exponents, events and workers."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from service.store import calibrations, exponents, extensions, finishing, measurements, shards, workers
from service.store import trials as trials_of
from service.store.door import LIMIT_MAXIMUM
from service.store.doorbell import Doorbell, NoDoorbell
from service.store.engine import Database, create_store_engine
from service.store.finishing import Fit, default_fit
from service.store.records import (
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

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def check_ready(self) -> None:
        """Return if the database answers and its schema is this version's; else raise (for /readyz)."""
        check_schema(self._engine)

    # calibrations -----------------------------------------------------------------------------

    def create_calibration(self, spec: JsonObject, *, idempotency_key: str | None = None) -> CreatedCalibration:
        """Store a calibration and the shards of its first round in one transaction.

        spec: the full specification, every default filled in. With a key seen before and the same
        specification the existing row comes back (`replayed`); with another one IdempotencyConflictError.
        """
        beginning = calibrations.begin(spec, self._searched())
        with self._database.write() as connection:
            row, shard_ids, replayed = calibrations.create(connection, beginning, idempotency_key)
        self._ring(shard_ids)
        return CreatedCalibration(self.get_calibration(row.id), replayed=replayed)

    def extend_calibration(
        self, parent_id: str, spec: JsonObject, *, idempotency_key: str | None = None
    ) -> CreatedCalibration:
        """Store a calibration that begins with every trial and measurement of a succeeded one.

        spec: the parent's specification with more in it, every default filled in; only what its trials leave open is
        run. StateConflictError unless the parent has succeeded. The key is honoured as `create_calibration` does.
        """
        with self._database.read() as connection:
            beginning = extensions.begin(connection, parent_id, spec, self._searched())
        with self._database.write() as connection:
            identifier, shard_ids, replayed = extensions.create(connection, beginning, idempotency_key)
        self._ring(shard_ids)
        if not replayed:
            self._follow(identifier)  # nothing may be left to run
        return CreatedCalibration(self.get_calibration(identifier), replayed=replayed)

    def _searched(self) -> Search:
        return self._search or default_search()

    def _ring(self, shard_ids: Sequence[str]) -> None:
        # after the commit: a worker must find the row it is rung for
        if shard_ids and self._doorbell.ring(list(shard_ids)):
            with self._database.write() as connection:
                shards.mark_published(connection, shard_ids)

    def _follow(self, calibration_id: str) -> bool:
        """Begin the next round of a calibration whose shards have all ended, or end it; say whether it ended."""
        followed = finishing.finish_if_ready(self._database, calibration_id, self._fit, self._searched())
        self._ring(followed.shard_ids)
        return followed.ended

    def get_calibration(self, calibration_id: str) -> Calibration:
        """Give one calibration with its progress."""
        with self._database.read() as connection:
            return calibrations.get(connection, calibration_id)

    def list_calibrations(
        self, *, state: CalibrationState | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Calibration]:
        """Give calibrations, newest first. limit: 1 to LIMIT_MAXIMUM."""
        with self._database.read() as connection:
            return calibrations.list_page(connection, state, cursor, limit)

    def cancel_calibration(self, calibration_id: str) -> Calibration:
        """Ask for its end: queued shards are cancelled at once, running ones by their workers within ~1 s.

        A finished calibration is returned as it is.
        """
        with self._database.write() as connection:
            calibrations.cancel(connection, calibration_id)
        return self.get_calibration(calibration_id)

    def list_shards(self, calibration_id: str) -> tuple[Shard, ...]:
        """Give its shards, in the order in which they are claimed."""
        with self._database.read() as connection:
            return calibrations.list_shards(connection, calibration_id)

    def list_trials(
        self, calibration_id: str, *, cursor: str | None = None, limit: int = LIMIT_MAXIMUM
    ) -> Page[TrialRow]:
        """Give its trials, oldest first. limit: 1 to LIMIT_MAXIMUM."""
        with self._database.read() as connection:
            return trials_of.list_page(connection, calibration_id, cursor, limit)

    def list_measurements(
        self, calibration_id: str, *, cursor: str | None = None, limit: int = LIMIT_MAXIMUM
    ) -> Page[MeasurementRow]:
        """Give its measurements, oldest first. limit: 1 to LIMIT_MAXIMUM."""
        with self._database.read() as connection:
            return measurements.list_page(connection, calibration_id, cursor, limit)

    def all_trials(self, calibration_id: str) -> list[dict[str, Any]]:
        """Give every trial as the fit and the plot read it, by width, learning rate, seed, role, γ and horizon."""
        with self._database.read() as connection:
            return trials_of.all_of(connection, calibration_id)

    def list_events(self, calibration_id: str, *, after: int = 0, limit: int = LIMIT_MAXIMUM) -> tuple[Event, ...]:
        """Give its events with `seq` > after, in order: resume a stream with the last seq that was seen."""
        with self._database.read() as connection:
            return calibrations.list_events(connection, calibration_id, after, limit)

    def list_exponents(
        self, where: ExponentFilter | None = None, *, cursor: str | None = None, limit: int = 50
    ) -> Page[ExponentRow]:
        """Give stored exponents that match, newest first. limit: 1 to LIMIT_MAXIMUM."""
        with self._database.read() as connection:
            return exponents.list_page(connection, where or ExponentFilter(), cursor, limit)

    # external runner --------------------------------------------------------------------------

    def upload_trials(self, calibration_id: str, trials: Sequence[Mapping[str, Any]]) -> Calibration:
        """Store trials of a calibration with runner "external" (the same again changes nothing).

        Each: {"width" (one of the specification's), "learning_rate" > 0, "seed" ≥ 0, "loss": finite or
        None = diverged}; of one given twice the last counts. All or none are stored. StateConflictError unless
        the runner is external and the state queued or running.
        """
        with self._database.write() as connection:
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

    def check_lease(self, claim: Claim) -> Lease:
        """Say whether the claim still holds, writing nothing."""
        with self._database.read() as connection:
            return shards.check(connection, claim)

    def extend_lease(self, claim: Claim) -> Lease:
        """Hold the shard for another lease, counted from now by the database's clock."""
        with self._database.write() as connection:
            return shards.extend(connection, claim, self._lease_seconds)

    def record_environment(self, claim: Claim, environment: JsonObject) -> Lease:
        """Store which device and versions run the shard."""
        with self._database.write() as connection:
            return shards.record_environment(connection, claim, environment, self._lease_seconds)

    def record_trial(self, claim: Claim, trial: Trial | Mapping[str, Any]) -> Lease:
        """Store a trial of the shard; a second report of the same trial replaces the first."""
        with self._database.write() as connection:
            return shards.record_trial(connection, claim, trial, self._lease_seconds)

    def record_measurement(self, claim: Claim, measurement: Measurement | Mapping[str, Any]) -> Lease:
        """Store a measurement of the shard; a second report of the same replaces the first."""
        with self._database.write() as connection:
            return shards.record_measurement(connection, claim, measurement, self._lease_seconds)

    def finish_shard(self, claim: Claim) -> Lease:
        """End the shard; the last of a round begins the next one or ends the calibration.

        Where trials or measurements are missing the attempt has failed.
        """
        with self._database.write() as connection:
            lease = shards.finish(connection, claim)
        self._follow(claim.calibration_id)
        return lease

    def fail_shard(self, claim: Claim, reason: str, *, retryable: bool) -> Lease:
        """End the attempt: back to the queue if retryable and attempts remain, else failed for good."""
        with self._database.write() as connection:
            lease = shards.fail(connection, claim, reason, retryable=retryable)
        self._follow(claim.calibration_id)
        return lease

    def release_shard(self, claim: Claim) -> Lease:
        """Give the shard back untouched (graceful stop): queued again, the attempt not counted."""
        with self._database.write() as connection:
            lease = shards.release(connection, claim)
        self._follow(claim.calibration_id)
        return lease

    def cancel_shard(self, claim: Claim) -> Lease:
        """End the shard as cancelled, after CANCEL_REQUESTED and once the child is dead."""
        with self._database.write() as connection:
            lease = shards.cancel(connection, claim)
        self._follow(claim.calibration_id)
        return lease

    def abandon_worker(self, worker_id: str) -> int:
        """End the leases of a worker known to be dead, so that others need not wait; give their number."""
        with self._database.write() as connection:
            return shards.abandon(connection, worker_id)

    def finish_ready_calibrations(self) -> int:
        """Finish what a crash left behind: rounds not begun, fits not made, dead claims out of attempts or cancelled.

        Every worker calls it now and then; gives how many calibrations ended.
        """
        shards.end_dead_claims(self._database)
        with self._database.read() as connection:
            ready = shards.ready_calibrations(connection)
        return sum(self._follow(identifier) for identifier in ready)

    def heartbeat(
        self, worker_id: str, *, host: str, device: str | None = None, versions: JsonObject | None = None
    ) -> None:
        """Note that the worker is alive; device and versions are kept when not given."""
        with self._database.write() as connection:
            workers.heartbeat(connection, worker_id, host, device, versions)

    def list_workers(self) -> tuple[Worker, ...]:
        """Give every worker that has reported, latest first."""
        with self._database.read() as connection:
            return workers.list_all(connection)


def open_store(
    url: str,
    *,
    doorbell: Doorbell | None = None,
    fit: Fit | None = None,
    lease_seconds: float = 60.0,
) -> Store:
    """Open the store at a database URL; the schema must be current (see service.store.schema)."""
    return Store(create_store_engine(url), doorbell=doorbell, fit=fit, lease=timedelta(seconds=lease_seconds))
