"""Connections: an engine for SQLite or Postgres, and the two kinds of transaction the store uses."""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from service.store.database.errors import SchemaError, StoreUnavailableError
from widthwise.errors import InvalidInputError

POOL_SIZE = 10  # with the overflow of 30: FastAPI runs up to 40 threads at once
POOL_OVERFLOW = 30
BUSY_TIMEOUT_SECONDS = 20.0  # how long SQLite waits for another writer (chosen); our transactions take milliseconds
STATEMENT_TIMEOUT_MS = 30_000  # Postgres (chosen): none of our statements takes a second
LOCK_TIMEOUT_MS = 10_000  # Postgres (chosen): rows stay locked for milliseconds
MIGRATION_LOCK_TIMEOUT_MS = 60_000  # Postgres (chosen): a concurrent migration takes about a second
IDLE_TRANSACTION_TIMEOUT_MS = 60_000  # Postgres (chosen): a frozen process must not hold its locks forever
CONNECT_TIMEOUT_SECONDS = 5  # Postgres (chosen): a dead host is noticed before a client gives up
#: Postgres (chosen): a host that goes silent while we wait is noticed in 20 s, a third of a lease. The server's time
#: limits can't reach us then, and Linux itself would wait for two hours.
KEEPALIVES = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2}
TCP_USER_TIMEOUT_MS = 20_000  # Postgres (chosen): the same for sent data that the host does not acknowledge

#: Free bytes on a SQLite file's disk (chosen): the largest upload with its indexes and the write-ahead log take less.
ROOM_BYTES = 64 << 20

#: Endings of SQLite's messages about a file that is not a database or is corrupt.
DAMAGED = ("file is not a database", "disk image is malformed")

#: Postgres's codes for a missing table and a missing column.
UNDEFINED = ("42P01", "42703")
#: Its codes for a read-only server, such as a standby after a failover, and for a transaction that was idle too long:
#: both are temporary, though the driver calls them internal errors.
READ_ONLY, IDLE_TOO_LONG = "25006", "25P03"

SQLITE_PREFIX = "sqlite:///"

_WRITE = "widthwise_write"  # execution option that marks a connection whose transaction will write


def dump_json(value: Any) -> str:
    """Return JSON text; ValueError on NaN and infinity, which are not JSON (SQLite would store them)."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def create_store_engine(url: str | sa.URL, *, for_migration: bool = False) -> sa.Engine:
    """Return an engine for a database URL; it belongs to this process alone.

    url: sqlite:///FILE or postgresql+psycopg://…. for_migration: no pool, no time limits and, on SQLite, no enforced
    foreign keys, since a batch migration drops and recreates tables. Only then is a missing file created.
    """
    parsed = _parsed(url)
    dialect = parsed.get_backend_name()
    if dialect == "sqlite":
        return _sqlite_engine(parsed, for_migration=for_migration)
    if dialect == "postgresql":
        return _postgres_engine(parsed, for_migration=for_migration)
    raise InvalidInputError(
        f"The database {dialect!r} is not supported; give sqlite:///FILE or postgresql+psycopg://….",
        field="database_url",
    )


def _parsed(url: str | sa.URL) -> sa.URL:
    """Return a URL's parts; everything after sqlite:/// is a file name, including any %, ? or #."""
    if isinstance(url, str) and url.startswith(SQLITE_PREFIX):
        return sa.URL.create("sqlite", database=url.removeprefix(SQLITE_PREFIX))
    return sa.make_url(url)


def _sqlite_engine(url: sa.URL, *, for_migration: bool) -> sa.Engine:
    if not url.database or ":memory:" in url.database:
        raise InvalidInputError(
            "The store needs a SQLite file: each connection to an in-memory database sees a different one.",
            field="database_url",
        )
    file = Path(url.database)
    if for_migration and not file.exists():
        _create(file)
    pool: dict[str, Any] = (
        {"poolclass": NullPool} if for_migration else {"pool_size": POOL_SIZE, "max_overflow": POOL_OVERFLOW}
    )
    engine = sa.create_engine(
        url,
        # None: the driver does not begin transactions, we do (see _begin)
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_SECONDS},
        json_serializer=dump_json,
        hide_parameters=True,  # specifications and idempotency keys do not belong in a log
        **pool,
    )

    opened: list[tuple[int, int]] = []  # the file's device and inode, once there is one

    def check_file() -> None:
        """Refuse a file that is missing or not the one opened first, since writes to it would be lost."""
        try:
            found = file.stat()
            identity = (found.st_dev, found.st_ino)
        except FileNotFoundError:
            identity = None
        if not opened and identity is None:
            raise SchemaError(f"There is no database {file} yet; check its name, or run `widthwise migrate`.")
        if not opened and identity is not None:
            opened.append(identity)
        elif opened[0] != identity:
            raise StoreUnavailableError(
                f"The database file {file} was removed or replaced while it was in use; put it back, or "
                "restart the processes that use it."
            )

    @sa.event.listens_for(engine, "do_connect")
    def _before_connect(*_: Any) -> None:
        check_file()  # SQLite would create an empty file if it is missing

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA foreign_keys={'OFF' if for_migration else 'ON'}")
        # the mode is stored in the file; setting it takes a lock, so check first
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # a writer takes the write lock first: upgrading later fails at once if another holds it
        check_file()
        writes = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _create(file: Path) -> None:
    """Create an empty file that only its user can read: rows have owners, and a reader of the file sees them all.

    SQLite gives its -wal and -shm files the same mode.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _postgres_engine(url: sa.URL, *, for_migration: bool) -> sa.Engine:
    connect = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
        **KEEPALIVES,
    }
    if for_migration:
        # a migration may take long, but must not queue forever: every query would queue behind it
        waits = {"options": f"-c lock_timeout={MIGRATION_LOCK_TIMEOUT_MS}"}
        return sa.create_engine(url, poolclass=NullPool, connect_args=connect | waits, hide_parameters=True)
    limits = (
        f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS} "
        f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_TIMEOUT_MS}"
    )
    engine = sa.create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_pre_ping=True,
        connect_args=connect | {"options": limits},
        json_serializer=dump_json,
        hide_parameters=True,  # as above
    )

    @sa.event.listens_for(engine, "handle_error")
    def _leave_standby(context: sa.ExceptionContext) -> None:
        # a read-only server answers pings, so its connections would stay in the pool forever
        if _code(context.original_exception) == READ_ONLY:
            context.is_disconnect = True

    return engine


def check_room(engine: sa.Engine, least_bytes: int) -> None:
    """Raise StoreUnavailableError if the disk of a SQLite file has less free space; nothing is known of a server's."""
    if engine.dialect.name != "sqlite":
        return
    file = Path(engine.url.database or "")
    free = shutil.disk_usage(file.parent).free
    if free < least_bytes:
        raise StoreUnavailableError(
            f"The disk of the database {file} has {free} bytes left, fewer than {least_bytes}; make room."
        )


class Database:
    """An engine with one way to read and one way to write."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(**{_WRITE: True})

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One transaction that only reads."""
        with _translated(self.engine.url.database), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction that writes; it commits at the end of the block, or rolls back on any error."""
        with _translated(self.engine.url.database), self._writer.begin() as connection:
            yield connection


@contextmanager
def _translated(file: str | None) -> Iterator[None]:
    """Turn errors that a retry may fix into StoreUnavailableError, without the statement's parameters."""
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.TimeoutError, sa.exc.InterfaceError) as error:
        raise StoreUnavailableError(
            f"The database did not answer the request ({cause_of(error)}); try again."
        ) from error
    except sa.exc.DatabaseError as error:
        if _code(error.orig) in (READ_ONLY, IDLE_TOO_LONG):
            raise StoreUnavailableError(
                f"The database did not answer the request ({cause_of(error)}); try again."
            ) from error
        if _code(error.orig) in UNDEFINED:
            raise SchemaError(
                f"The database lacks a table or column ({cause_of(error)}); run `widthwise migrate`."
            ) from (error)
        if not isinstance(error.orig, sqlite3.DatabaseError) or not str(error.orig).endswith(DAMAGED):
            raise
        raise SchemaError(
            f"The database file {file or ''} can't be read ({error.orig}); restore it from a backup, or move it away "
            "and start with an empty one."
        ) from error


def _code(error: BaseException | None) -> str | None:
    """Postgres's error code; None for errors of other databases."""
    return getattr(error, "sqlstate", None)


def cause_of(error: sa.exc.SQLAlchemyError) -> str:
    """Return the first line of the driver's message, which contains no parameters of the statement."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def insert_or(dialect: str, table: sa.Table) -> Any:
    """Return a dialect's INSERT, the one with ON CONFLICT clauses; dialect: its name."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert(table)
    from sqlalchemy.dialects.postgresql import insert as postgres_insert

    return postgres_insert(table)
