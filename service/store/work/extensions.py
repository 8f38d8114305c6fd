"""Extensions: new calibrations that start with every trial and measurement of a succeeded one, which stays as it is.

They share its rows instead of copying them: what has succeeded never changes.
"""

import sqlalchemy as sa

from service.store.database.errors import StateConflictError
from service.store.database.records import JsonObject
from service.store.database.states import CalibrationState
from service.store.database.transitions import add_events, lock_calibration, move_calibration
from service.store.database.validation import checked_spec
from service.store.results import measurements as measurement_rows
from service.store.results import trials as trial_rows
from service.store.results.lineage import DONE_STATUSES, lineage_of
from service.store.work import rounds
from service.store.work.beginning import Beginning, Submission, insert
from service.store.work.reading import read_calibration
from service.store.work.rounds import Planner
from widthwise.calibration.spec import CalibrationSpec
from widthwise.search.expectation import expect, stage_of_trial
from widthwise.vocabulary import Runner


def begin_extension(connection: sa.Connection, parent_id: str, spec: JsonObject, planner: Planner) -> Beginning:
    """Plan the first round of an extension; StateConflictError unless its parent has succeeded (a final state)."""
    parent = read_calibration(connection, parent_id)
    if parent.state is not CalibrationState.SUCCEEDED:
        raise StateConflictError(
            f"Calibration {parent.id!r} is {parent.state.value}; only one that has succeeded can be extended."
        )
    plain, digest = checked_spec(spec)
    read = CalibrationSpec.from_dict(plain)
    lineage = lineage_of(connection, parent.id)
    shared = trial_rows.count_done(connection, lineage)
    if read.runner is Runner.EXTERNAL:  # nothing is planned, so its trials need not be read
        expected = expect(read, ())
        return Beginning(read, plain, digest, [], expected, shared, parent.id, parent.environments, shared)
    trials = [one for one in trial_rows.every_trial(connection, lineage) if one.status in DONE_STATUSES]
    measurements = measurement_rows.every_measurement(connection, lineage)
    planned = rounds.next_shards(planner, read, trials, measurements)
    begun = {stage_of_trial(one.width, one.role, one.horizon) for one in trials}
    expected = expect(read, rounds.outlined(planner, read), planned, begun)
    total = rounds.count_trials(expected, planned, trials)
    return Beginning(read, plain, digest, planned, expected, total, parent.id, parent.environments, shared)


def insert_extension(
    connection: sa.Connection, beginning: Beginning, submission: Submission
) -> tuple[str, list[str], bool]:
    """Insert the calibration, which shares its parent's trials; return its id, its shards' ids and whether it existed.

    NotFoundError if the parent was deleted since it was read.
    """
    if beginning.extends is not None:
        lock_calibration(connection, beginning.extends)  # so that nobody deletes it meanwhile
    row, shard_ids, replayed = insert(connection, beginning, submission)
    if replayed or beginning.extends is None:
        return row.id, [], replayed
    add_events(connection, row.id, [("trials", {"stored": beginning.shared, "extends": beginning.extends})])
    if (
        not shard_ids
    ):  # no shard to wait for: continue as if the last shard had ended or the first trials had been uploaded
        move_calibration(connection, lock_calibration(connection, row.id), CalibrationState.RUNNING)
    return row.id, shard_ids, False
