"""Deletion: all of a calibration or nothing, never what runs or what others share; and retention by age."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from service.store import (
    CalibrationState,
    ExponentFilter,
    Lease,
    NotFoundError,
    Retention,
    StateConflictError,
    Store,
    tables,
)
from tests.store.samples import claimed, pass_time, run_all, sample_spec, trial

DAY = 86_400.0


def rows(store: Store) -> dict[str, int]:
    """How many rows every table has that belongs to calibrations."""
    of = (tables.calibrations, tables.shards, tables.trials, tables.measurements, tables.exponents, tables.events)
    with store.database.read() as connection:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in of
        }


def succeeded(store: Store) -> str:
    """A calibration with trials, exponents and events."""
    identifier = store.calibrations.create(sample_spec()).calibration.id
    run_all(store)
    return identifier


def ended(store: Store, state: CalibrationState) -> str:
    """A calibration in a final state."""
    if state is CalibrationState.SUCCEEDED:
        return succeeded(store)
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    if state is CalibrationState.CANCELLED:
        return store.calibrations.cancel(identifier).id
    store.work.fail(claimed(store), "no", retryable=False)
    return identifier


def test_everything_goes_and_nothing_of_others(store: Store) -> None:
    kept = succeeded(store)
    before = rows(store)
    assert all(count > 0 for name, count in before.items() if name != "measurements")
    gone = succeeded(store)
    assert store.calibrations.delete(gone) is None  # type: ignore[func-returns-value]
    assert rows(store) == before
    with pytest.raises(NotFoundError):
        store.calibrations.get(gone)
    with pytest.raises(NotFoundError):
        store.calibrations.delete(gone)
    assert store.exponents.page(ExponentFilter(calibration_id=gone)).items == ()
    assert [one.id for one in store.calibrations.page().items] == [kept]


def test_what_has_not_ended_is_cancelled_first(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    with pytest.raises(StateConflictError, match="is queued; cancel it, and delete it once it has ended"):
        store.calibrations.delete(identifier)
    claim = claimed(store)
    before = rows(store)
    store.calibrations.cancel(identifier)
    with pytest.raises(StateConflictError, match="is running; cancel it"):
        store.calibrations.delete(identifier)
    assert {**rows(store), "events": 0} == {**before, "events": 0}
    assert store.work.cancel(claim) is Lease.HELD
    store.calibrations.delete(identifier)
    assert set(rows(store).values()) == {0}
    assert store.work.check(claim) is Lease.LOST  # a worker that was cut off meanwhile
    assert store.work.record_trial(claim, trial(claim, claim.shard.learning_rates[0])) is Lease.LOST


def test_what_an_extension_shares_goes_after_it(store: Store) -> None:
    parent = succeeded(store)
    child = store.calibrations.extend(parent, sample_spec(seeds=3)).calibration.id
    run_all(store)
    before = rows(store)
    with pytest.raises(StateConflictError, match=f"has trials that {child} shares; delete what extends it first"):
        store.calibrations.delete(parent)
    assert rows(store) == before
    assert len(store.trials.all(child)) == 12
    store.calibrations.delete(child)
    assert len(store.trials.all(parent)) == 8
    store.calibrations.delete(parent)
    assert set(rows(store).values()) == {0}


def test_what_was_copied_before_outlives_its_parent(store: Store) -> None:
    """An extension of a database from before sharing."""
    parent = succeeded(store)
    child = store.calibrations.extend(parent, sample_spec(seeds=3)).calibration.id
    run_all(store)
    with store.database.write() as connection:
        connection.execute(sa.update(tables.calibrations).values(shares=None))
    store.calibrations.delete(parent)
    assert store.calibrations.get(child).extends is None


def test_an_idempotency_key_of_a_deleted_one_is_free(store: Store) -> None:
    first = store.calibrations.create(sample_spec(), idempotency_key="k").calibration.id
    store.calibrations.cancel(first)
    store.calibrations.delete(first)
    again = store.calibrations.create(sample_spec(steps=11), idempotency_key="k")
    assert (again.replayed, again.calibration.id == first) == (False, False)


@pytest.mark.parametrize(
    ("retention", "gone"),
    [
        (Retention(), set()),
        (Retention(unsuccessful_days=3), {CalibrationState.FAILED, CalibrationState.CANCELLED}),
        (Retention(succeeded_days=3), {CalibrationState.SUCCEEDED}),
        (Retention(unsuccessful_days=30, succeeded_days=30), set()),
    ],
)
def test_a_sweep_deletes_what_ended_long_ago(
    make_store: Callable[..., Store], url: str, retention: Retention, gone: set[CalibrationState]
) -> None:
    store = make_store(retention=retention)
    final = (CalibrationState.SUCCEEDED, CalibrationState.FAILED, CalibrationState.CANCELLED)
    made = {state: ended(store, state) for state in final}
    running = store.calibrations.create(sample_spec()).calibration.id
    claimed(store)
    pass_time(url, tables.calibrations.c.created_at, 10 * DAY)
    pass_time(url, tables.calibrations.c.finished_at, 10 * DAY)
    fresh = {ended(store, state) for state in final[1:]}
    store.housekeeping.run("w")
    left = {one.id for one in store.calibrations.page().items}
    assert left == {running, *fresh, *(identifier for state, identifier in made.items() if state not in gone)}


def test_a_sweep_keeps_what_an_extension_shares(make_store: Callable[..., Store], url: str) -> None:
    store = make_store(retention=Retention(succeeded_days=3))
    parent = succeeded(store)
    pass_time(url, tables.calibrations.c.created_at, 10 * DAY)
    pass_time(url, tables.calibrations.c.finished_at, 10 * DAY)
    child = store.calibrations.extend(parent, sample_spec(seeds=3)).calibration.id
    store.housekeeping.run("w")
    assert {one.id for one in store.calibrations.page().items} == {parent, child}
