"""The store under test, on both databases."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from service.store import Store
from service.store.database.engine import create_store_engine
from service.store.work.rounds import NextRound, Planner
from testbed.databases import GivenPostgres, SqliteFiles
from tests.store.samples import fit_sample, plan_sample


@pytest.fixture
def url(databases: SqliteFiles | GivenPostgres) -> str:
    """A migrated, empty database."""
    return databases.new_migrated()


@pytest.fixture
def make_store(url: str) -> Iterator[Callable[..., Store]]:
    """Open stores on one database, with a lease of the test's choice, and a plan and a fit that are easy to foresee."""
    opened: list[Store] = []

    def make(*, lease_seconds: float = 60.0, plan: NextRound = plan_sample, **options: object) -> Store:
        options.setdefault("fit", fit_sample)
        options["planner"] = Planner(plan, lambda spec: plan(spec, (), ()))  # one round is all that is foreseen
        store = Store(create_store_engine(url), lease=timedelta(seconds=lease_seconds), **options)
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(make_store: Callable[..., Store]) -> Store:
    """One store."""
    return make_store()
