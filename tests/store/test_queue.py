"""The queue: its order, its numbers, and many who take from it at once."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from service.store import CalibrationState, ShardState, Store, StoreUnavailableError
from service.store.database.engine import Database
from service.store.database.tables import shards
from service.store.database.transitions import lock_calibration
from service.store.work.calibrations import request_cancel
from service.store.work.queue import ATTEMPTS_MAXIMUM
from testbed.sweeping import finish_ready
from testbed.waiting import until
from tests.store.samples import claimed, pass_time, run_all, sample_spec

ON_POSTGRES = pytest.mark.parametrize("databases", ["postgres"], indirect=True)  # SQLite has no locks of rows
THREADS = 8
SHARDS = 400


def is_waited_for(connection: sa.Connection) -> bool:
    """Whether another connection waits for a lock that this one has."""
    waits = sa.text("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    return connection.execute(waits).first() is not None


def test_expired_claims_keep_their_place(make_store: Callable[..., Store]) -> None:
    """What a dead worker leaves is neither first nor last, but where it was."""
    store, dying = make_store(), make_store(lease_seconds=-1.0)
    made = [store.calibrations.create(sample_spec(widths=[32], seeds=2)).calibration.id for _ in range(3)]
    wanted = [(shard.calibration_id, shard.position) for one in made for shard in store.calibrations.shards(one)]
    taken = {(claim.calibration_id, claim.shard.seeds[0]) for claim in (claimed(store, "alive") for _ in range(2))}
    assert taken == set(wanted[:2])
    dying.work.claim("dead")  # the first shard of the second calibration
    assert claimed(dying, "dead").calibration_id == made[1]  # and it again: it comes before what only waits
    order = [(one.calibration_id, one.shard.seeds[0]) for one in iter(lambda: store.work.claim("w"), None)]
    assert order == wanted[2:]


def test_what_expired_and_what_waits_take_turns_by_age(store: Store) -> None:
    made = [store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id for _ in range(4)]
    claims = [claimed(store, worker) for worker in ("released", "dead", "released", "dead")]
    for released in claims[::2]:
        store.work.release(released)
    store.workers.abandon("dead")
    assert [claimed(store).calibration_id for _ in made] == made


def test_what_waits_again_goes_to_its_place(store: Store) -> None:
    first = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    store.calibrations.create(sample_spec(widths=[32], seeds=1))
    store.work.release(claimed(store))
    assert claimed(store).calibration_id == first


@pytest.mark.parametrize("calibrations", [1, 4])
def test_eight_threads_claim_400_shards_once(make_store: Callable[..., Store], calibrations: int) -> None:
    """Eight stores, as eight processes have; a "database is locked" would raise here.

    Nobody stops while something waits, although rivals have it locked for most of the time.
    """
    stores = [make_store() for _ in range(THREADS)]
    for _ in range(calibrations):
        stores[0].calibrations.create(sample_spec(widths=[16, 32], seeds=SHARDS // (2 * calibrations)))
    gate = threading.Barrier(THREADS)

    def work(number: int) -> list[tuple[str, int]]:
        gate.wait()
        claims = list(iter(lambda: stores[number].work.claim(f"w{number}"), None))
        assert stores[number].work.backlog().shards[ShardState.QUEUED] == 0
        return [(claim.shard_id, claim.epoch) for claim in claims if claim is not None]

    with ThreadPoolExecutor(THREADS) as pool:
        taken = [claim for claims in pool.map(work, range(THREADS)) for claim in claims]
    assert len(taken) == SHARDS
    assert Counter(epoch for _, epoch in taken) == {1: SHARDS}
    assert len({shard_id for shard_id, _ in taken}) == SHARDS
    assert stores[0].work.backlog().shards[ShardState.RUNNING] == SHARDS


def test_nobody_who_finds_nothing_waits_for_a_writer(store: Store) -> None:
    """On SQLite he must not even ask for the lock: it is one for all."""
    with Database(store.engine).write():
        assert store.work.claim("w") is None


@ON_POSTGRES
def test_a_locked_calibration_is_passed_over(store: Store) -> None:
    first, second = (store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id for _ in range(2))
    with Database(store.engine).write() as frozen:
        lock_calibration(frozen, first)
        assert claimed(store).calibration_id == second
    assert claimed(store).calibration_id == first


@ON_POSTGRES
def test_an_expired_claim_on_a_locked_calibration_is_passed_over(make_store: Callable[..., Store]) -> None:
    store, dying = make_store(), make_store(lease_seconds=-1.0)
    first, second = (store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id for _ in range(2))
    assert claimed(dying).calibration_id == first
    with Database(store.engine).write() as frozen:
        lock_calibration(frozen, first)
        assert claimed(store).calibration_id == second
        with pytest.raises(StoreUnavailableError, match="lock timeout"):
            store.work.claim("w")
    assert claimed(store).calibration_id == first


@ON_POSTGRES
def test_the_oldest_is_waited_for_where_all_are_locked(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    database = Database(store.engine)
    with ThreadPoolExecutor(1) as pool, database.write() as rival:
        lock_calibration(rival, identifier)
        waiting = pool.submit(store.work.claim, "w")
        until(lambda: is_waited_for(rival) or waiting.done())
        rival.commit()
        claim = waiting.result()
    assert claim is not None
    assert claim.calibration_id == identifier


@ON_POSTGRES
def test_what_is_cancelled_while_it_is_waited_for_is_not_claimed(store: Store) -> None:
    """Its claim had expired, so that cancelling leaves its shard as it is."""
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    claimed(store)
    store.workers.abandon("w")
    with ThreadPoolExecutor(1) as pool, Database(store.engine).write() as rival:
        request_cancel(rival, identifier)
        waiting = pool.submit(store.work.claim, "other")
        until(lambda: is_waited_for(rival) or waiting.done())
        rival.commit()
        assert waiting.result() is None
    (shard,) = store.calibrations.shards(identifier)
    assert shard.worker_id == "w"


@ON_POSTGRES
def test_one_locked_calibration_keeps_no_dead_claim_of_others(make_store: Callable[..., Store]) -> None:
    store, dying = make_store(), make_store(lease_seconds=-1.0)
    first, second = (store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id for _ in range(2))
    for _ in range(2 * ATTEMPTS_MAXIMUM):
        dying.work.claim("dead")
    with Database(store.engine).write() as frozen:
        lock_calibration(frozen, first)
        assert finish_ready(store) == 1
        assert store.calibrations.get(second).state is CalibrationState.FAILED
    assert finish_ready(store) == 1
    assert store.calibrations.get(first).state is CalibrationState.FAILED


def test_the_backlog_in_numbers(make_store: Callable[..., Store], url: str) -> None:
    store = make_store()
    empty = store.work.backlog()
    assert set(empty.shards.values()) == set(empty.calibrations.values()) == {0}
    assert empty.oldest_queued_seconds is None
    done = store.calibrations.create(sample_spec()).calibration.id
    run_all(store)
    store.calibrations.cancel(store.calibrations.create(sample_spec(widths=[32], seeds=3)).calibration.id)
    store.calibrations.create(sample_spec(widths=[32], seeds=2))
    store.work.fail(claimed(store), "no", retryable=False)
    store.calibrations.create(sample_spec(widths=[32], seeds=1))
    claimed(store)
    pass_time(url, shards.c.queued_at, 500, shards.c.calibration_id == done)  # they do not wait any more
    pass_time(url, shards.c.queued_at, 100, shards.c.state == ShardState.QUEUED)
    backlog = store.work.backlog()
    assert backlog.shards == {
        ShardState.QUEUED: 1,
        ShardState.RUNNING: 1,
        ShardState.SUCCEEDED: 4,
        ShardState.FAILED: 1,
        ShardState.CANCELLED: 3,
    }
    assert backlog.oldest_queued_seconds is not None
    assert 100 <= backlog.oldest_queued_seconds < 160
    assert backlog.calibrations[CalibrationState.SUCCEEDED] == backlog.calibrations[CalibrationState.CANCELLED] == 1
