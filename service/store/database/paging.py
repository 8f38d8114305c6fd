"""Keyset pages on (created_at, id): an opaque, versioned cursor, and the clause that continues from it."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import UtcDateTime
from service.store.database.records import Page, T
from service.store.database.validation import checked_limit, storable
from widthwise.errors import InvalidInputError

VERSION = 1  # of the cursor's content; other versions are refused, not misread
CURSOR_MAXIMUM = 512  # characters; ours have about 120


def encode_cursor(listing: str, created_at: datetime, identifier: str) -> str:
    """Return the opaque cursor that continues after a row of a listing."""
    content = json.dumps([VERSION, listing, created_at.isoformat(), identifier], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_cursor(listing: str, cursor: str) -> tuple[datetime, str]:
    """Return the (created_at, id) of a cursor; InvalidInputError unless this listing made it."""
    try:
        if len(cursor) > CURSOR_MAXIMUM:
            raise ValueError("too long")
        content = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        version, made_by, created_at, identifier = content
        if version != VERSION or made_by != listing or not isinstance(identifier, str) or not storable(identifier):
            raise ValueError("made elsewhere")
        instant = datetime.fromisoformat(created_at)
        if instant.tzinfo is None:
            raise ValueError("no time zone")
        return instant.astimezone(UTC), identifier  # a year 0 or 10000 in UTC is an OverflowError
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise InvalidInputError(
            f"The cursor {cursor[:40]!r} was not made by this listing; pass `next_cursor` of its previous page "
            "unchanged, or none to start over.",
            field="cursor",
        ) from None


def page(
    connection: sa.Connection,
    query: sa.Select[Any],
    table: sa.Table,
    read: Callable[[sa.Row[Any]], T],
    *,
    cursor: str | None,
    limit: int,
    newest_first: bool,
) -> Page[T]:
    """Return one page of `query` over `table`; `read` turns each row into a record."""
    checked_limit(limit)
    key = sa.tuple_(table.c.created_at, table.c.id)
    if cursor is not None:
        instant, identifier = decode_cursor(table.name, cursor)
        after = sa.tuple_(sa.literal(instant, UtcDateTime), sa.literal(identifier, sa.String))
        query = query.where(key < after if newest_first else key > after)
    order = [column.desc() if newest_first else column.asc() for column in (table.c.created_at, table.c.id)]
    # one extra row shows whether another page follows
    return page_of(table, connection.execute(query.order_by(*order).limit(limit + 1)).all(), read, limit)


def page_of(table: sa.Table, rows: Sequence[sa.Row[Any]], read: Callable[[sa.Row[Any]], T], limit: int) -> Page[T]:
    """Return the page of a listing's rows, of which there may be one more than `limit`."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=tuple(read(row) for row in shown),
        next_cursor=encode_cursor(table.name, shown[-1].created_at, shown[-1].id) if more else None,
    )
