"""Extensions: new calibrations that start with every trial and measurement of a succeeded one, which stays as it is."""

import sqlalchemy as sa

from service.store.database.errors import StateConflictError
from service.store.database.records import JsonObject
from service.store.database.states import CalibrationState
from service.store.database.transitions import add_events, lock_calibration, move_calibration
from service.store.database.validation import checked_spec
from service.store.results import measurements as measurement_rows
from service.store.results import trials as trial_rows
from service.store.work import rounds
from service.store.work.beginning import Beginning, Submission, insert
from service.store.work.reading import read_calibration
from service.store.work.rounds import Planner
from widthwise.calibration.spec import CalibrationSpec
from widthwise.search.expectation import expect, stage_of_trial


def begin_extension(connection: sa.Connection, parent_id: str, spec: JsonObject, planner: Planner) -> Beginning:
    """Plan the first round of an extension; StateConflictError unless its parent has succeeded (a final state)."""
    parent = read_calibration(connection, parent_id)
    if parent.state is not CalibrationState.SUCCEEDED:
        raise StateConflictError(
            f"Calibration {parent.id!r} is {parent.state.value}; only one that has succeeded can be extended."
        )
    plain, digest = checked_spec(spec)
    read = CalibrationSpec.from_dict(plain)
    trials = [one for one in trial_rows.every_trial(connection, parent.id) if one.status in trial_rows.DONE_STATUSES]
    measurements = measurement_rows.every_measurement(connection, parent.id)
    planned = rounds.next_shards(planner, read, trials, measurements)
    begun = {stage_of_trial(one.width, one.role, one.horizon) for one in trials}
    expected = expect(read, rounds.outlined(planner, read), planned, begun)
    total = rounds.count_trials(expected, planned, trials)
    return Beginning(read, plain, digest, planned, expected, total, parent.id, parent.environments)


def insert_extension(
    connection: sa.Connection, beginning: Beginning, submission: Submission
) -> tuple[str, list[str], bool]:
    """Insert the calibration with its parent's trials; return its id, its shards' ids and whether it existed."""
    row, shard_ids, replayed = insert(connection, beginning, submission)
    if replayed or beginning.extends is None:
        return row.id, [], replayed
    copied = trial_rows.copy(connection, beginning.extends, row.id)
    measurement_rows.copy(connection, beginning.extends, row.id)
    add_events(connection, row.id, [("trials", {"stored": copied, "extends": beginning.extends})])
    if (
        not shard_ids
    ):  # no shard to wait for: continue as if the last shard had ended or the first trials had been uploaded
        move_calibration(connection, lock_calibration(connection, row.id), CalibrationState.RUNNING)
    return row.id, shard_ids, False
