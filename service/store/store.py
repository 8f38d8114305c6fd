"""The store: every read and write of calibrations, shards, trials, exponents, events and workers."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

import sqlalchemy as sa

from service.store.doorbell import Doorbell
from service.store.records import (
    Calibration,
    Claim,
    CreatedCalibration,
    Event,
    ExponentFilter,
    ExponentRow,
    JsonObject,
    Lease,
    Page,
    Shard,
    Trial,
    TrialRow,
    Worker,
)
from service.store.states import CalibrationState


class Fit(Protocol):
    """What turns trials into a result: widthwise.estimate.calibration.fit_calibration."""

    def __call__(self, spec: JsonObject, trials: Sequence[JsonObject]) -> Any:
        """Give a result with `to_dict()` and `exponents`; raise EstimateError on too little data."""


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
        lease: timedelta = timedelta(seconds=60),
    ) -> None: ...

    def close(self) -> None:
        """Close every connection."""
        raise NotImplementedError

    def check_ready(self) -> None:
        """Return if the database answers and its schema is this version's; else raise (for /readyz)."""
        raise NotImplementedError

    # calibrations -----------------------------------------------------------------------------

    def create_calibration(self, spec: JsonObject, *, idempotency_key: str | None = None) -> CreatedCalibration:
        """Store a calibration and its shards in one transaction.

        spec: the full specification, every default filled in. With a key seen before and the same
        specification the existing row comes back (`replayed`); with another one IdempotencyConflictError.
        """
        raise NotImplementedError

    def get_calibration(self, calibration_id: str) -> Calibration:
        """Give one calibration with its progress."""
        raise NotImplementedError

    def list_calibrations(
        self, *, state: CalibrationState | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Calibration]:
        """Give calibrations, newest first. limit: 1 to 500."""
        raise NotImplementedError

    def cancel_calibration(self, calibration_id: str) -> Calibration:
        """Ask for its end: queued shards are cancelled at once, running ones by their workers within ~1 s.

        A finished calibration is returned as it is.
        """
        raise NotImplementedError

    def list_shards(self, calibration_id: str) -> tuple[Shard, ...]:
        """Give its shards, in the order in which they are claimed."""
        raise NotImplementedError

    def list_trials(self, calibration_id: str, *, cursor: str | None = None, limit: int = 500) -> Page[TrialRow]:
        """Give its trials, oldest first. limit: 1 to 500."""
        raise NotImplementedError

    def list_events(self, calibration_id: str, *, after: int = 0, limit: int = 500) -> tuple[Event, ...]:
        """Give its events with `seq` > after, in order: resume a stream with the last seq that was seen."""
        raise NotImplementedError

    def list_exponents(
        self, where: ExponentFilter | None = None, *, cursor: str | None = None, limit: int = 50
    ) -> Page[ExponentRow]:
        """Give stored exponents that match, newest first. limit: 1 to 500."""
        raise NotImplementedError

    # external runner --------------------------------------------------------------------------

    def upload_trials(self, calibration_id: str, trials: Sequence[Mapping[str, Any]]) -> Calibration:
        """Store trials of a calibration with runner "external" (the same again changes nothing).

        Each: {"width" (one of the specification's), "learning_rate" > 0, "seed" ≥ 0, "loss": finite or
        None = diverged}. All or none are stored. StateConflictError unless the runner is external and the
        state queued or running.
        """
        raise NotImplementedError

    def finish_external(self, calibration_id: str) -> Calibration:
        """Fit what was uploaded; a succeeded calibration is returned as it is.

        EstimateError if the trials do not suffice: the calibration stays running, so upload more and
        finish again. StateConflictError if it was cancelled, failed or is run by workers.
        """
        raise NotImplementedError

    # workers ----------------------------------------------------------------------------------

    def claim_shard(self, worker_id: str) -> Claim | None:
        """Take the next shard that is queued or whose lease ran out; None if there is none."""
        raise NotImplementedError

    def check_lease(self, claim: Claim) -> Lease:
        """Say whether the claim still holds, writing nothing."""
        raise NotImplementedError

    def extend_lease(self, claim: Claim) -> Lease:
        """Hold the shard for another lease, counted from now by the database's clock."""
        raise NotImplementedError

    def record_environment(self, claim: Claim, environment: JsonObject) -> Lease:
        """Store which device and versions run the shard."""
        raise NotImplementedError

    def record_trial(self, claim: Claim, trial: Trial | Mapping[str, Any]) -> Lease:
        """Store a trial of the shard; a second report of the same trial replaces the first."""
        raise NotImplementedError

    def finish_shard(self, claim: Claim) -> Lease:
        """End the shard as succeeded (or as failed, if trials are missing); the last one ends the calibration."""
        raise NotImplementedError

    def fail_shard(self, claim: Claim, reason: str, *, retryable: bool) -> Lease:
        """End the attempt: back to the queue if retryable and attempts remain, else failed for good."""
        raise NotImplementedError

    def release_shard(self, claim: Claim) -> Lease:
        """Give the shard back untouched (graceful stop): queued again, the attempt not counted."""
        raise NotImplementedError

    def cancel_shard(self, claim: Claim) -> Lease:
        """End the shard as cancelled, after CANCEL_REQUESTED and once the child is dead."""
        raise NotImplementedError

    def abandon_worker(self, worker_id: str) -> int:
        """End the leases of a worker known to be dead, so that others need not wait; give their number."""
        raise NotImplementedError

    def finish_ready_calibrations(self) -> int:
        """Finish what a crash left behind: fits not made, dead claims out of attempts or cancelled.

        Every worker calls it now and then; gives how many calibrations ended.
        """
        raise NotImplementedError

    def heartbeat(
        self, worker_id: str, *, host: str, device: str | None = None, versions: JsonObject | None = None
    ) -> None:
        """Note that the worker is alive; device and versions are kept when not given."""
        raise NotImplementedError

    def list_workers(self) -> tuple[Worker, ...]:
        """Give every worker that has reported, latest first."""
        raise NotImplementedError


def open_store(
    url: str,
    *,
    doorbell: Doorbell | None = None,
    fit: Callable[..., Any] | None = None,
    lease_seconds: float = 60.0,
) -> Store:
    """Open the store at a database URL; the schema must be current (see service.store.schema)."""
    raise NotImplementedError
