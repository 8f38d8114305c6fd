"""The engine on Postgres: how long it waits, what may be tried again, and what an error does not tell."""

import os
import traceback
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from service.store import Store, StoreUnavailableError
from service.store.database.engine import Database, create_store_engine
from service.store.database.tables import calibrations, workers
from service.store.work.rounds import Planner
from testbed.databases import GivenPostgres
from testbed.waiting import until
from tests.store.samples import fit_sample, plan_sample, sample_spec


@pytest.fixture
def engine(postgres: GivenPostgres) -> Iterator[sa.Engine]:
    """An engine of an empty Postgres database."""
    made = create_store_engine(postgres.new_migrated())
    yield made
    made.dispose()


@pytest.mark.parametrize("for_migration", [False, True])
def test_a_silent_host_is_noticed_within_a_lease(postgres: GivenPostgres, for_migration: bool) -> None:
    engine = create_store_engine(postgres.new_migrated(), for_migration=for_migration)
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        given = driver.info.get_parameters()
    engine.dispose()
    seconds = [int(given[f"keepalives_{name}"]) for name in ("idle", "interval", "count")]
    assert given["keepalives"] == "1"
    assert seconds[0] + seconds[1] * seconds[2] <= 30
    assert int(given["tcp_user_timeout"]) <= 30_000


def test_a_server_that_only_reads_may_serve_later_and_its_connections_are_left(engine: sa.Engine) -> None:
    """A standby after a failover: another connection may find the new primary."""
    database = Database(engine)
    pids: list[int] = []

    def write(*, read_only: bool) -> None:
        with database.write() as connection:
            pids.append(connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one())
            if read_only:
                connection.execute(sa.text("SET TRANSACTION READ ONLY"))
            connection.execute(sa.update(workers).values(host="here"))

    with pytest.raises(StoreUnavailableError, match="read-only transaction"):
        write(read_only=True)
    write(read_only=False)
    assert len(set(pids)) == 2


def test_a_transaction_that_was_idle_too_long_may_be_tried_again(engine: sa.Engine) -> None:
    database = Database(engine)
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def is_gone(pid: int) -> bool:
        with psycopg.connect(url) as other:
            return other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() is None

    def write(*, idle: bool) -> None:
        with database.write() as connection:
            pid = connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one()
            if idle:
                connection.execute(sa.text("SET idle_in_transaction_session_timeout = '10ms'"))
                until(lambda: is_gone(pid))
            connection.execute(sa.update(workers).values(host="here"))

    with pytest.raises(StoreUnavailableError, match="idle-in-transaction timeout"):
        write(idle=True)
    write(idle=False)


def test_an_error_tells_neither_the_specification_nor_the_key(engine: sa.Engine) -> None:
    store = Store(engine, fit=fit_sample, planner=Planner(plan_sample, lambda spec: plan_sample(spec, (), ())))
    store.calibrations.create(sample_spec())

    @sa.event.listens_for(engine, "begin")
    def _be_impatient(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")

    key, dataset = f"key-{os.getpid()}", "file:private.txt"
    secret = sample_spec(proxy={**sample_spec()["proxy"], "dataset": dataset})
    with Database(engine).write() as holder:
        # as another request with this key does, which has not committed yet
        values = dict(holder.execute(sa.select(calibrations)).mappings().one())
        holder.execute(sa.insert(calibrations).values(values | {"id": "cal_held", "idempotency_key": key}))
        with pytest.raises(StoreUnavailableError, match="lock timeout") as caught:
            store.calibrations.create(secret, idempotency_key=key)
    told = "".join(traceback.format_exception(caught.value))
    assert "INSERT INTO calibrations" in told
    assert key not in told
    assert dataset not in told
