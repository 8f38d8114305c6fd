"""Workers as the store tells of them: states by the database's clock, what they hold, and what they did."""

from collections.abc import Callable

from service.store import Store
from service.store.database.records import StoredWorker, WorkerState
from service.store.database.tables import workers
from service.store.work.workers import ALIVE_SECONDS, FORGOTTEN_SECONDS
from tests.store.samples import pass_time, run_claim, sample_spec


def only(store: Store) -> StoredWorker:
    """The one worker that there is."""
    (worker,) = store.workers.all()
    return worker


def test_idle_running_idle(store: Store) -> None:
    calibration = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration
    store.workers.report("w", host="here", device="cpu", versions={"jax": "0.10.2"})
    assert (only(store).state, only(store).shard_id) == (WorkerState.IDLE, None)
    claim = store.work.claim("w")
    assert claim is not None
    held = only(store)
    assert (held.state, held.shard_id, held.calibration_id) == (WorkerState.RUNNING, claim.shard_id, calibration.id)
    run_claim(store, claim)
    assert (only(store).state, only(store).calibration_id) == (WorkerState.IDLE, None)


def test_stale_is_neither_failed_nor_gone(store: Store, url: str) -> None:
    store.calibrations.create(sample_spec(widths=[32], seeds=1))
    store.workers.report("w", host="here")
    claim = store.work.claim("w")
    assert claim is not None
    pass_time(url, workers.c.last_seen, ALIVE_SECONDS - 10)
    assert only(store).state is WorkerState.RUNNING
    pass_time(url, workers.c.last_seen, 20)
    stale = only(store)
    assert (stale.state, stale.shard_id) == (WorkerState.STALE, claim.shard_id)
    assert ALIVE_SECONDS + 10 <= stale.seconds_since_seen < ALIVE_SECONDS + 60
    assert store.calibrations.shards(claim.calibration_id)[0].state == "running"
    store.workers.report("w", host="here")
    assert only(store).state is WorkerState.RUNNING


def test_a_worker_that_ends_in_order_is_stopped(store: Store) -> None:
    store.workers.report("w", host="here", totals={"shards": {"succeeded": 1}})
    store.workers.stop("w", totals={"shards": {"succeeded": 2}})
    stopped = only(store)
    assert (stopped.state, stopped.totals) == (WorkerState.STOPPED, {"shards": {"succeeded": 2}})
    assert stopped.stopped_at is not None
    store.workers.stop("w")  # what is not given stays
    assert only(store).totals == {"shards": {"succeeded": 2}}
    store.workers.stop("unknown")
    store.workers.report("w", host="here", begins=True)
    assert (only(store).state, only(store).stopped_at) == (WorkerState.IDLE, None)


def test_totals_are_kept_until_a_new_process_begins(store: Store, url: str) -> None:
    store.workers.report("w", host="here", device="cpu", versions={"jax": "1"}, begins=True)
    pass_time(url, workers.c.started_at, 100)
    first = only(store).started_at
    store.workers.report("w", host="here", totals={"shards": {"succeeded": 5}})
    store.workers.report("w", host="here")
    kept = only(store)
    assert (kept.totals, kept.device, kept.versions) == ({"shards": {"succeeded": 5}}, "cpu", {"jax": "1"})
    assert kept.started_at == first
    store.workers.report("w", host="there", begins=True)
    new = only(store)
    assert (new.totals, new.host, new.device) == ({}, "there", "cpu")
    assert first is not None
    assert new.started_at is not None
    assert new.started_at > first


def test_those_long_gone_are_forgotten_unless_they_hold_something(make_store: Callable[..., Store], url: str) -> None:
    store = make_store()
    store.calibrations.create(sample_spec(widths=[32], seeds=1))
    for name in ("gone", "holding", "late", "new"):
        store.workers.report(name, host="here")
    assert store.work.claim("holding") is not None
    pass_time(url, workers.c.last_seen, FORGOTTEN_SECONDS + 60, workers.c.id.in_(["gone", "holding"]))
    pass_time(url, workers.c.last_seen, FORGOTTEN_SECONDS - 60, workers.c.id == "late")
    assert store.workers.forget() == 1
    assert [worker.id for worker in store.workers.all()] == ["new", "late", "holding"]  # latest first
    assert store.workers.forget() == 0
