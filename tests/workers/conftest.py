"""A worker's surroundings: a migrated SQLite file, settings that name it, and claims of a small calibration."""

import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from service.settings import Settings, load_settings
from service.store import Claim, Store
from service.store.engine import create_store_engine
from service.store.rounds import Search
from testbed.databases import SqliteFiles
from testbed.waiting import LONG_SECONDS
from tests.store.samples import fit_sample, plan_sample, sample_spec
from workers.supervisor import Supervisor

#: One round, which is easy to foresee.
SEARCH = Search(plan_sample, lambda spec: plan_sample(spec, (), ()))

FAKE_CHILD = str(Path(__file__).with_name("fake_child.py"))


def fake_child(*arguments: str) -> list[str]:
    """The command of a fake child with this behaviour."""
    return [sys.executable, FAKE_CHILD, *arguments]


@pytest.fixture
def settings(sqlite_files: SqliteFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a fresh database; worker processes started by the test read them too."""
    made = load_settings(
        data_dir=tmp_path, database_url=sqlite_files.new_migrated(), workers=2, lease_seconds=LONG_SECONDS
    )
    for name, value in made.as_environment().items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def open_sample_store(settings: Settings) -> Iterator[Callable[..., Store]]:
    """Open stores whose fit needs no sweep."""
    opened: list[Store] = []

    def make(lease_seconds: float = LONG_SECONDS, search: Search = SEARCH) -> Store:
        engine = create_store_engine(settings.database_url)
        opened.append(Store(engine, fit=fit_sample, search=search, lease=timedelta(seconds=lease_seconds)))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(open_sample_store: Callable[..., Store]) -> Store:
    """One such store."""
    return open_sample_store()


@pytest.fixture
def claim(store: Store) -> Claim:
    """A claim on the one shard (two trials) of a new calibration."""
    store.create_calibration(sample_spec(widths=[32], seeds=1))
    claimed = store.claim_shard("w")
    assert claimed is not None
    return claimed


@pytest.fixture
def supervise(store: Store) -> Callable[..., Supervisor]:
    """Make supervisors with a fake child."""

    def make(*behaviour: str, **changes: object) -> Supervisor:
        options = {
            "store": store,
            "worker_id": "w",
            "stop": threading.Event(),
            "lease_seconds": LONG_SECONDS,
            "deadline_seconds": LONG_SECONDS,
            "command": fake_child(*behaviour),
        }
        return Supervisor(**{**options, **changes})

    return make
