"""Calibrations: created once with all their shards, listed in stable pages, cancelled in any state."""

import itertools
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.store import (
    CalibrationState,
    IdempotencyConflictError,
    Lease,
    NotFoundError,
    ShardState,
    Store,
    StoreUnavailableError,
)
from service.store.database.engine import Database, create_store_engine
from service.store.database.paging import decode_cursor, encode_cursor
from service.store.database.tables import calibrations
from service.store.work.rounds import Planner
from testbed.databases import SqliteFiles
from testbed.sweeping import finish_ready
from tests.store.samples import plan_sample, run_all, run_claim, sample_spec, trial
from widthwise.calibration.spec import CalibrationSpec
from widthwise.errors import InvalidInputError


def test_creates_the_row_its_shards_and_its_first_event(store: Store) -> None:
    created = store.calibrations.create(sample_spec())
    calibration = created.calibration
    assert not created.replayed
    assert calibration.state is CalibrationState.QUEUED
    assert calibration.stored_spec == sample_spec()
    assert calibration.spec == CalibrationSpec.from_dict(sample_spec())
    assert calibration.created_at.utcoffset() is not None
    assert (calibration.progress.trials_done, calibration.progress.trials_total) == (0, 8)
    assert calibration.progress.shards == {ShardState.QUEUED: 4}
    shards = store.calibrations.shards(calibration.id)
    assert [(shard.spec.width, shard.spec.seeds) for shard in shards] == [
        (64, (0,)),
        (64, (1,)),
        (32, (0,)),
        (32, (1,)),
    ]
    assert all(shard.published_at is None for shard in shards)
    (event,) = store.calibrations.events(calibration.id)
    assert (event.seq, event.kind, event.data["to"]) == (1, "calibration", "queued")


def test_a_fault_while_creating_leaves_nothing(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="There is nothing to run"):
        store.calibrations.create(sample_spec(learning_rates=[]))
    assert store.calibrations.page().items == ()


def test_refuses_non_finite_specifications(store: Store) -> None:
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(InvalidInputError, match=r"spec\.proxy\.scale\[1\] is .*give a finite number") as caught:
            store.calibrations.create(sample_spec(proxy={"scale": [1.0, value]}))
        assert caught.value.field == "spec.proxy.scale[1]"


def test_an_idempotency_key_replays(store: Store) -> None:
    first = store.calibrations.create(sample_spec(), idempotency_key="k")
    again = store.calibrations.create(dict(reversed(sample_spec().items())), idempotency_key="k")
    assert again.replayed
    assert again.calibration.id == first.calibration.id
    with pytest.raises(IdempotencyConflictError, match=first.calibration.id):
        store.calibrations.create(sample_spec(steps=11), idempotency_key="k")
    other = store.calibrations.create(sample_spec(), idempotency_key="l")
    unkeyed = [store.calibrations.create(sample_spec()).calibration.id for _ in range(2)]
    assert len({first.calibration.id, other.calibration.id, *unkeyed}) == 4


def test_refuses_unusable_keys(store: Store) -> None:
    for key in ("", "x" * 256, "a\0b", "\ud800"):
        with pytest.raises(InvalidInputError, match="idempotency key"):
            store.calibrations.create(sample_spec(), idempotency_key=key)


def test_one_key_twenty_times_at_once_is_one_calibration(store: Store) -> None:
    gate = threading.Barrier(20)

    def create(_: int) -> tuple[str, bool]:
        gate.wait()
        created = store.calibrations.create(sample_spec(), idempotency_key="same")
        return created.calibration.id, created.replayed

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(create, range(20)))
    assert len({identifier for identifier, _ in answers}) == 1
    assert sum(not replayed for _, replayed in answers) == 1
    assert len(store.calibrations.page().items) == 1


def test_unknown_identifiers_are_not_found(store: Store) -> None:
    reads = (
        store.calibrations.get,
        store.trials.page,
        store.trials.all,
        store.calibrations.events,
        store.calibrations.shards,
        store.calibrations.cancel,
        store.calibrations.finish,
    )
    for read, identifier in itertools.product(reads, ("cal_none", "", "a\0b", "\ud800", "x" * 10_000)):
        with pytest.raises(NotFoundError):
            read(identifier)


def test_pages_are_complete_and_stable_while_rows_arrive(store: Store) -> None:
    old = [store.calibrations.create(sample_spec()).calibration.id for _ in range(11)]
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = store.calibrations.page(cursor=cursor, limit=3)
        seen += [calibration.id for calibration in page.items]
        store.calibrations.create(sample_spec())  # newer than every page still to come
        cursor = page.next_cursor
    assert cursor is None
    assert seen == old[::-1]


def test_rows_of_one_instant_are_paged_by_id(store: Store, url: str) -> None:
    ids = [store.calibrations.create(sample_spec()).calibration.id for _ in range(7)]
    engine = create_store_engine(url)
    with Database(engine).write() as connection:
        connection.execute(sa.update(calibrations).values(created_at=datetime(2025, 1, 1, tzinfo=UTC)))
    engine.dispose()
    seen: list[str] = []
    cursor = None
    while True:
        page = store.calibrations.page(cursor=cursor, limit=2)
        seen += [calibration.id for calibration in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == sorted(ids, reverse=True)


def test_lists_by_state(store: Store) -> None:
    kept = store.calibrations.create(sample_spec()).calibration
    gone = store.calibrations.cancel(store.calibrations.create(sample_spec()).calibration.id)
    assert [item.id for item in store.calibrations.page(state=CalibrationState.CANCELLED).items] == [gone.id]
    assert [item.id for item in store.calibrations.page(state=CalibrationState.QUEUED).items] == [kept.id]


def test_refuses_foreign_cursors_and_limits(store: Store) -> None:
    calibration = store.calibrations.create(sample_spec()).calibration
    good = encode_cursor("calibrations", calibration.created_at, calibration.id)
    assert decode_cursor("calibrations", good) == (calibration.created_at, calibration.id)
    for bad in (
        "",
        "x",
        "!!",
        "é",
        good[:-4],
        good + "AAAA",
        "A" * 10_000,
        encode_cursor("trials", calibration.created_at, "x"),
    ):
        with pytest.raises(InvalidInputError, match=r"cursor .* was not made by this listing"):
            store.calibrations.page(cursor=bad)
    for limit in (0, -1, 501):
        with pytest.raises(InvalidInputError, match="limit"):
            store.calibrations.page(limit=limit)


def test_cancels_what_is_queued_at_once(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    cancelled = store.calibrations.cancel(identifier)
    assert cancelled.state is CalibrationState.CANCELLED
    assert cancelled.finished_at is not None
    assert cancelled.progress.shards == {ShardState.CANCELLED: 4}
    assert store.work.claim("w") is None
    assert store.calibrations.cancel(identifier) == cancelled  # again: nothing changes, events included


def test_cancels_what_runs_through_its_worker(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    claim = store.work.claim("w")
    assert claim is not None
    asked = store.calibrations.cancel(identifier)
    assert (asked.state, asked.cancel_requested) == (CalibrationState.RUNNING, True)
    assert asked.progress.shards == {ShardState.RUNNING: 1, ShardState.CANCELLED: 3}
    assert store.work.check(claim) is Lease.CANCEL_REQUESTED
    assert store.work.extend(claim) is Lease.CANCEL_REQUESTED
    assert store.work.record_trial(claim, trial(claim, 0.01)) is Lease.CANCEL_REQUESTED
    assert store.work.cancel(claim) is Lease.HELD
    ended = store.calibrations.get(identifier)
    assert ended.state is CalibrationState.CANCELLED
    assert ended.progress.trials_done == 1  # what it had is kept


@pytest.mark.parametrize("how", ["finish", "fail", "release"])
def test_a_cancelled_shard_ends_whatever_its_worker_says(store: Store, how: str) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    claim = store.work.claim("w")
    assert claim is not None
    store.calibrations.cancel(identifier)
    match how:
        case "finish":
            store.work.finish(claim)
        case "fail":
            store.work.fail(claim, "stopped", retryable=True)
        case _:
            store.work.release(claim)
    assert store.calibrations.get(identifier).state is CalibrationState.CANCELLED


def test_cancels_although_the_worker_is_dead(make_store: Callable[..., Store]) -> None:
    store = make_store(lease_seconds=-1.0)  # every lease has run out when it begins
    identifier = store.calibrations.create(sample_spec()).calibration.id
    assert store.work.claim("dead") is not None
    store.calibrations.cancel(identifier)
    assert store.work.claim("other") is None
    assert finish_ready(store) == 1
    assert store.calibrations.get(identifier).state is CalibrationState.CANCELLED


def test_a_finished_calibration_stays_finished(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    run_all(store)
    finished = store.calibrations.get(identifier)
    assert finished.state is CalibrationState.SUCCEEDED
    assert store.calibrations.cancel(identifier) == finished


def test_events_tell_the_whole_story_in_order(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    claim = store.work.claim("w")
    assert claim is not None
    run_claim(store, claim)
    events = store.calibrations.events(identifier)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    story = [(event.kind, event.data.get("to", event.data.get("status"))) for event in events]
    assert story == [
        ("calibration", "queued"),
        ("shard", "running"),
        ("calibration", "running"),
        ("trial", "completed"),
        ("trial", "completed"),
        ("shard", "succeeded"),
        ("calibration", "succeeded"),
    ]
    assert store.calibrations.events(identifier, after=4) == events[4:]
    assert store.calibrations.get(identifier).last_event == len(events)


def test_the_doorbell_rings_after_the_commit(make_store: Callable[..., Store]) -> None:
    rung: list[str] = []
    reader = make_store()

    class Bell:
        def ring(self, shard_ids: list[str]) -> list[str]:
            assert reader.calibrations.page().items  # another connection sees the row already
            rung.extend(shard_ids)
            return shard_ids

    store = make_store(doorbell=Bell())
    identifier = store.calibrations.create(sample_spec(), idempotency_key="k").calibration.id
    shards = store.calibrations.shards(identifier)
    assert rung == [shard.id for shard in shards]
    assert all(shard.published_at is not None for shard in shards)
    store.calibrations.create(sample_spec(), idempotency_key="k")
    assert len(rung) == len(shards)  # a replay rings nothing


def test_a_replay_plans_nothing(make_store: Callable[..., Store]) -> None:
    planned: list[object] = []

    def plan(spec: object, trials: object, measurements: object) -> list[dict[str, object]]:
        planned.append(spec)
        return plan_sample(spec, trials, measurements)  # type: ignore[arg-type]

    store = make_store(plan=plan)
    first = store.calibrations.create(sample_spec(), idempotency_key="k").calibration
    planned.clear()
    again = store.calibrations.create(sample_spec(), idempotency_key="k")
    assert (again.calibration.id, again.replayed, planned) == (first.id, True, [])


def test_a_database_that_goes_away_after_the_commit_denies_nothing(sqlite_files: SqliteFiles) -> None:
    url = sqlite_files.new_migrated()
    file = Path(url.removeprefix("sqlite:///"))
    aside = file.with_suffix(".aside")

    class Bell:
        def ring(self, shard_ids: list[str]) -> list[str]:
            file.rename(aside)
            return shard_ids

    search = Planner(plan_sample, lambda spec: plan_sample(spec, (), ()))
    store = Store(create_store_engine(url), doorbell=Bell(), planner=search)
    created = store.calibrations.create(sample_spec()).calibration
    assert created.state is CalibrationState.QUEUED
    with pytest.raises(StoreUnavailableError, match="removed or replaced"):
        store.calibrations.get(created.id)
    aside.rename(file)
    assert [shard.published_at for shard in store.calibrations.shards(created.id)] == [
        None
    ] * 4  # announced again later
    store.close()
