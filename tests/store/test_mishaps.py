"""Mishaps around a worker's last writes: the database goes away after the commit, or comes back without the work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from service.store import CalibrationState, Claim, Lease, ShardState, Store, StoreUnavailableError
from tests.store.samples import claimed, run_all, sample_spec, trial

ONE = sample_spec(widths=[32], seeds=1)

#: The ways in which a worker ends its claim, and the calibration with it.
ENDS: dict[str, tuple[Callable[[Store, Claim], Lease], CalibrationState]] = {
    "finish": (lambda store, claim: store.work.finish(claim), CalibrationState.SUCCEEDED),
    "fail": (lambda store, claim: store.work.fail(claim, "no memory", retryable=False), CalibrationState.FAILED),
    "release": (lambda store, claim: store.work.release(claim), CalibrationState.CANCELLED),
    "cancel": (lambda store, claim: store.work.cancel(claim), CalibrationState.CANCELLED),
}


@contextmanager
def away_after_a_commit(store: Store) -> Iterator[None]:
    """Take the database away from a store once it has committed something."""
    committed: list[bool] = []

    def note(_: sa.Connection) -> None:
        committed.append(True)

    def refuse(_: sa.Connection) -> None:
        if committed:
            raise sa.exc.OperationalError("BEGIN", {}, Exception("the server restarts"))

    listeners = (("commit", note), ("begin", refuse))
    for name, listener in listeners:
        sa.event.listen(store.engine, name, listener)
    try:
        yield
        assert committed
        with pytest.raises(StoreUnavailableError):
            store.workers.all()
    finally:
        for name, listener in listeners:
            sa.event.remove(store.engine, name, listener)


@pytest.mark.parametrize("end", ENDS)
def test_an_end_that_was_committed_is_told_although_nothing_can_follow(store: Store, end: str) -> None:
    act, state = ENDS[end]
    identifier = store.calibrations.create(ONE).calibration.id
    claim = claimed(store)
    for rate in claim.shard.learning_rates:
        store.work.record_trial(claim, trial(claim, rate))
    if state is CalibrationState.CANCELLED:
        store.calibrations.cancel(identifier)
    with away_after_a_commit(store):
        assert act(store, claim) is Lease.HELD
    assert store.calibrations.get(identifier).state is CalibrationState.RUNNING
    store.housekeeping.run("w")
    assert store.calibrations.get(identifier).state is state


def test_a_claim_whose_calibration_is_gone_is_lost(store: Store) -> None:
    """A database that was restored from a backup may not hold it."""
    identifier = store.calibrations.create(ONE).calibration.id
    claim = claimed(store)
    with store.database.write() as connection:
        connection.execute(sa.text("DELETE FROM calibrations"))
    answers: dict[str, Any] = {
        "check": store.work.check(claim),
        "extend": store.work.extend(claim),
        "environment": store.work.record_environment(claim, {"device": "cpu"}),
        "trial": store.work.record_trial(claim, trial(claim, 0.01)),
        **{name: act(store, claim) for name, (act, _) in ENDS.items()},
    }
    assert answers == dict.fromkeys(answers, Lease.LOST)
    other = store.calibrations.create(ONE).calibration.id
    assert run_all(store) == 1  # and the store continues
    assert store.calibrations.get(other).progress.shards == {ShardState.SUCCEEDED: 1}
    assert identifier not in [calibration.id for calibration in store.calibrations.page().items]
