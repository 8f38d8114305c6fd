"""Failures of workers and of the child processes that they supervise."""

import json
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.store import ShardState
from service.store.database.engine import create_store_engine
from testbed.cluster import Cluster, stop
from testbed.databases import SqliteFiles
from testbed.waiting import is_alive, until
from tests.failures.conftest import RATES, SPEC, Life, MakeCluster, assert_events_whole, assert_whole, steered

LEASE_SECONDS = 5.0  # of a worker that is to lose one: the shortest that a loaded machine keeps
RELEASE_SECONDS = 1.0  # the design's bound from SIGTERM to the shard's place in the queue
#: Children of the real engine: a quick one, and one that has not ended when the test looks.
REAL = {**SPEC, "widths": [8, 16], "steps": 5, "proxy": {"architecture": "mlp", "depth": 1, "batch_size": 8}}
LONG = {**REAL, "steps": 100_000}


def gate(tmp_path: Path, name: str = "gate") -> Path:
    """Make the folder of a steered child's gate."""
    folder = tmp_path / name
    folder.mkdir()
    return folder


def states(cluster: Cluster, identifier: str) -> list[str]:
    """Return the states of a calibration's shards, in their order."""
    return [shard.state.value for shard in cluster.store.calibrations.shards(identifier)]


def reasons(cluster: Cluster, identifier: str) -> list[str]:
    """Return why attempts at its shards failed, in their order."""
    return [event.data["reason"] for event in cluster.store.calibrations.events(identifier) if event.data.get("reason")]


@pytest.mark.failure(2)
def test_02_a_worker_killed_in_the_middle_is_replaced_and_one_result_stored(
    cluster: Cluster, life: Life, tmp_path: Path
) -> None:
    cluster.environment["WIDTHWISE_LEASE_SECONDS"] = str(LEASE_SECONDS)
    cluster.start_api()
    identifier = cluster.client.submit_calibration(SPEC)["id"]
    folder = gate(tmp_path)
    victim = cluster.start_worker("victim", *steered("gate", folder))
    until((folder / "at_gate").exists)
    until(lambda: len(cluster.store.trials.page(identifier).items) == life.shard * len(RATES) + 1)
    child = int((folder / "at_gate").read_text())
    stop(victim)
    until(lambda: not is_alive(child))
    cluster.start_worker("other", *steered("run"))
    until(lambda: cluster.ended(identifier))
    assert_whole(cluster, identifier)
    shards = cluster.store.calibrations.shards(identifier)
    assert [shard.attempts for shard in shards] == life.attempts(2)
    assert {shard.worker_id for shard in shards[life.shard :]} == {"other"}


@pytest.mark.failure(3)
def test_03_a_worker_that_slept_past_its_lease_writes_nothing(cluster: Cluster, life: Life, tmp_path: Path) -> None:
    """A frozen worker, whose child continues and reports other losses; it wakes while another holds the shard."""
    cluster.environment["WIDTHWISE_LEASE_SECONDS"] = str(LEASE_SECONDS)
    cluster.start_api()
    identifier = cluster.client.submit_calibration(SPEC)["id"]
    mine, theirs = gate(tmp_path, "mine"), gate(tmp_path, "theirs")
    victim = cluster.start_worker("victim", *steered("gate", mine, 1000.0))
    until((mine / "at_gate").exists)
    child = int((mine / "at_gate").read_text())
    if life.shard == 0:  # else the victim has run the other one
        second = cluster.start_worker("second", *steered("run"))
        until(lambda: states(cluster, identifier) == ["running", "succeeded"])
        assert stop(second, signal.SIGTERM) == 0
    until(lambda: len(cluster.store.trials.page(identifier).items) == 4)  # the other shard's, and its first
    victim.send_signal(signal.SIGSTOP)
    (mine / "go").touch()  # two trials of other losses lie in its pipe
    other = cluster.start_worker("other", *steered("gate", theirs))
    until((theirs / "at_gate").exists)
    until(lambda: len(cluster.store.trials.page(identifier).items) == 5)
    before = cluster.store.calibrations.get(identifier)
    victim.send_signal(signal.SIGCONT)
    until(lambda: not is_alive(child))
    until(lambda: "lost" in cluster.log("victim"))
    assert cluster.store.calibrations.get(identifier) == before
    (theirs / "go").touch()
    until(lambda: cluster.ended(identifier))
    assert_whole(cluster, identifier)
    assert other.poll() is None


@pytest.mark.failure(8)
def test_08_cancel_queued_running_and_finished(cluster: Cluster, life: Life, tmp_path: Path) -> None:
    cluster.start_api()
    queued = cluster.client.submit_calibration(SPEC)["id"]
    assert cluster.client.cancel(queued)["state"] == "cancelled"  # at once: nobody works on it
    assert set(states(cluster, queued)) == {"cancelled"}

    running = cluster.client.submit_calibration(SPEC)["id"]
    folder = gate(tmp_path)
    worker = cluster.start_worker("w", *steered("gate", folder))
    until((folder / "at_gate").exists)
    trials = life.shard * len(RATES) + 1
    until(lambda: len(cluster.store.trials.page(running).items) == trials)
    child = int((folder / "at_gate").read_text())
    assert cluster.client.cancel(running)["state"] == "running"
    until(lambda: cluster.ended(running))
    assert not is_alive(child)
    assert life.told in cluster.log("w")
    assert cluster.client.calibration(running)["state"] == "cancelled"
    assert states(cluster, running) == ["cancelled" if index >= life.shard else "succeeded" for index in range(2)]
    assert len(list(cluster.client.trials(running))) == trials  # what it had is kept

    (folder / "go").touch()
    finished = cluster.client.submit_calibration(SPEC)["id"]
    until(lambda: cluster.ended(finished))
    before = cluster.client.calibration(finished)
    assert cluster.client.cancel(finished) == before
    assert_whole(cluster, finished)
    assert cluster.client.cancel(running)["state"] == "cancelled"
    for identifier in (queued, running):
        assert_events_whole(cluster, identifier)
    assert worker.poll() is None


@pytest.mark.failure(9)
def test_09_the_deadline_kills_a_child_that_hangs(cluster: Cluster, life: Life, tmp_path: Path) -> None:
    cluster.start_api()
    identifier = cluster.client.submit_calibration(SPEC)["id"]
    folder = gate(tmp_path)
    # the deadline holds for every attempt: long enough for the next child's start on a loaded machine
    cluster.start_worker("w", *steered("deaf", folder), WIDTHWISE_SHARD_DEADLINE_SECONDS="5")
    until(lambda: cluster.ended(identifier))
    assert not is_alive(int((folder / "at_gate").read_text()))
    assert life.told in cluster.log("w")
    assert_whole(cluster, identifier)
    assert [shard.attempts for shard in cluster.store.calibrations.shards(identifier)] == life.attempts(2)
    assert reasons(cluster, identifier) == ["The attempt took longer than its deadline of 5 s."]


@pytest.mark.failure(10)
@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL])  # an assertion of XLA; the kernel out of memory
def test_10_a_child_that_aborts_or_is_out_of_memory_ends_one_attempt(
    cluster: Cluster, life: Life, tmp_path: Path, number: signal.Signals
) -> None:
    cluster.start_api()
    identifier = cluster.client.submit_calibration(SPEC)["id"]
    worker = cluster.start_worker("w", *steered("dies", gate(tmp_path), int(number)))
    until(lambda: cluster.ended(identifier))
    assert worker.poll() is None
    assert life.told in cluster.log("w")
    assert_whole(cluster, identifier)
    assert [shard.attempts for shard in cluster.store.calibrations.shards(identifier)] == life.attempts(2)
    told = reasons(cluster, identifier)
    assert len(told) == 1
    assert f"by signal {number.name}" in told[0]


@pytest.mark.failure(11)
@pytest.mark.parametrize("broker", ["with a broker", "without"])
def test_11_sigterm_puts_the_shard_back_within_a_second(
    cluster: Cluster, life: Life, tmp_path: Path, broker: str
) -> None:
    """The best of three: the bound is the design's, and the machine may be busy with something else."""
    if broker == "without":
        del cluster.environment["WIDTHWISE_REDIS_URL"]
    cluster.start_api()
    took: list[float] = []
    for attempt in range(3):
        identifier = cluster.client.submit_calibration(SPEC)["id"]
        folder = gate(tmp_path, f"gate-{attempt}")
        worker = cluster.start_worker(f"w-{attempt}", *steered("gate", folder))
        until((folder / "at_gate").exists)
        asked = datetime.now(UTC)
        assert stop(worker, signal.SIGTERM) == 0
        assert not is_alive(int((folder / "at_gate").read_text()))
        assert states(cluster, identifier) == ["succeeded" if index < life.shard else "queued" for index in range(2)]
        last = [event for event in cluster.store.calibrations.events(identifier) if event.data.get("to") == "queued"][
            -1
        ]
        took.append((last.created_at - asked).total_seconds())
        shards = cluster.store.calibrations.shards(identifier)
        assert [shard.attempts for shard in shards] == [int(index < life.shard) for index in range(2)]
        if took[-1] < RELEASE_SECONDS:
            break
        cluster.client.cancel(identifier)
    assert min(took) < RELEASE_SECONDS


@pytest.mark.failure(15)
def test_15_a_loss_that_is_not_finite_is_typed_and_not_stored(
    make_cluster: MakeCluster, sqlite_files: SqliteFiles
) -> None:
    """The real engine at a learning rate that no training survives, and an upload of NaN; SQLite would store both."""
    cluster = make_cluster(sqlite_files.new_migrated())
    cluster.start_api()
    cluster.start_worker("w")
    wild = {**REAL, "optimizer": "sgd", "learning_rates": [1e4, 1e5, 1e6]}
    identifier = cluster.client.submit_calibration(wild)["id"]
    external = cluster.client.submit_calibration({**SPEC, "runner": "external"})["id"]
    for literal in ("NaN", "1e999", "-Infinity"):
        body = f'{{"trials": [{{"width": 32, "learning_rate": 0.01, "seed": 0, "loss": {literal}}}]}}'
        answer = cluster.post(f"/v1/calibrations/{external}/trials", body)
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    until(lambda: states(cluster, identifier)[:2] == ["succeeded", "succeeded"] or reasons(cluster, identifier))
    assert reasons(cluster, identifier) == []
    cluster.client.cancel(identifier)  # the search would continue to lower rates, which train
    trials = [trial for trial in cluster.client.trials(identifier) if trial["learning_rate"] in wild["learning_rates"]]
    assert {(trial["status"], trial["loss"]) for trial in trials} == {("diverged", None)}
    assert len(trials) == 6
    engine = create_store_engine(cluster.environment["WIDTHWISE_DATABASE_URL"])
    with engine.connect() as connection:
        finite = "SELECT count(*) FROM trials WHERE status = 'completed' AND abs(loss) < 1e300"
        typed = "SELECT count(*) FROM trials WHERE status = 'diverged' AND loss IS NULL"
        stored = [connection.execute(sa.text(query)).scalar_one() for query in (typed, finite)]
        everything = connection.execute(sa.text("SELECT count(*) FROM trials")).scalar_one()
        texts = connection.execute(sa.text("SELECT data FROM events")).scalars().all()
    engine.dispose()
    assert stored[0] >= 6
    assert sum(stored) == everything

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is stored as JSON")

    for text in texts:
        json.loads(text, parse_constant=refuse)


@pytest.mark.failure(18)
@pytest.mark.parametrize("when", ["in training", "between two shards"])
def test_18_an_orphaned_child_exits(make_cluster: MakeCluster, sqlite_files: SqliteFiles, when: str) -> None:
    """The real engine in the middle of a training run, or waiting for a shard, and its worker is gone at once."""
    cluster = make_cluster(sqlite_files.new_migrated())
    cluster.start_api()
    trains = when == "in training"
    identifier = cluster.client.submit_calibration(LONG if trains else REAL)["id"]
    worker = cluster.start_worker("w", WIDTHWISE_CHILD_IDLE_SECONDS="600")

    def is_there() -> bool:
        shards = cluster.store.calibrations.shards(identifier)
        if trains:
            return any(shard.state is ShardState.RUNNING and shard.environment is not None for shard in shards)
        return cluster.ended(identifier)

    until(is_there)
    (child,) = cluster.children()
    assert is_alive(child)
    os.kill(worker.pid, signal.SIGKILL)
    began = time.monotonic()
    until(lambda: not is_alive(child))
    assert time.monotonic() - began < 10.0  # training would last minutes
    assert cluster.children() == {}
    worker.wait()
