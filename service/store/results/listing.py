"""Finds the exponents of a page by index only, however many rows there are and however rare the matches.

The conditions that all exponents of a calibration share are their family, and there are few families. A page is read in
one of three ways:

* For one calibration: its rows, at most a few dozen.
* If many families match: the newest rows, filtered. Either most rows match and the page is soon full, or the rows run
  out, as they do for an owner with few. If neither happens, matches are rare and the third way is used.
* Otherwise: the newest row of each matching family, by an index over family, filters and order. Only the families with
  the newest of these rows can be on the page: read a page of rows from each of them, and merge.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import UtcDateTime
from service.store.database.records import ExponentFilter
from service.store.database.tables import exponent_families as families
from service.store.database.tables import exponents
from service.store.database.validation import storable
from widthwise.errors import InvalidInputError

FEW_FAMILIES = 64  # merged at once; takes no longer than reading the newest rows (measured: service_exponents)
RECENT_ROWS = 2000  # read before many families are merged: about a millisecond (measured, as above)
RECENT_PER_ITEM = 8  # rows read per row of the page, if that is more (chosen)

WORDS = tuple(column.name for column in families.c if column.name != "id")
FILTERS = ("role", "quantity")

_Conditions = list[sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Shape:
    """The restrictions of a listing, without their values: listings of one shape share their statements."""

    names: frozenset[str]  #: filters in use
    owned: bool  #: only one owner's rows
    goes_on: bool  #: continues after a row of the previous page

    def words(self) -> _Conditions:
        """The conditions on the family."""
        return [families.c[name] == sa.bindparam(name) for name in WORDS if name in self.names]

    def filters(self, table: sa.FromClause) -> _Conditions:
        """The conditions on a row of the family."""
        return [table.c[name] == sa.bindparam(name) for name in FILTERS if name in self.names]

    def reachable(self, table: sa.FromClause) -> _Conditions:
        """The conditions on owner and position in the order; every index starts with them, after any family."""
        whose = [table.c.owner == sa.bindparam("owner")] if self.owned else []
        if not self.goes_on:
            return whose
        place = sa.tuple_(sa.bindparam("instant", type_=UtcDateTime), sa.bindparam("identifier", type_=sa.String))
        return [*whose, sa.tuple_(table.c.created_at, table.c.id) < place]


def read_rows(
    connection: sa.Connection,
    owner: str | None,
    where: ExponentFilter,
    after: tuple[datetime, str] | None,
    count: int,
    *,
    few_families: int = FEW_FAMILIES,
    recent_rows: int = RECENT_ROWS,
) -> Sequence[sa.Row[Any]]:
    """Return the newest `count` exponents that match, newest first, each with the words of its family.

    owner: only this one's rows. after: created_at and id of the previous page's last row. few_families, recent_rows:
    when to switch from one way of reading to another; the rows are the same.
    """
    values = {field.name: getattr(where, field.name) for field in fields(where)}
    values = {name: value for name, value in values.items() if value is not None}
    for name, value in values.items():
        if not storable(value):
            raise InvalidInputError(f"{name} is {value!r}, which can't be a name; give printable text.", field=name)
    shape = Shape(frozenset(values), owner is not None, after is not None)
    instant, identifier = after or (None, None)
    values |= {"owner": owner, "instant": instant, "identifier": identifier, "count": count}

    def run(statement: sa.Select[Any], **more: int) -> Sequence[sa.Row[Any]]:
        return connection.execute(statement, {**values, **more}).all()

    if not shape.names or "calibration_id" in shape.names:
        return run(_plain(shape))
    if run(_matching_families(shape), skipped=few_families):
        looked_at = max(recent_rows, RECENT_PER_ITEM * count)
        rows = run(_among_recent(shape), looked_at=looked_at)
        if len(rows) == count or not run(_further(shape), skipped=looked_at):
            return rows
    return run(_merged(shape, lateral=connection.dialect.name != "sqlite"), before_last=count - 1)


@lru_cache
def _plain(shape: Shape) -> sa.Select[Any]:
    """The newest rows, of one calibration if it is given."""
    of_one = [exponents.c[name] == sa.bindparam(name) for name in ("calibration_id",) if name in shape.names]
    query = _with_family(exponents).where(
        *of_one, *shape.words(), *shape.filters(exponents), *shape.reachable(exponents)
    )
    return query.order_by(*_newest(exponents)).limit(sa.bindparam("count"))


@lru_cache
def _matching_families(shape: Shape) -> sa.Select[Any]:
    """A matching family beyond the first `skipped`."""
    return sa.select(families.c.id).where(*shape.words()).offset(sa.bindparam("skipped")).limit(1)


@lru_cache
def _among_recent(shape: Shape) -> sa.Select[Any]:
    """The matching rows among the newest `looked_at`."""
    newest = sa.select(exponents).where(*shape.reachable(exponents)).order_by(*_newest(exponents))
    recent = newest.limit(sa.bindparam("looked_at")).subquery("recent")
    query = _with_family(recent).where(*shape.words(), *shape.filters(recent))
    return query.order_by(*_newest(recent)).limit(sa.bindparam("count"))


@lru_cache
def _further(shape: Shape) -> sa.Select[Any]:
    """A row beyond the newest `skipped`, matching or not."""
    newest = sa.select(exponents.c.id).where(*shape.reachable(exponents)).order_by(*_newest(exponents))
    return newest.offset(sa.bindparam("skipped")).limit(1)


@lru_cache
def _merged(shape: Shape, *, lateral: bool) -> sa.Select[Any]:
    """The page, family by family. lateral: the database supports LATERAL."""
    row = exponents.alias("row_of_family")

    def of_family(family: sa.ColumnElement[Any]) -> sa.Select[Any]:
        found = sa.select(row.c.created_at, row.c.id).where(row.c.family_id == family, *shape.filters(row))
        return found.where(*shape.reachable(row)).order_by(*_newest(row))

    newest = of_family(families.c.id).with_only_columns(row.c.created_at).limit(1).scalar_subquery()
    heads = sa.select(families.c.id, newest.label("newest")).where(*shape.words()).cte("heads")
    known = sa.select(heads.c.newest).where(heads.c.newest.is_not(None)).order_by(heads.c.newest.desc())
    # the newest row of the last family needed if each contributed one row; ties are kept
    last = known.offset(sa.bindparam("before_last")).limit(1).scalar_subquery()
    bound = sa.func.coalesce(last, sa.select(sa.func.min(heads.c.newest)).scalar_subquery())
    chosen = sa.select(heads.c.id).where(heads.c.newest >= bound).cte("chosen")
    rows = of_family(chosen.c.id).limit(sa.bindparam("count"))
    if lateral:
        each: sa.FromClause = rows.lateral("each")
        joined = chosen.join(each, sa.true())
    else:  # SQLite runs a correlated IN for each family
        each = exponents.alias("each")
        joined = chosen.join(each, each.c.id.in_(rows.with_only_columns(row.c.id)))
    ids = sa.select(each.c.id).select_from(joined).order_by(*_newest(each)).limit(sa.bindparam("count"))
    return _with_family(exponents).where(exponents.c.id.in_(ids)).order_by(*_newest(exponents))


def _newest(table: sa.FromClause) -> tuple[sa.UnaryExpression[Any], ...]:
    """The order of a page."""
    return table.c.created_at.desc(), table.c.id.desc()


def _with_family(table: sa.FromClause) -> sa.Select[Any]:
    words = (families.c[word] for word in WORDS)
    return sa.select(table, *words).join_from(table, families, families.c.id == table.c.family_id)
