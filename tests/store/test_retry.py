"""Retry: the failed shards of a failed calibration run again; epochs and events continue."""

from collections.abc import Callable
from typing import Any

import pytest

from service.store import CalibrationState, Claim, Lease, ShardState, StateConflictError, Store
from tests.store.samples import Bell, SampleResult, fit_sample, run_all, sample_spec, trial
from widthwise.calibration.trial import TrialIdentity

SMALL = sample_spec(widths=[32], seeds=2)


def fail(store: Store, *, retryable: bool = False) -> Claim:
    """Claim the next shard and fail it; gives the claim."""
    claim = store.work.claim("w")
    assert claim is not None
    store.work.record_trial(claim, trial(claim, 0.001))
    assert store.work.fail(claim, "out of memory", retryable=retryable) is Lease.HELD
    return claim


def failed(store: Store) -> tuple[str, Claim]:
    """A calibration of two shards of which the first has failed, and the claim that failed."""
    identifier = store.calibrations.create(SMALL).calibration.id
    claim = fail(store)
    run_all(store)
    assert store.calibrations.get(identifier).state is CalibrationState.FAILED
    return identifier, claim


def test_failed_shards_wait_again_with_all_their_attempts(store: Store) -> None:
    identifier = store.calibrations.create(SMALL).calibration.id
    for _ in range(3):
        fail(store, retryable=True)
    run_all(store)
    before = store.calibrations.get(identifier)
    after = store.calibrations.retry(identifier)
    assert (before.state, after.state) == (CalibrationState.FAILED, CalibrationState.RUNNING)
    assert (after.reason, after.finished_at) == (None, None)
    assert after.progress.trials_done == before.progress.trials_done == 3
    one, other = store.calibrations.shards(identifier)
    assert (one.state, one.attempts, one.epoch, one.finished_at) == (ShardState.QUEUED, 0, 3, None)
    assert one.reason == "out of memory"  # still worth knowing, until it succeeds
    assert other.state is ShardState.SUCCEEDED
    claim = store.work.claim("w")
    assert claim is not None
    assert (claim.attempt, claim.epoch, claim.done) == (1, 4, (TrialIdentity(claim.shard.width, 0.001, 0),))
    store.work.release(claim)
    assert run_all(store) == 1
    assert store.calibrations.get(identifier).state is CalibrationState.SUCCEEDED
    assert store.calibrations.shards(identifier)[0].reason is None


def test_events_are_numbered_on(store: Store) -> None:
    identifier, _ = failed(store)
    before = store.calibrations.events(identifier)
    store.calibrations.retry(identifier)
    run_all(store)
    events = store.calibrations.events(identifier)
    assert events[: len(before)] == before
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [(e.kind, e.data["from"], e.data["to"]) for e in events[len(before) : len(before) + 2]] == [
        ("calibration", "failed", "running"),
        ("shard", "failed", "queued"),
    ]


def test_a_claim_from_before_the_retry_writes_nothing(store: Store) -> None:
    identifier, old = failed(store)
    store.calibrations.retry(identifier)
    new = store.work.claim("new")
    assert new is not None
    assert (new.shard_id, new.attempt) == (old.shard_id, old.attempt)  # the epoch alone tells them apart
    before = store.calibrations.get(identifier)
    assert store.work.record_trial(old, trial(old, 0.01, loss=9.0)) is Lease.LOST
    assert store.work.extend(old) is Lease.LOST
    assert store.work.finish(old) is Lease.LOST
    assert store.work.fail(old, "late", retryable=False) is Lease.LOST
    assert store.work.release(old) is Lease.LOST
    assert store.calibrations.get(identifier) == before


def test_a_failed_fit_is_made_again_at_once(make_store: Callable[..., Store]) -> None:
    faulty = True

    def fit(spec: Any, trials: Any, measurements: Any) -> SampleResult:
        if faulty:
            raise ZeroDivisionError("no widths")
        return fit_sample(spec, trials)

    store = make_store(fit=fit)
    identifier = store.calibrations.create(SMALL).calibration.id
    run_all(store)
    assert store.calibrations.get(identifier).state is CalibrationState.FAILED
    assert store.calibrations.retry(identifier).state is CalibrationState.FAILED  # and fails in the same way
    faulty = False
    ended = store.calibrations.retry(identifier)
    assert (ended.state, ended.reason) == (CalibrationState.SUCCEEDED, None)
    assert len(store.exponents.page().items) == 2


def test_only_what_has_failed_is_retried(store: Store) -> None:
    identifier = store.calibrations.create(SMALL).calibration.id
    with pytest.raises(StateConflictError, match="is queued; only one that has failed"):
        store.calibrations.retry(identifier)
    claim = store.work.claim("w")
    assert claim is not None
    with pytest.raises(StateConflictError, match="is running"):
        store.calibrations.retry(identifier)
    store.work.release(claim)
    run_all(store)
    with pytest.raises(StateConflictError, match="is succeeded"):
        store.calibrations.retry(identifier)
    cancelled = store.calibrations.create(SMALL).calibration.id
    store.calibrations.cancel(cancelled)
    with pytest.raises(StateConflictError, match="is cancelled"):
        store.calibrations.retry(cancelled)


def test_a_second_retry_finds_it_running(store: Store) -> None:
    identifier, _ = failed(store)
    store.calibrations.retry(identifier)
    with pytest.raises(StateConflictError, match="is running"):
        store.calibrations.retry(identifier)


def test_whatever_waits_again_rings_again(make_store: Callable[..., Store]) -> None:
    bell = Bell()
    store = make_store(doorbell=bell)
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    (shard,) = store.calibrations.shards(identifier)
    assert bell.rung == [shard.id]

    def rings() -> int:
        count, bell.rung = len(bell.rung), []
        (found,) = store.calibrations.shards(identifier)
        assert (found.published_at is not None) == (found.state is ShardState.QUEUED)
        return count

    assert rings() == 1
    claim = store.work.claim("w")
    assert claim is not None
    store.work.release(claim)
    assert rings() == 1
    fail(store, retryable=True)
    assert rings() == 1
    fail(store)
    bell.rung = []
    store.calibrations.retry(identifier)
    assert rings() == 1
