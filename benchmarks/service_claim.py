"""Claiming shards of a long queue, by 1, 2, 4 and 8 workers; and what watches the queue.

    python -m benchmarks.service_claim [--queued 100000] [--finished 1000000] [--claims 500] [--dry]

A worker is a process with its own store that claims and gives back nothing: what is measured is the claim alone.
"""

import multiprocessing
import time
from collections.abc import Callable
from typing import Any

from benchmarks import record
from benchmarks.service_database import (
    captured,
    explain,
    fill,
    migrated_database,
    server_version,
    without_indexes,
)
from benchmarks.service_process import PACKAGES, percentile, times
from benchmarks.service_rows import calibration_rows, drawn_words, shard_rows
from service.store import Store, create_store_engine, open_store, tables
from testbed.sweeping import finish_ready

EACH = 8  # shards of a calibration
WORKERS = (1, 2, 4, 8)
WATCHES = 10  # times that each of those that watch the queue is measured


def load(url: str, queued: int, finished: int) -> str:
    """Fill the tables with calibrations that wait behind others that have ended; return the database's version."""
    engine = create_store_engine(url, for_migration=True)
    ended, waiting = finished // EACH, queued // EACH
    rows = list(calibration_rows(list(drawn_words(ended + waiting))))
    for number, row in enumerate(rows):
        row["state"] = "succeeded" if number < ended else "queued"
    with without_indexes(engine, tables.calibrations, tables.shards):
        fill(engine, tables.calibrations, rows)
        if ended:
            fill(engine, tables.shards, shard_rows(ended, EACH, "succeeded"))
        fill(engine, tables.shards, shard_rows(waiting, EACH, "queued", first=ended))
    version = server_version(engine)
    engine.dispose()
    return version


def work(url: str, name: str, count: int, gate: Any, results: Any) -> None:
    """Claim so many shards, once every worker is ready; report each claim's seconds, and when it began and ended."""
    store = open_store(url)
    store.check_ready()
    gate.wait()
    begun, seconds = time.time(), []
    for _ in range(count):
        start = time.perf_counter()
        claim = store.work.claim(name)
        seconds.append(time.perf_counter() - start)
        assert claim is not None, "the queue is empty"
    results.put((seconds, begun, time.time()))
    store.close()


def claim(url: str, workers: int, count: int) -> dict[str, Any]:
    """Let some workers claim at once."""
    processes = multiprocessing.get_context("spawn")
    gate, results = processes.Barrier(workers), processes.Queue()
    started = [
        processes.Process(target=work, args=(url, f"worker-{workers}-{number}", count, gate, results))
        for number in range(workers)
    ]
    for process in started:
        process.start()
    found = [results.get(timeout=300) for _ in started]
    for process in started:
        process.join()
    taken = max(end for _, _, end in found) - min(begun for _, begun, _ in found)
    seconds = [second for each, _, _ in found for second in each]
    return {"workers": workers, "claims_per_second": round(len(seconds) / taken, 1), **times(seconds)}


def plans(url: str, action: Callable[[Store], object]) -> list[list[str]]:
    """The plan of every statement of an action that reads or changes shards."""
    engine = create_store_engine(url)
    with captured(engine) as statements:
        action(Store(engine))
    with engine.connect() as connection, connection.begin() as transaction:
        found = [explain(connection, *one) for one in statements if "shards" in one[0]]
        transaction.rollback()
    engine.dispose()
    return found


def watch(url: str) -> dict[str, Any]:
    """How long what watches the queue takes."""
    store = open_store(url)
    actions: dict[str, Callable[[], object]] = {
        "backlog": store.work.backlog,
        "republish": store.housekeeping.republish,
        "finish_ready": lambda: finish_ready(store),
        "list_workers": store.workers.all,
    }
    found: dict[str, Any] = {}
    for name, action in actions.items():
        seconds = []
        for _ in range(WATCHES):
            start = time.perf_counter()
            action()
            seconds.append(time.perf_counter() - start)
        found[name] = round(percentile(seconds, 50), 2)
    store.close()
    return found


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--queued", type=int, default=100_000)
    parser.add_argument("--finished", type=int, default=1_000_000, help="shards that have ended, in the same table")
    parser.add_argument("--claims", type=int, default=500, help="of each worker")
    options = parser.parse_args()
    with migrated_database() as url:
        version = load(url, options.queued, options.finished)
        rates = []
        for workers in WORKERS:
            rates.append(claim(url, workers, options.claims))
            print(rates[-1], flush=True)
        watched = watch(url)
        print(watched)
        found = plans(url, lambda store: store.work.claim("explained"))
        announced = plans(url, lambda store: store.housekeeping.republish())
    scanned = [line for plan in (*found, *announced) for line in plan if "Seq Scan on shards" in line]
    assert not scanned, f"the table of shards is scanned: {found}"
    lines = [
        f"{options.queued:,} shards wait in {options.queued // EACH:,} calibrations, and {options.finished:,} have "
        f"ended, on {version} with its own defaults. Each worker is a process that claims {options.claims:,} shards.",
        "",
        "| workers | claims a second | p50 ms | p99 ms | longest ms |",
        "|---|---|---|---|---|",
        *(
            f"| {one['workers']} | {one['claims_per_second']:,.0f} | {one['p50_ms']:.1f} | {one['p99_ms']:.1f} "
            f"| {one['longest_ms']:.1f} |"
            for one in rates
        ),
        "",
        "What watches the queue, median of milliseconds: "
        + ", ".join(f"`{name}` {milliseconds:g}" for name, milliseconds in watched.items())
        + ".",
        "",
        "## Plans of a claim",
        *(line for plan in found for line in ("", "```", *plan, "```")),
    ]
    data = {"database": version, "rates": rates, "watched_ms": watched, "plans": found, "sweeps": announced}
    title = f"Claiming from a queue of {options.queued:,} shards"
    record.write_result("service_claim", title, lines, data, options, packages=PACKAGES)


if __name__ == "__main__":
    main()
