"""A server under load: one uvicorn process, clients that speak plain HTTP/1.1 to it, and what each request took."""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from fastapi import FastAPI

HOST = "127.0.0.1"
START_SECONDS = 60.0  # an import of the service takes two on a quiet machine
STOP_SECONDS = 30.0

#: What the pages of this benchmark name besides the machine.
PACKAGES = ("widthwise", "fastapi", "starlette", "uvicorn", "pydantic", "sqlalchemy", "psycopg")


def serve_echo(port: int) -> None:
    """Return each body back: what FastAPI and uvicorn cost by themselves."""
    app = FastAPI()

    @app.post("/v1/transfers")
    async def echo(body: dict[str, Any]) -> dict[str, Any]:
        return body

    uvicorn.run(app, host=HOST, port=port, log_level="warning", access_log=False)


def serve_service(port: int) -> None:
    """Serve as `widthwise serve` does, by the environment's settings and without workers."""
    from service.app import create_app
    from service.commands.serve import GRACEFUL_SECONDS
    from service.garbage_collection import collect_rarely
    from service.observability.structured_logs import configure_logging
    from service.settings import load_settings

    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    app = create_app(settings)
    collect_rarely()
    uvicorn.run(
        app,
        host=HOST,
        port=port,
        http=app.state.connections.protocol,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
    )


def serve_constant(port: int) -> None:
    """Serve the same, but let every transfer be the plan that the first one was: all the rest is as it is."""
    from service.transfers import routes

    plans: list[Any] = []
    plan_of = vars(routes)["plan_of"]

    def constant(request: Any) -> Any:
        if not plans:
            plans.append(plan_of(request))
        return plans[0]

    vars(routes)["plan_of"] = constant
    serve_service(port)


SERVERS = {"echo": serve_echo, "service": serve_service, "constant": serve_constant}


@dataclass(frozen=True)
class Server:
    """A server process."""

    port: int
    pid: int

    def processor_seconds(self) -> float:
        """Processor time so far, in user and system mode (Linux)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(name: str, **environment: str) -> Iterator[Server]:
    """A process of one of SERVERS, with its own data directory; its log goes to a file that is dropped."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as log:
        command = [sys.executable, "-m", "benchmarks.service_process", name, str(port)]
        settings = {"WIDTHWISE_DATA_DIR": directory, "PATH": "", "PYTHONPATH": str(Path(__file__).parents[1])}
        process = subprocess.Popen(command, env={**settings, **environment}, stdout=log, stderr=log)
        try:
            _wait(port, process, log)
            yield Server(port, process.pid)
        finally:
            process.terminate()
            process.wait(timeout=STOP_SECONDS)


def _wait(port: int, process: subprocess.Popen[bytes], log: Any) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/openapi.json", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    log.seek(0)
    raise RuntimeError(f"no answer from the server on port {port}: {log.read().decode()[-2000:]}")


@dataclass(frozen=True)
class Answer:
    """What came back, and after how long."""

    status: int
    body: bytes
    seconds: float


class Connection:
    """One kept-alive connection that sends one request after another; an async context manager."""

    def __init__(self, server: Server, headers: Mapping[str, str] | None = None) -> None:
        """headers: sent with every request."""
        self._port = server.port
        self._headers = {"Host": HOST, **(headers or {})}

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """Return the bytes of a request; those of one that is sent often are made once."""
        sent = {**self._headers, **headers}
        if body:
            sent |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
        return "\r\n".join(lines).encode() + body

    async def send(self, request: bytes) -> Answer:
        """Send a request and read its answer."""
        start = time.perf_counter()
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        return Answer(int(head[9:12]), body, time.perf_counter() - start)

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(HOST, self._port, limit=1 << 24)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def percentile(seconds: Sequence[float], percent: int) -> float:
    """A percentile, 1 to 99, of some times, in milliseconds."""
    return 1e3 * statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


def times(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and longest of some times, in milliseconds."""
    return {
        "p50_ms": round(percentile(seconds, 50), 3),
        "p99_ms": round(percentile(seconds, 99), 3),
        "longest_ms": round(1e3 * max(seconds), 3),
    }


if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]))
