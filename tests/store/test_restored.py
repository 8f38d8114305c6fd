"""A restored database: what ran when it was backed up waits again, or ends where that was asked for."""

from service.store import CalibrationState, Lease, ShardState, Store
from service.store.database.engine import create_store_engine
from service.store.work.restored import end_claims
from testbed.sweeping import finish_ready
from tests.store.samples import claimed, run_all, sample_spec, trial


def restore(url: str) -> int:
    """Do what `widthwise migrate --restored` does."""
    engine = create_store_engine(url)
    ended = end_claims(engine)
    engine.dispose()
    return ended


def test_what_ran_waits_again_and_its_attempt_does_not_count(store: Store, url: str) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    old = claimed(store)
    assert restore(url) == 1
    assert store.calibrations.get(identifier).progress.shards == {ShardState.QUEUED: 4}
    assert store.work.record_trial(old, trial(old, 0.01)) is Lease.LOST
    assert claimed(store).attempt == 1
    store.workers.abandon("w")
    run_all(store)
    assert store.calibrations.get(identifier).state is CalibrationState.SUCCEEDED


def test_what_was_being_cancelled_ends(store: Store, url: str) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    old = claimed(store)
    store.calibrations.cancel(identifier)
    assert restore(url) == 0  # none waits again
    assert store.work.record_trial(old, trial(old, 0.01)) is Lease.LOST
    assert store.work.claim("new") is None
    assert finish_ready(store) == 1
    ended = store.calibrations.get(identifier)
    assert (ended.state, ended.progress.shards) == (CalibrationState.CANCELLED, {ShardState.CANCELLED: 4})
