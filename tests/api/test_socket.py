"""The service on a real socket: start, stop, its own database, and bodies too large to read."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from service.app import create_app
from service.settings import load_settings
from tests.api.samples import CONTRACT

MEBIBYTE = 1 << 20


@contextmanager
def running(app: Any, **options: Any) -> Iterator[tuple[str, int]]:
    """The address of a server that runs in a thread."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none", **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    try:
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A server that has opened and migrated its own embedded database."""
    settings = load_settings(data_dir=tmp_path_factory.mktemp("data"), max_body_bytes=MEBIBYTE)
    with running(create_app(settings)) as address:
        yield address


@pytest.fixture
def url(address: tuple[str, int]) -> str:
    return f"http://{address[0]}:{address[1]}"


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One HTTP answer as it came, up to the close of the connection."""
    received = b""
    while part := connection.recv(65536):
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


def test_ready_with_a_database_of_its_own(url: str) -> None:
    assert httpx.get(f"{url}/readyz").status_code == 200
    assert httpx.get(f"{url}/v1/calibrations").json() == {"items": [], "next_cursor": None}


def test_100_mb_sent_whole(address: tuple[str, int]) -> None:
    """A client that sends everything before it reads gets the answer too, and the next request is served."""
    connection = http.client.HTTPConnection(*address, timeout=20)
    for _ in range(2):
        connection.request("POST", "/v1/transfers", b"x" * 100 * MEBIBYTE, {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 413
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["connection"] == "close"
        assert json.loads(response.read())["type"] == "/problems/body-too-large"
    connection.request("POST", "/v1/transfers", json.dumps(CONTRACT), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200
    connection.close()


def test_100_mb_without_length(url: str) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * MEBIBYTE

    response = httpx.post(f"{url}/v1/transfers", content=chunks(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
def test_a_declared_length_is_refused_before_any_byte_of_it(address: tuple[str, int], expect: bytes) -> None:
    with socket.create_connection(address, timeout=20) as connection:
        head = b"POST /v1/transfers HTTP/1.1\r\nHost: w\r\nContent-Type: application/json\r\n"
        connection.sendall(head + expect + b"Content-Length: 104857600\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)  # nothing of the body follows
        started = time.monotonic()
        status, headers, body = read_answer(connection)
    assert time.monotonic() - started < 3
    assert status == 413
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"]
    assert json.loads(body)["status"] == 413


def test_memory_does_not_grow_with_a_refused_body(url: str) -> None:
    def resident() -> int:
        fields = Path("/proc/self/statm").read_text().split()
        return int(fields[1]) * 4096

    def chunks() -> Iterator[bytes]:
        block = b"x" * MEBIBYTE
        for _ in range(200):
            yield block

    before = resident()
    httpx.post(f"{url}/v1/transfers", content=chunks(), headers={"Content-Type": "application/json"})
    assert resident() - before < 60 * MEBIBYTE
