"""Housekeeping: one worker at a time does what all would repeat, and none that dies keeps it from the others."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.store import CalibrationState, Store, StoreUnavailableError
from service.store.database.engine import Database, create_store_engine
from service.store.database.tables import housekeeping, shards
from service.store.database.transitions import lock_calibration
from service.store.work.housekeeping import HELD_SECONDS, PERIOD_SECONDS
from service.store.work.rounds import Planner
from service.store.work.shards import UNHEARD_SECONDS
from service.store.work.workers import Workers
from testbed.databases import SqliteFiles
from tests.store.samples import (
    Bell,
    Crash,
    SampleResult,
    crashing_fit,
    fit_sample,
    pass_time,
    plan_sample,
    run_all,
    sample_spec,
)

ONE = sample_spec(widths=[32], seeds=1)


def left_behind(store: Store) -> str:
    """A calibration whose worker died between its last shard and the result; store: one whose fit crashes."""
    identifier = store.calibrations.create(ONE).calibration.id
    with pytest.raises(Crash):
        run_all(store, "dead")
    return identifier


def states(store: Store) -> list[str]:
    """The state of every calibration, newest first."""
    return [calibration.state.value for calibration in store.calibrations.page().items]


def test_it_is_due_at_first_and_then_once_in_a_period(make_store: Callable[..., Store], url: str) -> None:
    dying, store = make_store(fit=crashing_fit), make_store()
    left_behind(dying)
    store.housekeeping.run("a")
    assert states(store) == ["succeeded"]
    left_behind(dying)
    for worker_id in ("a", "b"):
        store.housekeeping.run(worker_id)  # not due
    assert states(store) == ["running", "succeeded"]
    pass_time(url, housekeeping.c.due_at, PERIOD_SECONDS)
    store.housekeeping.run("b")
    assert states(store) == ["succeeded", "succeeded"]


def test_while_one_fits_the_others_do_nothing(make_store: Callable[..., Store]) -> None:
    identifier = left_behind(make_store(fit=crashing_fit))
    begun, go_on = threading.Event(), threading.Event()
    fits: list[int] = []

    def slow_fit(spec: Any, trials: Any, measurements: Any) -> SampleResult:
        fits.append(threading.get_ident())
        begun.set()
        assert go_on.wait(30)
        return fit_sample(spec, trials)

    stores = [make_store(fit=slow_fit) for _ in range(6)]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(stores[0].housekeeping.run, "w0")
        try:
            assert begun.wait(30)
            for number, store in enumerate(stores[1:], start=1):
                store.housekeeping.run(f"w{number}")
        finally:
            go_on.set()
        first.result()
    assert len(fits) == 1
    assert stores[0].calibrations.get(identifier).state is CalibrationState.SUCCEEDED


def test_of_many_that_find_it_due_one_takes_it(make_store: Callable[..., Store], url: str) -> None:
    bell = Bell()
    bell.works = False
    stores = [make_store(doorbell=bell) for _ in range(6)]
    stores[0].calibrations.create(ONE)
    pass_time(url, shards.c.queued_at, 2 * UNHEARD_SECONDS)
    bell.works = True
    gate = threading.Barrier(6)

    def keep(number: int) -> int:
        gate.wait()
        return stores[number].housekeeping.run(f"w{number}")

    with ThreadPoolExecutor(6) as pool:
        sent = list(pool.map(keep, range(6)))
    assert sorted(sent) == [0] * 5 + [1]
    assert len(bell.rung) == 1


def test_where_a_worker_died_at_it_another_goes_on(make_store: Callable[..., Store], url: str) -> None:
    dying, other = make_store(fit=crashing_fit), make_store()
    left_behind(dying)
    with pytest.raises(Crash):
        dying.housekeeping.run("dying")
    other.housekeeping.run("other")
    assert states(other) == ["running"]  # for all that is known the first is at it
    pass_time(url, housekeeping.c.due_at, HELD_SECONDS)
    other.housekeeping.run("other")
    assert states(other) == ["succeeded"]


@pytest.mark.parametrize("ends", [Workers.abandon, Workers.stop])
def test_of_a_worker_known_to_have_ended_it_is_due_at_once(
    make_store: Callable[..., Store], ends: Callable[[Workers, str], object]
) -> None:
    dying, other = make_store(fit=crashing_fit), make_store()
    left_behind(dying)
    with pytest.raises(Crash):
        dying.housekeeping.run("dying")
    ends(other.workers, "other")  # who has nothing to give back
    other.housekeeping.run("other")
    assert states(other) == ["running"]
    ends(other.workers, "dying")
    other.housekeeping.run("other")
    assert states(other) == ["succeeded"]


def test_housekeeping_that_the_database_cut_short_is_gone_on_with(sqlite_files: SqliteFiles) -> None:
    url = sqlite_files.new_migrated()
    file = Path(url.removeprefix("sqlite:///"))
    aside = file.with_suffix(".aside")
    cut: list[bool] = []

    def fit(spec: Any, trials: Any, measurements: Any) -> SampleResult:
        if not cut:
            file.rename(aside)
            cut.append(True)
        return fit_sample(spec, trials)

    search = Planner(plan_sample, lambda spec: plan_sample(spec, (), ()))
    store, dying = (Store(create_store_engine(url), fit=one, planner=search) for one in (fit, crashing_fit))
    left_behind(dying)
    with pytest.raises(StoreUnavailableError):
        store.housekeeping.run("w")
    aside.rename(file)
    store.housekeeping.run("w")
    assert states(store) == ["succeeded"]
    for one in (store, dying):
        one.close()


@pytest.mark.parametrize("databases", ["postgres"], indirect=True)  # SQLite has no locks of rows
def test_a_calibration_that_stays_locked_holds_no_other_up(make_store: Callable[..., Store]) -> None:
    dying, keeping = make_store(fit=crashing_fit), make_store()
    locked, _ = (left_behind(dying) for _ in range(2))

    @sa.event.listens_for(keeping.engine, "connect")
    def _wait_less(connection: Any, _record: object) -> None:
        connection.execute("SET lock_timeout = 100")
        connection.commit()

    with Database(dying.engine).write() as frozen:
        lock_calibration(frozen, locked)
        keeping.housekeeping.run("w")
    assert states(dying) == ["succeeded", "running"]


def test_a_look_at_what_is_not_due_writes_nothing(make_store: Callable[..., Store]) -> None:
    store = make_store()
    store.housekeeping.run("a")
    statements: list[str] = []

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def _note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    store.housekeeping.run("b")
    assert [statement.split()[0] for statement in statements if not statement.startswith("BEGIN")] == ["SELECT"]
