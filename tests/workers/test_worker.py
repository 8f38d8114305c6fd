"""Whole worker processes: killed, stopped, orphaned, restarted, and what the table of work looks like after."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.settings import Settings, load_settings
from service.store import CalibrationState, ShardState, Store
from service.store.database.schema import downgrade
from testbed.waiting import LONG_SECONDS, PATIENCE_SECONDS, is_alive, until
from tests.store.samples import sample_spec
from tests.workers.conftest import RATES, SPEC, Spawn, assert_complete, ended, fake_child
from workers.node import run_worker
from workers.pool import WORKER_COMMAND, WorkerPool
from workers.worker import Worker


@contextmanager
def worker_of_this_process(settings: Settings, *behaviour: str) -> Iterator[None]:
    """A worker on a thread, which is stopped whatever becomes of the test."""
    stop = threading.Event()
    options = {"command": fake_child(*behaviour), "probe_command": ()}
    thread = threading.Thread(target=run_worker, args=(settings, "w", stop), kwargs=options)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_worker_killed_in_the_middle_is_replaced(store: Store, start: Spawn, tmp_path: Path) -> None:
    identifier = store.calibrations.create(SPEC).calibration.id
    note = tmp_path / "pid"
    victim = start("victim", "slow", str(note), WIDTHWISE_LEASE_SECONDS="2")
    until(lambda: store.trials.page(identifier).items and note.exists())  # one trial is stored, the second hangs
    child = int(note.read_text())
    victim.kill()
    victim.wait()
    until(lambda: not is_alive(child))
    start("other", "run")
    until(lambda: ended(store, identifier))
    assert_complete(store, identifier)
    first, second = store.calibrations.shards(identifier)
    assert (first.attempts, first.worker_id, second.attempts) == (2, "other", 1)
    claims = [event.data for event in store.calibrations.events(identifier) if event.kind == "shard"]
    told = [data["worker_id"] for data in claims if data["to"] == "running"]
    assert told[0] == "victim"
    assert told.count("other") == 2


def test_a_worker_stays_with_the_calibration_that_its_child_knows(store: Store, settings: Settings) -> None:
    """Of an older one the shards come back to the queue meanwhile, and would be next."""
    store.calibrations.create(SPEC)
    assert store.work.claim("other")
    assert store.work.claim("other")
    known = store.calibrations.create(SPEC).calibration.id
    with Worker(store, settings, "w", threading.Event(), command=fake_child("run"), probe_command=()) as worker:
        assert worker.work()
        store.workers.abandon("other")
        assert worker.work()
    assert_complete(store, known)


def test_two_workers_go_through_the_rounds_of_a_search(store: Store, start: Spawn) -> None:
    """A mesh of half an octave asks for learning rates between those of the grid, once these are known."""
    identifier = store.calibrations.create({**SPEC, "mesh": 0.5}).calibration.id
    for name in ("one", "two"):
        start(name, "run")
    until(lambda: ended(store, identifier))
    calibration = store.calibrations.get(identifier)
    assert (calibration.state, calibration.rounds) == (CalibrationState.SUCCEEDED, 2)
    rows = store.trials.page(identifier).items
    assert len({(row.width, row.learning_rate) for row in rows}) == len(rows) == 10
    assert len({row.learning_rate for row in rows} - set(RATES)) == 2
    assert calibration.result is not None
    assert calibration.result["optima"][0]["learning_rate"] == pytest.approx(0.01, rel=0.01)


def test_a_stopped_worker_gives_its_shard_back_before_its_lease_ends(
    store: Store, start: Spawn, tmp_path: Path
) -> None:
    identifier = store.calibrations.create(SPEC).calibration.id
    note = tmp_path / "pid"
    worker = start("w", "pid", str(note))
    until(note.exists)
    worker.send_signal(signal.SIGTERM)
    until(lambda: store.calibrations.get(identifier).progress.shards == {ShardState.QUEUED: 2})
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert not is_alive(int(note.read_text()))
    assert all(shard.attempts == 0 for shard in store.calibrations.shards(identifier))


def test_a_failed_attempt_is_made_again(store: Store, settings: Settings, tmp_path: Path) -> None:
    identifier = store.calibrations.create(SPEC).calibration.id
    with worker_of_this_process(settings, "once", str(tmp_path / "note")):
        until(lambda: ended(store, identifier))
    assert_complete(store, identifier)
    assert sorted(shard.attempts for shard in store.calibrations.shards(identifier)) == [1, 2]


def test_three_crashes_fail_the_calibration(store: Store, settings: Settings) -> None:
    # each attempt stores one more trial and dies: four are more than three attempts can store
    spec = sample_spec(widths=[32], seeds=1, learning_rates=[0.001, 0.01, 0.1, 1.0])
    identifier = store.calibrations.create(spec).calibration.id
    with worker_of_this_process(settings, "abort"):
        until(lambda: ended(store, identifier))
    calibration = store.calibrations.get(identifier)
    assert calibration.state is CalibrationState.FAILED
    assert "RESOURCE_EXHAUSTED" in (calibration.reason or "")
    assert calibration.progress.trials_done == 3


def test_a_worker_refuses_a_schema_it_does_not_know(settings: Settings, start: Spawn) -> None:
    downgrade(settings.database_url, "base")
    worker = start("w", "run")
    assert worker.wait(PATIENCE_SECONDS) == 2


def test_the_pool_restarts_a_worker_and_its_shard_is_free_at_once(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    identifier = store.calibrations.create(SPEC).calibration.id
    note = tmp_path / "note"
    once = fake_child("slow", str(note))
    later = fake_child("run")
    # the first process of the pool has a child that hangs; the one that replaces it has a good one
    script = tmp_path / "worker.py"
    script.write_text(
        "import os, sys\n"
        f"child = {later!r} if os.path.exists({str(note)!r}) else {once!r}\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'workers', *sys.argv[1:], '--child', *child])\n"
    )
    pool = WorkerPool(settings, count=1, command=[sys.executable, str(script)])
    with pool:
        until(lambda: store.trials.page(identifier).items)
        (pid,) = pool.pids()
        os.kill(pid, signal.SIGKILL)
        until(lambda: ended(store, identifier))  # the lease was not waited for
        assert_complete(store, identifier)
        (pid,) = pool.pids()
    assert not is_alive(pid)


def test_the_pool_tries_again_where_a_worker_can_not_be_started(settings: Settings, tmp_path: Path) -> None:
    program = tmp_path / "worker"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    with capture_logs() as logs, WorkerPool(settings, count=1, command=[str(program)]) as pool:
        (pid,) = pool.pids()
        program.chmod(0)  # starting it fails now, as it does where memory is short
        os.kill(pid, signal.SIGKILL)
        until(lambda: "worker_not_started" in [line["event"] for line in logs])
        program.chmod(0o755)
        until(lambda: pool.pids() != (pid,))
        assert is_alive(*pool.pids())


def test_local_workers_do_not_outlive_their_parent(store: Store, spawn: Spawn, tmp_path: Path) -> None:
    identifier = store.calibrations.create(SPEC).calibration.id
    note, pids = tmp_path / "note", tmp_path / "pids"
    worker = [*WORKER_COMMAND, "--child", *fake_child("pid", str(note))]
    program = (
        "import pathlib, time\nfrom service.settings import load_settings\nfrom workers.pool import WorkerPool\n"
        f"pool = WorkerPool(load_settings(), count=1, command={worker!r})\n"
        f"pool.start()\npathlib.Path({str(pids)!r}).write_text(str(pool.pids()[0]))\ntime.sleep({LONG_SECONDS})"
    )
    parent = spawn([sys.executable, "-c", program])
    until(lambda: note.exists() and pids.exists() and pids.read_text())
    parent.kill()
    parent.wait()
    until(lambda: not is_alive(int(pids.read_text())))
    assert not is_alive(int(note.read_text()))
    assert store.calibrations.get(identifier).progress.shards == {ShardState.QUEUED: 2}


def test_stopping_the_pool_stops_all(settings: Settings) -> None:
    pool = WorkerPool(load_settings(data_dir=settings.data_dir, database_url=settings.database_url, workers=2))
    pool.start()
    pids = pool.pids()
    assert len(pids) == 2
    pool.stop()
    assert not any(is_alive(pid) for pid in pids)
    pool.stop()
