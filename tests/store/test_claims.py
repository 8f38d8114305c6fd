"""Claims: one worker for each shard, leases on the database's clock, writes fenced by epoch and worker."""

import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from service.store import CalibrationState, Lease, ShardState, Store
from service.store.database.engine import Database, create_store_engine
from service.store.database.tables import shards
from service.store.work.queue import ATTEMPTS_MAXIMUM
from testbed.sweeping import finish_ready
from tests.store.samples import claimed, run_all, run_claim, sample_spec, trial
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import TrialIdentity
from widthwise.errors import InvalidInputError


def test_a_claim_carries_what_a_child_needs(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    claim = claimed(store)
    assert (claim.calibration_id, claim.epoch, claim.attempt, claim.done) == (identifier, 1, 1, ())
    assert claim.spec == CalibrationSpec.from_dict(sample_spec())
    assert claim.shard.to_dict() == {
        "kind": "sweep",
        "width": 64,
        "learning_rates": [0.001, 0.01],
        "seeds": [0],
        "role": None,
        "gammas": [],
        "horizons": [],
        "measure": [],
    }
    assert store.calibrations.get(identifier).state is CalibrationState.RUNNING
    shard = store.calibrations.shards(identifier)[0]
    assert (shard.state, shard.worker_id, shard.attempts) == (ShardState.RUNNING, "w", 1)


def test_oldest_calibration_and_largest_width_first(store: Store) -> None:
    first = store.calibrations.create(sample_spec()).calibration.id
    second = store.calibrations.create(sample_spec()).calibration.id
    order = [(claim.calibration_id, claim.shard.width) for claim in iter(lambda: store.work.claim("w"), None)]
    assert order == [(first, 64)] * 2 + [(first, 32)] * 2 + [(second, 64)] * 2 + [(second, 32)] * 2


def test_eight_writers_claim_each_shard_once(make_store: Callable[..., Store]) -> None:
    """Eight stores, as eight processes have; any "database is locked" would raise here."""
    stores = [make_store() for _ in range(8)]
    identifiers = [
        stores[0].calibrations.create(sample_spec(widths=[16, 32], seeds=5)).calibration.id for _ in range(2)
    ]
    gate = threading.Barrier(8)

    def work(number: int) -> list[str]:
        taken = []
        gate.wait()
        while (claim := stores[number].work.claim(f"w{number}")) is not None:
            taken.append(claim.shard_id)
            run_claim(stores[number], claim)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [shard for shards in pool.map(work, range(8)) for shard in shards]
    assert max(Counter(taken).values()) == 1
    assert len(taken) == 20
    for identifier in identifiers:
        calibration = stores[0].calibrations.get(identifier)
        assert calibration.state is CalibrationState.SUCCEEDED
        assert calibration.progress.trials_done == 20
        seqs: list[int] = []
        while events := stores[0].calibrations.events(identifier, after=len(seqs)):
            seqs += [event.seq for event in events]
        assert seqs == list(range(1, calibration.last_event + 1))


def test_a_live_lease_is_not_taken(store: Store) -> None:
    store.calibrations.create(sample_spec(widths=[32], seeds=1))
    claim = claimed(store)
    assert store.work.claim("thief") is None
    assert store.work.extend(claim) is Lease.HELD


def test_a_stolen_claim_writes_nothing(make_store: Callable[..., Store]) -> None:
    expired, store = make_store(lease_seconds=-1.0), make_store()
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    old = claimed(expired, "old")
    store.work.record_trial(old, trial(old, 0.001, loss=1.0))  # the lease ran out, but nobody took the shard: kept
    expired.work.extend(old)  # run out again
    new = claimed(store, "new")
    assert (new.shard_id, new.epoch, new.attempt) == (old.shard_id, 2, 2)
    assert new.done == (TrialIdentity(old.shard.width, 0.001, old.shard.seeds[0]),)
    before = store.calibrations.get(identifier)
    assert store.work.check(old) is Lease.LOST
    assert store.work.extend(old) is Lease.LOST
    assert store.work.record_environment(old, {"device": "old"}) is Lease.LOST
    assert store.work.record_trial(old, trial(old, 0.01, loss=9.0)) is Lease.LOST
    assert store.work.finish(old) is Lease.LOST
    assert store.work.fail(old, "old", retryable=False) is Lease.LOST
    assert store.work.release(old) is Lease.LOST
    assert store.calibrations.get(identifier) == before
    (shard,) = store.calibrations.shards(identifier)
    assert (shard.state, shard.worker_id, shard.environment) == (ShardState.RUNNING, "new", None)
    run_claim(store, new)
    assert [row.loss for row in store.trials.page(identifier).items] == [1.0, 2.5]
    assert store.work.record_trial(new, trial(new, 0.01, loss=9.0)) is Lease.LOST  # ended: even its own claim is void


def test_a_claim_that_a_failover_lost_writes_nothing_under_its_epoch(store: Store, url: str) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    lost = claimed(store, "lost")
    engine = create_store_engine(url)
    with Database(engine).write() as connection:  # the standby had not heard of the claim
        as_before = {"state": "queued", "attempts": 0, "epoch": 0, "worker_id": None, "lease_until": None}
        connection.execute(sa.update(shards).where(shards.c.id == lost.shard_id).values(as_before))
    engine.dispose()
    new = claimed(store, "new")
    assert (new.shard_id, new.epoch) == (lost.shard_id, lost.epoch)
    assert store.work.check(lost) is Lease.LOST
    assert store.work.extend(lost) is Lease.LOST
    assert store.work.record_trial(lost, trial(lost, 0.01, loss=9.0)) is Lease.LOST
    assert store.work.release(lost) is Lease.LOST
    assert store.work.check(new) is Lease.HELD
    assert store.trials.page(identifier).items == ()


def test_a_released_shard_is_queued_and_not_counted(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    for _ in range(ATTEMPTS_MAXIMUM + 2):
        claim = claimed(store)
        assert claim.attempt == 1
        assert store.work.release(claim) is Lease.HELD
    (shard,) = store.calibrations.shards(identifier)
    assert (shard.state, shard.attempts, shard.epoch) == (ShardState.QUEUED, 0, ATTEMPTS_MAXIMUM + 2)
    assert shard.worker_id is None
    assert shard.lease_until is None


def test_three_failures_end_the_shard_and_its_calibration(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=2)).calibration.id
    for attempt in (1, 2, 3):
        claim = claimed(store)
        assert (claim.attempt, claim.shard.seeds) == (attempt, (0,))
        store.work.record_trial(claim, trial(claim, 0.001))
        store.work.fail(claim, f"out of memory, {attempt}", retryable=True)
    assert run_all(store) == 1  # the other shard is still run: its trials are worth keeping
    calibration = store.calibrations.get(identifier)
    assert calibration.state is CalibrationState.FAILED
    assert "width 32, seeds [0]: out of memory, 3" in (calibration.reason or "")
    assert calibration.result is None
    assert calibration.progress.trials_done == 3


def test_a_failure_that_all_would_meet_is_tried_on_one_shard_alone(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32, 64], seeds=2)).calibration.id
    first, beside = claimed(store, "one"), claimed(store, "other")
    for _ in range(ATTEMPTS_MAXIMUM - 1):
        store.work.fail(first, "deadline", retryable=True, of_all=True)
        first = claimed(store, "one")
    assert first.attempt == ATTEMPTS_MAXIMUM
    store.work.fail(first, "deadline", retryable=True, of_all=True)
    assert store.work.claim("one") is None
    assert store.calibrations.get(identifier).state is CalibrationState.RUNNING  # the other may still store trials
    store.work.fail(beside, "deadline", retryable=True, of_all=True)
    calibration = store.calibrations.get(identifier)
    assert calibration.state is CalibrationState.FAILED
    assert "seeds [0]: deadline" in (calibration.reason or "")
    found = store.calibrations.shards(identifier)
    assert {shard.state for shard in found} == {ShardState.FAILED}
    assert [shard.attempts for shard in found] == [ATTEMPTS_MAXIMUM, 1, *[0] * (len(found) - 2)]
    assert "see its reason" in (found[-1].reason or "")
    store.calibrations.retry(identifier)
    assert {shard.state for shard in store.calibrations.shards(identifier)} == {ShardState.QUEUED}
    run_all(store)
    assert store.calibrations.get(identifier).state is CalibrationState.SUCCEEDED


def test_a_fault_of_the_work_is_not_retried(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    store.work.fail(claimed(store), "no such dataset\0 \ud800", retryable=False)
    assert store.work.claim("w") is None
    calibration = store.calibrations.get(identifier)
    assert calibration.state is CalibrationState.FAILED
    assert "no such dataset? ?" in (calibration.reason or "")


def test_three_dead_workers_end_the_shard(make_store: Callable[..., Store]) -> None:
    store = make_store(lease_seconds=-1.0)
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    for attempt in (1, 2, 3):
        assert claimed(store, f"dead-{attempt}").attempt == attempt
    assert store.work.claim("fourth") is None
    assert store.calibrations.get(identifier).state is CalibrationState.RUNNING
    assert finish_ready(store) == 1
    calibration = store.calibrations.get(identifier)
    assert calibration.state is CalibrationState.FAILED
    assert "'dead-3' stopped reporting on attempt 3 of 3" in (calibration.reason or "")


def test_the_shards_of_a_worker_known_to_be_dead_are_free_at_once(store: Store) -> None:
    store.calibrations.create(sample_spec(widths=[32], seeds=2))
    dead, alive = claimed(store, "dead"), claimed(store, "alive")
    assert store.workers.abandon("dead") == 1
    assert claimed(store, "other").shard_id == dead.shard_id
    assert store.work.check(alive) is Lease.HELD


def test_finishing_with_trials_missing_is_a_failed_attempt(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    claim = claimed(store)
    store.work.record_trial(claim, trial(claim, 0.001))
    store.work.finish(claim)
    (shard,) = store.calibrations.shards(identifier)
    assert shard.state is ShardState.QUEUED
    assert shard.reason == "The child process ended with 1 of 2 trials stored."


def test_a_failed_trial_is_run_again_and_replaced(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    claim = claimed(store)
    store.work.record_trial(claim, trial(claim, 0.001) | {"status": "failed", "loss": None})
    store.work.record_trial(claim, trial(claim, 0.01, loss=None))
    store.work.fail(claim, "crash", retryable=True)
    again = claimed(store)
    assert again.done == (TrialIdentity(again.shard.width, 0.01, again.shard.seeds[0]),)
    run_claim(store, again)
    rows = store.trials.page(identifier).items
    assert [(row.learning_rate, row.status.value, row.loss) for row in rows] == [
        (0.001, "completed", 2.5),
        (0.01, "diverged", None),
    ]


def test_non_finite_numbers_stop_at_the_door(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    claim = claimed(store)
    numbers = (math.nan, math.inf, -math.inf)
    for field, value in itertools.product(("loss", "learning_rate", "seconds", "flops"), numbers):
        with pytest.raises(InvalidInputError, match=rf"trial\.{field} is .*; give a finite number"):
            store.work.record_trial(claim, trial(claim, 0.001) | {field: value})
    assert store.trials.page(identifier).items == ()


def test_trials_that_are_none_of_the_shard_are_refused(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    claim = claimed(store)
    for change in (
        {"width": 128},
        {"width": True},
        {"seed": 5},
        {"seed": -1},
        {"seed": None},
        {"learning_rate": 0.5},
        {"status": "lucky"},
        {"status": "diverged"},
        {"loss": None},
        {"loss": "2.5"},
    ):
        with pytest.raises(InvalidInputError):
            store.work.record_trial(claim, trial(claim, 0.001) | change)
    assert store.trials.page(identifier).items == ()


def test_workers_report(store: Store) -> None:
    store.workers.report("a", host="here", device="cpu", versions={"jax": "0.10.2"})
    store.workers.report("b", host="there")
    store.workers.report("a", host="here")
    workers = {worker.id: worker for worker in store.workers.all()}
    assert workers["a"].device == "cpu"
    assert workers["a"].versions == {"jax": "0.10.2"}
    assert workers["b"].device is None
