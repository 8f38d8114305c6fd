"""Starts a calibration: checks its specification, plans its first round, stores both in one transaction."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.engine import insert_or
from service.store.database.errors import IdempotencyConflictError
from service.store.database.identifiers import new_id
from service.store.database.records import JsonObject
from service.store.database.states import CalibrationState
from service.store.database.tables import calibrations
from service.store.database.transitions import EVENT_BYTES, add_first_event
from service.store.database.validation import checked_key, checked_labels
from service.store.work import rounds
from service.store.work.progress import expected_time
from service.store.work.rounds import Planner
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.errors import InvalidInputError
from widthwise.search.expectation import expect
from widthwise.vocabulary import Runner

OUTLINES = 64  # kept of the latest specifications (chosen): some 10 kB each


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a calibration starts with."""

    spec: CalibrationSpec
    stored_spec: dict[str, Any]  #: its JSON, as submitted
    digest: str
    shards: list[ShardSpec]
    expected: JsonObject
    trials_total: int
    extends: str | None = None
    environments: tuple[JsonObject, ...] = ()  #: that the trials come from which it shares
    shared: int = 0  #: trials that it shares

    @property
    def flops(self) -> float | None:
        """The operations that it asks of workers; None if others train it."""
        return None if self.spec.runner is Runner.EXTERNAL else float(self.expected["flops"])


@dataclass(frozen=True, slots=True)
class Submission:
    """Who submits a calibration, with which request, and how people call it."""

    owner: str = ""
    idempotency_key: str | None = None
    request_id: str | None = None
    name: str | None = None
    note: str | None = None


_BY_KEY = sa.select(calibrations).where(
    calibrations.c.owner == sa.bindparam("owner"), calibrations.c.idempotency_key == sa.bindparam("key")
)


def submitted_before(
    connection: sa.Connection, submission: Submission, digest: str, extends: str | None
) -> sa.Row[Any] | None:
    """Return the row that this owner's key created; IdempotencyConflictError if its specification was another."""
    if checked_key(submission.idempotency_key) is None:
        return None
    named = {"owner": submission.owner, "key": submission.idempotency_key}
    existing = connection.execute(_BY_KEY, named).one_or_none()
    if existing is not None and (existing.spec_digest, existing.extends) != (digest, extends):
        raise IdempotencyConflictError(str(submission.idempotency_key), existing.id)
    return existing


def begin(plain: dict[str, Any], digest: str, planner: Planner) -> Beginning:
    """Plan the first round of a specification that `checked_spec` has checked."""
    return replace(_planned(planner, json.dumps(plain)), stored_spec=plain, digest=digest)


@lru_cache(OUTLINES)
def _planned(planner: Planner, text: str) -> Beginning:
    """Plan a specification, given as JSON. The same one is submitted again and again, and an outline takes longest."""
    plain = json.loads(text)
    read = CalibrationSpec.from_dict(plain)
    planned = rounds.next_shards(planner, read, (), ())
    if not planned and read.runner is not Runner.EXTERNAL:
        raise InvalidInputError(
            "There is nothing to run: the search plans no trials; give widths, seeds and learning rates.", field="spec"
        )
    expected = expect(read, rounds.outlined(planner, read))
    return Beginning(read, plain, "", planned, expected, rounds.count_trials(expected, planned, ()))


def timed(connection: sa.Connection, beginning: Beginning) -> Beginning:
    """Add the expected time; this reads the database, outside of any write transaction."""
    time = expected_time(connection, beginning.spec, beginning.expected)
    return replace(beginning, expected={**beginning.expected, **time})


@lru_cache
def _inserted(dialect: str) -> Any:
    """The INSERT of a calibration, which returns its row; built once, since many are submitted at once."""
    return (
        insert_or(dialect, calibrations)
        .values(created_at=now())
        # a second request with the key waits here for the first to commit, then finds its row
        .on_conflict_do_nothing(index_elements=[calibrations.c.owner, calibrations.c.idempotency_key])
        .returning(*calibrations.c)
    )


def insert(
    connection: sa.Connection, beginning: Beginning, submission: Submission
) -> tuple[sa.Row[Any], list[str], bool]:
    """Insert a calibration and its shards; return its row, the shards' ids, and whether it already existed."""
    checked_key(submission.idempotency_key)
    labels = checked_labels({"name": submission.name, "note": submission.note})
    values = {
        "id": new_id("cal"),
        "state": CalibrationState.QUEUED,
        "runner": beginning.spec.runner.value,
        "spec": beginning.stored_spec,
        "spec_digest": beginning.digest,
        "owner": submission.owner,
        "request_id": submission.request_id,
        "idempotency_key": submission.idempotency_key,
        "trials_total": beginning.trials_total,
        "last_event": 1,
        "stored_bytes": EVENT_BYTES,
        "extends": beginning.extends,
        "shares": beginning.extends,
        "trials_done": beginning.shared,
        "flops": beginning.flops,
        "environments": list(beginning.environments),
        "expected": beginning.expected,
        **labels,
    }
    created = connection.execute(_inserted(connection.dialect.name), values).one_or_none()
    if created is None:
        existing = submitted_before(connection, submission, beginning.digest, beginning.extends)
        assert existing is not None  # noqa: S101  # its key conflicted
        return existing, [], True
    shard_ids = rounds.insert(connection, created, beginning.shards)
    data = {"from": None, "to": CalibrationState.QUEUED.value, "reason": None}
    add_first_event(connection, created.id, ("calibration", data))
    return created, shard_ids, False
