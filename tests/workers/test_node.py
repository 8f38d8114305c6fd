"""Worker nodes with a broker: messages wake them, and any of these may be lost, doubled or late."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.broker import QUEUE
from service.doorbell import CeleryDoorbell
from service.settings import Settings, load_settings
from service.store import ShardState, Store, WorkerState, open_store
from testbed.brokers import BrokerServer
from testbed.waiting import PATIENCE_SECONDS, is_alive, until
from tests.workers.conftest import SPEC, Spawn, assert_complete, ended, fake_child
from workers.listener import LAST_PAUSE_SECONDS, Listener
from workers.pool import WORKER_COMMAND
from workers.worker import Worker


@pytest.fixture
def node_settings(settings: Settings, own_broker: BrokerServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a broker, for this process and for those that it starts."""
    monkeypatch.setenv("WIDTHWISE_REDIS_URL", own_broker.url)
    monkeypatch.setenv("WIDTHWISE_LOG_LEVEL", "warning")
    return load_settings()


@pytest.fixture
def ringing(node_settings: Settings) -> Iterator[Store]:
    """A store that rings, as the API's does."""
    store = open_store(node_settings.database_url, doorbell=CeleryDoorbell(node_settings, pause_seconds=0.0))
    yield store
    store.close()


@pytest.fixture
def start(node_settings: Settings, start: Spawn) -> Spawn:
    """Start nodes: workers whose settings name a broker."""
    return start


@pytest.fixture
def listening(node_settings: Settings) -> Iterator[Callable[..., Worker]]:
    """Make workers of this process that only messages wake: nothing looks for work by itself."""
    stop = threading.Event()
    opened: list[tuple[Store, Listener, Worker]] = []

    def make(*behaviour: str) -> Worker:
        store = open_store(node_settings.database_url)
        worker = Worker(store, node_settings, "w", stop, command=fake_child(*behaviour), probe_command=())
        listener = Listener(node_settings, worker)
        worker.__enter__()
        listener.__enter__()
        opened.append((store, listener, worker))
        return worker

    yield make
    stop.set()
    for store, listener, worker in opened:
        listener.__exit__()
        worker.__exit__()
        store.close()


def assert_undisturbed(store: Store, identifier: str) -> None:
    """A calibration of SPEC is complete, and each of its shards needed one attempt."""
    assert_complete(store, identifier)
    assert [shard.attempts for shard in store.calibrations.shards(identifier)] == [1, 1]


def waiting_messages(broker: BrokerServer) -> int:
    """Messages in the queue, and those that a worker has not acknowledged."""
    client = broker.client()
    return int(client.llen(QUEUE)) + int(client.hlen("unacked"))


def listeners(broker: BrokerServer) -> int:
    """Connections that wait for a message."""
    return sum(client["cmd"] == "brpop" for client in broker.client().client_list())


def test_a_message_wakes_a_worker(ringing: Store, own_broker: BrokerServer, listening: Callable[..., Worker]) -> None:
    worker = listening("run")
    identifier = ringing.calibrations.create(SPEC).calibration.id
    until(lambda: ended(ringing, identifier))
    assert_undisturbed(ringing, identifier)
    until(lambda: waiting_messages(own_broker) == 0)  # acknowledged
    assert worker.totals.to_dict()["shards"]["succeeded"] == 2


def test_doubled_messages_and_those_of_finished_work_do_nothing(
    ringing: Store, node_settings: Settings, own_broker: BrokerServer, listening: Callable[..., Worker]
) -> None:
    bell = CeleryDoorbell(node_settings)
    identifier = ringing.calibrations.create(SPEC).calibration.id
    shards = [shard.id for shard in ringing.calibrations.shards(identifier)]
    assert bell.ring([*shards, "shd_of_nobody", *shards]) == (*shards, "shd_of_nobody", *shards)
    listening("run")
    until(lambda: ended(ringing, identifier))
    bell.ring(shards)
    until(lambda: waiting_messages(own_broker) == 0)
    assert_undisturbed(ringing, identifier)


def test_a_message_that_makes_no_sense_ends_nothing(
    ringing: Store, own_broker: BrokerServer, listening: Callable[..., Worker]
) -> None:
    listening("run")
    until(lambda: listeners(own_broker))
    own_broker.client().lpush(QUEUE, "{", "[]", '{"body": "x"}')
    begun = time.monotonic()
    until(lambda: waiting_messages(own_broker) == 0)
    until(lambda: listeners(own_broker))
    assert time.monotonic() - begun < LAST_PAUSE_SECONDS  # three of them in less than the pause after many
    identifier = ringing.calibrations.create(SPEC).calibration.id
    until(lambda: ended(ringing, identifier))
    assert_undisturbed(ringing, identifier)


def test_a_restarted_broker_wakes_again(
    ringing: Store, own_broker: BrokerServer, listening: Callable[..., Worker]
) -> None:
    listening("run")
    until(lambda: listeners(own_broker))
    own_broker.restart(signal.SIGKILL)
    identifier = ringing.calibrations.create(SPEC).calibration.id
    until(lambda: ended(ringing, identifier))
    assert_undisturbed(ringing, identifier)


def test_a_broker_that_is_down_at_the_start_wakes_once_it_is_up(
    ringing: Store, own_broker: BrokerServer, listening: Callable[..., Worker]
) -> None:
    own_broker.stop()
    listening("run")
    own_broker.start()
    identifier = ringing.calibrations.create(SPEC).calibration.id
    until(lambda: ended(ringing, identifier))
    assert_undisturbed(ringing, identifier)


def test_the_listener_begins_again_should_celery_end(
    ringing: Store, own_broker: BrokerServer, listening: Callable[..., Worker]
) -> None:
    from celery.worker import state

    listening("run")
    until(lambda: listeners(own_broker))
    state.should_stop = 0
    until(lambda: state.should_stop is None)
    identifier = ringing.calibrations.create(SPEC).calibration.id
    until(lambda: ended(ringing, identifier))
    assert_undisturbed(ringing, identifier)


def test_without_any_message_a_node_finds_the_work(store: Store, own_broker: BrokerServer, start: Spawn) -> None:
    """The store of this test rings nowhere: as if every message were lost, or Redis flushed."""
    start("w", "run")
    until(lambda: listeners(own_broker))
    identifier = store.calibrations.create(SPEC).calibration.id
    until(lambda: ended(store, identifier))
    assert_undisturbed(store, identifier)


def test_two_nodes_share_the_calibrations_and_say_what_they_did(ringing: Store, start: Spawn, tmp_path: Path) -> None:
    for name in ("one", "two"):
        # the first child waits for a second one, so that each node has one; both nodes report every second
        start(name, "meet", str(tmp_path), WIDTHWISE_LEASE_SECONDS="6")
    identifiers = [ringing.calibrations.create(SPEC).calibration.id for _ in range(4)]
    until(lambda: ended(ringing, *identifiers))
    for identifier in identifiers:
        assert_undisturbed(ringing, identifier)
    until(lambda: sum(w.totals["shards"]["succeeded"] for w in ringing.workers.all()) == 8)  # with their next reports
    workers = ringing.workers.all()
    assert [bool(worker.totals["shards"]["succeeded"]) for worker in workers] == [True, True]
    assert sum(worker.totals["trials"]["completed"] for worker in workers) == 24


def test_a_stopped_node_gives_its_shard_back_at_once(
    ringing: Store, own_broker: BrokerServer, start: Spawn, tmp_path: Path
) -> None:
    identifier = ringing.calibrations.create(SPEC).calibration.id
    note = tmp_path / "pid"
    node = start("w", "pid", str(note))
    until(note.exists)
    own_broker.client().delete(QUEUE)
    node.terminate()
    node.terminate()  # a second signal changes nothing
    until(lambda: ringing.calibrations.get(identifier).progress.shards == {ShardState.QUEUED: 2})
    assert node.wait(PATIENCE_SECONDS) == 0
    assert not is_alive(int(note.read_text()))
    assert [shard.attempts for shard in ringing.calibrations.shards(identifier)] == [0, 0]
    assert ringing.workers.all()[0].state is WorkerState.STOPPED
    assert own_broker.client().llen(QUEUE) >= 1  # its message was sent again


def test_a_silent_broker_holds_up_no_end(
    ringing: Store, own_broker: BrokerServer, start: Spawn, tmp_path: Path
) -> None:
    identifier = ringing.calibrations.create(SPEC).calibration.id
    note = tmp_path / "pid"
    node = start("w", "pid", str(note))
    until(note.exists)
    until(lambda: listeners(own_broker) or waiting_messages(own_broker))
    own_broker.freeze()
    node.terminate()
    until(lambda: ringing.calibrations.get(identifier).progress.shards == {ShardState.QUEUED: 2})
    assert node.wait(PATIENCE_SECONDS) == 0
    own_broker.thaw()


def test_one_shard_at_a_time(ringing: Store, node_settings: Settings, tmp_path: Path) -> None:
    """Whoever asks while a shard runs waits for its end, or is told that there is none."""
    ringing.calibrations.create(SPEC)
    note = tmp_path / "pid"
    stop = threading.Event()
    worker = Worker(ringing, node_settings, "w", stop, command=fake_child("pid", str(note)), probe_command=())
    with worker:
        threads = [threading.Thread(target=worker.work) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(note.exists)
        assert not worker.work(wait=False)
        assert ringing.work.backlog().shards[ShardState.RUNNING] == 1
        stop.set()
        for thread in threads:
            thread.join()
    assert worker.totals.to_dict()["shards"] == {
        "succeeded": 0,
        "failed": 0,
        "cancelled": 0,
        "released": 1,
        "lost": 0,
    }


def test_an_orphaned_node_ends(ringing: Store, spawn: Spawn, tmp_path: Path) -> None:
    identifier = ringing.calibrations.create(SPEC).calibration.id
    note = tmp_path / "pid"
    command = [*WORKER_COMMAND, "--exit-with-parent", "--child", *fake_child("pid", str(note))]
    node = spawn(command, stdin=subprocess.PIPE)
    until(note.exists)
    assert node.stdin is not None
    node.stdin.close()
    assert node.wait(PATIENCE_SECONDS) == 0
    assert ringing.calibrations.get(identifier).progress.shards == {ShardState.QUEUED: 2}


def test_a_process_that_can_not_end_by_itself_is_ended(spawn: Spawn) -> None:
    program = (
        "import signal, threading, time\n"
        "from workers.stopping import end_in_time, stop_on_signals\n"
        "stop = threading.Event()\nstop_on_signals(stop)\nend_in_time(stop, 0.2)\nprint('up', flush=True)\n"
        "while True:\n    time.sleep(600)\n"
    )
    process = spawn([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == 1
