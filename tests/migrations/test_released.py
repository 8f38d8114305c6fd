"""From every released schema: each row goes up, down and up again, and the service continues with it."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from service.store import ExponentFilter, ShardState, Store
from service.store.database.engine import create_store_engine
from service.store.database.records import WorkerState
from service.store.database.schema import check_metadata, check_schema, downgrade, head_revision, upgrade
from service.store.database.tables import metadata
from service.store.work.rounds import Planner
from testbed.databases import GivenPostgres, SqliteFiles
from tests.migrations.released import CALIBRATION, NOW, RELEASED, TRIAL, insert
from tests.store.samples import fit_sample, plan_sample, run_all, sample_spec

Databases = SqliteFiles | GivenPostgres


def contents(engine: sa.Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, with columns by name, in a fixed order."""
    found = sa.MetaData()
    found.reflect(engine)
    with engine.begin() as connection:
        return {
            name: sorted((tuple(sorted((key, repr(value)) for key, value in row.items())) for row in rows), key=repr)
            for name, table in found.tables.items()
            for rows in [connection.execute(sa.select(table)).mappings().all()]
        }


@pytest.fixture(params=sorted(RELEASED))
def revision(request: pytest.FixtureRequest) -> str:
    """Each released revision before the newest."""
    found: str = request.param
    return found


def test_every_released_revision_is_here() -> None:
    assert max(RELEASED) == f"{int(head_revision()) - 1:04}"
    tables = {revision: {table for table, _ in rows} for revision, rows in RELEASED.items()}
    assert set(metadata.tables) - tables["0004"] == set()  # 0005, 0006 and 0007 make none
    assert tables["0004"] - tables["0003"] == {"housekeeping", "sweep_runs"}
    assert tables["0003"] - tables["0002"] == {"api_keys", "exponent_families", "sweeps"}
    assert tables["0002"] - tables["0001"] == {"measurements"}


def test_rows_come_back_as_they_were(databases: Databases, revision: str) -> None:
    engine = create_store_engine(databases.new())
    upgrade(engine, revision)
    insert(engine, RELEASED[revision])
    before = contents(engine)
    for _ in range(2):
        upgrade(engine)
        check_schema(engine)
        check_metadata(engine)
        downgrade(engine, revision)
        assert contents(engine) == before
    downgrade(engine, "base")
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_the_service_goes_on_with_them(databases: Databases, revision: str) -> None:
    engine = create_store_engine(databases.new())
    upgrade(engine, revision)
    insert(engine, RELEASED[revision])
    upgrade(engine)
    store = Store(engine)
    done = store.calibrations.get("cal_done")
    assert (done.state, done.owner, done.result, done.progress.trials_done) == ("succeeded", "", {"trials": 1}, 2)
    assert [row.loss for row in store.trials.page("cal_done").items] == [2.5, 2.5]
    assert len(store.calibrations.events("cal_done")) == 1
    assert {row.id for row in store.exponents.page().items} == {"exp_hidden", "exp_readout", "exp_other"}
    (other,) = store.exponents.page(ExponentFilter(dataset="café")).items
    assert (other.id, other.optimizer, other.parameterization, other.architecture) == (
        "exp_other",
        "sgd",
        "mup",
        "mlp",
    )
    assert len(store.exponents.page(ExponentFilter(optimizer="adam", dataset="python_docs")).items) == 2
    assert store.of("ada").calibrations.page().items == ()  # administrators alone see what had no owner
    queued, held = store.calibrations.shards("cal_open")
    assert (queued.state, queued.queued_at, queued.published_at) == (
        ShardState.QUEUED,
        NOW + timedelta(hours=1),  # since it was made, for all that is known
        None,
    )
    assert held.state is ShardState.RUNNING
    (worker,) = store.workers.all()
    assert (worker.state, worker.totals, worker.started_at, worker.shard_id) == (
        WorkerState.STALE,
        {},
        None,
        "shd_held",
    )
    claim = store.work.claim("new")
    assert claim is not None
    assert (claim.shard_id, claim.request_id) == ("shd_open", None)
    retried = store.calibrations.retry("cal_bad")
    assert retried.state == "running"
    assert store.calibrations.shards("cal_bad")[0].state is ShardState.QUEUED
    # a table of another kind had their name before 0004
    sweeps = store.sweeps.page().items
    assert [sweep.name for sweep in sweeps] == (["mine"] if revision >= "0004" else [])
    unused = {"dropout": 0.1} if revision >= "0006" else {}
    assert [run.unused for sweep in sweeps for run in store.sweeps.runs(sweep.id).items] == [unused for _ in sweeps]
    assert (done.name, done.note) == (None, None)  # since 0007
    assert store.calibrations.label("cal_done", {"name": "old"}).name == "old"
    if revision != "0001":
        more = store.calibrations.get("cal_more")
        assert (more.extends, more.rounds, more.progress.trials_done) == ("cal_done", 3, 1)
        (row,) = store.trials.page("cal_more").items
        assert (row.role, row.gamma, row.horizon) == ("hidden", 2.0, 5)
        assert len(store.measurements.page("cal_more").items) == 1
    engine.dispose()


def test_going_back_drops_what_0001_has_no_place_for(databases: Databases) -> None:
    engine = create_store_engine(databases.new())
    upgrade(engine)
    trial = {**TRIAL, "calibration_id": "cal_1"}
    more: list[dict[str, Any]] = [{"role": "hidden"}, {"role": "hidden", "gamma": 2.0}, {"horizon": 9}]
    rows = [("trials", {**trial, "id": f"tri_{number}", **values}) for number, values in enumerate(more, start=2)]
    calibration = {**CALIBRATION, "id": "cal_1", "state": "running"}
    insert(engine, [("calibrations", calibration), ("trials", {**trial, "id": "tri_1"}), *rows])
    downgrade(engine, "0001")
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT id FROM trials")).scalars().all() == ["tri_1"]
    engine.dispose()


def test_going_back_copies_what_extensions_share(databases: Databases) -> None:
    """0004 knows no shared rows: each extension gets those that it has, however it came to share them."""
    engine = create_store_engine(databases.new())
    upgrade(engine)
    one = {**CALIBRATION, "state": "succeeded"}
    chain = [
        ("calibrations", {**one, "id": "cal_1"}),
        ("calibrations", {**one, "id": "cal_3", "shares": "cal_1", "created_at": NOW + timedelta(hours=1)}),
        ("calibrations", {**one, "id": "cal_2", "shares": "cal_3", "created_at": NOW + timedelta(hours=2)}),
        ("trials", {**TRIAL, "id": "tri_1", "calibration_id": "cal_1"}),
        ("trials", {**TRIAL, "id": "tri_2", "calibration_id": "cal_1", "seed": 1, "status": "failed", "loss": None}),
        ("trials", {**TRIAL, "id": "tri_3", "calibration_id": "cal_1", "seed": 2}),
        ("trials", {**TRIAL, "id": "tri_4", "calibration_id": "cal_3", "seed": 2, "loss": 9.0}),  # stands for tri_3
    ]
    measured = {"created_at": NOW, "width": 32, "seed": 0, "kind": "gradients", "data": {"hidden": 1.0}}
    insert(engine, [*chain, ("measurements", {**measured, "id": "mea_1", "calibration_id": "cal_1"})])
    store = Store(engine)
    before = {name: [row.to_dict() for row in store.trials.page(name).items] for name in ("cal_1", "cal_2", "cal_3")}
    downgrade(engine, "0004")
    upgrade(engine)
    for name, rows in before.items():
        after = store.trials.page(name).items
        assert sorted(map(repr, rows)) == sorted(repr(row.to_dict()) for row in after)
        assert store.calibrations.get(name).progress.trials_done == len(after)
        assert len(store.measurements.page(name).items) == 1
    assert [len(rows) for rows in before.values()] == [3, 2, 2]
    engine.dispose()


def test_of_equal_keys_of_two_owners_the_oldest_row_keeps_it(databases: Databases) -> None:
    """0002 knows no owners: a key that two used can be one calibration's alone."""
    engine = create_store_engine(databases.new())
    upgrade(engine)
    same = {**CALIBRATION, "state": "queued", "idempotency_key": "k"}
    insert(
        engine,
        [
            ("calibrations", {**same, "id": "cal_b", "owner": "ada"}),
            ("calibrations", {**same, "id": "cal_a", "owner": "ben"}),  # of one instant: the first by its id
            ("calibrations", {**same, "id": "cal_new", "owner": "cleo", "created_at": NOW.replace(year=2027)}),
            ("calibrations", {**same, "id": "cal_own", "owner": "ada", "idempotency_key": "l"}),
            ("calibrations", {**same, "id": "cal_none", "owner": "ada", "idempotency_key": None}),
        ],
    )
    downgrade(engine, "0002")
    with engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT id, idempotency_key FROM calibrations"))
        kept = {row.id: row.idempotency_key for row in rows}
    assert kept == {"cal_a": "k", "cal_b": None, "cal_new": None, "cal_own": "l", "cal_none": None}
    engine.dispose()


def test_a_new_calibration_of_an_old_family_joins_it(databases: Databases) -> None:
    engine = create_store_engine(databases.new())
    upgrade(engine, "0002")
    insert(engine, RELEASED["0002"])
    upgrade(engine)
    store = Store(engine, fit=fit_sample, planner=Planner(plan_sample, lambda spec: plan_sample(spec, (), ())))
    for _ in range(2):
        store.of("ada").calibrations.create(sample_spec(parameterization="mup"))
        run_all(store, "w2")
    with engine.begin() as connection:
        families = connection.execute(sa.text("SELECT count(*) FROM exponent_families")).scalar_one()
    assert families == 2
    assert len(store.of("ada").exponents.page(ExponentFilter(parameterization="mup")).items) == 4
    engine.dispose()
