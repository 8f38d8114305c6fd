"""Backup and restore as docs/operations.md has them: everything comes back, work continues, and old claims are void."""

import os
import shlex
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

from service.store import Lease, Store
from service.store.database.engine import create_store_engine
from service.store.work.rounds import Planner
from testbed.sweeping import finish_ready
from tests.deploy.engine import Engine
from tests.deploy.operations import blocks
from tests.store.samples import claimed, fit_sample, plan_sample, run_all, run_claim, sample_spec, trial


class Site(Protocol):
    """A service's database, and the commands that back it up and bring it back."""

    url: str

    def back_up(self) -> None: ...

    def restore(self) -> None: ...


class PostgresSite:
    """The Compose file's Postgres: the commands run in its container's environment."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        engine.start("postgres")
        assert engine.run("migrate").returncode == 0
        password, port = engine.secret("postgres_password"), engine.ports["postgres"]
        self.url = f"postgresql+psycopg://widthwise:{password}@127.0.0.1:{port}/widthwise"

    def back_up(self) -> None:
        self._run(blocks("Back up Postgres"))

    def restore(self) -> None:
        self._run(blocks("Restore Postgres"))

    def _run(self, lines: list[str]) -> None:
        """Run lines of `docker compose`; those that stop and start the services have nothing to do here."""
        assert lines
        for line in lines:
            words = shlex.split(line, comments=True)
            if words[0] == "umask":
                continue  # this runner writes the file itself
            assert words[:2] == ["docker", "compose"]
            given, kept = b"", None
            if "<" in words:
                given = (self._engine.folder / words.pop()).read_bytes()
                words.remove("<")
            if ">" in words:
                kept = self._engine.folder / words.pop()
                words.remove(">")
            match words[2:]:
                case ["exec", "-T", service, *command]:
                    pass
                case ["run", "--rm", service, *command]:
                    command.insert(0, "widthwise")
                case ["stop" | "up", *_]:
                    continue
                case other:
                    pytest.fail(f"not a command of a backup: {other}")
            ran = self._engine.run_on(service, command, given)
            assert ran.returncode == 0, (line, ran.stderr)
            if kept is not None:
                kept.write_bytes(ran.stdout)


class SqliteSite:
    """The embedded service's file: the commands run in the folder that holds its data directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run(["widthwise migrate --data-dir widthwise-data"])
        self.url = f"sqlite:///{folder / 'widthwise-data' / 'widthwise.db'}"

    def back_up(self) -> None:
        self._run(blocks("Back up SQLite"))
        assert stat.S_IMODE((self._folder / "widthwise-backup.db").stat().st_mode) == 0o600

    def restore(self) -> None:
        self._run(blocks("Restore SQLite"))

    def _run(self, lines: list[str]) -> None:
        assert lines
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WIDTHWISE_")}
        ran = subprocess.run(
            ["sh", "-e", "-c", "\n".join(lines)],
            cwd=self._folder,
            env={**clean, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr


@pytest.fixture(params=["postgres", "sqlite"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """Each kind of database in turn, migrated and empty."""
    return PostgresSite(request.getfixturevalue("engine")) if request.param == "postgres" else SqliteSite(tmp_path)


@contextmanager
def opened(site: Site) -> Iterator[Store]:
    """A store with a fit that is easy to foresee, and leases that no test outlives."""
    search = Planner(plan_sample, lambda spec: plan_sample(spec, (), ()))
    store = Store(create_store_engine(site.url), lease=timedelta(hours=1), fit=fit_sample, planner=search)
    try:
        yield store
    finally:
        store.close()


def everything(store: Store, calibration_id: str) -> tuple[object, ...]:
    """All that the store says of a calibration, and what was fitted."""
    exponents = [row for row in store.exponents.page().items if row.calibration_id == calibration_id]
    assert exponents
    return (
        store.calibrations.get(calibration_id),
        store.trials.all(calibration_id),
        store.calibrations.events(calibration_id),
        store.calibrations.shards(calibration_id),
        exponents,
    )


def write_until(stop: threading.Event, store: Store, begun: threading.Event) -> None:
    """Do what busy workers and clients do, over and over."""
    while not stop.is_set():
        store.calibrations.create(sample_spec(seeds=1))
        run_all(store, "busy")
        begun.set()


def test_all_comes_back_while_a_worker_writes(site: Site) -> None:
    stop, begun = threading.Event(), threading.Event()
    with opened(site) as store:
        whole = store.calibrations.create(sample_spec()).calibration.id
        run_all(store)
        before = everything(store, whole)
        store.keys.create("0" * 16, owner="alice", name="", scopes=["read"], digest="d" * 64, lifetime_seconds=None)
        writer = threading.Thread(target=write_until, args=(stop, store, begun))
        writer.start()
        try:
            assert begun.wait(30)
            site.back_up()
        finally:
            stop.set()
            writer.join()
        made = {calibration.id for calibration in store.calibrations.page(limit=200).items}
    site.restore()
    with opened(site) as store:
        assert everything(store, whole) == before
        assert store.keys.find("0" * 16).owner == "alice"
        run_all(store, "new")  # what the backup found at work continues
        finish_ready(store)  # a shard may have ended before the backup, and its calibration after it
        back = store.calibrations.page(limit=200).items
        assert {calibration.id for calibration in back} <= made
        assert {calibration.state for calibration in back} == {"succeeded"}
        for calibration in back:
            events = store.calibrations.events(calibration.id)
            assert [event.seq for event in events] == list(range(1, len(events) + 1))  # no half of a transaction
            ran = [trial.identity for trial in store.trials.all(calibration.id)]
            assert len(ran) == len(set(ran)) == 2 * 2 * calibration.spec.seeds


def test_a_running_calibration_goes_on_and_no_claim_of_before_holds(site: Site) -> None:
    with opened(site) as store:
        running = store.calibrations.create(sample_spec()).calibration.id
        held = claimed(store, "old")  # holds a shard in the backup
        assert store.work.record_trial(held, trial(held, 0.001)) is Lease.HELD
        site.back_up()
        assert store.work.record_trial(held, trial(held, 0.01)) is Lease.HELD  # this trial is lost
        late = claimed(store, "late")  # and so is this claim: the backup has its shard as waiting
        assert late.shard_id != held.shard_id
    site.restore()
    with opened(site) as store:
        assert store.calibrations.get(running).state == "running"
        assert {shard.state for shard in store.calibrations.shards(running)} == {"queued"}
        assert len(store.trials.all(running)) == 1
        claims = {claim.shard_id: claim for claim in (claimed(store, f"new-{number}") for number in range(4))}
        assert all(claim.attempt == 1 for claim in claims.values())  # the restoration counts for no attempt
        assert len(claims[held.shard_id].done) == 1  # it continues from what the backup has
        for old in (held, late):
            assert store.work.record_trial(old, trial(old, 0.01)) is Lease.LOST
            assert store.work.finish(old) is Lease.LOST
            assert store.work.release(old) is Lease.LOST
        assert len(store.trials.all(running)) == 1
        for claim in claims.values():
            run_claim(store, claim)
        finish_ready(store)
        assert store.calibrations.get(running).state == "succeeded"
        assert len(store.trials.all(running)) == 8


def test_the_same_backup_restored_twice_gives_new_epochs_each_time(site: Site) -> None:
    with opened(site) as store:
        store.calibrations.create(sample_spec())
        site.back_up()
    epochs = []
    for _ in range(2):
        site.restore()
        with opened(site) as store:
            epochs.append(claimed(store, "worker").epoch)
    assert epochs[1] > epochs[0] > 1
