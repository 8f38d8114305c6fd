"""Disturbances of a soak: processes killed and frozen, servers restarted, messages doubled and dropped, at random."""

import random
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import redis

from service.broker import QUEUE
from service.doorbell import CeleryDoorbell
from service.settings import load_settings
from service.store import StoreUnavailableError
from testbed.brokers import BrokerServer
from testbed.cluster import Cluster, Process, stop
from testbed.databases import PostgresServer

#: Mean seconds between two disturbances of a kind in a run of five minutes (chosen: a kill every four seconds leaves
#: time to work in between, and every kind comes several times); a shorter run has them closer together.
MEAN_SECONDS = {
    "worker killed": 4.0,
    "worker frozen": 30.0,
    "API killed": 60.0,
    "Redis restarted": 20.0,
    "Redis killed": 40.0,
    "Redis flushed": 60.0,
    "Postgres restarted": 30.0,
    "Postgres crashed": 60.0,
    "message doubled": 0.5,
    "message dropped": 0.5,
}
FULL_SECONDS = 300.0  # the run that these belong to
CLOSEST_SECONDS = 15.0  # in a short run, between two of a kind: what is always down tries nothing (chosen)
AGAIN_SECONDS = 0.5  # before a dead worker is replaced (chosen)
JOIN_SECONDS = 120.0  # for a restart that is under way when the soak ends


@dataclass
class Crew:
    """The workers of a cluster: always as many, each under a different name, so that a lease has to run out."""

    cluster: Cluster
    child: Sequence[str]
    size: int
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    members: dict[str, Process] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)  #: workers that ended by themselves
    started: int = 0

    def start(self) -> None:
        """Start one more worker."""
        name = f"node-{self.started}"
        self.started += 1
        self.members[name] = self.cluster.start_worker(name, *self.child)

    def keep(self) -> None:
        """Replace those that died, until told to stop."""
        while not self.stopping.is_set():
            with self.lock:
                for name, process in list(self.members.items()):
                    if process.poll() is not None:
                        if name not in self.killed:
                            self.faults.append(f"{name} ended by itself with status {process.returncode}")
                        del self.members[name]
                while len(self.members) < self.size:
                    self.start()
            self.stopping.wait(AGAIN_SECONDS)

    def kill(self, chance: random.Random) -> bool:
        """End one at once; say whether one was at work."""
        with self.lock:
            name = self._at_work(chance)
            if name is not None:
                self.killed.add(name)
                stop(self.members[name])
        return name is not None

    def freeze(self, chance: random.Random) -> bool:
        """Let one stand still until its lease is long over, then let it continue; return whether one was at work."""
        with self.lock:
            name = self._at_work(chance)
            if name is None:
                return False
            process = self.members[name]
            process.send_signal(signal.SIGSTOP)
        self.stopping.wait(1.5 * self.cluster.lease_seconds)
        process.send_signal(signal.SIGCONT)
        return True

    def _at_work(self, chance: random.Random) -> str | None:
        """Choose one that has begun a shard: one that only starts tries nothing."""
        begun = sorted(name for name in self.members if "shard_started" in self.cluster.log(name))
        return chance.choice(begun) if begun else None


class Disturbances:
    """One thread for each kind; a context manager that has put everything back when it ends."""

    def __init__(
        self, cluster: Cluster, crew: Crew, postgres: PostgresServer, broker: BrokerServer, *, seed: int, seconds: float
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._cluster, self._crew, self._postgres, self._broker = cluster, crew, postgres, broker
        self._doorbell = CeleryDoorbell(load_settings(redis_url=broker.url))
        self._stop = threading.Event()
        self._database_lock, self._broker_lock, self._api_lock = threading.Lock(), threading.Lock(), threading.Lock()
        acts: dict[str, Callable[[random.Random], object]] = {
            "worker killed": crew.kill,
            "worker frozen": crew.freeze,
            "API killed": lambda _: self._restart_api(),
            "Redis restarted": lambda _: self._restart_broker(signal.SIGTERM),
            "Redis killed": lambda _: self._restart_broker(signal.SIGKILL),
            "Redis flushed": lambda _: self._broker.client().flushall(),
            "Postgres restarted": lambda _: self._restart_database("fast"),
            "Postgres crashed": lambda _: self._restart_database("immediate"),
            "message doubled": self._double,
            "message dropped": self._drop,
        }
        share = min(1.0, seconds / FULL_SECONDS)
        self._threads = [
            threading.Thread(
                target=self._disturb,
                args=(
                    kind,
                    act,
                    max(MEAN_SECONDS[kind] * share, min(CLOSEST_SECONDS, MEAN_SECONDS[kind])),
                    f"{seed} {kind}",
                ),
                name=kind,
            )
            for kind, act in acts.items()
        ]

    def __enter__(self) -> "Disturbances":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)

    def _disturb(self, kind: str, act: Callable[[random.Random], object], mean: float, seed: str) -> None:
        chance = random.Random(seed)  # noqa: S311  # the same times and choices for the same seed
        while not self._stop.wait(chance.expovariate(1.0 / mean)):
            try:
                if act(chance) is not False:
                    self.counts[kind] += 1
            except redis.RedisError:
                continue  # it is down just now
            except Exception:  # noqa: BLE001  # a server that does not come back is what the soak is to find
                self.faults.append(f"{kind}: {traceback.format_exc(limit=3)}")
                return

    def _restart_api(self) -> None:
        with self._api_lock:
            self._cluster.restart_api()

    def _restart_broker(self, number: int) -> None:
        with self._broker_lock:
            self._broker.stop(number)
            time.sleep(1.0)  # so that somebody notices
            self._broker.start()

    def _restart_database(self, mode: str) -> None:
        with self._database_lock:
            self._postgres.stop(mode)
            time.sleep(1.0)
            self._postgres.start()

    def _double(self, chance: random.Random) -> bool:
        """Send a message a second time: one that waits, or another for a shard that may have ended long ago."""
        broker = self._broker.client()
        waiting = broker.lrange(QUEUE, 0, -1)
        if waiting and chance.random() < 0.5:
            return bool(broker.lpush(QUEUE, chance.choice(waiting)))
        try:
            newest = self._cluster.store.calibrations.page(limit=50).items
            shards = self._cluster.store.calibrations.shards(chance.choice(newest).id) if newest else ()
        except StoreUnavailableError:
            return False
        return bool(shards) and bool(self._doorbell.ring([chance.choice(shards).id]))

    def _drop(self, chance: random.Random) -> bool:
        """Lose a message that waits."""
        broker = self._broker.client()
        return (broker.lpop(QUEUE) if chance.random() < 0.5 else broker.rpop(QUEUE)) is not None
