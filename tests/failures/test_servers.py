"""Failures of the servers around us: messages that arrive twice, a broker that forgets, a database that restarts."""

import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.broker import QUEUE
from service.doorbell import PAUSE_SECONDS
from service.store.database.engine import CONNECT_TIMEOUT_SECONDS
from testbed.brokers import BrokerServer
from testbed.cluster import Cluster
from testbed.databases import PostgresServer
from testbed.waiting import is_alive, until
from tests.failures.conftest import SPEC, MakeCluster, assert_whole, steered
from widthwise.errors import ServiceError

COPIES = 5  # of every message


def claimants(cluster: Cluster, identifier: str) -> list[str]:
    """Return who claimed a shard of it, in alphabetical order, for each claim."""
    events = cluster.store.calibrations.events(identifier)
    return sorted(
        event.data["worker_id"] for event in events if event.kind == "shard" and event.data["to"] == "running"
    )


def announced(cluster: Cluster, redis: Any) -> str:
    """Submit a calibration whose messages are in the queue.

    A publisher that takes more than its 2 s, as one that starts on a busy machine may, leaves the shards to a later
    announcement; then this cancels the calibration and submits another.
    """
    for _ in range(5):
        identifier: str = cluster.client.submit_calibration(SPEC)["id"]
        if redis.llen(QUEUE) == 2:
            return identifier
        cluster.client.cancel(identifier)
        time.sleep(PAUSE_SECONDS)
        redis.delete(QUEUE)
    raise AssertionError("no submission was announced")


@pytest.mark.failure(4)
def test_04_a_message_delivered_many_times_runs_its_shard_once(
    cluster: Cluster, valkey: BrokerServer, tmp_path: Path
) -> None:
    """Two workers hold the two shards; a third takes every copy of their messages, and finds nothing to do."""
    cluster.start_api()
    redis = valkey.client()
    identifier = announced(cluster, redis)
    messages = redis.lrange(QUEUE, 0, -1)
    assert len(messages) == 2
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        cluster.start_worker(folder.name, *steered("gate", folder))
    until(lambda: all((folder / "at_gate").exists() for folder in folders))
    redis.rpush(QUEUE, *(messages * COPIES))
    third = cluster.start_worker("three", *steered("run"))
    until(lambda: redis.llen(QUEUE) == 0 or len(claimants(cluster, identifier)) > 2)
    assert claimants(cluster, identifier) == ["one", "two"]
    for folder in folders:
        (folder / "go").touch()
    until(lambda: cluster.ended(identifier))
    redis.rpush(QUEUE, *(messages * COPIES))  # of shards that have ended
    until(lambda: redis.llen(QUEUE) == 0)
    assert_whole(cluster, identifier)
    assert claimants(cluster, identifier) == ["one", "two"]
    assert third.poll() is None


@pytest.mark.failure(6)
def test_06_a_flushed_redis_loses_no_queued_work(cluster: Cluster, valkey: BrokerServer, tmp_path: Path) -> None:
    cluster.start_api()
    folder = tmp_path / "gate"
    folder.mkdir()
    identifiers = [cluster.client.submit_calibration(SPEC)["id"] for _ in range(3)]
    worker = cluster.start_worker("w", *steered("gate", folder))
    until((folder / "at_gate").exists)
    redis = valkey.client()
    assert redis.llen(QUEUE) > 0
    redis.flushall()
    (folder / "go").touch()
    for identifier in identifiers:
        until(lambda one=identifier: cluster.ended(one))
        assert_whole(cluster, identifier)
    assert worker.poll() is None
    late = cluster.client.submit_calibration(SPEC)["id"]  # and the bell still rings
    until(lambda: cluster.ended(late))


@pytest.mark.failure(7)
@pytest.mark.parametrize("mode", ["fast", "immediate"])  # in order, and as in a crash
def test_07_a_restart_of_postgres_is_outlived(
    make_cluster: MakeCluster, own_postgres: PostgresServer, valkey: BrokerServer, tmp_path: Path, mode: str
) -> None:
    cluster = make_cluster(own_postgres.new_migrated(), valkey.url)
    api = cluster.start_api()
    folder = tmp_path / "gate"
    folder.mkdir()
    busy = cluster.start_worker("busy", *steered("gate", folder))
    identifier = cluster.client.submit_calibration(SPEC)["id"]
    until((folder / "at_gate").exists)
    child = int((folder / "at_gate").read_text())
    idle = cluster.start_worker("idle", *steered("run"))
    until(
        lambda: (
            [shard.state.value for shard in cluster.store.calibrations.shards(identifier)] == ["running", "succeeded"]
        )
    )

    own_postgres.stop(mode)
    with pytest.raises(ServiceError) as refused:
        cluster.client.calibration(identifier)
    assert refused.value.status == 503
    began = time.monotonic()
    assert httpx.get(f"{cluster.url}/readyz", trust_env=False, timeout=60.0).status_code == 503
    assert time.monotonic() - began < 2 * CONNECT_TIMEOUT_SECONDS
    assert httpx.get(f"{cluster.url}/livez", trust_env=False).status_code == 200
    (folder / "go").touch()  # trials that come while nobody can store them
    until(lambda: "database_unavailable" in cluster.log("busy"))
    own_postgres.start()

    # the first requests after the restart find connections that are dead, and must not show it
    assert httpx.get(f"{cluster.url}/readyz", trust_env=False, timeout=60.0).status_code == 200
    for _ in range(5):
        assert cluster.client.calibration(identifier)["id"] == identifier
    until(lambda: cluster.ended(identifier))
    assert_whole(cluster, identifier)
    assert [shard.attempts for shard in cluster.store.calibrations.shards(identifier)] == [1, 1]
    until(lambda: not is_alive(child))  # it waited for a shard
    later = cluster.client.submit_calibration(SPEC)["id"]
    until(lambda: cluster.ended(later))
    assert_whole(cluster, later)
    assert [process.poll() for process in (api, busy, idle)] == [None, None, None]
    for process in (busy, idle):
        process.send_signal(signal.SIGTERM)
        assert process.wait(30.0) == 0
