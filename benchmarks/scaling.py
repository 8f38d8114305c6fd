"""How the throughput of one calibration grows with its workers, on Postgres and a broker.

    python -m benchmarks.scaling [--trial-seconds 0.5] [--steps 300] [--repeats 2] [--dry]

Twice: with a child process that only waits, so that no core is short and what is seen is the system's own (claims,
messages, writes, the start of children); and with the real engine, which the cores of this machine bound. Every series
runs within one command, and its ratios are to its own single worker.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.record import arguments, write_result
from benchmarks.service_database import migrated_database
from service.doorbell import CeleryDoorbell
from service.settings import load_settings
from service.store import ShardState, Store, open_store
from testbed.brokers import BrokerServer, installed_brokers
from testbed.cluster import Cluster, stop
from testbed.waiting import until

WORKERS = (1, 2, 4)
PATIENCE_SECONDS = 1200.0  # for one calibration; then something hangs
LOOK_SECONDS = 0.1  # between looks at the end: more often would take the cores from what is measured (chosen)
SIGTERM = 15
CHILD = (sys.executable, str(Path(__file__).with_name("soak_child.py")))  # its losses are a formula
SPEC: dict[str, Any] = {
    "parameterization": "standard",
    "optimizer": "adam",
    "alignment": "full",
    "readout_omega": 0.5,
    "search": "grid",
    "mesh": 1.0,  # one round: the optimum of a parabola lies inside the grid
    "epsilon": 1e-8,
    "form": "table_9",
    "measure": ["learning_rate"],
    "runner": "worker",
    "proxy": {
        "architecture": "mlp",
        "depth": 2,
        "head_dim": 16,
        "sequence_length": 8,
        "batch_size": 64,
        "dataset": "python_docs",
    },
}
#: Many shards of one trial each: steps so many that the search cuts each width into as many as it does.
WAITING = {
    **SPEC,
    "widths": [16, 32, 64, 128],
    "seeds": 4,
    "steps": 1_000_000,
    "learning_rates": [2.0**power for power in range(-10, -4)],
}
REAL = {
    **SPEC,
    "widths": [32, 40, 48, 56, 64, 72, 80, 88],  # a shard each, of nearly one size
    "seeds": 1,
    "learning_rates": [2.0**power for power in range(-10, -2)],
}


@dataclass(frozen=True)
class Point:
    """One calibration by so many workers."""

    workers: int
    shards: int
    trials: int
    seconds: float  #: from its submission to the end of its last shard
    took_part: int  #: workers that ran a shard of it
    rounds: int

    @property
    def trials_per_second(self) -> float:
        """Throughput."""
        return self.trials / self.seconds


def run_once(
    folder: Path,
    database_url: str,
    broker: BrokerServer,
    *,
    spec: dict[str, Any],
    workers: int,
    child: Sequence[str],
) -> Point:
    """Run one calibration by this many workers that wait for it."""
    folder.mkdir()
    settings = load_settings(database_url=database_url, redis_url=broker.url, data_dir=folder)
    with Cluster(folder, database_url, broker.url) as cluster:
        cluster.environment["WIDTHWISE_LOG_LEVEL"] = "warning"
        names = [f"{folder.name}-{number}" for number in range(workers)]
        nodes = [cluster.start_worker(name, *child) for name in names]
        until(lambda: _listening(broker) == workers, 120.0)
        store = open_store(database_url, doorbell=CeleryDoorbell(settings))
        began = time.monotonic()
        identifier = store.calibrations.create(spec).calibration.id
        until(lambda: _shards_left(store, identifier) == 0, PATIENCE_SECONDS, every=LOOK_SECONDS)
        seconds = time.monotonic() - began
        calibration = store.calibrations.get(identifier)
        shards = store.calibrations.shards(identifier)
        assert all(shard.state is ShardState.SUCCEEDED for shard in shards), [shard.reason for shard in shards]
        for node in nodes:
            stop(node, SIGTERM)
        store.close()
    held = {shard.worker_id for shard in shards}
    return Point(workers, len(shards), calibration.progress.trials_done, seconds, len(held), calibration.rounds)


def _listening(broker: BrokerServer) -> int:
    return sum(client["cmd"] == "brpop" for client in broker.client().client_list())


def _shards_left(store: Store, identifier: str) -> int:
    """Shards that are still to end, in every round: the last one's end plans the next or ends the calibration."""
    calibration = store.calibrations.get(identifier)
    shards = calibration.progress.shards
    waiting = shards.get(ShardState.QUEUED, 0) + shards.get(ShardState.RUNNING, 0)
    return waiting or int(calibration.finished_at is None)


def series(spec: dict[str, Any], child: Sequence[str], repeats: int, label: str) -> list[Point]:
    """Run every number of workers, there and back, so that a machine that slows down favours none."""
    points = []
    order = [count for repeat in range(repeats) for count in (WORKERS if repeat % 2 == 0 else WORKERS[::-1])]
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="widthwise-scaling-"))
        database_url = stack.enter_context(migrated_database())
        broker = stack.enter_context(BrokerServer(installed_brokers()["valkey"], Path(name)))
        for number, workers in enumerate(order):
            points.append(
                run_once(Path(name) / f"{number}", database_url, broker, spec=spec, workers=workers, child=child)
            )
            point = points[-1]
            print(
                f"{label}: {workers} workers, {point.shards} shards, {point.trials} trials in "
                f"{point.seconds:.1f} s, {point.took_part} took part, {point.rounds} rounds",
                flush=True,
            )
    return points


def table(points: Sequence[Point]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return rows for people and for JSON: medians over repeats."""
    medians = {
        count: statistics.median(point.trials_per_second for point in points if point.workers == count)
        for count in WORKERS
    }
    rows = [
        "| workers | trials/s | to one worker | of a perfect ratio | workers that took part |",
        "|---|---|---|---|---|",
    ]
    data = []
    for count, rate in medians.items():
        ratio = rate / medians[WORKERS[0]]
        took_part = min(point.took_part for point in points if point.workers == count)
        rows.append(f"| {count} | {rate:.2f} | {ratio:.2f} | {100 * ratio / count:.0f}% | {took_part} |")
        data.append({"workers": count, "trials_per_second": rate, "ratio": ratio, "took_part": took_part})
    return rows, data


def main() -> None:
    """Run both series and write the page."""
    parser = arguments(__doc__)
    parser.add_argument("--trial-seconds", type=float, default=0.5, help="what each trial of the waiting child takes")
    parser.add_argument("--steps", type=int, default=300, help="of the real engine's trials")
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    real = {**REAL, "steps": options.steps}
    waiting = series(WAITING, (*CHILD, str(options.trial_seconds)), options.repeats, "waiting child")
    trained = series(real, (), options.repeats, "real engine")
    waiting_rows, waiting_data = table(waiting)
    real_rows, real_data = table(trained)
    cores = len(os.sched_getaffinity(0))
    best = min(cores, WORKERS[-1])
    runs = "one run" if options.repeats == 1 else f"the median of {options.repeats} runs, there and back,"
    lines = [
        "One calibration, its shards shared by 1, 2 and 4 worker processes on this one machine, with Postgres and a "
        "broker on it too. The time counts from the submission to the end of the last shard; "
        f"{runs} of each.",
        "",
        f"A child that waits {options.trial_seconds:g} s for each trial and computes nothing ({waiting[0].shards} "
        f"shards, {waiting[0].trials} trials), so that the cores bound nothing and what is lost is the system's own:",
        "",
        *waiting_rows,
        "",
        f"The real engine ({trained[0].shards} shards, {trained[0].trials} trials of {options.steps} steps), one "
        f"single-threaded process for each shard. This machine has {cores} cores, which everything shares: no number "
        f"of workers can be more than {best} times as fast as one, and more workers than cores gain nothing:",
        "",
        *real_rows,
    ]
    data = {
        "trial_seconds": options.trial_seconds,
        "steps": options.steps,
        "waiting": waiting_data,
        "real": real_data,
        "points": [vars(point) for point in (*waiting, *trained)],
    }
    write_result("scaling", "Throughput with more workers", lines, data, options)


if __name__ == "__main__":
    main()
