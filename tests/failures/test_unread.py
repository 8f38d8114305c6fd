"""Clients that do not read their answers: what the service holds for them is bounded, and ends.

The API is a process as `widthwise serve` starts it, and its clients reach it without a proxy; tests/proxy tries one of
them through Caddy. README.md says what each test said without its guard.
"""

import asyncio
import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.app import create_app
from service.http.connections import Connections
from service.settings import load_settings
from testbed.cluster import Cluster, stop
from testbed.databases import SqliteFiles
from testbed.waiting import is_alive, until
from tests.api.samples import CONTRACT
from tests.api.test_socket import running
from tests.failures.conftest import MakeCluster
from tests.failures.test_service import DRAIN_SECONDS

UNREAD_SECONDS = 2.0  # long enough for a loaded machine to read in between
SMALL = b"GET /v1/parameterizations HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
TENSORS = [
    {"name": f"t{n}", "role": "hidden", "base_shape": [64, 64], "target_shape": [128, 128]} for n in range(1_500)
]
BODY = json.dumps({**CONTRACT, "tensors": TENSORS}).encode()  # its answer has 1.3 MB; of a larger one, little is held
COUNT = 80  # of requests behind one another
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An API that waits for its clients for a moment only."""
    folder = tmp_path_factory.mktemp("unread")
    with Cluster(folder, SqliteFiles(folder).new_migrated()) as cluster:
        cluster.environment["WIDTHWISE_UNREAD_SECONDS"] = str(UNREAD_SECONDS)
        cluster.start_api()
        yield cluster


def post(*headers: str, body: bytes = BODY) -> bytes:
    """A transfer with an answer far larger than any buffer."""
    lines = ("POST /v1/transfers HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body


def connect(cluster: Cluster) -> socket.socket:
    """A connection whose own buffers hold little."""
    connection = socket.socket()
    for direction in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        connection.setsockopt(socket.SOL_SOCKET, direction, 4096)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", cluster.port))
    return connection


def received(connection: socket.socket, pause: float = 0.0) -> bytes:
    """Everything up to the end of the connection, however it ends."""
    found = b""
    try:
        while part := connection.recv(1 << 18):
            found += part
            time.sleep(pause)
    except OSError:
        pass
    return found


def metric(cluster: Cluster, name: str) -> float:
    """One of the API's metrics."""
    text = httpx.get(f"{cluster.url}/metrics", trust_env=False).text
    return float(re.findall(rf"^widthwise_{name} (\S+)$", text, re.MULTILINE)[0])


def resident(cluster: Cluster) -> int:
    """Bytes of memory that the API's process holds."""
    assert cluster.api is not None
    text = Path(f"/proc/{cluster.api.pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", text)[0]) * 1024


def push(connection: socket.socket, data: bytes, patience: float = 1.0) -> int:
    """Send as much as is taken, without reading; return how much that was."""
    connection.setblocking(False)
    sent, last = 0, time.monotonic()
    while sent < len(data) and time.monotonic() - last < patience:
        try:
            sent += connection.send(data[sent : sent + 65536])
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            break
    connection.settimeout(20)
    return sent


@pytest.mark.parametrize("sent", [post(), post("Connection: close"), SMALL * 1000], ids=["large", "close", "many"])
def test_an_answer_that_nobody_reads_ends_its_connection(api: Cluster, sent: bytes) -> None:
    before = metric(api, "unread_connections_cut_total")
    with connect(api) as connection:
        push(connection, sent)
        until(lambda: metric(api, "unread_connections_cut_total") == before + 1)
        assert len(received(connection)) < MEBIBYTE
    assert metric(api, "unsent_answer_bytes") == 0


def test_an_answer_that_is_read_slowly_is_whole(api: Cluster) -> None:
    before = metric(api, "unread_connections_cut_total")
    with connect(api) as connection:
        push(connection, post("Connection: close"))
        began = time.monotonic()
        answer = received(connection, pause=0.01)
        assert time.monotonic() - began > UNREAD_SECONDS
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert len(json.loads(body)["tensors"]) == len(TENSORS)
    assert metric(api, "unread_connections_cut_total") == before


@pytest.mark.parametrize("one", [SMALL, b"POST /v1/transfers HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"])
def test_a_connection_is_not_taken_more_requests_than_it_reads_answers(api: Cluster, one: bytes) -> None:
    """Without the guard each answer takes in 64 KiB more of them, and each of the thousands takes kilobytes."""
    before = resident(api)
    with connect(api) as connection:
        taken = push(connection, one * (40 * MEBIBYTE // len(one)))
        assert taken < 2 * MEBIBYTE
        assert resident(api) - before < 8 * MEBIBYTE


@pytest.mark.parametrize("served", [HttpToolsProtocol, H11Protocol])
@pytest.mark.parametrize("size", [7, 1000, 1 << 20])
def test_requests_behind_one_another_are_answered_in_order(tmp_path: Path, served: type, size: int) -> None:
    """However they arrive, and whatever blank lines their bodies hold."""
    settings = load_settings(data_dir=tmp_path, log_requests=False)
    text = json.dumps(CONTRACT).encode()
    chunk = b"%x\r\n" % len(text) + text + b"\r\n0\r\n\r\n"
    kinds = [
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: %d\r\n\r\n",
        post("X-Request-Id: %d", body=text + b"\r\n\r\n \r\n\r\n"),
        post("X-Request-Id: %d", body=b"\r\n\r\n" * 200 + text),
        b"POST /v1/transfers HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: %d\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" + chunk,
    ]
    requests = b"".join(kinds[n % len(kinds)] % n for n in range(COUNT))
    requests += b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    app = create_app(settings)
    connections = Connections(unread_seconds=30.0, served=served)
    waiting = 0

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        nonlocal waiting
        if scope["type"] == "http":
            waiting = max(waiting, len(getattr(scope["state"]["connection"]._served, "pipeline", ())))

        async def later(message: Any) -> None:
            await asyncio.sleep(0.001)  # an answer that waits for something, after its body was read
            await send(message)

        await app(scope, receive, later if scope["type"] == "http" else send)

    with (
        running(counted, http=connections.protocol) as address,
        socket.create_connection(address, timeout=20) as client,
    ):
        for start in range(0, len(requests), size):
            client.sendall(requests[start : start + size])
        answers = received(client)
    assert re.findall(rb"x-request-id: (\d+)\r", answers) == [b"%d" % n for n in range(COUNT)]
    assert answers.count(b"HTTP/1.1 200 ") == COUNT + 1
    assert waiting <= 2  # in uvicorn; the others wait where they take no more than their bytes


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_child_of_large_transfers_ends_with_the_service(
    make_cluster: MakeCluster, tmp_path: Path, number: int
) -> None:
    """Also in the middle of an answer, which delays the end of the service no longer than any other."""
    cluster = make_cluster(SqliteFiles(tmp_path).new_migrated())
    api = cluster.start_api()

    def children() -> list[int]:
        found = Path(f"/proc/{api.pid}/task").glob("*/children")
        return [int(child) for file in found for child in file.read_text(encoding="utf-8").split()]

    tensors = [{**TENSORS[0], "name": f"t{n}"} for n in range(20_000)]
    with connect(cluster) as connection:
        push(connection, post(body=json.dumps({**CONTRACT, "tensors": tensors}).encode()))
        until(children)
        (child,) = children()
        began = time.monotonic()
        stop(api, number)
        assert time.monotonic() - began < DRAIN_SECONDS
        until(lambda: not is_alive(child))
