"""A restored database: what ran when it was backed up waits again, or ends where that was asked for."""

from service.store import CalibrationState, Lease, ShardState, Store
from service.store.database.engine import create_store_engine
from service.store.work.restored import end_claims
from tests.store.samples import claimed, run_all, sample_spec, trial


def restore(url: str) -> int:
    """Do what `widthwise migrate --restored` does."""
    engine = create_store_engine(url)
    ended = end_claims(engine)
    engine.dispose()
    return ended


def test_what_ran_waits_again_and_its_attempt_does_not_count(store: Store, url: str) -> None:
    identifier = store.create_calibration(sample_spec()).calibration.id
    old = claimed(store)
    assert restore(url) == 1
    assert store.get_calibration(identifier).progress.shards == {ShardState.QUEUED: 4}
    assert store.record_trial(old, trial(old, 0.01)) is Lease.LOST
    assert claimed(store).attempt == 1
    store.abandon_worker("w")
    run_all(store)
    assert store.get_calibration(identifier).state is CalibrationState.SUCCEEDED


def test_what_was_being_cancelled_ends(store: Store, url: str) -> None:
    identifier = store.create_calibration(sample_spec()).calibration.id
    old = claimed(store)
    store.cancel_calibration(identifier)
    assert restore(url) == 0  # none waits again
    assert store.record_trial(old, trial(old, 0.01)) is Lease.LOST
    assert store.claim_shard("new") is None
    assert store.finish_ready_calibrations() == 1
    ended = store.get_calibration(identifier)
    assert (ended.state, ended.progress.shards) == (CalibrationState.CANCELLED, {ShardState.CANCELLED: 4})
