"""POST /v1/transfers compared with a bare FastAPI route that echoes the same body, in one run.

    python -m benchmarks.service_transfers [--seconds 3] [--rounds 5] [--connections 16] [--dry]

Each app is one uvicorn process, the service's with the bounds that `widthwise serve` sets. They are loaded in turn,
round by round, so that all see the same noise; the ratio of each round is what counts, the rates depend on the machine.
The client is a separate process. Beside the rates stands the processor time that each server spent on a request: the
steadier ratio on a machine that others share. The service is measured as on one machine (no key), with its line in the
log for every request, which the echo does not write, and with an API key asked for and counted.
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

AIM = 0.8  # of the echo's requests per second
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
ECHO, OPEN, LOGGED, KEYED = "echo", "no key", "no key, request log", "with a key"
QUIET = {"WIDTHWISE_LOG_REQUESTS": "false"}  # the echo writes no line for each request either


@contextmanager
def servers() -> Iterator[dict[str, tuple[Server, dict[str, str]]]]:
    """Every server by its name, with the headers that its clients send."""
    with ExitStack() as stack:
        url = stack.enter_context(migrated_database())
        store, token = open_store(url), make_token()
        store.keys.create(
            token.key_id, owner="ada", name="benchmark", scopes=["read"], digest=digest_of(PEPPER, token.secret)
        )
        store.close()
        keyed = {
            **QUIET,
            "WIDTHWISE_DATABASE_URL": url,
            "WIDTHWISE_REQUIRE_KEYS": "true",
            "WIDTHWISE_PEPPER": PEPPER,
            "WIDTHWISE_REQUESTS_PER_MINUTE": "1000000",  # counted, and not reached
        }
        yield {
            ECHO: (stack.enter_context(serving("echo")), {}),
            OPEN: (stack.enter_context(serving("service", **QUIET)), {}),
            LOGGED: (stack.enter_context(serving("service")), {}),
            KEYED: (stack.enter_context(serving("service", **keyed)), {"Authorization": f"Bearer {token.reveal()}"}),
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
    """Load every server in turn; give each round, and the medians with their ratios to the echo's."""
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
    ratios = {
        name: {
            "by_rate": statistics.median(
                one[name]["requests_per_second"] / one[ECHO]["requests_per_second"] for one in rounds
            ),
            "by_processor": statistics.median(one[ECHO]["processor_ms"] / one[name]["processor_ms"] for one in rounds),
        }
        for name in (OPEN, LOGGED, KEYED)
    }
    print({name: {how: round(value, 2) for how, value in each.items()} for name, each in ratios.items()}, flush=True)
    return {"bytes": len(encoded), "medians": medians, "ratios": ratios, "rounds": rounds}


def table(outcome: dict[str, Any]) -> list[str]:
    """One body's table."""
    lines = ["| | requests/s | ratio | processor ms | ratio | p99 ms |", "|---|---|---|---|---|---|"]
    for name, found in outcome["medians"].items():
        ratio = outcome["ratios"].get(name, {"by_rate": 1.0, "by_processor": 1.0})
        lines.append(
            f"| {name} | {found['requests_per_second']:,.0f} | {ratio['by_rate']:.2f} | {found['processor_ms']:.3f} "
            f"| {ratio['by_processor']:.2f} | {found['p99_ms']:.1f} |"
        )
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
        f"{options.seconds:g} s, in turn; medians. The echo is a FastAPI route that gives its body back. The aim is "
        f"{AIM} of its requests a second.",
        "",
        f"A width alone, {small['bytes']} bytes:",
        "",
        *table(small),
        "",
        f"`{EXAMPLE.name}`, {len(example['tensors'])} tensors, {large['bytes']:,} bytes:",
        "",
        *table(large),
    ]
    title = "Transfers over HTTP compared with a bare echo"
    data = {"small": small, "large": large}
    record.write_result("service_transfers", title, lines, data, options, packages=PACKAGES)


if __name__ == "__main__":
    main()
