"""POST /v1/transfers compared with the same route without its mathematics and with a bare echo, in one run.

    python -m benchmarks.service_transfers [--seconds 3] [--rounds 5] [--connections 16] [--dry]

Each app is one uvicorn process. The service runs as `widthwise serve` does for a team: on Postgres, asking for keys and
counting them, and with a line in the log for every request. It is compared with the same service whose plan is a
constant, computed once: what HTTP, routing, validation, the key, the log and writing the answer cost. The echo is a
FastAPI route that returns its body. They are loaded in turn, round by round, so that all see the same noise; the ratio
of each round is what counts, the rates depend on the machine. The client is a separate process. The processor time that
each server spent on a request is the steadier ratio on a machine that others share.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.service_database import migrated_database
from benchmarks.service_process import PACKAGES, Connection, Server, percentile, serving
from service.auth.tokens import digest_of, make_token
from service.store import open_store

AIM = 0.85  # of the requests per second with a constant plan
AIM_P99 = 1.3  # times its 99th percentile, at most
PEPPER = "the benchmark's own, of a database that is dropped"

#: The contract's own example.
SMALL: dict[str, Any] = {
    "parameterization": "standard",
    "optimizer": "adam",
    "alignment": "full",
    "base": {"width": 256, "learning_rate": 0.003, "epsilon": 1e-8},
    "target": {"width": 4096},
}
EXAMPLE = Path(__file__).parents[1] / "examples" / "gpt2_small_to_xl.json"
ECHO, CONSTANT, TRANSFERS = "echo", "constant plan", "transfers"


@contextmanager
def keyed_settings() -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """A service on Postgres that asks for keys, as its environment, and the headers that carry one."""
    with migrated_database() as url:
        (headers,) = owners_keys(url, 1)
        settings = {
            "WIDTHWISE_DATABASE_URL": url,
            "WIDTHWISE_REQUIRE_KEYS": "true",
            "WIDTHWISE_PEPPER": PEPPER,
            "WIDTHWISE_REQUESTS_PER_MINUTE": "1000000",  # counted, and not reached
        }
        yield settings, headers


def owners_keys(url: str, count: int) -> list[dict[str, str]]:
    """Make a key for each of so many owners; return the headers that carry them."""
    store = open_store(url)
    tokens = [make_token() for _ in range(count)]
    for token in tokens:
        digest = digest_of(PEPPER, token.secret)
        store.keys.create(token.key_id, owner=token.key_id, name="key", scopes=["calibrate"], digest=digest)
    store.close()
    return [{"Authorization": f"Bearer {token.reveal()}"} for token in tokens]


@contextmanager
def servers() -> Iterator[dict[str, tuple[Server, dict[str, str]]]]:
    """Every server by its name, with the headers that its clients send."""
    with keyed_settings() as (settings, headers), ExitStack() as stack:
        yield {
            ECHO: (stack.enter_context(serving("echo")), {}),
            CONSTANT: (stack.enter_context(serving("constant", **settings)), headers),
            TRANSFERS: (stack.enter_context(serving("service", **settings)), headers),
        }


async def load(server: Server, headers: dict[str, str], body: bytes, seconds: float, connections: int) -> list[float]:
    """Seconds of each request while `connections` clients send one after another for `seconds`."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        async with Connection(server, headers) as connection:
            request = connection.request("POST", "/v1/transfers", body)
            while time.perf_counter() < end:
                answer = await connection.send(request)
                if answer.status != 200:
                    raise RuntimeError(f"the server answered {answer.status} {answer.body[:200]!r}")
                taken.append(answer.seconds)

    await asyncio.gather(*(client() for _ in range(connections)))
    return taken


def measure(server: Server, headers: dict[str, str], body: bytes, seconds: float, connections: int) -> dict[str, float]:
    """Requests per second, processor milliseconds per request and the 99th percentile."""
    spent = server.processor_seconds()
    taken = asyncio.run(load(server, headers, body, seconds, connections))
    spent = server.processor_seconds() - spent
    return {
        "requests_per_second": len(taken) / seconds,
        "processor_ms": 1e3 * spent / len(taken),
        "p99_ms": percentile(taken, 99),
    }


def compare(body: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Load every server in turn; return each round, the medians, and the ratios of transfers to the others."""
    encoded = json.dumps(body).encode()
    rounds: list[dict[str, dict[str, float]]] = []
    with servers() as every:
        for server, headers in every.values():  # warm up
            measure(server, headers, encoded, min(1.0, options.seconds), options.connections)
        for _ in range(options.rounds):
            rounds.append(
                {
                    name: measure(server, headers, encoded, options.seconds, options.connections)
                    for name, (server, headers) in every.items()
                }
            )
            print("   ".join(f"{name} {found['requests_per_second']:,.0f}/s" for name, found in rounds[-1].items()))
    medians = {
        name: {quantity: statistics.median(one[name][quantity] for one in rounds) for quantity in rounds[0][name]}
        for name in rounds[0]
    }
    ratios = {name: _ratios(rounds, name) for name in (ECHO, CONSTANT)}
    print({name: {how: round(value, 2) for how, value in each.items()} for name, each in ratios.items()}, flush=True)
    return {"bytes": len(encoded), "medians": medians, "ratios": ratios, "rounds": rounds}


def _ratios(rounds: list[dict[str, dict[str, float]]], other: str) -> dict[str, float]:
    """Of transfers to another server: medians over the rounds."""

    def of(quantity: str) -> float:
        return statistics.median(one[TRANSFERS][quantity] / one[other][quantity] for one in rounds)

    rate, processor, p99 = of("requests_per_second"), of("processor_ms"), of("p99_ms")
    return {"by_rate": rate, "by_processor": 1 / processor, "by_p99": p99}


def table(outcome: dict[str, Any]) -> list[str]:
    """One body's table."""
    lines = ["| | requests/s | processor ms | p99 ms |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {found['requests_per_second']:,.0f} | {found['processor_ms']:.3f} | {found['p99_ms']:.1f} |"
        for name, found in outcome["medians"].items()
    ]
    lines += ["", "| transfers compared with | requests/s | by processor time | p99 |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {found['by_rate']:.2f} | {found['by_processor']:.2f} | {found['by_p99']:.2f} × |"
        for name, found in outcome["ratios"].items()
    ]
    return lines


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    example = json.loads(EXAMPLE.read_text())
    small, large = compare(SMALL, options), compare(example, options)
    lines = [
        f"{options.connections} connections, one process for each server, {options.rounds} rounds of "
        f"{options.seconds:g} s, in turn; medians. The aim is {AIM} of the requests a second with a constant plan, "
        f"and {AIM_P99} times its p99.",
        "",
        f"A width alone, {small['bytes']} bytes:",
        "",
        *table(small),
        "",
        f"`{EXAMPLE.name}`, {len(example['tensors'])} tensors, {large['bytes']:,} bytes:",
        "",
        *table(large),
    ]
    title = "Transfers over HTTP, compared with a constant plan and with a bare echo"
    data = {"small": small, "large": large}
    record.write_result("service_transfers", title, lines, data, options, packages=PACKAGES)


if __name__ == "__main__":
    main()
