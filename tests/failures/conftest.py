"""A cluster on Postgres and a broker, and the calibration that most failures are tried on."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.store import ShardState
from testbed.brokers import BrokerServer, installed_brokers
from testbed.cluster import Cluster
from testbed.databases import GivenPostgres

STEERED_CHILD = str(Path(__file__).with_name("steered_child.py"))
RATES = [0.005, 0.01, 0.02]  # the steered child's losses have their optimum in the middle
WIDTHS = [32, 64]
#: One round: two shards of three trials.
SPEC: dict[str, Any] = {
    "parameterization": "standard",
    "optimizer": "adam",
    "widths": WIDTHS,
    "seeds": 1,
    "steps": 10,
    "learning_rates": RATES,
    "search": "grid",
    "mesh": 1.0,
}

MakeCluster = Callable[..., Cluster]


@dataclass(frozen=True)
class Life:
    """Which child meets the failure: a fresh one, or one that has run a shard of the calibration before."""

    environment: dict[str, str]
    shard: int  #: the index of the shard that meets it

    @property
    def told(self) -> str:
        """What a worker logs if the failing shard's child has this life."""
        return f"child_shards={self.shard + 1}"

    def attempts(self, failing: int) -> list[int]:
        """Return the attempts of the two shards if the one that meets the failure took this many."""
        return [failing if index == self.shard else 1 for index in range(len(WIDTHS))]


LIVES = {
    "fresh child": Life({"WIDTHWISE_CHILD_SHARDS": "1"}, 0),
    "child that lives on": Life({"STEERED_WIDTH": str(min(WIDTHS))}, 1),  # the second shard: the widest comes first
}


@pytest.fixture(params=LIVES)
def life(request: pytest.FixtureRequest, cluster: Cluster) -> Life:
    """Each life of a child in turn, set for the cluster's workers."""
    found = LIVES[request.param]
    cluster.environment.update(found.environment)
    return found


def steered(*behaviour: object) -> tuple[str, ...]:
    """Return the command of a steered child with this behaviour."""
    return (sys.executable, STEERED_CHILD, *map(str, behaviour))


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[BrokerServer]:
    """A broker of the test's own, which it may stop."""
    folder = tmp_path / "broker"
    folder.mkdir()
    with BrokerServer(installed_brokers()["valkey"], folder) as server:
        yield server


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[MakeCluster]:
    """Make clusters; every process of theirs is ended with the test."""
    with ExitStack() as stack:
        made = 0

        def make(database_url: str, redis_url: str | None = None, **options: Any) -> Cluster:
            nonlocal made
            made += 1
            folder = tmp_path / f"cluster-{made}"
            folder.mkdir()
            return stack.enter_context(Cluster(folder, database_url, redis_url, **options))

        yield make


@pytest.fixture
def cluster(make_cluster: MakeCluster, postgres: GivenPostgres, valkey: BrokerServer) -> Cluster:
    """A cluster on Postgres and a broker, with leases that no test waits for."""
    return make_cluster(postgres.new_migrated(), valkey.url)


def assert_whole(cluster: Cluster, identifier: str) -> None:
    """Every shard has succeeded once, and every trial is there once with its one loss."""
    calibration = cluster.store.calibrations.get(identifier)
    assert calibration.state.value == "succeeded", calibration.reason
    assert calibration.progress.shards == {ShardState.SUCCEEDED: len(WIDTHS)}
    rows = cluster.store.trials.page(identifier).items
    found = Counter((row.width, row.learning_rate, row.seed) for row in rows)
    assert found == {(width, rate, 0): 1 for width in WIDTHS for rate in RATES}
    assert {row.loss for row in rows} == {width + offset for width in WIDTHS for offset in (0.0, 1.0)}
    assert_events_whole(cluster, identifier)


def assert_events_whole(cluster: Cluster, identifier: str) -> None:
    """Events are numbered without a gap; each shard went from state to state without a break, and succeeded once."""
    events = cluster.store.calibrations.events(identifier)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    at: dict[str, str] = {}
    for event in events:
        if event.kind == "shard":
            assert at.get(event.data["shard_id"], "queued") == event.data["from"]
            at[event.data["shard_id"]] = event.data["to"]
    for shard in cluster.store.calibrations.shards(identifier):
        assert at.get(shard.id, "queued") == shard.state.value
    told = [event.data for event in events if event.kind == "shard" and event.data["to"] == "succeeded"]
    assert set(Counter(data["shard_id"] for data in told).values()) <= {1}
