"""What the proxy does for the API: TLS and limits on slow and endless clients; all else passes through unchanged.

Seen to fail with a guard removed, or a mistake put in, and what the test said:

    guard removed             test                                                said
    TLS (auto_https off)      every test                                          no TLS within 60 s
    redirects to https        it_speaks_tls_and_sends_plain_http_there            Connection refused
    max_conns_per_host        more_requests_than_connections_wait_in_the_proxy    acquire(timeout=1.0) is True
    max_header_size           a_head_within_the_limit_is_read                     431 == 200
    read_header               a_slow_head_is_cut, all but `idle`                  still open
    idle                      a_slow_head_is_cut[idle]                            still open
    read_body                 a_slow_body_is_cut                                  still open
    write_idle                an_answer_that_nobody_reads_is_cut                  13484728 < 4 * 3371004
    write for write_idle      an_event_stream_outlives_the_write_limit            ReadError in the stream
    Connection: close         a_huge_body_is_413                                  KeyError: 'connection'
    the same, on HTTP/2 too   a_refusal_ends_no_other_request_of_http_2           the connection was closed
    a request_body in Caddy   a_huge_body_is_413                                  about:blank, by the proxy
    the same                  an_answer_before_the_end_of_a_body_arrives_whole    an answer of the proxy
    request_buffers put in    a_refusal_does_not_wait_for_the_rest_of_the_body    TimeoutError
    handle_errors             an_api_that_is_away_is_a_problem_document           KeyError: 'content-type'
    trusted_proxies put in    clients_cannot_choose_their_address                 401 for the sixth guess
    forwarded_allow_ips=""    each_client_has_a_separate_limit                    429 for the first guess
    forwarded_allow_ips="*"   the_api_believes_nobody_but_the_proxy               401 for the sixth guess
    own_pages_only            other_sites_pages_change_nothing, all four of 403  200 == 403
    Origin passed on          the same                                            200 == 403
    Host passed on            the same, Origin without Sec-Fetch-Site             403 == 200
    the site's name (Host)    another_name_leads_nowhere                          a page of the API
"""

import json
import os
import random
import re
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Semaphore

import httpx
import pytest

from testbed.proxy import CADDYFILE, Proxy, caddy_program
from testbed.waiting import until
from tests.api.samples import CONTRACT, spec
from tests.proxy.conftest import Edge
from tests.proxy.http2 import Http2

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
MEBIBYTE = 1 << 20
GIVE_UP_SECONDS = 30.0


def post(path: str, key: str, *more: str) -> bytes:
    """The head of a POST, without its end."""
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    return "\r\n".join([*lines, f"Authorization: Bearer {key}", *more, "", ""]).encode()


def until_closed(connection: socket.socket, trickle: bytes = b"") -> bytes:
    """Send something every little while until the proxy closes the connection; return what it said."""
    received, give_up = b"", time.monotonic() + GIVE_UP_SECONDS
    connection.settimeout(0.1)
    while True:
        assert time.monotonic() < give_up, "still open"
        try:
            part = connection.recv(65536)
            if not part:
                return received
            received += part
        except TimeoutError:
            try:
                if trickle:
                    connection.sendall(trickle)
            except OSError:
                return received
        except OSError:
            return received


@contextmanager
def early_answer() -> Iterator[int]:
    """The port of a server that answers at a request's head: its own head first, and the rest a moment later."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\n")
            time.sleep(0.2)
            self.wfile.write(b"too much")
            while self.rfile.read1(1 << 20):
                pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def held_answers() -> Iterator[tuple[int, Semaphore, Event]]:
    """The port of a server that holds its answers until the event is set, and counts the requests that it has read."""
    arrived, release = Semaphore(0), Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                while self.rfile.readline().strip():
                    pass
                arrived.release()
                release.wait(GIVE_UP_SECONDS)
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    class Server(socketserver.ThreadingTCPServer):
        request_queue_size = 1024
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], arrived, release
        finally:
            release.set()
            server.shutdown()
            thread.join()


def test_the_caddyfile_is_valid_and_formatted() -> None:
    for command in (["validate", "--config"], ["fmt", "--diff"]):
        ran = subprocess.run([caddy_program(), *command, CADDYFILE], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_it_speaks_tls_and_sends_plain_http_there(edge: Edge) -> None:
    answer = httpx.get(f"http://localhost:{edge.proxy.http_port}/livez", trust_env=False)
    assert answer.status_code == 308
    assert answer.headers["location"].startswith("https://localhost")
    with socket.create_connection(("127.0.0.1", edge.proxy.port)) as plain, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")  # its authority is its own


@pytest.mark.parametrize(
    ("begin", "trickle"),
    [(b"", b""), (HEAD + b"X-", b""), (HEAD, b"X: y\r\n"), (HEAD + b"\r\n" + HEAD, b""), (HEAD + b"\r\n", b"")],
    ids=["nothing", "unfinished", "trickling", "second", "idle"],
)
def test_a_slow_head_is_cut(edge: Edge, begin: bytes, trickle: bytes) -> None:
    with edge.proxy.connect() as connection:
        connection.sendall(begin)
        received = until_closed(connection, trickle)
    assert received.count(b" 200 OK") == begin.count(b"\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: " + b"x" * 2_000_000,
        b"\r\n".join(b"X-%d: 1" % n for n in range(200_000)),
        b"Authorization: Bearer " + b"x" * 70_000,
        b"X-Break: a\x00b",
        b"No colon at all",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: -1",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    ],
    ids=lambda head: repr(head[:24]),
)
def test_a_huge_or_broken_head_is_refused(edge: Edge, head: bytes) -> None:
    with edge.proxy.connect() as connection:
        received = b""
        try:
            connection.sendall(HEAD.replace(b"GET", b"POST") + head + b"\r\n\r\n")
            received = until_closed(connection)
        except OSError:
            pass  # cut while it was still being sent
    assert not received or received.split()[1] in (b"400", b"405", b"431"), received[:200]
    with edge.client() as client:
        assert client.get("/livez").status_code == 200


def test_a_head_within_the_limit_is_read(edge: Edge) -> None:
    with edge.client() as client:
        assert client.get("/livez", headers={"X-Long": "x" * 60_000}).status_code == 200
        assert client.get("/livez", headers={"X-Long": "x" * 70_000}).status_code == 431


@pytest.mark.parametrize("trickle", [b"", b" "], ids=["nothing", "trickling"])
@pytest.mark.parametrize("length", ["Content-Length: 500000", "Transfer-Encoding: chunked"])
def test_a_slow_body_is_cut(edge: Edge, length: str, trickle: bytes) -> None:
    """With a small Content-Length it is the API that ends it: tests/api/test_bodies.py."""
    with edge.proxy.connect() as connection:
        chunked = "chunked" in length
        connection.sendall(post("/v1/transfers", edge.key, length) + (b"1\r\n{\r\n" if chunked else b"{"))
        received = until_closed(connection, b"1\r\n \r\n" if trickle and chunked else trickle)
    assert not received or received.split()[1] in (b"408", b"499", b"504"), received


def test_a_slow_body_behind_its_answer_is_cut(edge: Edge) -> None:
    with edge.proxy.connect() as connection:
        connection.sendall(post("/livez", edge.key, "Content-Length: 1000") + b"{")
        assert until_closed(connection, b" ").startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize(("path", "size"), [("/v1/transfers", 9 * MEBIBYTE), ("/v1/calibrations", 300 << 10)])
@pytest.mark.parametrize("declared", [True, False])
def test_a_huge_body_is_413(edge: Edge, path: str, size: int, *, declared: bool) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range((size >> 16) + 1):
            yield b" " * (1 << 16)

    body = b" " * size if declared else chunks()
    with edge.client() as client:
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "/problems/body-too-large"  # the API's, which says how much is too much
        assert answer.headers["connection"] == "close"  # the rest of the body must not be taken for a request
        assert client.post("/v1/transfers", json=CONTRACT).status_code == 200


def test_a_declared_length_is_refused_before_any_byte_of_it(edge: Edge) -> None:
    with edge.proxy.connect() as connection:
        connection.sendall(post("/v1/transfers", edge.key, f"Content-Length: {100 * MEBIBYTE}"))
        assert until_closed(connection).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/v1/transfers", "/v1/calibrations"])
def test_an_answer_before_the_end_of_a_body_arrives_whole(folder: Path, path: str) -> None:
    """However slowly it comes: a limit of the proxy on bodies would close its connection to the API meanwhile."""
    with early_answer() as port, Proxy(folder, port) as proxy, httpx.Client(verify=proxy.trust(), trust_env=False) as c:
        answer = c.post(f"{proxy.url}{path}", content=b" " * (9 * MEBIBYTE))
    assert (answer.status_code, answer.text) == (413, "too much")


def test_a_refusal_does_not_wait_for_the_rest_of_the_body(edge: Edge) -> None:
    """A body of unknown length that stops behind the API's limit: its refusal comes before the body is given up."""
    with edge.proxy.connect() as connection:
        connection.sendall(post("/v1/calibrations", edge.key, "Transfer-Encoding: chunked"))
        for _ in range(5):
            connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        connection.settimeout(1.5)  # the proxy gives a body 3 s
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_refusal_ends_no_other_request_of_http_2(edge: Edge) -> None:
    with Http2(edge.proxy) as connection:
        head = {":path": "/v1/calibrations", "content-type": "application/json", "content-length": "307200"}
        connection.request(1, {":method": "POST", **head, "authorization": f"Bearer {edge.key}"}, b" " * 10_000)
        assert json.loads(connection.answer(1))["status"] == 413
        connection.request(3, {":method": "GET", ":path": "/livez"})
        assert json.loads(connection.answer(3))["status"] == "live"


def many_tensors() -> bytes:
    """A transfer whose answer of 3 MB is far larger than any buffer, and not small when it is packed either."""
    names = random.Random(0)
    tensors = [
        {
            "name": f"t{n}.{names.randbytes(40).hex()}",
            "role": "hidden",
            "base_shape": [64, 64],
            "target_shape": [128, 128],
        }
        for n in range(4_000)
    ]
    return json.dumps({**CONTRACT, "tensors": tensors}).encode()


def test_an_answer_that_nobody_reads_is_cut(edge: Edge) -> None:
    """Its connection to the API ends with it: nothing is held for a client that has stopped reading."""
    body = many_tensors()
    request = post("/v1/transfers", edge.key, f"Content-Length: {len(body)}") + body
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(20)
        plain.connect(("127.0.0.1", edge.proxy.port))
        with edge.proxy.trust().wrap_socket(plain, server_hostname="localhost") as connection:
            for _ in range(4):
                connection.sendall(request)
            time.sleep(6)  # three times as long as a write may stall
            received = 0
            with pytest.raises((OSError, EOFError)):  # noqa: PT012  reads up to where it was cut
                while True:
                    part = connection.recv(1 << 20)
                    received += len(part)
                    if not part:
                        raise EOFError
    with edge.client() as client:
        whole = len(client.post("/v1/transfers", content=body, headers={"Content-Type": "application/json"}).content)
    assert received < 4 * whole


def test_a_stream_of_http_2_that_nobody_reads_is_cut(edge: Edge) -> None:
    """Although its connection lives and others of it are read: what the API holds for it is given up."""

    def unsent() -> float:
        text = client.get("/metrics").text
        return float(re.findall(r"^widthwise_unsent_answer_bytes (\S+)$", text, re.MULTILINE)[0])

    body = many_tensors()
    with edge.client() as client, Http2(edge.proxy) as connection:
        assert not unsent()  # this connection stands before the answer does, which is held for two seconds
        head = {":method": "POST", ":path": "/v1/transfers", "content-type": "application/json"}
        connection.request(1, {**head, "authorization": f"Bearer {edge.key}"}, b"")
        connection.rest(1, body)
        until(lambda: unsent() > 0, every=0.1)  # a key may send 600 requests a minute
        for stream in range(3, 1000, 2):
            connection.request(stream, {":method": "GET", ":path": "/livez"})
            assert json.loads(connection.answer(stream))["status"] == "live"
            if not unsent():
                break
            time.sleep(0.1)
        assert not unsent()


def test_an_event_stream_outlives_the_write_limit(edge: Edge) -> None:
    """It is cut by no time limit while it is read, and what happens meanwhile arrives at once."""
    with edge.client() as client:
        made = client.post("/v1/calibrations", json=spec(runner="external")).json()
        seen: list[float] = []

        def read() -> None:
            with client.stream("GET", made["links"]["events"]) as stream:
                for line in stream.iter_lines():
                    if line.startswith("id:"):
                        seen.append(time.monotonic())

        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(7)  # more than any limit of this proxy
        with edge.client() as other:
            cancelled = time.monotonic()
            other.post(f"/v1/calibrations/{made['id']}/cancel")
        reader.join(30)
    assert not reader.is_alive()
    assert seen[-1] >= cancelled
    assert seen[-1] - cancelled < 5


def test_more_requests_than_connections_wait_in_the_proxy(folder: Path) -> None:
    """The API has at most 400 at once, of the 1,024 files that it may open; the others come as these are answered."""
    with held_answers() as (port, arrived, release), Proxy(folder, port) as proxy, ExitStack() as connections:
        clients = [connections.enter_context(Http2(proxy)) for _ in range(2)]  # each may have 250 requests
        streams = range(1, 2 * 202, 2)
        for client in clients:
            for stream in streams:
                client.request(stream, {":method": "GET", ":path": "/livez"})
        assert all(arrived.acquire(timeout=GIVE_UP_SECONDS) for _ in range(400))
        assert not arrived.acquire(timeout=1.0)
        release.set()
        assert all(arrived.acquire(timeout=GIVE_UP_SECONDS) for _ in range(len(clients) * len(streams) - 400))


def test_keys_request_ids_and_status_pass_through(edge: Edge) -> None:
    with edge.client(with_key=False) as stranger, edge.client() as alice:
        refused = stranger.get("/v1/calibrations")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        answer = alice.get("/v1/calibrations", headers={"X-Request-Id": "from-the-client"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (200, "from-the-client")
        found = alice.get("/v1/parameterizations")
        assert alice.get("/v1/parameterizations", headers={"If-None-Match": found.headers["etag"]}).status_code == 304
        assert re.fullmatch(r"[0-9a-f]{16}", alice.get("/nothing").headers["x-request-id"])


def test_clients_cannot_choose_their_address(edge: Edge) -> None:
    """Wrong keys count against the connection's address, whatever X-Forwarded-For a client sends."""
    with edge.client(with_key=False) as stranger:
        statuses = [
            stranger.get(
                "/v1/exponents", headers={"Authorization": f"Bearer wrong{n}", "X-Forwarded-For": f"198.51.100.{n}"}
            ).status_code
            for n in range(7)
        ]
    assert statuses == [401] * 5 + [429] * 2


def guess(url: str, trust: ssl.SSLContext, address: str, forwarded: str = "") -> int:
    """The status of a request with a wrong key, from an address of this machine."""
    headers = {"Authorization": f"Bearer wrong-from-{address}"} | ({"X-Forwarded-For": forwarded} if forwarded else {})
    transport = httpx.HTTPTransport(verify=trust, local_address=address)
    with httpx.Client(transport=transport, timeout=60.0) as client:
        return client.get(f"{url}/v1/exponents", headers=headers).status_code


def test_each_client_has_a_separate_limit(edge: Edge) -> None:
    """The proxy names a client's address and the API believes it, so one that guesses keys keeps out no other."""
    trust = edge.proxy.trust()
    assert [guess(edge.proxy.url, trust, "127.0.0.2") for _ in range(6)] == [401] * 5 + [429]
    assert guess(edge.proxy.url, trust, "127.0.0.3") == 401


def test_the_api_believes_nobody_but_the_proxy(edge: Edge) -> None:
    """Who reaches it past the proxy, from another address, can't choose the one that is counted."""
    url, trust = f"http://127.0.0.1:{edge.cluster.port}", edge.proxy.trust()
    statuses = [guess(url, trust, "127.0.0.4", forwarded=f"198.51.100.{n}") for n in range(6)]
    assert statuses == [401] * 5 + [429]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "SITE", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "SITE"}, 200),  # an old browser: the Host that it matches came through
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://localhost:1"}, 403),  # another port is another site
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_other_sites_pages_change_nothing(open_edge: Edge, headers: dict[str, str], status: int) -> None:
    """In a service without keys: a browser names the page's site, and the proxy passes that and the Host on."""
    sent = {name: open_edge.proxy.url if value == "SITE" else value for name, value in headers.items()}
    with open_edge.client(with_key=False) as client:
        answer = client.post("/v1/transfers", json=CONTRACT, headers=sent)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["type"] == "/problems/foreign-origin"


def test_another_name_leads_nowhere(open_edge: Edge) -> None:
    """A page whose name was made to resolve to this address reaches the proxy alone."""
    with open_edge.client(with_key=False) as client:
        assert client.get("/v1/calibrations").json()["items"] == []
        answer = client.get("/v1/calibrations", headers={"Host": "evil.example"})
    assert answer.content == b""
    assert "x-request-id" not in answer.headers  # which each answer of the API has


def test_the_command_works_through_it(edge: Edge) -> None:
    """With SSL_CERT_FILE, as docs/operations.md says for a proxy whose authority is its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WIDTHWISE_")}
    own = {
        "WIDTHWISE_URL": edge.proxy.url,
        "WIDTHWISE_API_KEY": edge.key,
        "SSL_CERT_FILE": str(edge.proxy.certificate),
    }
    command = [sys.executable, "-m", "widthwise.cli", "exponents"]
    ran = subprocess.run(command, env={**clean, **own}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_an_api_that_is_away_is_a_problem_document(folder: Path) -> None:
    with Proxy(folder, 1) as proxy, httpx.Client(verify=proxy.trust(), trust_env=False) as client:
        answer = client.get(f"{proxy.url}/livez")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 502
