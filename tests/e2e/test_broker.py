"""The service on many machines, all of it real: API, two worker nodes, Postgres, a broker, and the JAX engine."""

from pathlib import Path

import pytest

from service.doorbell import CeleryDoorbell
from service.settings import load_settings
from service.store import Shard
from testbed.brokers import BrokerServer, GivenBroker
from testbed.cluster import Cluster, stop
from testbed.databases import GivenPostgres, PostgresServer
from testbed.waiting import until

WIDTHS = [8, 16]
RATES = [0.01, 0.03, 0.1, 0.3]
SPEC = {
    "parameterization": "standard",
    "optimizer": "adam",
    "widths": WIDTHS,
    "learning_rates": RATES,
    "seeds": 1,
    "steps": 30,
    "search": "grid",
    "mesh": 1.0,
    "proxy": {"architecture": "mlp", "depth": 1, "batch_size": 32},
}


def announced(shard: Shard) -> bool:
    """Whether a shard's message was noted, or left out because a worker was claiming the shard."""
    return shard.published_at is not None or shard.worker_id is not None


@pytest.mark.timeout(300)  # 35 s on a quiet machine: the engine starts in 4 s for every shard
def test_two_nodes_run_one_calibration_whatever_becomes_of_its_messages(
    postgres: PostgresServer | GivenPostgres, broker: BrokerServer | GivenBroker, tmp_path: Path
) -> None:
    database_url = postgres.new_migrated()
    settings = load_settings(database_url=database_url, redis_url=broker.url)
    with Cluster(tmp_path, database_url, broker.url) as cluster:
        cluster.start_api()
        names = {"one", "two"}
        nodes = [cluster.start_worker(name) for name in sorted(names)]
        until(lambda: {worker.id for worker in cluster.store.workers.all() if worker.device == "cpu"} == names)
        identifier = cluster.client.submit_calibration(SPEC)["id"]
        waiting = [shard.id for shard in cluster.store.calibrations.shards(identifier)]
        until(lambda: all(map(announced, cluster.store.calibrations.shards(identifier))))
        doorbell = CeleryDoorbell(settings)  # on a busy machine the broker may be late, which is left for later
        until(lambda: len(doorbell.ring(waiting * 2)) == 2 * len(waiting))  # every message comes three times
        until(lambda: cluster.store.calibrations.get(identifier).progress.trials_done > 0)
        broker.client().flushdb()  # and what is left of them is lost
        until(lambda: cluster.ended(identifier), 240.0)

        done = cluster.client.calibration(identifier)
        assert done["state"] == "succeeded", done["reason"]
        trials = list(cluster.client.trials(identifier))
        ran = {(trial["width"], trial["learning_rate"], trial["seed"]) for trial in trials}
        assert ran >= {(width, rate, 0) for width in WIDTHS for rate in RATES}
        assert len(ran) == len(trials) == done["progress"]["trials_done"]
        shards = cluster.store.calibrations.shards(identifier)
        assert {shard.worker_id for shard in shards} == names
        assert {shard.attempts for shard in shards} == {1}
        for node in nodes:
            assert stop(node, 15) == 0
        totals = {worker.id: worker.totals for worker in cluster.store.workers.all()}
        assert sum(total["shards"]["succeeded"] for total in totals.values()) == len(shards)
        counted = sum(sum(total["trials"].values()) for total in totals.values())
        assert counted == len(trials) == sum(total["trial_seconds"]["count"] for total in totals.values())
        assert all(name in cluster.log(name) and identifier in cluster.log(name) for name in names)
