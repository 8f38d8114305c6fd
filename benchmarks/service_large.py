"""What small transfers take while others send large ones, compared with the same without large ones, in one run.

    python -m benchmarks.service_large [--large 8] [--tensors 100000] [--seconds 30] [--clients 4] [--dry]

One API process on Postgres that asks for keys, with its request log. A few clients send a small transfer every ten
milliseconds each; then they do the same while others, each with the key of another owner, send transfers of 100,000
tensors one after another and read the answers. The clients of either kind are one process.
"""

import argparse
import asyncio
import json
import multiprocessing
import time
from multiprocessing.synchronize import Event
from typing import Any

from benchmarks import record
from benchmarks.service_process import PACKAGES, Connection, Server, serving, times
from benchmarks.service_transfers import SMALL, keyed_settings, owners_keys

AIM_MS = 50.0  # of the 99th percentile
PAUSE_SECONDS = 0.01  # between two requests of a client (chosen): no server is saturated by them alone


def large_body(tensors: int) -> bytes:
    """A transfer of so many tensors."""
    listed = [
        {"name": f"t{n}", "role": "hidden", "base_shape": [64, 64], "target_shape": [128, 128]} for n in range(tensors)
    ]
    return json.dumps({**SMALL, "tensors": listed}, separators=(",", ":")).encode()


async def small_ones(server: Server, headers: dict[str, str], clients: int, seconds: float) -> list[float]:
    """Seconds of each small transfer."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    body = json.dumps(SMALL).encode()

    async def client() -> None:
        async with Connection(server, headers) as connection:
            request = connection.request("POST", "/v1/transfers", body)
            while time.perf_counter() < end:
                answer = await connection.send(request)
                if answer.status != 200:
                    raise RuntimeError(f"the server answered {answer.status} {answer.body[:200]!r}")
                taken.append(answer.seconds)
                await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*(client() for _ in range(clients)))
    return taken


def send_large(port: int, headers: list[dict[str, str]], tensors: int, signals: tuple[Event, Event, Any]) -> None:
    """Send large transfers, one connection for each owner; put the statuses with their times into the queue.

    signals: set here when it begins, set from outside to stop it, and the queue.
    """
    body = large_body(tensors)
    begun, stop, queue = signals
    begun.set()
    server = Server(port, 0)
    found: list[tuple[int, float]] = []

    async def client(own: dict[str, str]) -> None:
        async with Connection(server, own) as connection:
            request = connection.request("POST", "/v1/transfers", body)
            while not stop.is_set():
                answer = await connection.send(request)
                found.append((answer.status, answer.seconds))
                if answer.status != 200:
                    await asyncio.sleep(1.0)  # the service asks for more

    async def everyone() -> None:
        tasks = [asyncio.create_task(client(own)) for own in headers]
        while not stop.is_set():
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(everyone())
    queue.put(found)


def beside(server: Server, small: dict[str, str], large: list[dict[str, str]], options: argparse.Namespace) -> Any:
    """Times of small transfers while large ones run, and what became of those."""
    spawned = multiprocessing.get_context("spawn")
    begun, stop, queue = spawned.Event(), spawned.Event(), spawned.Queue()
    process = spawned.Process(target=send_large, args=(server.port, large, options.tensors, (begun, stop, queue)))
    process.start()
    try:
        begun.wait(60)
        taken = asyncio.run(small_ones(server, small, options.clients, options.seconds))
    finally:
        stop.set()
    found = queue.get(timeout=60)
    process.join()
    statuses: dict[str, int] = {}
    for status, _ in found:
        statuses[str(status)] = statuses.get(str(status), 0) + 1
    return taken, statuses


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--large", type=int, default=8)
    parser.add_argument("--tensors", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    with keyed_settings() as (settings, headers), serving("service", **settings) as server:
        large = owners_keys(settings["WIDTHWISE_DATABASE_URL"], options.large)
        asyncio.run(small_ones(server, headers, options.clients, 1.0))  # warm up
        alone = times(asyncio.run(small_ones(server, headers, options.clients, options.seconds)))
        taken, statuses = beside(server, headers, large, options)
    busy = times(taken)
    lines = [
        f"{options.clients} clients, a small transfer every {1e3 * PAUSE_SECONDS:g} ms each, for {options.seconds:g} "
        f"s; {options.large} others with transfers of {options.tensors:,} tensors. The aim is a p99 under "
        f"{AIM_MS:g} ms.",
        "",
        "| small transfers | p50 ms | p99 ms | longest ms |",
        "|---|---|---|---|",
        f"| while large ones run | {busy['p50_ms']:.1f} | {busy['p99_ms']:.1f} | {busy['longest_ms']:.0f} |",
        f"| alone | {alone['p50_ms']:.1f} | {alone['p99_ms']:.1f} | {alone['longest_ms']:.0f} |",
        "",
        f"Of the large ones, {statuses.get('200', 0)} were answered; "
        f"{sum(statuses.values()) - statuses.get('200', 0)} were told to retry.",
    ]
    data = {"alone": alone, "beside": busy, "large_statuses": statuses}
    title = "Small transfers while large ones run"
    record.write_result("service_large", title, lines, data, options, packages=PACKAGES)


if __name__ == "__main__":
    main()
