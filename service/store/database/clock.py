"""The database's clock: expressions for now and now + seconds, and the column type that keeps UTC."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A time-zone-aware UTC datetime, also on SQLite (which drops the zone)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Store in UTC; a naive datetime is a bug."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError(f"a naive datetime ({value!r}) reached the store; give it a time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Read as UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class DatabaseTime(FunctionElement[datetime]):
    """The database's clock when the statement runs, plus one argument in seconds; all hosts agree on it."""

    type = UtcDateTime()
    inherit_cache = True
    name = "database_time"


@compiles(DatabaseTime, "sqlite")
def _on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    # %f is SS.SSS; the zeros fill the six digits that SQLAlchemy writes, so that texts sort as times
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('%+.3f seconds', {seconds}))"


@compiles(DatabaseTime, "postgresql")
def _on_postgres(element: Any, compiler: Any, **options: Any) -> str:
    # clock_timestamp() and not now(), which is fixed at the start of the transaction
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => {seconds}))"


class ElapsedSeconds(FunctionElement[float]):
    """Seconds from one argument, a stored time, to the database's current time."""

    type = sa.Double()
    inherit_cache = True
    name = "elapsed_seconds"


@compiles(ElapsedSeconds, "sqlite")
def _elapsed_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    since = compiler.process(element.clauses, **options)
    return f"((julianday('now') - julianday({since})) * 86400.0)"


@compiles(ElapsedSeconds, "postgresql")
def _elapsed_on_postgres(element: Any, compiler: Any, **options: Any) -> str:
    since = compiler.process(element.clauses, **options)
    return f"extract(epoch from clock_timestamp() - {since})::double precision"


def elapsed_seconds(since: sa.ColumnElement[Any]) -> ElapsedSeconds:
    """Return the expression for the seconds since a stored time."""
    return ElapsedSeconds(since)


def now(plus_seconds: float = 0.0) -> DatabaseTime:
    """Return the expression for the database's current time, in UTC, plus some seconds."""
    return DatabaseTime(sa.literal(float(plus_seconds), sa.Double))
