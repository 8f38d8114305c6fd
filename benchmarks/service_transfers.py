"""Requests per second of POST /v1/transfers beside a bare FastAPI route that echoes the same body, in one run.

    python -m benchmarks.service_transfers [--seconds 3] [--rounds 5] [--connections 16]

Each app is one uvicorn process. The two are loaded in turn, round by round, so that both see the same noise; the ratio
of each round is what counts, the rates depend on the machine. The client is a process of its own. Beside the rates
stands the processor time that each server spent on a request: the steadier ratio on a machine that others share.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from benchmarks.plans import machine

AIM = 0.7  # of the echo's requests per second
HOST = "127.0.0.1"

#: The contract's own example.
SMALL: dict[str, Any] = {
    "parameterization": "standard",
    "optimizer": "adam",
    "alignment": "full",
    "base": {"width": 256, "learning_rate": 0.003, "epsilon": 1e-8},
    "target": {"width": 4096},
}
EXAMPLE = Path(__file__).parents[1] / "examples" / "gpt2_small_to_xl.json"

echo_app = FastAPI()


@echo_app.post("/v1/transfers")
async def echo(body: dict[str, Any]) -> dict[str, Any]:
    """Give the body back: what FastAPI itself costs."""
    return body


def transfers_app() -> FastAPI:
    """The service as `widthwise serve` runs it, with its database in a directory of its own."""
    from service.app import create_app
    from service.collector import calm_collector
    from service.settings import load_settings

    app = create_app(load_settings())
    calm_collector()
    return app


@contextmanager
def serving(app: str, *options: str) -> Iterator[tuple[int, int]]:
    """A uvicorn process that serves `app`; gives its port and its process id."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "warning", *options]
        environment = {"WIDTHWISE_DATA_DIR": directory, "PATH": "", "PYTHONPATH": str(Path(__file__).parents[1])}
        process = subprocess.Popen([*command, "--no-access-log"], env=environment)
        try:
            _wait(port, process)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/openapi.json", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"no answer from the server on port {port}")


async def load(port: int, body: bytes, seconds: float, connections: int) -> list[float]:
    """Seconds of each request while `connections` clients send one after another for `seconds`."""
    request = (
        f"POST /v1/transfers HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(HOST, port, limit=1 << 24)
        while (start := time.perf_counter()) < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the server answered {head[:200]!r}")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - start)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return times


def processor_seconds(pid: int) -> float:
    """Processor time of a process so far, in user and system mode (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(server: tuple[int, int], body: bytes, seconds: float, connections: int) -> tuple[float, float, float]:
    """Requests per second, processor milliseconds per request and the 99th percentile in milliseconds."""
    port, pid = server
    spent = processor_seconds(pid)
    times = asyncio.run(load(port, body, seconds, connections))
    spent = processor_seconds(pid) - spent
    return len(times) / seconds, 1e3 * spent / len(times), 1e3 * statistics.quantiles(times, n=100)[98]


def compare(body: dict[str, Any], seconds: float, rounds: int, connections: int) -> None:
    encoded = json.dumps(body).encode()
    with (
        serving("benchmarks.service_transfers:echo_app") as echo_server,
        serving("benchmarks.service_transfers:transfers_app", "--factory") as transfers_server,
    ):
        for server in (echo_server, transfers_server):  # warm both up
            measure(server, encoded, min(1.0, seconds), connections)
        print(f"{'':>6} {'requests/s':^27} {'processor ms/request':^27} {'p99 ms':^19}")
        print(f"{'round':>6} " + f"{'echo':>9} {'transfers':>9} {'ratio':>7} " * 2 + f"{'echo':>9} {'transfers':>9}")
        rates, costs = [], []
        for number in range(1, rounds + 1):
            rate, cost, p99 = zip(
                measure(echo_server, encoded, seconds, connections),
                measure(transfers_server, encoded, seconds, connections),
                strict=True,
            )
            rates.append(rate[1] / rate[0])
            costs.append(cost[0] / cost[1])
            print(
                f"{number:>6} {rate[0]:>9,.0f} {rate[1]:>9,.0f} {rates[-1]:>7.2f} "
                f"{cost[0]:>9.3f} {cost[1]:>9.3f} {costs[-1]:>7.2f} {p99[0]:>9.1f} {p99[1]:>9.1f}"
            )
    print(f"median ratio: {statistics.median(rates):.2f} by rate, {statistics.median(costs):.2f} by processor time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    print(f"requests per second, {options.connections} connections, one process each (aim: ratio of at least {AIM})")
    print(machine())
    print(f"\na width alone, {len(json.dumps(SMALL))} bytes:")
    compare(SMALL, options.seconds, options.rounds, options.connections)
    example = json.loads(EXAMPLE.read_text())
    print(f"\n{EXAMPLE.name}, {len(example['tensors'])} tensors, {len(json.dumps(example)):,} bytes:")
    compare(example, options.seconds, options.rounds, options.connections)


if __name__ == "__main__":
    main()
