"""docs/operations.md, sizing: a worker has as many connections to Postgres as the section counts."""

import re
import sys
from pathlib import Path

import psycopg
import sqlalchemy as sa

from testbed.brokers import BrokerServer, GivenBroker
from testbed.cluster import Cluster
from testbed.databases import GivenPostgres, PostgresServer
from testbed.waiting import until
from tests.deploy.operations import TEXT
from tests.store.samples import sample_spec

CHILD = (sys.executable, str(Path(__file__).parents[1] / "failures" / "steered_child.py"), "run")
LEASE_SECONDS = 6.0  # so that leases are extended, and workers report, every second


def test_connections_of_a_worker(
    postgres: PostgresServer | GivenPostgres, broker: BrokerServer | GivenBroker, tmp_path: Path
) -> None:
    counted = re.search(r"A worker opens\s+(\d),", TEXT)
    assert counted is not None
    database_url = postgres.new_migrated()
    plain = sa.make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with (
        Cluster(tmp_path, database_url, broker.url, lease_seconds=LEASE_SECONDS) as cluster,
        psycopg.connect(plain, autocommit=True) as connection,
    ):
        identifier = cluster.store.calibrations.create(sample_spec()).calibration.id
        most = 0

        def ended() -> bool:
            nonlocal most
            found = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'one'")
            most = max(most, found.fetchall()[0][0])
            return cluster.ended(identifier)

        cluster.start_worker("one", *CHILD, PGAPPNAME="one")
        until(ended)
    assert 1 <= most <= int(counted[1])  # they are kept once opened, so that none is overlooked
