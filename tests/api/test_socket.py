"""The service on a real socket: start, stop, its own database, and bodies too large to read."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from service.app import create_app
from service.http.connection_limits import MAX_HEAD_BYTES, MAX_PIPELINED, BoundedProtocol
from service.settings import load_settings
from testbed.waiting import until
from tests.api.samples import CONTRACT

MEBIBYTE = 1 << 20


@contextmanager
def running(app: Any, protocol: type[BoundedProtocol] = BoundedProtocol, **options: Any) -> Iterator[tuple[str, int]]:
    """The address of a server that runs in a thread."""
    config = uvicorn.Config(app, http=protocol, host="127.0.0.1", port=0, log_level="error", ws="none", **options)
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
    """A server that has opened and migrated an embedded database of its own."""
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


def read_answers(connection: socket.socket, count: int) -> None:
    """Read until so many requests have been answered with 200."""
    received = b""
    while received.count(b"HTTP/1.1 200") < count:
        part = connection.recv(65536)
        assert part, received[-500:]
        received += part


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


# heads --------------------------------------------------------------------------------------------

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
ASKED = HEAD + b"\r\n"
CHUNKED = b"POST /nowhere HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n"
LONG = b"x" * (MAX_HEAD_BYTES + 1)
LARGE_HEADS = {
    "header": HEAD + b"X: " + LONG,
    "name": HEAD + LONG + b": x",
    "headers": HEAD + b"\r\n".join(b"X-%d: y" % n for n in range(MAX_HEAD_BYTES // 8)),
    "address": b"GET /livez?" + LONG + b" HTTP/1.1\r\nHost: localhost",
}


@pytest.mark.parametrize("before", [b"", ASKED, ASKED * 3], ids=["first", "second", "fourth"])
@pytest.mark.parametrize("head", LARGE_HEADS.values(), ids=list(LARGE_HEADS))
def test_a_head_over_the_bound_is_431(address: tuple[str, int], head: bytes, before: bytes) -> None:
    """Whatever it is that makes it large, on a connection that has had answers too."""
    with socket.create_connection(address, timeout=20) as connection:
        if before:
            connection.sendall(before)
            read_answers(connection, before.count(ASKED))
        connection.sendall(head + b"\r\n\r\n")
        received = b""
        while part := connection.recv(65536):
            received += part
    answer = received[received.index(b"HTTP/1.1 4") :]
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == "/problems/head-too-large"


@pytest.mark.parametrize("size", [1000, MAX_HEAD_BYTES - 100])
def test_a_head_within_the_bound_is_read(address: tuple[str, int], size: int) -> None:
    """Behind a body too, and in whatever parts it comes."""
    body = json.dumps(CONTRACT).encode() + b" " * 200_000
    before = b"POST /v1/transfers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    before += b"Content-Length: %d\r\n\r\n" % len(body) + body
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(before + HEAD + b"X: " + b"x" * size + b"\r\n\r\n")
        read_answers(connection, 2)


@pytest.mark.parametrize(
    ("begin", "part"),
    [
        (HEAD + b"X: ", b"x" * 65536),
        (HEAD, b"X: y\r\n" * 10_000),
        (b"GET /livez?", b"x" * 65536),
        (b"", b"\r\n" * 32768),
        (CHUNKED + b"5;a=", b"x" * 65536),
        (CHUNKED + b"0\r\nX: ", b"x" * 65536),
        (CHUNKED + b"0\r\n", b"X: y\r\n" * 10_000),
    ],
    ids=["header", "headers", "address", "blank lines", "chunk extension", "trailer", "trailers"],
)
def test_what_has_no_end_is_cut(address: tuple[str, int], begin: bytes, part: bytes) -> None:
    """It is cut while it is being sent, wherever in a request no body can grow."""
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(begin)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(part * 500)


class Hasty(BoundedProtocol):
    """Waits for no head and no body longer than a moment."""

    head_seconds = 0.2
    body_seconds = 0.2


class Small(BoundedProtocol):
    """Takes three connections."""

    max_connections = 3


async def slow(scope: Any, receive: Any, send: Any) -> None:
    """Answer /slow after some times as long as a head may take, all else at once, and read no body."""
    if scope["type"] == "http":
        if scope["path"] == "/slow":
            await asyncio.sleep(5 * Hasty.head_seconds)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def hasty() -> Iterator[tuple[str, int]]:
    with running(slow, Hasty, timeout_keep_alive=600, lifespan="off") as address:
        yield address


@pytest.mark.parametrize(
    ("begin", "trickle"),
    [
        (b"", b""),
        (HEAD + b"X-", b""),
        (HEAD, b"X: y\r\n"),
        (b"\r\n", b"\r\n"),
        (ASKED + HEAD, b""),
        (ASKED + b"\r\n", b"\r\n"),
        (b"POST /livez HTTP/1.1\r\nHost: w\r\nContent-Length: 100000\r\n\r\n", b"x"),
    ],
    ids=["nothing", "unfinished", "trickling", "blank", "second", "blank second", "body behind its answer"],
)
def test_a_connection_without_a_whole_head_is_closed(hasty: tuple[str, int], begin: bytes, trickle: bytes) -> None:
    """Though uvicorn's own time for idle connections is long here, and bytes still come."""
    with socket.create_connection(hasty, timeout=20) as connection:
        connection.sendall(begin)
        give_up = time.monotonic() + 20
        connection.settimeout(0.05)
        closed = False
        while not closed:
            assert time.monotonic() < give_up, "still open"
            try:
                closed = connection.recv(65536) == b""
                if trickle and not closed:
                    connection.sendall(trickle)
            except TimeoutError:
                connection.sendall(trickle)
            except OSError:
                closed = True


@pytest.fixture(scope="module")
def hasty_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    settings = load_settings(data_dir=tmp_path_factory.mktemp("data"))
    with running(create_app(settings), Hasty, timeout_keep_alive=600) as address:
        yield address


POST = b"POST /v1/transfers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("trickle", [b"", b" "], ids=["nothing", "trickling"])
@pytest.mark.parametrize("length", [b"Content-Length: 1000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"])
def test_a_body_that_does_not_come_in_whole_is_408(
    hasty_service: tuple[str, int], length: bytes, trickle: bytes
) -> None:
    with socket.create_connection(hasty_service, timeout=20) as connection:
        connection.sendall(ASKED + POST + length)
        received, give_up = b"", time.monotonic() + 20
        connection.settimeout(0.05)
        while b"408" not in received:
            assert time.monotonic() < give_up, received
            try:
                received += connection.recv(65536)
            except TimeoutError:
                connection.sendall(b"1\r\n \r\n" if b"chunked" in length else trickle)
    assert received.count(b"HTTP/1.1") == 2
    assert b"The body had not come in whole after 0.2 seconds" in received


def test_a_body_that_comes_in_time_is_read(hasty_service: tuple[str, int]) -> None:
    """However many of them, in parts, one after another: each has the time of its own."""
    body = json.dumps(CONTRACT).encode()
    with closing(http.client.HTTPConnection(*hasty_service, timeout=20)) as connection:
        for _ in range(10):
            connection.request(
                "POST", "/v1/transfers", iter([body[:100], body[100:]]), {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
            time.sleep(Hasty.body_seconds / 4)


def test_an_answer_may_take_longer_than_a_head(hasty: tuple[str, int]) -> None:
    with closing(http.client.HTTPConnection(*hasty, timeout=20)) as connection:
        for _ in range(2):
            connection.request("GET", "/slow")
            assert connection.getresponse().read() == b"ok"


def test_requests_in_a_row_are_answered_up_to_a_number(hasty: tuple[str, int]) -> None:
    asked = ASKED.replace(b"livez", b"slow")
    for count, answered in ((5, 5), (MAX_PIPELINED + 2, 0)):
        with socket.create_connection(hasty, timeout=20) as connection:
            connection.sendall(asked * (count - 1) + asked.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            received = b""
            while part := connection.recv(65536):
                received += part
        assert received.count(b"200 OK") == answered


def test_connections_are_bounded_and_open_ones_go_on() -> None:
    with running(slow, Small, lifespan="off") as address, ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(3)]
        for connection in opened[:2]:
            connection.sendall(ASKED)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection(address, timeout=20) as one_more:
            status, headers, body = read_answer(one_more)
        assert (status, headers["retry-after"], headers["connection"]) == (503, "5", "close")
        assert json.loads(body)["type"] == "/problems/busy"
        opened[2].sendall(ASKED)
        assert opened[2].recv(65536).startswith(b"HTTP/1.1 200 ")
        opened[0].close()

        def room() -> bool:
            with socket.create_connection(address, timeout=20) as again:
                again.sendall(ASKED)
                return again.recv(65536).startswith(b"HTTP/1.1 200 ")

        until(room)
