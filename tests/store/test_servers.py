"""The tests' own servers: a Postgres that is stopped, crashed and restarted keeps its URL and every commit."""

import psycopg
import pytest
import sqlalchemy as sa

from service.store import Store, StoreUnavailableError
from service.store.database.engine import create_store_engine
from testbed.databases import GivenPostgres, PostgresServer
from tests.store.samples import sample_spec


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_what_was_committed_survives_a_restart(own_postgres: PostgresServer, mode: str) -> None:
    store = Store(create_store_engine(own_postgres.new_migrated()))
    identifier = store.calibrations.create(sample_spec()).calibration.id
    own_postgres.restart(mode)
    assert store.calibrations.get(identifier).id == identifier  # by the same pool, whose connections are dead
    own_postgres.stop(mode)
    with pytest.raises(StoreUnavailableError):
        store.calibrations.get(identifier)
    own_postgres.start()
    assert store.calibrations.get(identifier).id == identifier
    store.close()


def test_a_given_server_is_left_as_it_was(own_postgres: PostgresServer) -> None:
    url = own_postgres.new()
    given = GivenPostgres(url)
    made = [given.new(), given.new_migrated()]

    def names() -> set[str]:
        plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain) as connection:
            return {row[0] for row in connection.execute("SELECT datname FROM pg_database")}

    assert {sa.make_url(one).database for one in made} <= names()
    before = names()
    with psycopg.connect(made[0].replace("+psycopg", "")):  # somebody is still connected
        given.drop()
    assert before - names() == {sa.make_url(one).database for one in made}
