"""The one place where the recorded set touches the code: how a service, a store, a search and a fit are made and asked.

A change of names or modules is followed here, and nowhere else in this folder.
"""

import io
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import load_settings
from service.store import Claim, Store, open_store
from service.store.database.engine import create_store_engine
from service.store.database.schema import upgrade
from tests.api.client import Client, client_of
from tests.migrations.released import RELEASED, insert
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial
from widthwise.cli import main
from widthwise.estimate.calibration import fit_calibration
from widthwise.search.rounds import next_round

Json = dict[str, Any]
REVISIONS = tuple(RELEASED)  #: released before the head
LATER = ("search", "measure")  #: keys of a specification that readers have to do without


@contextmanager
def service(file: Path, dump: str | None = None) -> Iterator[Client]:
    """A client of a service on a SQLite file, new or made from a dump, brought to this version's schema."""
    if dump is not None:
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(dump)
    url = f"sqlite:///{file}"
    upgrade(url)
    store = open_store(url)
    try:
        with client_of(create_app(load_settings(database_url=url, workers=0), store)) as client:
            yield client
    finally:
        store.close()


class Work:
    """What a worker and an operator do in the database of a service."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def report(self, worker_id: str, **values: Any) -> None:
        """Say that a worker is there."""
        self._store.workers.report(worker_id, **values)

    def stop(self, worker_id: str) -> None:
        """Say that a worker has ended."""
        self._store.workers.stop(worker_id)

    def claim(self, worker_id: str) -> Claim | None:
        """The next shard, or None."""
        return self._store.work.claim(worker_id)

    def record(self, claim: Claim, environment: Json, trials: Sequence[Json], measurements: Sequence[Json]) -> None:
        """Report what a shard's child reports."""
        self._store.work.record_environment(claim, environment)
        for trial in trials:
            self._store.work.record_trial(claim, trial)
        for measurement in measurements:
            self._store.work.record_measurement(claim, measurement)

    def finish(self, claim: Claim) -> None:
        """End a shard."""
        self._store.work.finish(claim)

    def fail(self, claim: Claim, reason: str, *, retryable: bool) -> None:
        """End an attempt at a shard that went wrong."""
        self._store.work.fail(claim, reason, retryable=retryable)

    def create_key(self, key_id: str, *, revoked: bool = False, **values: Any) -> None:
        """Store an API key."""
        self._store.keys.create(key_id, **values)
        if revoked:
            self._store.keys.revoke(key_id)

    def keys(self) -> list[Json]:
        """Every key, with what a listing tells of it."""
        told = ("id", "owner", "name", "valid")
        return [
            {**{name: getattr(key, name) for name in told}, "scopes": list(key.scopes)}
            for key in self._store.keys.all()
        ]


@contextmanager
def work(file: Path) -> Iterator[Work]:
    """A worker's and an operator's hands on the database of a service."""
    store = open_store(f"sqlite:///{file}")
    try:
        yield Work(store)
    finally:
        store.close()


def dumped(file: Path) -> str:
    """The SQL that makes a SQLite file again."""
    with closing(sqlite3.connect(file)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def released(file: Path, revision: str) -> str:
    """The SQL of a database as a released revision left it, and with a specification from before searches."""
    engine = create_store_engine(f"sqlite:///{file}")
    upgrade(engine, revision)
    insert(engine, [*RELEASED[revision], *_lean(RELEASED[revision])])
    engine.dispose()
    return dumped(file)


def _lean(rows: Sequence[tuple[str, Json]]) -> Iterator[tuple[str, Json]]:
    """The finished calibration among the rows once more, with a specification that lacks what came later."""
    for table, row in rows:
        if table == "calibrations" and row["id"] == "cal_done":
            spec = {name: value for name, value in row["spec"].items() if name not in LATER}
            yield table, {**row, "id": "cal_lean", "idempotency_key": None, "spec": spec}
        elif row.get("calibration_id") == "cal_done" and table in ("trials", "exponents"):
            own = {"id": f"{row['id']}_lean", "calibration_id": "cal_lean"}
            yield table, {**row, **own, **({"shard_id": None} if table == "trials" else {})}


def command(arguments: Sequence[str], stdin: str = "") -> tuple[int, str, str]:
    """The exit code of the command `widthwise`, and what it wrote to standard output and standard error."""
    out, err, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(stdin)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main(list(arguments))
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    finally:
        sys.stdin = before
    raise AssertionError("the command returned")


def planned(spec: Json, trials: Sequence[Mapping[str, Any]]) -> list[Json]:
    """The shards of the next round, as JSON."""
    asked, ran = CalibrationSpec.from_dict(spec), [Trial.from_dict(trial) for trial in trials]
    return [shard.to_dict() for shard in next_round(asked, ran)]


def fitted(spec: Json, trials: Sequence[Mapping[str, Any]], measurements: Sequence[Mapping[str, Any]] = ()) -> Json:
    """The result of a calibration, as JSON."""
    ran, measured = [Trial.from_dict(one) for one in trials], [Measurement.from_dict(one) for one in measurements]
    return fit_calibration(CalibrationSpec.from_dict(spec), ran, measured).to_dict()
