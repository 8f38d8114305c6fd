"""Pages of exponents: the same as a plain search gives, in every way that they are read, and by an index each time."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from service.store import ExponentFilter, Store
from service.store.database.engine import Database, create_store_engine
from service.store.database.tables import calibrations, exponent_families, exponents
from service.store.results import listing
from service.store.results.exponent_families import family_of

START = datetime(2026, 1, 1, tzinfo=UTC)
FAMILIES = [
    dict(zip(("parameterization", "optimizer", "dataset"), words, strict=True))
    for words in itertools.product(("mup", "ntk"), ("adam", "sgd", "adafactor"), ("docs", "code"))
]
ROWS = 360
LIMIT = 11  # of a page: several pages of most filters, and looked at: eight times as many


@pytest.fixture
def filled(store: Store, url: str) -> Store:
    """Some hundred exponents of two owners: of twelve families, one rare and one that is old."""
    engine = create_store_engine(url)
    with Database(engine).write() as connection:
        fixed = {"alignment": "full", "architecture": "mlp", "source": "calibration"}
        for number, words in enumerate(FAMILIES, start=1):
            connection.execute(sa.insert(exponent_families).values(id=number, **words, **fixed))
        for number in range(ROWS // 4):
            owner = "few" if number % 30 == 7 else "many"
            family = 12 if number % 40 == 3 else 11 if number < 10 else 1 + number % 10
            moment = START + timedelta(minutes=number // 2)  # two at each instant
            connection.execute(
                sa.insert(calibrations).values(
                    id=f"cal_{number}",
                    created_at=moment,
                    state="succeeded",
                    runner="worker",
                    spec={},
                    spec_digest="d",
                    owner=owner,
                    trials_total=0,
                    last_event=0,
                )
            )
            for place, (role, quantity) in enumerate(itertools.product(("hidden", "readout"), ("epsilon", "lr"))):
                connection.execute(
                    sa.insert(exponents).values(
                        id=f"exp_{(number * 4 + place) * 7919 % 1009:04}",
                        calibration_id=f"cal_{number}",
                        family_id=family,
                        owner=owner,
                        created_at=moment,
                        quantity=quantity,
                        role=role,
                        value=1.0,
                        degrees_of_freedom=1,
                        widths=[32],
                        provenance={},
                    )
                )
    engine.dispose()
    return store


def walk(store: Store, owner: str | None, where: ExponentFilter, **ways: int) -> list[str]:
    """The id of every row, page by page."""
    found: list[str] = []
    after = None
    with store.database.read() as connection:
        while rows := listing.read_rows(connection, owner, where, after, LIMIT, **ways):
            found += [row.id for row in rows]
            if len(rows) < LIMIT:
                break
            after = (rows[-1].created_at, rows[-1].id)
    return found


#: Every pair of filters, and what matches nothing.
FILTERS: list[dict[str, str]] = [
    dict(pairs)
    for count in (0, 1, 2, 3)
    for pairs in itertools.combinations(
        [("optimizer", "adafactor"), ("dataset", "code"), ("role", "hidden"), ("quantity", "lr")], count
    )
] + [
    {"parameterization": "ntk", "optimizer": "adafactor", "dataset": "code"},
    {"parameterization": "ntk", "optimizer": "adafactor", "dataset": "docs", "role": "readout"},
    {"dataset": "none"},
    {"calibration_id": "cal_7"},
    {"calibration_id": "cal_7", "role": "hidden"},
    {"calibration_id": "cal_8", "dataset": "none"},
]


@pytest.mark.parametrize(
    ("few_families", "recent_rows"),
    [(64, 2000), (0, 2000), (0, 0)],
    ids=["families at once", "the newest rows", "the newest rows, then families"],
)
@pytest.mark.parametrize("owner", ["many", "few", None])
def test_pages_are_what_a_plain_search_gives(
    filled: Store, owner: str | None, few_families: int, recent_rows: int
) -> None:
    with filled.database.read() as connection:
        everything = connection.execute(
            sa.select(exponents, *(exponent_families.c[word] for word in listing.WORDS))
            .join(exponent_families)
            .order_by(exponents.c.created_at.desc(), exponents.c.id.desc())
        ).all()
    for filters in FILTERS:
        wanted = [
            row.id
            for row in everything
            if owner in (None, row.owner) and all(getattr(row, name) == value for name, value in filters.items())
        ]
        where = ExponentFilter(**filters)
        assert walk(filled, owner, where, few_families=few_families, recent_rows=recent_rows) == wanted, filters


def plans_of(store: Store, where: ExponentFilter) -> list[str]:
    """The lines of the plans of every statement of a page."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    sa.event.listen(store.engine, "before_cursor_execute", note)
    store.exponents.page(where)
    sa.event.remove(store.engine, "before_cursor_execute", note)
    postgres = store.engine.dialect.name == "postgresql"
    lines: list[str] = []
    with store.engine.connect() as connection:
        if postgres:  # a few hundred rows are read faster as a whole, a million are not
            connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
            connection.execute(sa.text("SET LOCAL enable_sort = off"))
        prefix = "EXPLAIN (COSTS OFF) " if postgres else "EXPLAIN QUERY PLAN "
        for statement, parameters in statements:
            if "exponents" in statement and not statement.startswith("BEGIN"):
                lines += [str(row[-1]) for row in connection.exec_driver_sql(prefix + statement, parameters)]
    return lines


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"optimizer": "sgd"}, "ix_exponents_owner_family_id_created_at_id"),
        ({"optimizer": "sgd", "role": "hidden"}, "ix_exponents_owner_family_id_role_created_at_id"),
        ({"dataset": "code", "quantity": "lr"}, "ix_exponents_owner_family_id_quantity_created_at_id"),
        ({"role": "hidden", "quantity": "lr"}, "ix_exponents_owner_family_id_role_quantity_created_at_id"),
    ],
)
def test_a_page_is_read_by_the_index_of_its_filters(filled: Store, filters: dict[str, str], index: str) -> None:
    theirs = plans_of(filled.of("many"), ExponentFilter(**filters))
    assert any(index in line for line in theirs), theirs
    everyones = plans_of(filled, ExponentFilter(**filters))
    assert any(index.replace("owner_", "") in line for line in everyones), everyones


def test_a_family_is_stored_once(make_store: Callable[..., Store]) -> None:
    store = make_store()
    words = {**FAMILIES[0], "alignment": "full", "architecture": "mlp", "source": "calibration"}
    with store.database.write() as connection:
        first = family_of(connection, words)
        assert family_of(connection, words) == first
        assert family_of(connection, {**words, "dataset": "another"}) != first
