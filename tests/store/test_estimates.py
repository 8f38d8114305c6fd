"""Estimates of time: from shards that ran through, found without looking at every row, while nobody waits to write."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from service.store import Store
from service.store.database.engine import Database, create_store_engine
from service.store.database.tables import calibrations, shards
from service.store.work.progress import LOOKED_AT
from tests.store.samples import claimed, pass_time, plan_sample, run_all, run_claim, sample_spec
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial

TRANSFORMER = sample_spec(proxy={**sample_spec()["proxy"], "architecture": "transformer"})


def seconds(store: Store, spec: dict[str, Any]) -> float | None:
    """What is expected of a new calibration."""
    expected = store.calibrations.create(spec).calibration.expected
    assert expected is not None
    found: float | None = expected["seconds"]
    return found


def test_a_shard_that_waited_again_tells_nothing_of_how_long_one_takes(store: Store, url: str) -> None:
    store.calibrations.create(sample_spec())
    store.work.release(claimed(store))
    pass_time(url, shards.c.started_at, 2 * 86400.0)  # its worker was stopped on Friday; on Sunday it continues
    run_all(store)
    found = seconds(store, sample_spec())
    assert found is not None
    assert found < 600


def test_nor_of_the_time_left(store: Store, url: str) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    store.work.release(claimed(store))
    pass_time(url, shards.c.started_at, 2 * 86400.0)
    run_claim(store, claimed(store))
    left = store.calibrations.get(identifier).progress.seconds_left
    assert left is not None
    assert left < 600


def test_a_specification_that_is_submitted_again_is_not_outlined_again(make_store: Callable[..., Store]) -> None:
    """The outline is most of what a submission costs."""
    planned: list[CalibrationSpec] = []

    def plan(spec: CalibrationSpec, trials: Sequence[Trial], measurements: Sequence[Measurement]) -> list[ShardSpec]:
        planned.append(spec)
        return plan_sample(spec, trials, measurements)

    store = make_store(plan=plan)
    made = [store.calibrations.create(sample_spec()).calibration for _ in range(5)]
    assert len(planned) == 2  # the first round, and the outline
    assert len({calibration.id for calibration in made}) == 5
    assert all(calibration.stored_spec == made[0].stored_spec for calibration in made)
    store.calibrations.create(sample_spec(seeds=5))
    assert len(planned) == 4


def test_only_the_newest_rows_are_looked_at(store: Store, url: str) -> None:
    store.calibrations.create(sample_spec())
    run_all(store)
    store.calibrations.create(TRANSFORMER)
    engine = create_store_engine(url)
    with Database(engine).write() as connection:
        newest = sa.select(calibrations).order_by(calibrations.c.created_at.desc(), calibrations.c.id.desc())
        row = dict(connection.execute(newest.limit(1)).mappings().one())
        more = [{**row, "id": f"cal_{number}"} for number in range(LOOKED_AT - 2)]  # with the two that are there
        connection.execute(sa.insert(calibrations), more)
    engine.dispose()
    assert seconds(store, sample_spec()) is not None  # it is the last of those
    assert seconds(store, sample_spec()) is None


def test_nobody_waits_to_write_meanwhile(make_store: Callable[..., Store]) -> None:
    store = make_store()
    parent = store.calibrations.create(sample_spec()).calibration.id
    run_all(store)
    writing: list[str] = []

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def _note(connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if connection.get_execution_options().get("widthwise_write"):
            writing.append(statement)

    store.calibrations.create(sample_spec(), idempotency_key="k")
    store.calibrations.extend(parent, sample_spec(seeds=3))
    assert any("INSERT INTO calibrations" in statement for statement in writing)
    assert [statement for statement in writing if "FROM workers" in statement or "sum(" in statement] == []
