"""The store as workers use it: claims and what is written under them, sweeps, and the workers' own reports."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from service.store.database.errors import NotFoundError
from service.store.database.records import Backlog, Claim, JsonObject, Lease, Measurement, Trial, Worker
from service.store.work import backlog, shards, sweeps, workers
from service.store.work.base import StoreBase

log = logging.getLogger(__name__)

P = ParamSpec("P")


def lost_if_gone(
    method: Callable[Concatenate["WorkStore", Claim, P], Lease],
) -> Callable[Concatenate["WorkStore", Claim, P], Lease]:
    """Make a method of a claim give LOST where the calibration is no longer there: a backup without it was restored."""

    @wraps(method)
    def held_or_lost(store: "WorkStore", claim: Claim, /, *args: P.args, **kwargs: P.kwargs) -> Lease:
        try:
            return method(store, claim, *args, **kwargs)
        except NotFoundError as error:
            log.warning("a claim is lost: %s", error)
            return Lease.LOST

    return held_or_lost


class WorkStore(StoreBase):
    """What workers ask of the store, and what it says of them."""

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
        """Return the shard back untouched (graceful stop): queued again, the attempt not counted."""
        with self._database.write() as connection:
            lease, waits = shards.release(connection, claim)
        self._after(claim, waits=waits)
        return lease

    def _after(self, claim: Claim, *, waits: bool) -> None:
        """Ring for a shard that waits again; else see to what follows its end."""
        if waits:
            self._ring([claim.shard_id])
        else:
            self._follow_or_leave(claim.calibration_id)

    @lost_if_gone
    def cancel_shard(self, claim: Claim) -> Lease:
        """End the shard as cancelled, after CANCEL_REQUESTED and once the child is dead."""
        with self._database.write() as connection:
            lease = shards.cancel(connection, claim)
        self._follow_or_leave(claim.calibration_id)
        return lease

    def abandon_worker(self, worker_id: str) -> int:
        """End the leases of a worker known to be dead, so that others need not wait; return their number."""
        with self._database.write() as connection:
            sweeps.give_back(connection, worker_id)
            return shards.abandon(connection, worker_id)

    def sweep(self, worker_id: str) -> int:
        """Republish and finish what is ready, if that is due and no other worker is at it; return the messages sent.

        Every worker calls it every few seconds, and one at a time does it for all. A worker whose sweep was cut short
        by the database goes on with its next call.
        """
        if not sweeps.take(self._database, worker_id):
            return 0
        sent = self.republish()
        for identifier in self._ready():
            if not sweeps.take(self._database, worker_id):  # a fit took so long that another began anew
                return sent
            self._follow_or_leave(identifier)
        with self._database.write() as connection:
            sweeps.give_back(connection, worker_id, sweeps.PERIOD_SECONDS)
        return sent

    def finish_ready_calibrations(self) -> int:
        """Finish what a crash left behind: rounds not begun, fits not made, dead claims out of attempts or cancelled.

        Give how many calibrations ended. Workers call `sweep`, which does this for all of them.
        """
        return sum(self._follow(identifier) for identifier in self._ready())

    def _ready(self) -> list[str]:
        """End dead claims; return the calibrations that only wait for somebody to go on with them."""
        shards.end_dead_claims(self._database)
        with self._database.read() as connection:
            return shards.ready_calibrations(connection)

    def republish(self) -> int:
        """Ring again for shards that wait and whose message was never sent or seems lost; return how many were sent."""
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
        """Drop workers that have been gone for a week; return their number."""
        with self._database.write() as connection:
            return workers.forget(connection)

    def list_workers(self) -> tuple[Worker, ...]:
        """Return every worker that has reported, latest first, and what it holds, if that is this owner's to see."""
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
