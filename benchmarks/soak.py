"""A soak: many calibrations on Postgres, Redis and three worker nodes while everything is killed and restarted.

    python -m benchmarks.soak [--calibrations 200] [--seconds 300] [--workers 3] [--real 4] [--seed 0] [--dry]

The same specifications run twice: once undisturbed, and once while workers, the API process, Redis and Postgres are
killed, frozen and restarted and messages are doubled and dropped, at random. Then every calibration must have ended, no
trial may be missing or doubled, and every result must equal the undisturbed run's. Exits with 1 where one does not.
"""

import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.record import arguments, write_result
from benchmarks.soak_checks import Snapshot, snapshot, violations
from benchmarks.soak_child import REAL_STEPS
from benchmarks.soak_disturbances import Crew, Disturbances
from service.store import StoreUnavailableError
from testbed.brokers import BrokerServer, installed_brokers
from testbed.cluster import Cluster
from testbed.databases import PostgresServer, own_postgres_server
from widthwise.errors import ServiceError

LEASE_SECONDS = 5.0  # instead of 60 s, so that a dead worker's shards come back within the soak
TRIAL_SECONDS = 0.08  # of the made-up trials: a shard then takes about half a second (chosen)
SUBMITTED_BY = 0.85  # of the run's time everything is submitted, evenly (chosen)
RECOVERY_SECONDS = 180.0  # after the last disturbance; then what has not ended counts as lost (chosen)
POLL_SECONDS = 1.0
ASKED_TWICE = 0.2  # of the submissions, although the first was answered (chosen)
RATES = [2.0**power for power in range(-9, -4)]
SETTINGS = {"WIDTHWISE_LOG_REQUESTS": "false", "WIDTHWISE_REQUESTS_PER_MINUTE": "0"}


@dataclass
class Run:
    """What one run of all calibrations gave."""

    identifiers: list[str]
    snapshots: list[Snapshot]
    seconds: float
    recovery_seconds: float = 0.0
    tries: int = 0  #: requests that submitted, answered or not
    replayed: int = 0  #: answers that an Idempotency-Key gave a second time
    retried: int = 0  #: calibrations that had used up their attempts and were retried over HTTP
    totals: Counter[str] = field(default_factory=Counter)
    workers: int = 0
    disturbances: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def specifications(count: int, real: int) -> list[dict[str, Any]]:
    """Return calibrations of every kind that the search knows: grid and telescope, one round and several."""
    found = []
    for number in range(count):
        spec: dict[str, Any] = {
            "parameterization": ("standard", "mup", "ntk")[number % 3],
            "optimizer": ("adam", "sgd")[number % 2],
            "widths": [16, 32, 64],
            "seeds": 1 + number % 2,
            "steps": 10 + number,
            "search": ("grid", "telescope")[number // 2 % 2],
            **({"mesh": 1.0} if number // 4 % 2 else {}),
            "learning_rates": RATES,
        }
        if number % max(1, count // max(real, 1)) == 0 and number // max(1, count // max(real, 1)) < real:
            proxy = {"architecture": "mlp", "depth": 1, "batch_size": 8}
            spec |= {"widths": [8, 16], "steps": REAL_STEPS, "seeds": 1, "search": "grid", "mesh": 1.0, "proxy": proxy}
        found.append(spec)
    return found


def insist(act: Callable[[], Any]) -> Any:
    """Ask until the service answers; raises what it refuses for a reason of ours, or for longer than a recovery."""
    give_up = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            return act()
        except ServiceError as error:
            ours = error.status is not None and error.status < 500 and error.status != 429
            if ours or time.monotonic() > give_up:
                raise
            time.sleep(error.retry_after_seconds or 0.2)


def submit(cluster: Cluster, run: Run, specs: Sequence[dict[str, Any]], seconds: float, seed: int) -> None:
    """Submit everything over HTTP, evenly in time, each under a key, some twice."""
    chance = random.Random(f"{seed} submit")  # noqa: S311  # the same for the same seed
    began = time.monotonic()

    for number, spec in enumerate(specs):
        time.sleep(max(0.0, began + seconds * number / len(specs) - time.monotonic()))

        def post(spec: dict[str, Any] = spec, key: str = f"soak-{number}") -> str:
            run.tries += 1
            return str(cluster.client.submit_calibration(spec, idempotency_key=key)["id"])

        identifier = insist(post)
        run.identifiers.append(identifier)
        if chance.random() < ASKED_TWICE:
            again = insist(post)
            run.replayed += 1
            if again != identifier:
                run.faults.append(f"one key gave two calibrations, {identifier} and {again}")


def unfinished(cluster: Cluster, run: Run) -> int:
    """Count what has not ended, by the API; what failed since its workers died is retried as a user would."""

    def look() -> list[dict[str, Any]]:
        return [
            dict(one) for state in ("queued", "running", "failed") for one in cluster.client.calibrations(state=state)
        ]

    found = insist(look)
    for one in found:
        if one["state"] == "failed" and "stopped reporting" in (one["reason"] or ""):
            insist(partial(cluster.client.retry, one["id"]))
            run.retried += 1
    return sum(one["state"] != "failed" or "stopped reporting" in (one["reason"] or "") for one in found)


def read(run: Run, cluster: Cluster) -> None:
    """Read everything that is stored at the end."""
    run.snapshots = [snapshot(cluster.store, identifier) for identifier in run.identifiers]
    workers = cluster.store.workers.all()
    run.workers = len(workers)
    for worker in workers:  # of a killed one what it last reported
        run.totals["lease losses"] += worker.totals.get("lease_losses", 0)
        run.totals["messages sent again"] += worker.totals.get("republished", 0)


@contextmanager
def _cluster(postgres: PostgresServer, broker: BrokerServer, folder: Path, name: str) -> Iterator[Cluster]:
    (folder / name).mkdir()
    url = postgres.new_migrated() if name == "undisturbed" else _another(postgres)
    with Cluster(folder / name, url, broker.url, lease_seconds=LEASE_SECONDS) as cluster:
        cluster.environment.update(SETTINGS)
        cluster.start_api()
        yield cluster


def _another(postgres: PostgresServer) -> str:
    from service.store import upgrade

    url = postgres.new()
    upgrade(url)
    return url


def _finish(cluster: Cluster, run: Run, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while left := unfinished(cluster, run):
        if time.monotonic() > give_up:
            run.faults.append(f"{left} calibrations had not ended {seconds:g} s after the last disturbance")
            return
        time.sleep(POLL_SECONDS)


def undisturbed(cluster: Cluster, specs: Sequence[dict[str, Any]], workers: int, patience: float) -> Run:
    """Run everything as fast as it goes."""
    run, began = Run([], [], 0.0), time.monotonic()
    crew = Crew(cluster, _child(0.0), workers)
    keeper = threading.Thread(target=crew.keep)
    keeper.start()
    try:
        submit(cluster, run, specs, 0.0, 0)
        _finish(cluster, run, patience)
    finally:
        crew.stopping.set()
        keeper.join()
    run.faults += crew.faults
    run.seconds = time.monotonic() - began
    read(run, cluster)
    return run


def disturbed(
    cluster: Cluster,
    specs: Sequence[dict[str, Any]],
    servers: tuple[PostgresServer, BrokerServer],
    *,
    workers: int,
    seconds: float,
    seed: int,
) -> Run:
    """Run everything while it is disturbed for so many seconds, then wait for what is left."""
    run, began = Run([], [], 0.0), time.monotonic()
    crew = Crew(cluster, _child(TRIAL_SECONDS), workers)
    keeper = threading.Thread(target=crew.keep)
    keeper.start()
    try:
        with Disturbances(cluster, crew, *servers, seed=seed, seconds=seconds) as disturbances:
            submit(cluster, run, specs, SUBMITTED_BY * seconds, seed)
            while time.monotonic() < began + seconds:
                unfinished(cluster, run)  # and retry what failed
                time.sleep(POLL_SECONDS)
        recovering = time.monotonic()
        _finish(cluster, run, RECOVERY_SECONDS)
        run.recovery_seconds = time.monotonic() - recovering
    finally:
        crew.stopping.set()
        keeper.join()
    run.disturbances, run.faults = disturbances.counts, run.faults + disturbances.faults + crew.faults
    run.seconds = time.monotonic() - began
    try:
        read(run, cluster)
    except StoreUnavailableError as error:
        run.faults.append(f"the database is away at the end: {error}")
    return run


def _child(seconds: float) -> tuple[str, ...]:
    return (sys.executable, str(Path(__file__).with_name("soak_child.py")), str(seconds))


@dataclass(frozen=True)
class Soak:
    """Both runs, and everything that is wrong."""

    undisturbed: Run
    disturbed: Run
    violations: list[str]


def soak(*, calibrations: int, seconds: float, workers: int = 3, real: int = 0, seed: int = 0) -> Soak:
    """Run a soak on its own servers; none of its processes is left when this returns, whatever happens."""
    specs = specifications(calibrations, real)
    with tempfile.TemporaryDirectory(prefix="widthwise-soak-") as name, own_postgres_server() as postgres:
        folder = Path(name)
        with BrokerServer(installed_brokers()["valkey"], folder) as broker:
            with _cluster(postgres, broker, folder, "undisturbed") as cluster:
                calm = undisturbed(cluster, specs, workers, seconds + RECOVERY_SECONDS)
            broker.client().flushall()
            with _cluster(postgres, broker, folder, "disturbed") as cluster:
                wild = disturbed(cluster, specs, (postgres, broker), workers=workers, seconds=seconds, seed=seed)
    found = [*calm.faults, *wild.faults]
    if len(set(wild.identifiers)) != calibrations:
        found.append(f"{len(set(wild.identifiers))} calibrations were made of {calibrations} specifications")
    for number, (one, other) in enumerate(zip(wild.snapshots, calm.snapshots, strict=False)):
        found += violations(f"calibration {number}", one, other, LEASE_SECONDS)
    return Soak(calm, wild, found)


def report(done: Soak, *, workers: int, seconds: float, seed: int) -> tuple[list[str], dict[str, Any]]:
    """Return the page's lines and its data."""
    wild, calm = done.disturbed, done.undisturbed
    shards = [shard for one in wild.snapshots for shard in one.shards]
    attempts = Counter(shard.attempts for shard in shards)
    epochs = Counter(shard.epoch for shard in shards)
    trials = sum(len(one.trials) for one in wild.snapshots)
    events = sum(len(one.events) for one in wild.snapshots)
    states = Counter(one.calibration.state.value for one in wild.snapshots)
    data = {
        "seed": seed,
        "disturbed_seconds": seconds,
        "recovery_seconds": round(wild.recovery_seconds, 1),
        "undisturbed_seconds": round(calm.seconds, 1),
        "calibrations": dict(states),
        "shards": len(shards),
        "trials": trials,
        "events": events,
        "disturbances": dict(sorted(wild.disturbances.items())),
        "worker_processes": wild.workers,
        "attempts": {str(key): attempts[key] for key in sorted(attempts)},
        "claims": {str(key): epochs[key] for key in sorted(epochs)},
        "lease_losses": wild.totals["lease losses"],
        "republished": wild.totals["messages sent again"],
        "submissions": {"tries": wild.tries, "replayed": wild.replayed},
        "retried": wild.retried,
        "violations": done.violations,
    }
    lines = [
        f"{len(wild.snapshots)} calibrations ({len(shards)} shards, {trials} trials) on Postgres, a broker of Redis's "
        f"protocol, one API process and {workers} worker nodes with leases of {LEASE_SECONDS:g} s, disturbed for "
        f"{seconds:g} s at random (seed {seed}); all had ended {wild.recovery_seconds:.0f} s later. The same "
        f"specifications ran undisturbed before ({calm.seconds:.0f} s, trials without their pauses).",
        "",
        f"**Violations: {len(done.violations)}.** Checked of every calibration: its state, every trial (width, "
        "learning rate, seed, status, loss), its result and its exponents are the undisturbed run's, to the last bit; "
        "no trial is missing or doubled; its events are numbered without gaps and tell every transition once; every "
        "shard succeeded once; each claim is told; none was made while the lease before it can't have ended; one key "
        "made one calibration.",
        "",
        "| disturbance | times |",
        "|---|---|",
        *(f"| {kind} | {count} |" for kind, count in sorted(wild.disturbances.items())),
        "",
        "| what the table of work and the workers say | |",
        "|---|---|",
        f"| worker processes that reported | {wild.workers} |",
        *(f"| shards that took {key} attempt{'s' * (key != 1)} | {attempts[key]} |" for key in sorted(attempts)),
        *(f"| shards claimed {key} time{'s' * (key != 1)} | {epochs[key]} |" for key in sorted(epochs)),
        f"| writes refused since the lease was lost | {wild.totals['lease losses']} |",
        f"| messages sent again by the sweeper | {wild.totals['messages sent again']} |",
        f"| requests to submit | {wild.tries}, of which {wild.replayed} repeated one that had been answered |",
        f"| calibrations out of attempts and retried over HTTP | {wild.retried} |",
        f"| events | {events} |",
        "",
        "Workers that were killed are counted up to their last report.",
        *(["", "Violations:", "", *(f"- {one}" for one in done.violations)] if done.violations else []),
    ]
    return lines, data


def main() -> int:
    """Run the soak, print it and write its page."""
    parser = arguments(__doc__)
    parser.add_argument("--calibrations", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long it is disturbed")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--real", type=int, default=4, help="of the calibrations, those that the real engine runs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every process is ended
    done = soak(
        calibrations=options.calibrations,
        seconds=options.seconds,
        workers=options.workers,
        real=options.real,
        seed=options.seed,
    )
    lines, data = report(done, workers=options.workers, seconds=options.seconds, seed=options.seed)
    write_result("soak", "Soak", lines, data, options)
    return 1 if done.violations else 0


if __name__ == "__main__":
    sys.exit(main())
