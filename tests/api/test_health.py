"""GET /livez and /readyz, and what they say without a database or a broker."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from service.app import create_app
from service.health.broker import KEPT_SECONDS, PATIENCE_SECONDS, BrokerProbe
from service.settings import Settings, load_settings
from service.store import Store, create_store_engine, open_store
from testbed.brokers import BrokerServer, GivenBroker
from testbed.databases import SqliteFiles
from testbed.waiting import until
from tests.api.client import Client, client_of, problem


def test_live_and_ready(client: Client) -> None:
    assert client.get("/livez").json()["status"] == "live"
    assert client.get("/readyz").json() == {"status": "ready", "broker": None}


def test_live_without_a_database(settings: Settings) -> None:
    with client_of(create_app(settings)) as client:  # its store opens when it starts, which it has not
        assert client.get("/livez").status_code == 200
        problem(client.get("/readyz"), 503, "not-ready")


def test_not_ready_before_the_migration(sqlite_files: SqliteFiles) -> None:
    settings = load_settings(database_url=sqlite_files.new())
    store: Store = open_store(settings.database_url)
    with client_of(create_app(settings, store)) as client, capture_logs() as logged:
        response = client.get("/readyz")
    store.close()
    assert "widthwise migrate" in str(logged[0]["exc_info"])
    problem(response, 503, "not-ready")
    assert int(response.headers["retry-after"]) >= 1
    assert "sqlite" not in response.text


def test_not_ready_on_a_full_disk(settings: Settings) -> None:
    for room, status in ((1, 200), (1 << 62, 503)):  # more than any disk has
        store = Store(create_store_engine(settings.database_url), room_bytes=room)
        with client_of(create_app(settings, store)) as client, capture_logs() as logged:
            response = client.get("/readyz")
        store.close()
        assert response.status_code == status
    problem(response, 503, "not-ready")
    assert "bytes left" in str(logged[0]["exc_info"])


@pytest.fixture
def silent() -> Iterator[str]:
    """A broker's address at which connections are taken and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def test_the_broker_is_told_of(settings: Settings, store: Store, broker: BrokerServer | GivenBroker) -> None:
    with client_of(create_app(settings.model_copy(update={"redis_url": broker.url}), store)) as client:
        assert client.get("/readyz").json() == {"status": "ready", "broker": "ok"}


def test_a_broker_that_goes_and_comes_back(settings: Settings, store: Store, own_broker: BrokerServer) -> None:
    """It is degraded only: the service stays ready."""
    with client_of(create_app(settings.model_copy(update={"redis_url": own_broker.url}), store)) as client:

        def told() -> str:
            response = client.get("/readyz")
            assert response.status_code == 200
            return str(response.json()["broker"])

        assert told() == "ok"
        own_broker.stop()
        until(lambda: told() == "unreachable")
        own_broker.start()
        until(lambda: told() == "ok")


def test_a_silent_broker_holds_nothing_up(settings: Settings, store: Store, silent: str) -> None:
    with client_of(create_app(settings.model_copy(update={"redis_url": silent}), store)) as client:
        started = time.monotonic()
        assert client.get("/readyz").json() == {"status": "ready", "broker": "unreachable"}
        assert time.monotonic() - started < 1.0 + 2.0  # the design's bound, and a loaded machine


def test_a_rush_asks_once(settings: Settings, silent: str) -> None:
    """Forty probes at a broker that hangs: one thread asks, and all are answered in the time of one."""
    probe = BrokerProbe(settings.model_copy(update={"redis_url": silent}))
    threads = [threading.Thread(target=probe.state) for _ in range(40)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    asking = sum(thread.name == "broker-probe" for thread in threading.enumerate())
    for thread in threads:
        thread.join()
    assert asking == 1
    assert time.monotonic() - started < 3 * PATIENCE_SECONDS
    started = time.monotonic()
    assert probe.state() == "unreachable"
    assert time.monotonic() - started < KEPT_SECONDS / 2  # it is known for a while


def test_nothing_of_the_address_is_shown(settings: Settings, store: Store) -> None:
    address = "redis://:hunter2@127.0.0.1:1/0"
    with client_of(create_app(settings.model_copy(update={"redis_url": address}), store)) as client:
        response = client.get("/readyz")
    assert response.json() == {"status": "ready", "broker": "unreachable"}
    assert "hunter2" not in response.text
