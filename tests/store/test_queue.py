"""The queue: its order, its numbers, and many who take from it at once."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from service.store import CalibrationState, ShardState, Store
from service.store.tables import shards
from tests.store.samples import claimed, pass_time, run_all, sample_spec

THREADS = 8
SHARDS = 400


def test_expired_claims_keep_their_place(make_store: Callable[..., Store]) -> None:
    """What a dead worker leaves is neither first nor last, but where it was."""
    store, dying = make_store(), make_store(lease_seconds=-1.0)
    made = [store.create_calibration(sample_spec(widths=[32], seeds=2)).calibration.id for _ in range(3)]
    wanted = [(shard.calibration_id, shard.position) for one in made for shard in store.list_shards(one)]
    taken = {(claim.calibration_id, claim.shard.seeds[0]) for claim in (claimed(store, "alive") for _ in range(2))}
    assert taken == set(wanted[:2])
    dying.claim_shard("dead")  # the first shard of the second calibration
    assert claimed(dying, "dead").calibration_id == made[1]  # and it again: it comes before what only waits
    order = [(one.calibration_id, one.shard.seeds[0]) for one in iter(lambda: store.claim_shard("w"), None)]
    assert order == wanted[2:]


def test_what_waits_again_goes_to_its_place(store: Store) -> None:
    first = store.create_calibration(sample_spec(widths=[32], seeds=1)).calibration.id
    store.create_calibration(sample_spec(widths=[32], seeds=1))
    store.release_shard(claimed(store))
    assert claimed(store).calibration_id == first


def test_eight_threads_claim_400_shards_once(make_store: Callable[..., Store]) -> None:
    """Eight stores, as eight processes have; a "database is locked" would raise here."""
    stores = [make_store() for _ in range(THREADS)]
    for _ in range(4):
        stores[0].create_calibration(sample_spec(widths=[16, 32], seeds=SHARDS // 8))
    gate = threading.Barrier(THREADS)

    def work(number: int) -> list[tuple[str, int]]:
        gate.wait()
        return [
            (claim.shard_id, claim.epoch)
            for claim in iter(lambda: stores[number].claim_shard(f"w{number}"), None)
            if claim is not None
        ]

    with ThreadPoolExecutor(THREADS) as pool:
        taken = [claim for claims in pool.map(work, range(THREADS)) for claim in claims]
    assert len(taken) == SHARDS
    assert Counter(epoch for _, epoch in taken) == {1: SHARDS}
    assert len({shard_id for shard_id, _ in taken}) == SHARDS
    assert stores[0].backlog().shards[ShardState.RUNNING] == SHARDS


def test_the_backlog_in_numbers(make_store: Callable[..., Store], url: str) -> None:
    store = make_store()
    empty = store.backlog()
    assert set(empty.shards.values()) == set(empty.calibrations.values()) == {0}
    assert empty.oldest_queued_seconds is None
    done = store.create_calibration(sample_spec()).calibration.id
    run_all(store)
    store.cancel_calibration(store.create_calibration(sample_spec(widths=[32], seeds=3)).calibration.id)
    store.create_calibration(sample_spec(widths=[32], seeds=2))
    store.fail_shard(claimed(store), "no", retryable=False)
    store.create_calibration(sample_spec(widths=[32], seeds=1))
    claimed(store)
    pass_time(url, shards.c.queued_at, 500, shards.c.calibration_id == done)  # they do not wait any more
    pass_time(url, shards.c.queued_at, 100, shards.c.state == ShardState.QUEUED)
    backlog = store.backlog()
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
