"""Republishing: what waits unheard is announced again, and nothing else is."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from service.store import ShardState, Store
from service.store.database.engine import Database, create_store_engine
from service.store.database.tables import shards
from service.store.work.rounds import Planner
from service.store.work.shards import ANNOUNCED_AT_ONCE, LOST_SECONDS, UNHEARD_SECONDS, mark_published
from testbed.databases import GivenPostgres
from tests.store.samples import Bell, pass_time, plan_sample, sample_spec

ONE = sample_spec(widths=[32], seeds=1)


@pytest.fixture
def bell() -> Bell:
    """A doorbell whose messages arrive."""
    return Bell()


@pytest.fixture
def ringing(make_store: Callable[..., Store], bell: Bell) -> Store:
    """A store with that doorbell."""
    return make_store(doorbell=bell)


def silently(store: Store, bell: Bell) -> str:
    """Create a calibration of one shard while the broker is away; gives the shard's id."""
    bell.works = False
    identifier = store.calibrations.create(ONE).calibration.id
    bell.works = True
    (shard,) = store.calibrations.shards(identifier)
    assert (shard.state, shard.published_at) == (ShardState.QUEUED, None)
    return shard.id


def test_what_was_never_announced_is_after_half_a_minute(ringing: Store, bell: Bell, url: str) -> None:
    shard_id = silently(ringing, bell)
    pass_time(url, shards.c.queued_at, UNHEARD_SECONDS - 5)
    assert (ringing.housekeeping.republish(), bell.rung) == (0, [])  # its first message may be on the way
    pass_time(url, shards.c.queued_at, 10)
    assert (ringing.housekeeping.republish(), bell.rung) == (1, [shard_id])
    assert (ringing.housekeeping.republish(), bell.rung) == (0, [shard_id])  # once


def test_a_message_counts_as_lost_after_ten_minutes(ringing: Store, bell: Bell, url: str) -> None:
    ringing.calibrations.create(ONE)
    sent = list(bell.rung)
    pass_time(url, shards.c.queued_at, 2 * LOST_SECONDS)
    pass_time(url, shards.c.published_at, LOST_SECONDS - 10)
    assert (ringing.housekeeping.republish(), bell.rung) == (0, sent)
    pass_time(url, shards.c.published_at, 20)
    assert (ringing.housekeeping.republish(), bell.rung) == (1, sent * 2)
    assert ringing.housekeeping.republish() == 0


def test_a_claim_whose_lease_ran_out_is_announced_at_once(make_store: Callable[..., Store], bell: Bell) -> None:
    store, dying = make_store(doorbell=bell), make_store(doorbell=bell, lease_seconds=-1.0)
    living = store.calibrations.create(ONE).calibration.id
    assert store.work.claim("alive") is not None
    dead = store.calibrations.create(ONE).calibration.id
    assert dying.work.claim("dead") is not None
    (waiting,) = store.calibrations.shards(dead)
    bell.rung = []
    # its lease ended before its message was sent, so none has been sent since
    with store.database.write() as connection:
        connection.execute(sa.update(shards).where(shards.c.calibration_id == dead).values(published_at=None))
    assert (store.housekeeping.republish(), bell.rung) == (1, [waiting.id])
    assert store.housekeeping.republish() == 0
    assert store.calibrations.shards(living)[0].state is ShardState.RUNNING


def test_an_attempt_that_ended_is_no_message_of_the_next(make_store: Callable[..., Store], bell: Bell) -> None:
    """The message of a claim is older than the end of its lease: another is sent when that has run out."""
    store = make_store(doorbell=bell, lease_seconds=0.0)
    store.calibrations.create(ONE)
    assert store.work.claim("dead") is not None
    bell.rung = []
    assert store.housekeeping.republish() == 1
    assert store.housekeeping.republish() == 0


def test_what_is_claimed_or_ended_is_left_alone(ringing: Store, bell: Bell, url: str) -> None:
    silently(ringing, bell)
    pass_time(url, shards.c.queued_at, 10 * LOST_SECONDS)
    assert ringing.work.claim("w") is not None
    assert ringing.housekeeping.republish() == 0
    cancelled = ringing.calibrations.create(ONE).calibration.id
    ringing.calibrations.cancel(cancelled)
    pass_time(url, shards.c.published_at, 10 * LOST_SECONDS)
    assert ringing.housekeeping.republish() == 0


def test_without_a_broker_nothing_is_sent(store: Store, url: str) -> None:
    store.calibrations.create(ONE)
    pass_time(url, shards.c.queued_at, 10 * LOST_SECONDS)
    assert store.housekeeping.republish() == 0


def test_the_head_of_a_long_queue_is_announced_and_not_all_of_it(ringing: Store, bell: Bell, url: str) -> None:
    bell.works = False
    identifier = ringing.calibrations.create(sample_spec(widths=[32, 64], seeds=ANNOUNCED_AT_ONCE)).calibration.id
    bell.works = True
    pass_time(url, shards.c.queued_at, 2 * UNHEARD_SECONDS)
    assert ringing.housekeeping.republish() == ANNOUNCED_AT_ONCE
    assert ringing.housekeeping.republish() == 0
    head = [shard.id for shard in ringing.calibrations.shards(identifier)][:ANNOUNCED_AT_ONCE]
    assert bell.rung == head
    for _ in range(3):
        assert ringing.work.claim("w") is not None
    assert ringing.housekeeping.republish() == 3  # the head has moved on


def test_marking_waits_for_no_row(postgres: GivenPostgres) -> None:
    """A row that another transaction holds is left unmarked; to wait for it while holding others would deadlock.

    (On SQLite a transaction has the whole file: nothing is waited for while something is held.)
    """
    engine = create_store_engine(postgres.new_migrated())
    search = Planner(plan_sample, lambda spec: plan_sample(spec, (), ()))
    store, database = Store(engine, planner=search), Database(engine)
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=2)).calibration.id
    first, second = (shard.id for shard in store.calibrations.shards(identifier))
    with database.write() as holder:
        holder.execute(sa.update(shards).where(shards.c.id == second).values(reason="held"))
        with database.write() as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
            mark_published(connection, [first, second])
    assert {shard.id: shard.published_at is not None for shard in store.calibrations.shards(identifier)} == {
        first: True,
        second: False,
    }
    store.close()
