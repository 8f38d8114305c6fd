"""Failures of the embedded database under many writers, and of schemas on their way up and down."""

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

import migrations
from service.store import ShardState, Store, open_store
from service.store.database.engine import create_store_engine
from service.store.database.schema import check_metadata, check_schema, current_revision, downgrade, upgrade
from service.store.work.rounds import Planner
from testbed.databases import GivenPostgres, SqliteFiles
from tests.migrations.released import CALIBRATION, insert
from tests.store.samples import fit_sample, plan_sample, run_claim, sample_spec

WRITERS = 8
CALIBRATIONS = 6  # of each writer, with two shards of three trials each: some 1,000 transactions that write in all


def _revisions() -> list[str]:
    """Every revision that was ever released, and the newest."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__ or "").parent))
    config.set_main_option("path_separator", "os")
    return sorted(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())


def write(url: str, name: str) -> int:
    """Be one writer, in a separate process: submit, then claim and run until nothing is left."""
    search = Planner(plan_sample, lambda spec: plan_sample(spec, (), ()))  # one round, and nothing else to do but write
    store = Store(create_store_engine(url), fit=fit_sample, planner=search, lease=timedelta(seconds=600))
    ran = 0
    try:
        for number in range(CALIBRATIONS):
            spec = sample_spec(widths=[32, 64], seeds=1, learning_rates=[0.001, 0.01, 0.1])
            store.calibrations.create(spec, idempotency_key=f"{name}-{number}")
            store.workers.report(name, host="test")
        while (claim := store.work.claim(name)) is not None:
            run_claim(store, claim)
            ran += 1
    finally:
        store.close()
    return ran


@pytest.mark.failure(16)
def test_16_eight_writers_of_one_sqlite_file_meet_no_lock(sqlite_files: SqliteFiles) -> None:
    """A lock that is met is a StoreUnavailableError, which ends a writer here and so the test."""
    url = sqlite_files.new_migrated()
    spawn = multiprocessing.get_context("spawn")  # an engine is never carried into another process
    with ProcessPoolExecutor(WRITERS, mp_context=spawn) as pool:
        ran = list(pool.map(write, [url] * WRITERS, [f"writer-{number}" for number in range(WRITERS)]))
    assert sum(ran) == WRITERS * CALIBRATIONS * 2
    store = open_store(url)
    page = store.calibrations.page(limit=500)
    assert len(page.items) == WRITERS * CALIBRATIONS
    for calibration in page.items:
        assert calibration.finished_at is not None
        assert calibration.progress.shards == {ShardState.SUCCEEDED: 2}
        assert [shard.epoch for shard in store.calibrations.shards(calibration.id)] == [1, 1]
        rows = store.trials.page(calibration.id).items
        assert set(Counter((row.width, row.learning_rate) for row in rows).values()) == {1}
        assert len(rows) == 6
    store.close()


@pytest.mark.failure(17)
@pytest.mark.parametrize("revision", ["base", *_revisions()])
def test_17_every_schema_goes_up_down_and_up(databases: SqliteFiles | GivenPostgres, revision: str) -> None:
    """From an empty database, and from each released schema with a calibration in it that must come through."""
    engine = create_store_engine(databases.new())
    if revision != "base":
        upgrade(engine, revision)
        insert(engine, [("calibrations", {**CALIBRATION, "id": "cal_1", "state": "running"})])
    upgrade(engine)
    check_schema(engine)
    check_metadata(engine)
    if revision != "base":
        store = open_store(engine.url.render_as_string(hide_password=False))
        assert store.calibrations.get("cal_1").stored_spec == CALIBRATION["spec"]
        store.close()
    downgrade(engine, revision)
    assert current_revision(engine) == (None if revision == "base" else revision)
    upgrade(engine)
    check_schema(engine)
    check_metadata(engine)
    downgrade(engine, "base")
    assert current_revision(engine) is None
    upgrade(engine)
    check_schema(engine)
    engine.dispose()
