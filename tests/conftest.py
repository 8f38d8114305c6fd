"""Fixtures of every layer: the databases that tests run on."""

import logging
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import structlog

from testbed.brokers import BrokerServer, GivenBroker, installed_brokers
from testbed.databases import GivenPostgres, PostgresServer, SqliteFiles, own_postgres_server

HAS_MODELS = find_spec("transformers") is not None
collect_ignore = ["trainers"] if HAS_MODELS else ["models", "trainers"]
if find_spec("playwright") is None:
    collect_ignore.append("browser")


def pytest_report_header() -> list[str]:
    return [] if HAS_MODELS else ["tests/models needs PyTorch and model libraries: `make test-models` runs it"]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo a command's setting of the logs: a later test of this process would miss lines, or see those of others."""
    root = logging.getLogger()
    level, handlers = root.level, set(root.handlers)
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler and handler not in handlers:
            root.removeHandler(handler)


@pytest.fixture(scope="session")
def sqlite_files(tmp_path_factory: pytest.TempPathFactory) -> SqliteFiles:
    """SQLite files of the session."""
    return SqliteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[GivenPostgres]:
    """A Postgres for the session: the server that TEST_DATABASE_URL names, else our own from the PyPI wheel."""
    given = os.environ.get("TEST_DATABASE_URL")
    if not given:
        with own_postgres_server() as server:
            yield server
        return
    databases = GivenPostgres(given)
    try:
        yield databases
    finally:
        databases.drop()


@pytest.fixture(scope="session")
def _server_to_stop() -> Iterator[PostgresServer]:
    with own_postgres_server() as server:
        yield server


@pytest.fixture
def own_postgres(_server_to_stop: PostgresServer) -> Iterator[PostgresServer]:
    """A Postgres that the test may stop and restart; one server for all such tests, each with its own databases."""
    yield _server_to_stop
    _server_to_stop.start()  # if the test left it stopped
    _server_to_stop.drop()


@pytest.fixture(params=["sqlite", "postgres"])
def databases(request: pytest.FixtureRequest) -> SqliteFiles | GivenPostgres:
    """Where new databases come from: SQLite and Postgres in turn."""
    name = "sqlite_files" if request.param == "sqlite" else "postgres"
    source: SqliteFiles | GivenPostgres = request.getfixturevalue(name)
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
