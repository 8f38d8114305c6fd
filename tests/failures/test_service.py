"""Failures of the API process: of its commit, its broker, its streams, and of clients that ask twice."""

import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
import sqlalchemy as sa

from service.store.database.engine import create_store_engine
from service.store.database.schema import upgrade
from testbed.brokers import BrokerServer
from testbed.cluster import Cluster, stop
from testbed.databases import GivenPostgres, SqliteFiles
from testbed.waiting import until
from tests.failures.conftest import SPEC, MakeCluster, assert_whole, steered
from widthwise.errors import ServiceError

STREAM_SECONDS = 600.0  # without a byte: longer than the test
POST_SECONDS = 3.0  # the design's bound for an answer while the broker is away
DRAIN_SECONDS = 15.0  # longest end of an API process: 2 s for open requests, and the process's own

#: A foreign key that is looked at when the transaction commits, and is broken by every new calibration.
BROKEN_AT_COMMIT = {
    "sqlite": (
        "CREATE TRIGGER fails AFTER INSERT ON calibrations BEGIN INSERT INTO orphans (parent) VALUES (1); END",
        "DROP TRIGGER fails",
    ),
    "postgresql": (
        "CREATE FUNCTION fails() RETURNS trigger AS $$ BEGIN INSERT INTO orphans (parent) VALUES (1); RETURN NEW; END "
        "$$ LANGUAGE plpgsql; CREATE TRIGGER fails AFTER INSERT ON calibrations FOR EACH ROW EXECUTE FUNCTION fails()",
        "DROP TRIGGER fails ON calibrations",
    ),
}
ORPHANS = (
    "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
    "CREATE TABLE orphans (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
)


def submit(cluster: Cluster, key: str) -> httpx.Response:
    """POST the calibration under an idempotency key, once."""
    address = f"{cluster.url}/v1/calibrations"
    return httpx.post(address, json=SPEC, headers={"Idempotency-Key": key}, timeout=60.0, trust_env=False)


@pytest.mark.failure(1)
def test_01_a_commit_that_fails_is_never_accepted(
    databases: SqliteFiles | GivenPostgres, make_cluster: MakeCluster
) -> None:
    url = databases.new()
    upgrade(url)
    engine = create_store_engine(url)
    breaks, mends = BROKEN_AT_COMMIT[engine.dialect.name]
    with engine.begin() as connection:
        for statement in (*ORPHANS, breaks):
            connection.execute(sa.text(statement))
    cluster = make_cluster(url)
    cluster.start_api()
    answer = submit(cluster, "one")
    assert answer.status_code >= 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert list(cluster.client.calibrations()) == []
    with engine.begin() as connection:
        connection.execute(sa.text(mends))
    engine.dispose()
    answer = submit(cluster, "one")  # the failed one left nothing behind, its key included
    assert answer.status_code == 202
    assert "Idempotency-Replayed" not in answer.headers
    assert len(list(cluster.client.calibrations())) == 1


@pytest.mark.failure(5)
@pytest.mark.parametrize("how", ["refuses", "silent"])
def test_05_redis_down_at_post_is_202_within_3_s_and_runs(cluster: Cluster, valkey: BrokerServer, how: str) -> None:
    cluster.start_api()
    cluster.start_worker("w", *steered("run"))
    first = submit(cluster, "before").json()["id"]  # API and worker have connections that were good
    until(lambda: cluster.ended(first))
    if how == "silent":  # it takes connections, and never answers
        valkey.freeze()
    else:
        valkey.stop(signal.SIGKILL)
    identifiers = []
    for number in range(3):
        began = time.monotonic()
        answer = submit(cluster, f"down-{number}")
        took = time.monotonic() - began
        assert answer.status_code == 202
        assert took < POST_SECONDS
        identifiers.append(answer.json()["id"])
    if how == "silent":
        valkey.thaw()
    else:
        valkey.start()
    for identifier in identifiers:
        until(lambda one=identifier: cluster.ended(one))
        assert_whole(cluster, identifier)


@pytest.mark.failure(12)
def test_12_sigterm_ends_the_api_although_a_stream_is_open(cluster: Cluster) -> None:
    api = cluster.start_api()
    identifier = submit(cluster, "one").json()["id"]
    address = f"{cluster.url}/v1/calibrations/{identifier}/events"
    with httpx.stream("GET", address, timeout=STREAM_SECONDS, trust_env=False) as response:
        lines = response.iter_lines()
        assert next(lines).startswith(("event:", "data:", "id:", ":"))
        began = time.monotonic()
        status = stop(api, signal.SIGTERM)
        assert time.monotonic() - began < DRAIN_SECONDS
        assert status == 0
        with suppress(httpx.TransportError):  # cut, and to be resumed
            assert not any(line.startswith("event: end") for line in lines)


@pytest.mark.failure(13)
def test_13_a_resumed_stream_loses_and_repeats_nothing(cluster: Cluster) -> None:
    """Streams that are cut after a few events, an API process that is killed, and events that continue throughout."""
    api = cluster.start_api()
    external = {**SPEC, "runner": "external"}
    identifier = cluster.client.submit_calibration(external)["id"]
    everything = [
        (width, rate, seed) for width in SPEC["widths"] for rate in SPEC["learning_rates"] for seed in range(8)
    ]
    done = threading.Event()

    def upload() -> None:
        for width, rate, seed in everything:
            loss = width + abs(rate - 0.01)
            trial = {"width": width, "learning_rate": rate, "seed": seed, "loss": loss}
            cluster.store.calibrations.upload(identifier, [trial])  # not through the API, which is away for a while
            done.wait(0.05)
        cluster.store.calibrations.cancel(identifier)

    writer = threading.Thread(target=upload)
    writer.start()
    try:
        seen: list[int] = []
        killed = False
        while not _read_some(cluster, identifier, seen, most=5):
            if not killed and len(seen) > len(everything) // 3:
                stop(api)
                cluster.start_api()
                killed = True
        assert killed
    finally:
        done.set()
        writer.join()
    told = [event.seq for event in cluster.store.calibrations.events(identifier)]
    assert len(told) > len(everything)
    assert seen == told == list(range(1, len(told) + 1))


def _read_some(cluster: Cluster, identifier: str, seen: list[int], *, most: int) -> bool:
    """Resume the stream, take a few events and leave; say whether it told the end."""
    headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
    address = f"{cluster.url}/v1/calibrations/{identifier}/events"
    with httpx.stream("GET", address, headers=headers, timeout=30.0, trust_env=False) as response:
        if response.status_code == 204:  # nothing more, ever
            return True
        taken = 0
        for line in response.iter_lines():
            if line.startswith("event: end"):
                return True
            if line.startswith("id:"):
                seen.append(int(line.removeprefix("id:")))
                taken += 1
            if taken == most:
                return False
    return False


@pytest.mark.failure(14)
def test_14_twenty_posts_at_once_with_one_key_are_one_job(
    databases: SqliteFiles | GivenPostgres, make_cluster: MakeCluster
) -> None:
    cluster = make_cluster(databases.new_migrated())
    cluster.start_api()
    barrier = threading.Barrier(20)

    def post(_: int) -> httpx.Response:
        barrier.wait()
        return submit(cluster, "one")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(post, range(20)))
    assert Counter(answer.status_code for answer in answers) == {202: 20}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    (calibration,) = cluster.client.calibrations()
    assert len(cluster.store.calibrations.shards(calibration["id"])) == 2
    with pytest.raises(ServiceError) as refused:
        cluster.client.submit_calibration({**SPEC, "steps": 11}, idempotency_key="one")
    assert refused.value.status == 422
