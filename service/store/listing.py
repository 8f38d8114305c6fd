"""Which exponents a page holds, found by indexes alone however many rows there are and however rare the matches.

What all exponents of a calibration share is their family, and families are few. A page is read in one of three ways:

* of one calibration: its rows, a few dozen at most;
* where many families match: the newest rows, filtered. Most match, so a page is soon full; or the rows come to their
  end, as they do for an owner of few. If neither happens matches are rare, and the third way is taken;
* else: the newest row of every family that matches, by an index that holds family, filters and order. Only the families
  with the newest ones can be on the page: of each of them as many rows as the page holds, merged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.store.clock import UtcDateTime
from service.store.door import storable
from service.store.records import ExponentFilter
from service.store.tables import exponent_families as families
from service.store.tables import exponents
from widthwise.errors import InvalidInputError

FEW_FAMILIES = 64  # merged at once, which takes no longer than a look at the newest rows (measured: service_exponents)
RECENT_ROWS = 2000  # looked at before many families are: about a millisecond (measured, as above)
RECENT_PER_ITEM = 8  # rows looked at for each that the page may hold, where that is more (chosen)

WORDS = tuple(column.name for column in families.c if column.name != "id")

_Conditions = list[sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Listing:
    """Which exponents are wanted: whose (None: everyone's), which, and from where on."""

    owner: str | None
    where: ExponentFilter
    after: tuple[datetime, str] | None = None  #: created_at and id of the last row that was seen

    def __post_init__(self) -> None:
        """Refuse what no column can hold."""
        for field in fields(self.where):
            value = getattr(self.where, field.name)
            if value is not None and not storable(value):
                message = f"{field.name} is {value!r}, which no name can be; give printable text."
                raise InvalidInputError(message, field=field.name)

    def given(self, table: sa.FromClause, *names: str) -> _Conditions:
        """Give the filters among `names` that are set, on the columns of a table."""
        wanted = ((table.c[name], getattr(self.where, name)) for name in names)
        return [column == value for column, value in wanted if value is not None]

    def reachable(self, table: sa.FromClause) -> _Conditions:
        """Give the conditions on owner and place in the order: they and a family lead every index that is used."""
        whose = [] if self.owner is None else [table.c.owner == self.owner]
        if self.after is None:
            return whose
        instant, identifier = self.after
        place = sa.tuple_(sa.literal(instant, UtcDateTime), sa.literal(identifier, sa.String))
        return [*whose, sa.tuple_(table.c.created_at, table.c.id) < place]


def read_rows(connection: sa.Connection, listing: Listing, count: int) -> Sequence[sa.Row[Any]]:
    """Give the newest `count` exponents of a listing, newest first, each with the words of its family."""
    words = listing.given(families, *WORDS)
    filters = listing.given(exponents, "calibration_id", "role", "quantity")
    if listing.where.calibration_id is not None or not (words or filters):
        query = _with_family(exponents).where(*words, *filters, *listing.reachable(exponents))
        return connection.execute(query.order_by(*_newest(exponents)).limit(count)).all()
    matching = sa.select(families.c.id).where(*words)
    if _has_more_than(connection, matching, FEW_FAMILIES):
        rows = _among_recent(connection, listing, words, count)
        if rows is not None:
            return rows
    merged = _merged(connection, listing, words, count)
    query = _with_family(exponents).where(exponents.c.id.in_(merged)).order_by(*_newest(exponents))
    return connection.execute(query).all()


def _newest(table: sa.FromClause) -> tuple[sa.UnaryExpression[Any], ...]:
    """The order of a page."""
    return table.c.created_at.desc(), table.c.id.desc()


def _with_family(table: sa.FromClause) -> sa.Select[Any]:
    words = (families.c[word] for word in WORDS)
    return sa.select(table, *words).join_from(table, families, families.c.id == table.c.family_id)


def _has_more_than(connection: sa.Connection, query: sa.Select[Any], count: int) -> bool:
    return connection.execute(query.offset(count).limit(1)).first() is not None


def _among_recent(
    connection: sa.Connection, listing: Listing, words: _Conditions, count: int
) -> Sequence[sa.Row[Any]] | None:
    """Give the page if the newest rows hold it, or if there are no others; else None."""
    looked_at = max(RECENT_ROWS, RECENT_PER_ITEM * count)
    newest = sa.select(exponents).where(*listing.reachable(exponents)).order_by(*_newest(exponents))
    recent = newest.limit(looked_at).subquery("recent")
    query = _with_family(recent).where(*words, *listing.given(recent, "role", "quantity"))
    rows = connection.execute(query.order_by(*_newest(recent)).limit(count)).all()
    if len(rows) < count and _has_more_than(connection, newest.with_only_columns(exponents.c.id), looked_at):
        return None
    return rows


def _merged(connection: sa.Connection, listing: Listing, words: _Conditions, count: int) -> sa.Select[Any]:
    """Give the query for the ids of a page, family by family."""

    def of_family(family: sa.ColumnElement[Any]) -> sa.Select[Any]:
        filters = listing.given(row, "role", "quantity")
        found = sa.select(row.c.created_at, row.c.id).where(row.c.family_id == family, *filters)
        return found.where(*listing.reachable(row)).order_by(*_newest(row))

    row = exponents.alias("row_of_family")
    head = of_family(families.c.id).with_only_columns(row.c.created_at).limit(1).scalar_subquery()
    heads = sa.select(families.c.id, head.label("newest")).where(*words).cte("heads")
    known = heads.c.newest.is_not(None)
    # that of the last family that is needed if each gives one row; families of the same instant are kept
    last = sa.select(heads.c.newest).where(known).order_by(heads.c.newest.desc()).offset(count - 1).limit(1)
    bound = sa.func.coalesce(last.scalar_subquery(), sa.select(sa.func.min(heads.c.newest)).scalar_subquery())
    chosen = sa.select(heads.c.id).where(heads.c.newest >= bound).cte("chosen")
    if connection.dialect.name == "sqlite":  # it knows no LATERAL, and runs a correlated IN for each family
        each: sa.FromClause = exponents.alias("each")
        ids = of_family(chosen.c.id).with_only_columns(row.c.id).limit(count)
        joined = chosen.join(each, each.c.id.in_(ids))
    else:
        each = of_family(chosen.c.id).limit(count).lateral("each")
        joined = chosen.join(each, sa.true())
    return sa.select(each.c.id).select_from(joined).order_by(*_newest(each)).limit(count)
