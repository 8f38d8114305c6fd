"""Fixtures of every layer: the databases that tests run on."""

from collections.abc import Iterator

import pytest

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
        server = PostgresServer(tmp_path_factory.mktemp("postgres"))
        yield server
        server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def databases(request: pytest.FixtureRequest) -> SqliteFiles | PostgresServer:
    """Where new databases come from: SQLite and Postgres in turn."""
    name = "sqlite_files" if request.param == "sqlite" else "postgres"
    source: SqliteFiles | PostgresServer = request.getfixturevalue(name)
    return source
