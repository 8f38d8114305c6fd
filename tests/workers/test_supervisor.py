"""The supervisor with real child processes: every way in which a claim can end."""

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.settings import Settings
from service.store import CalibrationState, Claim, Lease, Shard, ShardState, Store
from service.store.database.engine import create_store_engine
from service.store.work.rounds import Planner
from testbed.processes import processes_marked
from testbed.waiting import LONG_SECONDS, is_alive, until
from tests.store.samples import fit_sample, sample_spec, trial
from tests.workers.conftest import SPEC, Spawn, fake_child
from widthwise.calibration.shard import ShardSpec
from widthwise.vocabulary import Measured, ShardKind
from workers.preparing import preparation
from workers.protocol import Job
from workers.standby import Ties
from workers.supervisor import Supervisor, _Watch
from workers.totals import Outcome

Make = Callable[..., Supervisor]


def only_shard(store: Store, claim: Claim) -> Shard:
    """The one shard of the claim's calibration."""
    (shard,) = store.calibrations.shards(claim.calibration_id)
    return shard


def running(supervisor: Supervisor, claim: Claim) -> tuple[threading.Thread, list[Outcome]]:
    """Supervise on a thread; the outcome appears in the list."""
    outcomes: list[Outcome] = []
    # a daemon, so that a test that fails does not wait for a child that hangs
    thread = threading.Thread(target=lambda: outcomes.append(supervisor.run(claim)), daemon=True)
    thread.start()
    return thread, outcomes


def test_stores_every_trial_and_finishes(store: Store, claim: Claim, supervise: Make) -> None:
    assert supervise("run").run(claim) is Outcome.SUCCEEDED
    calibration = store.calibrations.get(claim.calibration_id)
    assert calibration.state is CalibrationState.SUCCEEDED
    assert calibration.progress.trials_done == 2
    environment = only_shard(store, claim).environment
    assert environment is not None
    assert (environment["device"], environment["dataset_sha256"]) == ("cpu", "0" * 64)
    (worker,) = store.workers.all()
    assert (worker.id, worker.device, worker.versions) == ("w", "cpu", {"python": "3"})


def test_runs_only_what_is_not_stored(store: Store, claim: Claim, supervise: Make) -> None:
    store.work.record_trial(claim, trial(claim, 0.001, loss=1.0))
    store.work.fail(claim, "crash", retryable=True)
    again = store.work.claim("w")
    assert again is not None
    assert supervise("run").run(again) is Outcome.SUCCEEDED
    assert [row.loss for row in store.trials.page(claim.calibration_id).items] == [1.0, 32.0]


def test_stores_measurements_and_runs_only_those_that_are_missing(
    open_sample_store: Callable[..., Store], supervise: Make, tmp_path: Path
) -> None:
    part = ShardSpec(32, (0.1,), (0,), ShardKind.MEASURE, measure=(Measured.EPSILON, Measured.ALIGNMENT))
    store = open_sample_store(planner=Planner(lambda *_: [part], lambda _: [part]))
    identifier = store.calibrations.create(sample_spec()).calibration.id
    claim = store.work.claim("w")
    assert claim is not None
    store.work.record_measurement(claim, {"width": 32, "seed": 0, "kind": "epsilon", "data": {"stored": "before"}})
    store.work.fail(claim, "crash", retryable=True)
    again = store.work.claim("w")
    assert again is not None
    assert supervise("run", store=store, corpora_dir=tmp_path).run(again) is Outcome.SUCCEEDED
    rows = store.measurements.page(identifier).items
    assert [(row.kind, row.data) for row in rows] == [
        ("epsilon", {"stored": "before"}),
        ("alignment", {"corpora_dir": str(tmp_path)}),
    ]


FAULTS = {
    "abort": (ShardState.QUEUED, ["by signal SIGABRT before it finished", "RESOURCE_EXHAUSTED"]),
    "silent": (ShardState.QUEUED, ["with exit status 0 before it finished"]),
    "invalid": (ShardState.FAILED, ["invalid_input: no such dataset"]),
    "garbage": (ShardState.FAILED, ["broke its protocol", "this is no JSON"]),
    "nan": (ShardState.FAILED, ["broke its protocol", "trial.loss is nan"]),
}


@pytest.mark.parametrize("behaviour", FAULTS)
def test_a_child_that_fails_says_why(store: Store, claim: Claim, supervise: Make, behaviour: str) -> None:
    state, said = FAULTS[behaviour]
    assert supervise(behaviour).run(claim) is Outcome.FAILED
    shard = only_shard(store, claim)
    assert shard.state is state
    assert all(words in (shard.reason or "") for words in said), shard.reason


def test_a_child_that_cannot_start(store: Store, claim: Claim, supervise: Make) -> None:
    assert supervise(command=["/nonexistent"]).run(claim) is Outcome.FAILED
    assert "could not be started" in (only_shard(store, claim).reason or "")


def two_claims(store: Store) -> Iterator[Claim]:
    """The claims on the two shards of a new calibration, each made when it is asked for."""
    store.calibrations.create(sample_spec(widths=[32, 64], seeds=1))
    for _ in range(2):
        claimed = store.work.claim("w")
        assert claimed is not None
        yield claimed


def test_a_child_lives_on_to_the_next_shard(
    store: Store, supervise: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFE_MARK", str(tmp_path))
    supervisor, seen = supervise("run"), []
    for claim in two_claims(store):
        assert supervisor.run(claim) is Outcome.SUCCEEDED
        seen.append(set(processes_marked("LIFE_MARK", tmp_path)))
    assert len(seen[0]) == 1
    assert seen[0] == seen[1]
    supervisor.standby.end()
    assert processes_marked("LIFE_MARK", tmp_path) == {}


def test_a_child_that_dies_on_standby_costs_its_next_shard_nothing(
    store: Store, supervise: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies when it has its second job, and before it has started it."""
    monkeypatch.setenv("FAKE_FROM", "2")
    supervisor = supervise("unstarted")
    for claim in two_claims(store):
        assert supervisor.run(claim) is Outcome.SUCCEEDED
        assert next(shard.attempts for shard in store.calibrations.shards(claim.calibration_id)) == 1
    assert store.calibrations.get(claim.calibration_id).state is CalibrationState.SUCCEEDED
    monkeypatch.setenv("FAKE_FROM", "1")  # a fresh child that does so has failed
    store.calibrations.create(sample_spec(widths=[32], seeds=1))
    claimed = store.work.claim("w")
    assert claimed is not None
    assert supervisor.run(claimed) is Outcome.FAILED


@pytest.mark.parametrize("behaviour", ["run", "unstarted", "killed", "no_memory", "invalid", "garbage"])
def test_what_a_child_compiles_costs_the_shard_that_waits_for_it_nothing(
    store: Store, supervise: Make, behaviour: str, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It compiles the width of its second shard when it gets that, and then ends in one way or another."""
    monkeypatch.setenv("FAKE_FROM", "2")
    supervisor, claims = supervise(behaviour), two_claims(store)
    first = next(claims)
    assert supervisor.run(first) is Outcome.SUCCEEDED
    assert supervisor.standby.ties is not None
    second = next(claims)
    assert supervisor.standby.prepare(preparation(supervisor.standby.ties, second.shard.width))
    thread, outcomes = running(supervisor, second)
    until(lambda: supervisor.standby.ties is None)
    (gate / "go").touch()
    thread.join()
    assert outcomes == [Outcome.SUCCEEDED]
    assert [shard.attempts for shard in store.calibrations.shards(first.calibration_id)] == [1, 1]


def test_the_deadline_of_one_shard_kills_no_child_of_the_next(store: Store, claim: Claim, supervise: Make) -> None:
    """The thread that keeps a shard's time wakes at its deadline when the shard has just ended."""
    supervisor = supervise("hang", deadline_seconds=0.01)
    job = Job(claim.spec, claim.shard)
    child = supervisor.standby.take(job, Ties.of(job))
    watch = _Watch(supervisor, claim, job, child)
    time.sleep(0.02)
    watch.over.set()
    watch._keep_time()
    assert not watch.overdue
    assert is_alive(child.pid)
    child.kill()


def test_the_deadline_kills(
    store: Store, claim: Claim, supervise: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEADLINE_MARK", str(tmp_path))  # finds the child, however far it came in that time
    assert supervise("hang", deadline_seconds=1.0).run(claim) is Outcome.FAILED
    assert processes_marked("DEADLINE_MARK", tmp_path) == {}
    assert only_shard(store, claim).reason == "The attempt took longer than its deadline of 1 s."


def test_stopping_gives_the_shard_back_before_its_lease_ends(
    store: Store, claim: Claim, supervise: Make, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    supervisor = supervise("pid", str(note))
    thread, outcomes = running(supervisor, claim)
    until(note.exists)
    supervisor.stop.set()
    until(lambda: outcomes)
    thread.join()
    assert outcomes == [Outcome.RELEASED]
    assert not is_alive(int(note.read_text()))
    shard = only_shard(store, claim)
    assert (shard.state, shard.attempts) == (ShardState.QUEUED, 0)


def test_a_cancel_kills_before_the_next_extension(store: Store, claim: Claim, supervise: Make, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    thread, outcomes = running(supervise("pid", str(note)), claim)
    until(note.exists)
    store.calibrations.cancel(claim.calibration_id)
    until(lambda: outcomes)
    thread.join()
    assert outcomes == [Outcome.CANCELLED]
    assert not is_alive(int(note.read_text()))
    assert store.calibrations.get(claim.calibration_id).state is CalibrationState.CANCELLED


def test_a_stolen_lease_kills_and_writes_nothing(store: Store, claim: Claim, supervise: Make, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    thread, outcomes = running(supervise("pid", str(note)), claim)
    until(lambda: only_shard(store, claim).environment)  # its next write is the lease's extension, in 100 s
    store.workers.abandon("w")
    thief = store.work.claim("thief")
    assert thief is not None
    before = store.calibrations.get(claim.calibration_id)
    until(lambda: outcomes)
    thread.join()
    assert outcomes == [Outcome.LOST]
    assert not is_alive(int(note.read_text()))
    assert store.work.check(thief) is Lease.HELD
    assert store.calibrations.get(claim.calibration_id) == before


def lease_moved(store: Store, claim: Claim, before: datetime) -> bool:
    """Whether the lease now ends later than it did."""
    ends = only_shard(store, claim).lease_until
    return ends is not None and ends > before


def test_the_lease_is_extended_while_the_child_is_silent(
    open_sample_store: Callable[..., Store], store: Store, claim: Claim, supervise: Make
) -> None:
    """A lease of 6 s is due for an extension every second; a machine that stands still for 4 s does not lose it."""
    short = open_sample_store(lease_seconds=6.0)
    supervisor = supervise("hang", store=short, lease_seconds=6.0)
    thread, outcomes = running(supervisor, claim)
    until(lambda: only_shard(store, claim).environment)  # the child says nothing after this
    for _ in range(2):
        before = only_shard(store, claim).lease_until
        assert before is not None
        until(partial(lease_moved, store, claim, before))
        assert short.work.claim("thief") is None
    supervisor.stop.set()
    thread.join()
    assert outcomes == [Outcome.RELEASED]


def test_an_unreachable_database_is_waited_for(settings: Settings, store: Store, claim: Claim, supervise: Make) -> None:
    """Another process holds SQLite's write lock for longer than the busy timeout allows."""
    path = str(sa.make_url(settings.database_url).database)
    impatient = _impatient(settings.database_url)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    thread, outcomes = running(supervise("run", store=impatient), claim)
    time.sleep(1.5)
    assert outcomes == []  # neither lost nor failed: the lease still holds
    blocker.execute("ROLLBACK")
    blocker.close()
    thread.join()
    impatient.close()
    assert outcomes == [Outcome.SUCCEEDED]
    assert store.calibrations.get(claim.calibration_id).progress.trials_done == 2


class SilentWork:
    """The work of a store whose database answers no extension of a lease until `answers` is set, and all else."""

    def __init__(self, store: Store) -> None:
        self._work = store.work
        self.asked, self.answers = threading.Event(), threading.Event()

    def extend(self, claim: Claim) -> Lease:
        self.asked.set()
        self.answers.wait(LONG_SECONDS)
        return self._work.extend(claim)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)


class Silent:
    """A store with such work."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.work = SilentWork(store)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


#: Lease and deadline in seconds: which of them is the first to end, and the lease is extended after a sixth of it.
TIMES = {Outcome.FAILED: (6.0, 2.0), Outcome.LOST: (3.0, LONG_SECONDS)}


@pytest.mark.parametrize("outcome", TIMES)
def test_a_silent_database_keeps_no_child_alive(
    store: Store, claim: Claim, supervise: Make, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    monkeypatch.setenv("SILENT_MARK", claim.shard_id)
    silent, (lease, deadline) = Silent(store), TIMES[outcome]
    supervisor = supervise("hang", store=silent, lease_seconds=lease, deadline_seconds=deadline)
    thread, outcomes = running(supervisor, claim)
    until(silent.work.asked.is_set)
    until(lambda: processes_marked("SILENT_MARK", claim.shard_id) == {})
    assert outcomes == []  # it waits for the database still
    silent.work.answers.set()
    thread.join()
    assert outcomes == [outcome]


def _impatient(url: str) -> Store:
    """A store that waits 50 ms for SQLite's write lock."""
    engine = create_store_engine(url)
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 50"))
    return Store(engine, fit=fit_sample)


def test_an_orphaned_child_ends(spawn: Spawn, tmp_path: Path) -> None:
    """A worker killed with SIGKILL closes its child's stdin, and the child goes."""
    note = tmp_path / "pid"
    program = (
        "import sys, time; from workers.process import ChildProcess\n"
        "from workers.protocol import Job; from widthwise.calibration.shard import ShardSpec\n"
        "from widthwise.calibration.spec import CalibrationSpec\n"
        f"child = ChildProcess({fake_child('pid', str(note))!r})\n"
        f"child.send(Job(CalibrationSpec.from_dict({SPEC!r}), ShardSpec(32, (0.1,), (0,))))\n"
        f"time.sleep({LONG_SECONDS})"
    )
    parent = spawn([sys.executable, "-c", program])
    until(note.exists)
    child = int(note.read_text())
    assert is_alive(child)
    parent.kill()
    parent.wait()
    until(lambda: not is_alive(child))
