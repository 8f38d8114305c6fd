"""A worker's surroundings: a migrated SQLite file, settings that name it, small calibrations, and processes."""

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings, load_settings
from service.store import CalibrationState, Claim, ShardState, Store
from service.store.database.engine import create_store_engine
from service.store.work.rounds import Planner
from testbed.databases import SqliteFiles
from testbed.waiting import LONG_SECONDS
from tests.store.samples import fit_sample, plan_sample, sample_spec
from workers.lifetime import Lifetime
from workers.pool import WORKER_COMMAND
from workers.standby import Standby
from workers.supervisor import Supervisor

#: One round, which is easy to foresee.
PLANNER = Planner(plan_sample, lambda spec: plan_sample(spec, (), ()))

RATES = [0.005, 0.01, 0.02]  # the fake child's losses have their optimum in the middle
SPEC = sample_spec(widths=[32, 64], seeds=1, learning_rates=RATES, mesh=1.0)  # one round: 2 shards of 3 trials

Process = subprocess.Popen[Any]
Spawn = Callable[..., Process]

FAKE_CHILD = str(Path(__file__).with_name("fake_child.py"))


def fake_child(*arguments: str) -> list[str]:
    """The command of a fake child with this behaviour."""
    return [sys.executable, FAKE_CHILD, *arguments]


def ended(store: Store, *identifiers: str) -> bool:
    """Whether these calibrations have ended."""
    return all(store.calibrations.get(identifier).finished_at is not None for identifier in identifiers)


def assert_complete(store: Store, identifier: str) -> None:
    """A calibration of SPEC succeeded, each of its shards too, and every trial is there once."""
    calibration = store.calibrations.get(identifier)
    assert calibration.state is CalibrationState.SUCCEEDED, calibration.reason
    assert calibration.progress.shards == {ShardState.SUCCEEDED: 2}
    counts = Counter((row.width, row.learning_rate, row.seed) for row in store.trials.page(identifier).items)
    assert counts == {(width, rate, 0): 1 for width in SPEC["widths"] for rate in RATES}


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start processes; those that a test leaves behind, a failed one too, are killed."""
    with ExitStack() as stack:

        def start(command: list[str], **options: Any) -> Process:
            process = stack.enter_context(subprocess.Popen(command, **options))
            stack.callback(process.kill)  # before the wait for its end
            return process

        yield start


@pytest.fixture
def start(settings: Settings, spawn: Spawn) -> Spawn:
    """Start workers on the test's database, with children of this behaviour."""

    def run(name: str, *behaviour: str, **environment: str) -> Process:
        command = [*WORKER_COMMAND, "--id", name, "--child", *fake_child(*behaviour)]
        return spawn(command, env={**os.environ, **environment})

    return run


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where children that compile leave notes, and wait for a file "go"."""
    folder = tmp_path / "gate"
    folder.mkdir()
    monkeypatch.setenv("FAKE_GATE", str(folder))
    return folder


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

    def make(lease_seconds: float = LONG_SECONDS, planner: Planner = PLANNER) -> Store:
        engine = create_store_engine(settings.database_url)
        opened.append(Store(engine, fit=fit_sample, planner=planner, lease=timedelta(seconds=lease_seconds)))
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
    store.calibrations.create(sample_spec(widths=[32], seeds=1))
    claimed = store.work.claim("w")
    assert claimed is not None
    return claimed


@pytest.fixture
def supervise(store: Store) -> Iterator[Callable[..., Supervisor]]:
    """Make supervisors with a fake child."""
    made: list[Standby] = []

    def make(
        *behaviour: str, command: Sequence[str] | None = None, lifetime: Lifetime | None = None, **changes: object
    ) -> Supervisor:
        made.append(Standby(command or fake_child(*behaviour), lifetime or Lifetime()))
        options = {
            "store": store,
            "worker_id": "w",
            "stop": threading.Event(),
            "lease_seconds": LONG_SECONDS,
            "deadline_seconds": LONG_SECONDS,
            "standby": made[-1],
        }
        return Supervisor(**{**options, **changes})

    yield make
    for standby in made:
        standby.end()
