"""Retries against a real server: what is sent again, after how long, and what is said in the end."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from typing import Any

import anyio
import pytest

from widthwise import AsyncClient, Client
from widthwise.client import NO_RETRIES, Retries
from widthwise.client.retries import retry_after_seconds
from widthwise.errors import (
    ServiceError,
    ServiceFailureError,
    ServiceLimitError,
    UnreachableServiceError,
)

KEY = "ww_0123456789abcdef_" + "s" * 43
Answered = tuple[int, dict[str, str], dict[str, Any]]

WORKERS: Answered = (200, {}, {"items": []})
SWEEP: dict[str, Any] = {
    **{"id": "swp_1", "created_at": "2026-11-01T00:00:00Z", "name": "a", "notes": None, "revision": 1, "runs": 0},
    **{"diverged": 0, "cells": 0, "axes": {}, "reading": {}},
}


def problem(status: int, slug: str, **headers: str) -> Answered:
    return (
        status,
        headers,
        {"type": f"/problems/{slug}", "title": "Later", "status": status, "detail": f"Not now: {KEY}."},
    )


@dataclass
class Script:
    """What a server answers, one after another, and what it was sent; None: it hangs up without an answer."""

    url: str
    answers: list[Answered | None] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Script]:
    script = Script("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            script.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            given = script.answers.pop(0)
            if given is None:
                self.close_connection = True
                return
            status, headers, body = given
            content = dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815
        do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def script() -> Iterator[Script]:
    """A server that answers what the test says."""
    with serving() as started:
        yield started


@pytest.fixture
def pauses() -> list[float]:
    """What the client waited."""
    return []


@pytest.fixture
def client(script: Script, pauses: list[float]) -> Iterator[Client]:
    """A client of that server that waits no time."""
    with Client(script.url, api_key=KEY, sleep=pauses.append) as opened:
        yield opened


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_it_waits_as_long_as_it_is_asked_and_asks_again(
    script: Script, client: Client, pauses: list[float], status: int
) -> None:
    script.answers = [problem(status, "x", **{"Retry-After": "7"}), WORKERS]
    assert client.workers() == []
    assert pauses == [7]


def test_it_reads_a_date(script: Script, client: Client, pauses: list[float]) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)
    script.answers = [problem(503, "busy", **{"Retry-After": until}), WORKERS]
    assert client.workers() == []
    assert 0 < pauses[0] <= 50


def test_without_a_header_the_pauses_double_with_jitter(script: Script, client: Client, pauses: list[float]) -> None:
    script.answers = [problem(503, "not-ready")] * 4 + [WORKERS]
    assert client.workers() == []
    assert [0.5 * base <= pause <= base for base, pause in zip((0.5, 1, 2, 4), pauses, strict=True)] == [True] * 4


def test_it_gives_up_in_the_end_and_says_so(script: Script, client: Client, pauses: list[float]) -> None:
    script.answers = [problem(503, "not-ready", **{"Retry-After": "1"})] * 5
    with pytest.raises(ServiceFailureError, match=r"Later: Not now.*\nSent 5 times in 0 s\.") as failed:
        client.workers()
    assert (failed.value.attempts, len(pauses), script.answers) == (5, 4, [])


def test_it_does_not_wait_longer_than_its_limit(script: Script, client: Client, pauses: list[float]) -> None:
    script.answers = [problem(429, "too-many-requests", **{"Retry-After": "3600"})]
    with pytest.raises(ServiceLimitError) as failed:
        client.workers()
    assert (failed.value.retry_after, failed.value.slug, pauses) == (3600, "too-many-requests", [])


@pytest.mark.parametrize(("status", "slug"), [(429, "quota-exceeded"), (500, "unexpected"), (404, "not-found")])
def test_what_another_attempt_cannot_better_is_not_sent_again(
    script: Script, client: Client, status: int, slug: str
) -> None:
    script.answers = [problem(status, slug, **{"Retry-After": "1"})]
    with pytest.raises(ServiceError) as failed:
        client.workers()
    assert failed.value.attempts == 1


def test_a_creation_carries_the_same_key_each_time(script: Script, client: Client, pauses: list[float]) -> None:
    script.answers = [None, problem(503, "not-ready"), (201, {}, SWEEP), (201, {}, SWEEP)]
    assert client.create_sweep("a").id == "swp_1"
    client.create_sweep("a")
    keys = [headers["idempotency-key"] for _, _, headers in script.asked]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert len(pauses) == 2


def test_a_deletion_is_sent_again_only_if_nothing_was_done(script: Script, client: Client) -> None:
    script.answers = [problem(429, "too-many-requests", **{"Retry-After": "1"}), (204, {}, {})]
    client.delete("cal_1")
    script.answers = [problem(503, "not-ready")]
    with pytest.raises(ServiceFailureError):
        client.delete("cal_1")
    script.answers = [None]
    with pytest.raises(UnreachableServiceError):
        client.delete("cal_1")
    assert script.answers == []


def test_a_lost_connection_is_tried_again_and_names_the_address(script: Script, client: Client) -> None:
    script.answers = [None, WORKERS]
    assert client.workers() == []
    script.answers = [None] * 5
    with pytest.raises(UnreachableServiceError, match=script.url) as failed:
        client.workers()
    assert (failed.value.attempts, failed.value.status) == (5, None)


def test_a_service_that_was_there_may_come_back(pauses: list[float]) -> None:
    with serving() as script:
        client = Client(script.url, sleep=pauses.append)
        script.answers = [WORKERS]
        client.workers()
    with client, pytest.raises(UnreachableServiceError, match="no service at") as failed:
        client.workers()
    assert failed.value.attempts == len(pauses) + 1 == 5


def test_a_service_that_never_was_is_not_waited_for(free_tcp_port: int, pauses: list[float]) -> None:
    url = f"http://127.0.0.1:{free_tcp_port}"
    with Client(url, sleep=pauses.append) as client, pytest.raises(UnreachableServiceError, match=url):
        client.workers()
    assert pauses == []


def test_retries_can_be_turned_off(script: Script, pauses: list[float]) -> None:
    script.answers = [problem(503, "not-ready")]
    with Client(script.url, retries=NO_RETRIES, sleep=pauses.append) as client, pytest.raises(ServiceFailureError):
        client.workers()
    script.answers = [problem(503, "not-ready"), problem(503, "not-ready")]
    twice = Client(script.url, retries=Retries(attempts=2), sleep=pauses.append)
    with twice, pytest.raises(ServiceFailureError, match="Sent 2 times"):
        twice.workers()
    assert len(pauses) == 1


def test_the_asynchronous_client_does_the_same(script: Script, pauses: list[float]) -> None:
    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def ask() -> object:
        async with AsyncClient(script.url, sleep=sleep) as client:
            return await client.workers()

    script.answers = [problem(429, "too-many-requests", **{"Retry-After": "3"}), WORKERS]
    assert anyio.run(ask) == []
    assert pauses == [3]


def test_the_key_is_in_no_log_message_or_name(script: Script, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    script.answers = [problem(503, "not-ready"), problem(404, "not-found")]
    with pytest.raises(ServiceError) as failed:
        client.workers()
    error = failed.value
    shown = [repr(client), repr(error), str(error), error.detail, repr(error.problem), repr(vars(client)), caplog.text]
    assert script.asked[0][2]["authorization"] == f"Bearer {KEY}"
    assert "HTTP Request" in caplog.text  # the HTTP library logs at all
    assert [text for text in shown if KEY in text] == []


def test_a_password_in_the_address_is_not_shown(script: Script) -> None:
    url = script.url.replace("://", "://user:secret@")
    script.answers = [(404, {}, {}), (200, {}, {})]
    with Client(url) as client:
        for _ in range(2):
            with pytest.raises(ServiceError, match=script.url) as failed:
                client.workers()
            assert "secret" not in str(failed.value) + repr(client) + client.url
    with pytest.raises(ServiceError) as refused:
        Client("ftp://user:secret@host")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("header", [None, "soon", "inf", "nan"])
def test_what_says_nothing_is_no_time(header: str | None) -> None:
    assert retry_after_seconds(header, datetime.now(UTC)) is None
