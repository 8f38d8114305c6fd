"""POST /v1/calibrations from 200 clients at once, everything sent twice: nothing doubled.

    python -m benchmarks.service_submit [--clients 200] [--each 10] [--dry]

One API process, Postgres, no broker and no worker. Every client sends its requests one after another, each with an
Idempotency-Key and each of them twice, as a client does that lost an answer; so half of the requests are replays.
"""

import asyncio
import json
import time
from typing import Any

import sqlalchemy as sa

from benchmarks import record
from benchmarks.service_database import migrated_database, server_version
from benchmarks.service_process import PACKAGES, Connection, Server, serving, times
from service.store import create_store_engine, tables

#: A calibration of seven shards.
BODY = {
    "parameterization": "mup",
    "optimizer": "adam",
    "alignment": "full",
    "widths": [32, 64, 128, 256],
    "seeds": 2,
    "steps": 100,
    "learning_rates": [2.0**power for power in range(-10, -2)],
    "search": "grid",
}


async def submit(server: Server, clients: int, each: int) -> dict[str, Any]:
    """Send everything; return what came back."""
    body = json.dumps(BODY).encode()
    first: list[float] = []
    again: list[float] = []
    statuses: dict[int, int] = {}
    identifiers: list[str] = []
    gate = asyncio.Event()

    async def client(number: int) -> None:
        async with Connection(server) as connection:
            await gate.wait()
            for turn in range(each):
                headers = {"Idempotency-Key": f"{number}-{turn}"}
                request = connection.request("POST", "/v1/calibrations", body, **headers)
                answers = [await connection.send(request) for _ in range(2)]
                for answer, kept in zip(answers, (first, again), strict=True):
                    statuses[answer.status] = statuses.get(answer.status, 0) + 1
                    kept.append(answer.seconds)
                found = {json.loads(answer.body).get("id") for answer in answers}
                if len(found) == 1:
                    identifiers.extend(found)

    tasks = [asyncio.create_task(client(number)) for number in range(clients)]
    await asyncio.sleep(0.5)  # every client is connected before the first sends
    start = time.perf_counter()
    gate.set()
    await asyncio.gather(*tasks)
    seconds = time.perf_counter() - start
    return {
        "seconds": round(seconds, 2),
        "requests": 2 * clients * each,
        "requests_per_second": round(2 * clients * each / seconds, 1),
        "statuses": statuses,
        "distinct_answers": len(set(identifiers)),
        "new": times(first),
        "replayed": times(again),
    }


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--each", type=int, default=10, help="calibrations of each client")
    options = parser.parse_args()
    wanted = options.clients * options.each
    with migrated_database() as url:
        with serving("service", WIDTHWISE_DATABASE_URL=url) as server:
            outcome = asyncio.run(submit(server, options.clients, options.each))
        engine = create_store_engine(url)
        with engine.connect() as connection:
            stored = connection.execute(sa.select(sa.func.count()).select_from(tables.calibrations)).scalar_one()
            planned = connection.execute(sa.select(sa.func.count()).select_from(tables.shards)).scalar_one()
        outcome |= {"calibrations": stored, "shards": planned, "database": server_version(engine)}
        engine.dispose()
    print(json.dumps(outcome, indent=2))
    assert outcome["statuses"].keys() <= {200, 202}, f"a request failed: {outcome['statuses']}"
    assert stored == outcome["distinct_answers"] == wanted, f"{stored} rows for {wanted} calibrations"
    new, replayed = outcome["new"], outcome["replayed"]
    lines = [
        f"{options.clients} clients at once, one API process, {outcome['database']} with its own defaults, no broker. "
        f"Every calibration ({planned // stored} shards) was sent twice with its Idempotency-Key.",
        "",
        f"{outcome['requests']:,} requests in {outcome['seconds']} s, **{outcome['requests_per_second']:,} a second**; "
        f"none failed. {stored:,} calibrations were asked for, and {stored:,} rows with {planned:,} shards are there: "
        "none is missing and none is doubled.",
        "",
        f"With {options.clients} clients waiting in line, a request takes as long as all of theirs:",
        "",
        "| | p50 ms | p99 ms | longest ms |",
        "|---|---|---|---|",
        f"| new | {new['p50_ms']:.0f} | {new['p99_ms']:.0f} | {new['longest_ms']:.0f} |",
        f"| replayed | {replayed['p50_ms']:.0f} | {replayed['p99_ms']:.0f} | {replayed['longest_ms']:.0f} |",
    ]
    title = f"Submitting calibrations from {options.clients} clients at once"
    record.write_result("service_submit", title, lines, outcome, options, packages=PACKAGES)


if __name__ == "__main__":
    main()
