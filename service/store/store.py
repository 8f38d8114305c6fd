"""The store: every read and write of calibrations, shards, trials, measurements, exponents, events and workers."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from service.store.database.engine import create_store_engine
from service.store.database.records import (
    ApiKey,
    Calibration,
    CreatedCalibration,
    Event,
    ExponentFilter,
    ExponentRow,
    JsonObject,
    MeasurementRow,
    Page,
    Shard,
    TrialRow,
)
from service.store.database.states import CalibrationState
from service.store.database.validation import LIMIT_MAXIMUM, checked_spec
from service.store.results import exponents, keys, measurements
from service.store.results import trials as trials_of
from service.store.work import calibrations, extensions, finishing, retry
from service.store.work.calibrations import Submission
from service.store.work.doorbell import Doorbell
from service.store.work.finishing import Fit
from service.store.work.work_store import WorkStore


class Store(WorkStore):
    """All SQL of the service, synchronous and safe to share between threads (never between processes).

    Every method may raise StoreUnavailableError when the database does not answer. Identifiers that
    name nothing raise NotFoundError, bad cursors and values InvalidInputError.
    """

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
            self._follow_or_leave(identifier)  # nothing may be left to run
        return CreatedCalibration(self.get_calibration(identifier), replayed=replayed)

    def _submitted_before(self, submission: Submission, spec: JsonObject, extends: str | None) -> str | None:
        """Return the calibration that a key named before, without the planning that a new one takes."""
        if submission.idempotency_key is None:
            return None
        _, digest = checked_spec(spec)
        with self._database.read() as connection:
            row = calibrations.submitted_before(connection, submission, digest, extends)
        return None if row is None else str(row.id)

    def get_calibration(self, calibration_id: str) -> Calibration:
        """Return one calibration with its progress."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return calibrations.get(connection, calibration_id)

    def list_calibrations(
        self, *, state: CalibrationState | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Calibration]:
        """Return calibrations, newest first. limit: 1 to LIMIT_MAXIMUM."""
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
            self._follow_or_leave(calibration_id)
        return self.get_calibration(calibration_id)

    def list_shards(self, calibration_id: str) -> tuple[Shard, ...]:
        """Return its shards, in the order in which they are claimed."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return calibrations.list_shards(connection, calibration_id)

    def list_trials(
        self, calibration_id: str, *, cursor: str | None = None, limit: int = LIMIT_MAXIMUM
    ) -> Page[TrialRow]:
        """Return its trials, oldest first. limit: 1 to LIMIT_MAXIMUM."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return trials_of.list_page(connection, calibration_id, cursor, limit)

    def list_measurements(
        self, calibration_id: str, *, cursor: str | None = None, limit: int = LIMIT_MAXIMUM
    ) -> Page[MeasurementRow]:
        """Return its measurements, oldest first. limit: 1 to LIMIT_MAXIMUM."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return measurements.list_page(connection, calibration_id, cursor, limit)

    def all_trials(self, calibration_id: str) -> list[dict[str, Any]]:
        """Return every trial as the fit and the plot read it, by width, learning rate, seed, role, γ and horizon."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return trials_of.all_of(connection, calibration_id)

    def list_events(self, calibration_id: str, *, after: int = 0, limit: int = LIMIT_MAXIMUM) -> tuple[Event, ...]:
        """Return its events with `seq` > after, in order: resume a stream with the last seq that was seen."""
        with self._database.read() as connection:
            self._require(connection, calibration_id)
            return calibrations.list_events(connection, calibration_id, after, limit)

    def list_exponents(
        self, where: ExponentFilter | None = None, *, cursor: str | None = None, limit: int = 50
    ) -> Page[ExponentRow]:
        """Return stored exponents that match, newest first. limit: 1 to LIMIT_MAXIMUM."""
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
        """Return a key, or None; `valid` says whether it counts now."""
        with self._database.read() as connection:
            return keys.find(connection, key_id)

    def list_keys(self, owner: str | None = None) -> tuple[ApiKey, ...]:
        """Return every key, or an owner's, newest first."""
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
