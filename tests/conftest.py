"""Fixtures of every layer: the databases that tests run on."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import BrokerServer, GivenBroker, installed_brokers
from tests.databases import PostgresServer, SqliteFiles


@pytest.fixture(scope="session")
def sqlite_files(tmp_path_factory: pytest.TempPathFactory) -> SqliteFiles:
    """SQLite files of the session."""
    return SqliteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One Postgres server for the session, started when the first test asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        # the server's wheel asks where run-time files go, and warns if nothing says so
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        # not in pytest's folder: root's server runs as a user of its own, and every session of pytest closes
        # that folder to other users
        with tempfile.TemporaryDirectory(prefix="widthwise-postgres-", ignore_cleanup_errors=True) as folder:
            server = PostgresServer(Path(folder))
            yield server
            server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def databases(request: pytest.FixtureRequest) -> SqliteFiles | PostgresServer:
    """Where new databases come from: SQLite and Postgres in turn."""
    name = "sqlite_files" if request.param == "sqlite" else "postgres"
    source: SqliteFiles | PostgresServer = request.getfixturevalue(name)
    return source


@pytest.fixture(params=sorted(installed_brokers()))
def own_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerServer]:
    """A broker of the test's own, which it may stop: every kind that is installed here in turn."""
    with BrokerServer(installed_brokers()[request.param], tmp_path) as server:
        yield server


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerServer | GivenBroker]:
    """An empty broker: the one that TEST_REDIS_URL names, else one of the test's own from the PyPI wheel."""
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        yield GivenBroker(given)
        return
    with BrokerServer(installed_brokers()["valkey"], tmp_path) as server:
        yield server
