"""Calibrations as one owner sees them: submitted, extended, read with their progress, cancelled, retried, finished."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.paging import page
from service.store.database.quotas import NO_QUOTAS, check_quotas
from service.store.database.records import CreatedCalibration, Event, JsonObject, Page, Shard, StoredCalibration
from service.store.database.states import FINAL_CALIBRATION_STATES, CalibrationState, ShardState
from service.store.database.tables import calibrations, events, shards
from service.store.database.transitions import EVENT_BYTES, lock_calibration, move_calibration, move_shard
from service.store.database.validation import LIMIT_MAXIMUM, checked_labels, checked_spec
from service.store.database.view import View
from service.store.results import trials as trial_rows
from service.store.work import beginning, extensions, progress, retry
from service.store.work.beginning import Submission
from service.store.work.deletion import delete_calibration
from service.store.work.finishing import finish_uploaded
from service.store.work.followup import FollowUp
from service.store.work.reading import EVENTS, SHARDS, calibration_of, event_of, read_calibration, shard_of
from service.store.work.shards import has_active_shards
from widthwise.calibration.spec import CalibrationSpec
from widthwise.search.demand import demand_of
from widthwise.vocabulary import Runner


class Calibrations:
    """The calibrations of one owner, or of everyone."""

    def __init__(self, view: View, followup: FollowUp) -> None:
        self._view = view
        self._database = view.database
        self._followup = followup

    def create(
        self,
        spec: JsonObject,
        *,
        name: str | None = None,
        note: str | None = None,
        idempotency_key: str | None = None,
        request_id: str | None = None,
    ) -> CreatedCalibration:
        """Store a calibration and the shards of its first round in one transaction.

        spec: the full specification, with every default filled in. If this owner has used the key before, the same
        specification returns the existing row (`replayed`), and another one raises IdempotencyConflictError.
        name, note: for people. They are not part of the specification: a replay returns those that the row has.
        request_id: stored for the workers' logs.
        """
        submission = Submission(self._view.owner, idempotency_key, request_id, name, note)
        plain, digest = checked_spec(spec)
        before = self._submitted_before(submission, digest, None)
        if before is not None:
            return before
        self._require_room(spec)
        begun = beginning.begin(plain, digest, self._followup.planner)
        with self._database.read() as connection:
            begun = beginning.timed(connection, begun)
        with self._database.write() as connection:
            row, shard_ids, replayed = beginning.insert(connection, begun, submission)
            # read before the commit: a failure after it must not hide that the calibration is stored
            counted = progress.of(connection, [row]) if replayed else {row.id: progress.at_start(row, len(shard_ids))}
            created = calibration_of(row, counted)
        self._followup.ring(shard_ids)
        return CreatedCalibration(created, replayed=replayed)

    def expect(self, spec: JsonObject) -> JsonObject:
        """Return what `create` would expect of a specification, and store nothing; QuotaExceededError as there."""
        plain, digest = checked_spec(spec)
        self._require_room(spec)
        begun = beginning.begin(plain, digest, self._followup.planner)
        with self._database.read() as connection:
            return beginning.timed(connection, begun).expected

    def extend(
        self,
        parent_id: str,
        spec: JsonObject,
        *,
        name: str | None = None,
        note: str | None = None,
        idempotency_key: str | None = None,
        request_id: str | None = None,
    ) -> CreatedCalibration:
        """Store a calibration that starts with every trial and measurement of a succeeded one.

        spec: the parent's specification, extended, with every default filled in; only trials that the parent lacks
        are run. StateConflictError unless the parent has succeeded. The other arguments are those of `create`.
        """
        submission = Submission(self._view.owner, idempotency_key, request_id, name, note)
        with self._database.read() as connection:
            self._view.require(connection, parent_id)
        _, digest = checked_spec(spec)
        before = self._submitted_before(submission, digest, parent_id)
        if before is not None:
            return before
        self._require_room(spec, parent_id)
        with self._database.read() as connection:
            begun = extensions.begin_extension(connection, parent_id, spec, self._followup.planner)
            begun = beginning.timed(connection, begun)
        with self._database.write() as connection:
            identifier, shard_ids, replayed = extensions.insert_extension(connection, begun, submission)
        self._followup.ring(shard_ids)
        if not replayed:
            self._followup.follow_or_leave(identifier)  # there may be nothing left to run
        return CreatedCalibration(self.get(identifier), replayed=replayed)

    def expect_extension(self, parent_id: str, spec: JsonObject) -> tuple[JsonObject, int]:
        """Return what `extend` would expect to run, and the trials that it would begin with; nothing is stored.

        StateConflictError and QuotaExceededError as there.
        """
        with self._database.read() as connection:
            self._view.require(connection, parent_id)
        self._require_room(spec, parent_id)
        with self._database.read() as connection:
            begun = extensions.begin_extension(connection, parent_id, spec, self._followup.planner)
            return beginning.timed(connection, begun).expected, begun.shared

    def _require_room(self, spec: JsonObject, parent_id: str | None = None) -> None:
        """Raise QuotaExceededError if the owner may not have what workers would run for a specification."""
        if self._view.quotas == NO_QUOTAS:
            return
        asked, had = demand_of(CalibrationSpec.from_dict(spec)), None
        if parent_id is not None:  # an extension runs what its parent has not
            had = demand_of(self.get(parent_id).spec)
        trials = max(0, asked.trials - (0 if had is None else had.trials))
        flops = max(0.0, asked.flops - (0.0 if had is None else had.flops))
        if spec.get("runner") == Runner.EXTERNAL:
            trials, flops = 0, 0.0  # others train, and what they upload is counted then
        size = trials * (trial_rows.TRIAL_BYTES + EVENT_BYTES)
        with self._database.read() as connection:
            check_quotas(connection, self._view.owner, self._view.quotas, flops=flops, trials=trials, size=size)

    def _submitted_before(self, submission: Submission, digest: str, extends: str | None) -> CreatedCalibration | None:
        """Return the calibration that a key has created, without the planning that a new one needs."""
        if submission.idempotency_key is None:
            return None
        with self._database.read() as connection:
            row = beginning.submitted_before(connection, submission, digest, extends)
            if row is None:
                return None
            return CreatedCalibration(calibration_of(row, progress.of(connection, [row])), replayed=True)

    def get(self, calibration_id: str) -> StoredCalibration:
        """Return one calibration with its progress."""
        with self._database.read() as connection:
            self._view.require(connection, calibration_id)
            return read_calibration(connection, calibration_id)

    def page(
        self,
        *,
        state: CalibrationState | None = None,
        name: str | None = None,
        extends: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[StoredCalibration]:
        """Return calibrations, newest first. name: exactly this one. extends: only extensions of this calibration.

        limit: 1 to LIMIT_MAXIMUM.
        """
        query = sa.select(calibrations)
        if self._view.sees is not None:
            query = query.where(calibrations.c.owner == self._view.sees)
        if state is not None:
            query = query.where(calibrations.c.state == state)
        if name is not None:
            query = query.where(calibrations.c.name == checked_labels({"name": name})["name"])
        if extends is not None:
            query = query.where(calibrations.c.extends == extends)
        with self._database.read() as connection:
            rows = page(connection, query, calibrations, _same, cursor=cursor, limit=limit, newest_first=True)
            counted = progress.of(connection, rows.items)
        return Page(tuple(calibration_of(row, counted) for row in rows.items), rows.next_cursor)

    def cancel(self, calibration_id: str) -> StoredCalibration:
        """Request cancellation: queued shards are cancelled at once, running ones by their workers within ~1 s.

        A finished calibration is returned unchanged.
        """
        with self._database.write() as connection:
            self._view.require(connection, calibration_id)
            request_cancel(connection, calibration_id)
        return self.get(calibration_id)

    def retry(self, calibration_id: str) -> StoredCalibration:
        """Run the failed shards of a failed calibration again, keeping every trial; StateConflictError otherwise.

        If it was not a shard that failed but the search or the fit, that runs again at once.
        """
        with self._database.write() as connection:
            self._view.require(connection, calibration_id)
            shard_ids = retry.requeue_failed(connection, calibration_id)
        self._followup.ring(shard_ids)
        if not shard_ids:
            self._followup.follow_or_leave(calibration_id)
        return self.get(calibration_id)

    def label(self, calibration_id: str, labels: Mapping[str, str | None]) -> StoredCalibration:
        """Set its name, its note or both; None removes one, and what is not given stays. It may be in any state."""
        checked = checked_labels(labels)
        with self._database.write() as connection:
            self._view.require(connection, calibration_id)
            if checked:
                this = calibrations.c.id == calibration_id
                connection.execute(sa.update(calibrations).where(this).values(**checked))
        return self.get(calibration_id)

    def delete(self, calibration_id: str) -> None:
        """Delete a calibration that has ended, with everything that it stored, its exponents included.

        StateConflictError, without a change, if it has not ended or an extension shares its trials.
        """
        with self._database.write() as connection:
            self._view.require(connection, calibration_id)
            delete_calibration(connection, calibration_id)

    def upload(self, calibration_id: str, trials: Sequence[Mapping[str, Any]]) -> StoredCalibration:
        """Store trials of a calibration with runner "external" (storing the same ones again changes nothing).

        Each: {"width" (one of the specification's), "learning_rate" > 0, "seed" ≥ 0, "loss": finite or
        None = diverged}; if one is given twice, the last counts. All or none are stored. StateConflictError unless
        the runner is external and the state queued or running, or if there would be more than TRIALS_PER_WIDTH.
        """
        with self._database.read() as connection:
            self._view.require(connection, calibration_id)
            size = len(trials) * trial_rows.TRIAL_BYTES
            check_quotas(connection, self._view.owner, self._view.quotas, trials=len(trials), size=size)
        with self._database.write() as connection:
            self._view.require(connection, calibration_id)
            trial_rows.store_uploaded(connection, calibration_id, trials)
        return self.get(calibration_id)

    def finish(self, calibration_id: str) -> StoredCalibration:
        """Fit the uploaded trials; a succeeded calibration is returned unchanged.

        EstimateError if there are too few trials: the calibration stays running, so upload more and finish again.
        StateConflictError if it was cancelled, has failed or is run by workers.
        """
        self.get(calibration_id)  # NotFoundError
        finish_uploaded(self._database, calibration_id, self._followup.fit)
        return self.get(calibration_id)

    def shards(self, calibration_id: str) -> tuple[Shard, ...]:
        """Return its shards, in the order in which they are claimed."""
        with self._database.read() as connection:
            self._view.require(connection, calibration_id)
            found = connection.execute(SHARDS.where(shards.c.calibration_id == calibration_id))
            return tuple(shard_of(row) for row in found)

    def events(self, calibration_id: str, *, after: int = 0, limit: int = LIMIT_MAXIMUM) -> tuple[Event, ...]:
        """Return its events with `seq` > after, in order; to resume a stream, pass the last seq seen."""
        query = EVENTS.where(events.c.calibration_id == calibration_id, events.c.seq > after)
        with self._database.read() as connection:
            self._view.require(connection, calibration_id)
            return tuple(event_of(row) for row in connection.execute(query.limit(min(limit, LIMIT_MAXIMUM))))


def request_cancel(connection: sa.Connection, calibration_id: str) -> None:
    """Request cancellation: cancel queued shards here; the workers of running ones cancel those."""
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


def _same(row: sa.Row[Any]) -> sa.Row[Any]:
    return row
