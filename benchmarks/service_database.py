"""A database to measure on: Postgres, given or from the PyPI wheel with its own defaults, or a SQLite file."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.store import upgrade
from testbed.databases import GivenPostgres, own_postgres_server


@contextmanager
def migrated_database(kind: str = "postgresql") -> Iterator[str]:
    """Return the URL of an empty database at the newest revision, which is dropped at the end.

    kind: "postgresql" (on the server that TEST_DATABASE_URL names, else on our own server) or "sqlite".
    """
    given = os.environ.get("TEST_DATABASE_URL")
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'measured.db'}"
            upgrade(url)
            yield url
    elif given:
        server = GivenPostgres(given)
        try:
            url = server.new()
            upgrade(url)
            yield url
        finally:
            server.drop()
    else:
        with own_postgres_server({}) as server:  # flushing as in service, unlike the tests
            url = server.new()
            upgrade(url)
            yield url


def server_version(engine: sa.Engine) -> str:
    """The database's name and version."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            return f"SQLite {connection.execute(sa.text('SELECT sqlite_version()')).scalar_one()}"
        return f"PostgreSQL {connection.execute(sa.text('SHOW server_version')).scalar_one()}"


@contextmanager
def without_indexes(engine: sa.Engine, *tables: sa.Table) -> Iterator[None]:
    """Fill tables faster: their indexes are dropped, and made again at the end, with the planner's statistics."""
    indexes = [index for table in tables for index in table.indexes]
    with engine.begin() as connection:
        for index in indexes:
            index.drop(connection)
    yield
    with engine.begin() as connection:
        for index in sorted(indexes, key=lambda index: str(index.name)):
            index.create(connection)
    gather_statistics(engine, *tables)


def gather_statistics(engine: sa.Engine, *tables: sa.Table) -> None:
    """Do what Postgres's autovacuum does within minutes of such a load; SQLite is left as the service leaves it."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in tables:
                connection.execute(sa.text(f"VACUUM ANALYZE {table.name}"))


def fill(engine: sa.Engine, table: sa.Table, rows: Iterator[dict[str, Any]] | Sequence[dict[str, Any]]) -> int:
    """Insert rows that all have the same columns, by COPY where there is one; return their number."""
    rows = iter(rows)
    first = next(rows)
    names = list(first)
    dialect = engine.dialect
    found = [table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    count = 0

    def values() -> Iterator[list[Any]]:
        nonlocal count
        for row in chain([first], rows):
            count += 1
            yield [
                row[name] if process is None else process(row[name]) for process, name in zip(found, names, strict=True)
            ]

    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        columns = ", ".join(names)
        if engine.dialect.name == "postgresql":
            with cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
                for row in values():
                    copy.write_row(row)
        else:
            marks = ", ".join("?" for _ in names)
            statement = f"INSERT INTO {table.name} ({columns}) VALUES ({marks})"  # noqa: S608  names of our own tables
            cursor.executemany(statement, values())  # type: ignore[arg-type]  # sqlite3 takes them one by one
    return count


def explain(connection: sa.Connection, statement: str, parameters: Any) -> list[str]:
    """Return the plan of a statement, as the database tells it, in lines."""
    prefix = "EXPLAIN (COSTS OFF) " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    rows = connection.exec_driver_sql(prefix + statement, parameters).all()
    return [str(row[-1]) for row in rows]


@contextmanager
def captured(engine: sa.Engine) -> Iterator[list[tuple[str, Any]]]:
    """Return a list that the statements run meanwhile are added to, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE")):
            statements.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
