"""Fixtures of every layer: the databases that tests run on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.databases import PostgresServer, sqlite_url


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One Postgres server for the session, started when the first test asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        # the server's wheel asks where run-time files go, and warns if nothing says so
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        server = PostgresServer(tmp_path_factory.mktemp("postgres"))
        yield server
        server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Make empty databases, on SQLite and on Postgres in turn; each call gives another URL."""
    if request.param == "sqlite":
        return lambda: sqlite_url(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database
