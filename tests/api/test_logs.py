"""Log lines: one for each request, without secrets, and with an id by which a request is followed into the workers."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
import pytest
import structlog
from fastapi import FastAPI
from structlog.testing import capture_logs

from service.app import create_app
from service.settings import Settings
from service.store import Store
from testbed.waiting import LONG_SECONDS
from tests.api.client import Client, client_of
from tests.api.keyed import bearer, keyed_app, new_key
from tests.api.samples import CONTRACT, submit
from tests.workers.conftest import fake_child
from workers.lifetime import Lifetime
from workers.standby import Standby
from workers.supervisor import Supervisor
from workers.totals import Outcome


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """Every line, with what is bound by context."""
    with capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        yield lines  # type: ignore[misc]  # an event's dictionary is a mutable mapping to structlog


def requests(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == "request"]


def test_one_line_for_each_request(client: Client) -> None:
    identifier = submit(client)
    with logged() as lines:
        client.post("/v1/transfers", json=CONTRACT, headers={"X-Request-Id": "mine-1"})
        client.get(f"/v1/calibrations/{identifier}?cursor=s3cret", headers={"X-Request-Id": "mine-2"})
        client.get("/nowhere/at-all?token=s3cret")
        client.get("/livez")
    transfer, shown, nowhere, probe = requests(lines)
    assert transfer.pop("ms") > 0
    assert transfer == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "route": "/v1/transfers",
        "status": 200,
        "request_id": "mine-1",
    }
    assert (shown["route"], shown["calibration_id"]) == ("/v1/calibrations/{calibration_id}", identifier)
    assert (nowhere["route"], nowhere["status"], nowhere["log_level"]) == ("unmatched", 404, "info")
    assert probe["log_level"] == "debug"
    assert "s3cret" not in str(lines)
    assert "at-all" not in str(requests(lines))


def test_who_asked(settings: Settings, store: Store) -> None:
    key = new_key(store, owner="alice", scope="read")
    with client_of(keyed_app(settings, store)) as client, logged() as lines:
        client.get("/v1/calibrations", headers=bearer(key))
        client.get("/v1/calibrations", headers=bearer("ww_0123456789abcdef_" + "x" * 43))
        client.post("/v1/transfers", json=CONTRACT, headers=bearer(key))
    known, unknown, transfer = requests(lines)
    assert (known["key_id"], known["owner"], known["status"]) == (key.key_id, "alice", 200)
    assert (unknown["status"], "key_id" in unknown, "owner" in unknown) == (401, False, False)
    assert transfer["owner"] == "alice"
    assert key.secret not in str(lines)
    assert "x" * 43 not in str(lines)


def test_a_sweep_is_named(client: Client) -> None:
    identifier = client.post("/v1/sweeps", json={"name": "ours"}).json()["id"]
    with logged() as lines:
        client.get(f"/v1/sweeps/{identifier}/fit")
    (line,) = requests(lines)
    assert (line["route"], line["sweep_id"], line["status"]) == ("/v1/sweeps/{sweep_id}/fit", identifier, 409)


@pytest.mark.parametrize("resource", ["calibrations", "sweeps"])
def test_an_odd_identifier_is_not_quoted(client: Client, resource: str) -> None:
    with logged() as lines:
        client.get(f"/v1/{resource}/%0A%1B[31mforged%20line")
    (line,) = requests(lines)
    assert not {"calibration_id", "sweep_id"} & set(line)


def test_they_can_be_turned_off(settings: Settings, store: Store) -> None:
    quiet = settings.model_copy(update={"log_requests": False})
    with client_of(create_app(quiet, store)) as client, logged() as lines:
        client.get("/livez")
        assert client.get("/nowhere").headers["x-request-id"]
    assert lines == []


def test_what_a_request_logs_carries_its_id(settings: Settings, store: Store) -> None:
    """In a route's thread too; and nothing of it is left for the next request."""
    app = create_app(settings, store)

    @app.get("/threaded")
    def threaded() -> None:
        structlog.get_logger("elsewhere").info("something")

    with client_of(app) as client, logged() as lines:
        response = client.get("/threaded")
        structlog.get_logger("elsewhere").info("later")
    something, _, later = lines
    assert something["request_id"] == response.headers["x-request-id"]
    assert "request_id" not in later


def test_nothing_is_left_bound_after_a_request(app: FastAPI) -> None:
    """A server may answer one request after another in the same context."""

    async def twice() -> dict[str, Any]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            for path in ("/livez", "/nowhere"):
                await client.get(path)
        return structlog.contextvars.get_contextvars()

    assert anyio.run(twice) == {}


@pytest.mark.parametrize("path", ["/v1/transfers", "/v1/calibrations"])
@pytest.mark.parametrize("sent", [b"", b"x" * 10])
def test_a_client_that_leaves_while_it_sends_is_no_mistake_of_ours(app: FastAPI, path: str, sent: bytes) -> None:
    """Not even where it left before the first byte of its body."""
    with logged() as lines:
        assert anyio.run(left_early, app, path, sent) == []
        with client_of(app) as client:
            metrics = client.get("/metrics").text
    assert [(line["event"], line["status"], line["log_level"]) for line in lines][:1] == [("request", 499, "info")]
    assert not any(line["log_level"] in ("warning", "error") for line in lines)
    assert f'widthwise_http_requests_total{{method="POST",route="{path}",status="499"}} 1.0' in metrics


async def left_early(app: FastAPI, path: str, sent: bytes) -> list[Any]:
    """Begin a request, leave after `sent`, and return what was answered."""
    messages = iter([{"type": "http.request", "body": sent, "more_body": True}] if sent else [])
    answered: list[Any] = []

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        answered.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    await app({**scope, "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"}, receive, send)
    return answered


def test_a_request_is_followed_to_its_shards(client: Client, store: Store) -> None:
    """Response header → line of the API → calibration → lines of the worker, and of what it logs meanwhile."""
    with logged() as lines:
        response = client.post("/v1/calibrations", json=_SPEC, headers={"X-Request-Id": "trace-me"})
    assert response.headers["x-request-id"] == "trace-me"
    assert [line["request_id"] for line in requests(lines)] == ["trace-me"]
    claim = store.work.claim("w")
    assert claim is not None
    assert (claim.request_id, claim.calibration_id) == ("trace-me", response.json()["id"])
    standby = Standby(fake_child("run"), Lifetime(shards=1))
    supervisor = Supervisor(store, "w", threading.Event(), LONG_SECONDS, LONG_SECONDS, standby)
    with logged() as lines:
        assert supervisor.run(claim) is Outcome.SUCCEEDED
    assert {line["event"] for line in lines} >= {"shard_started", "shard_ended"}
    for line in lines:
        assert (line["request_id"], line["calibration_id"]) == ("trace-me", claim.calibration_id)
        assert line["shard_id"] == claim.shard_id


def test_a_replay_keeps_the_first_requests_id(client: Client, store: Store) -> None:
    first = client.post("/v1/calibrations", json=_SPEC, headers={"X-Request-Id": "first", "Idempotency-Key": "k"})
    again = client.post("/v1/calibrations", json=_SPEC, headers={"X-Request-Id": "second", "Idempotency-Key": "k"})
    assert again.json()["id"] == first.json()["id"]
    claims = [store.work.claim("w") for _ in range(50)]
    mine = {claim.request_id for claim in claims if claim and claim.calibration_id == first.json()["id"]}
    assert mine == {"first"}


_SPEC = {
    "parameterization": "standard",
    "optimizer": "adam",
    "widths": [32, 64],
    "seeds": 1,
    "steps": 10,
    "search": "grid",
    "learning_rates": [0.001, 0.01, 0.1],
}

_LINES = """
import logging, structlog, sys
from service.observability.structured_logs import configure_logging
configure_logging("info", sys.argv[1])
log = structlog.get_logger("widthwise")
with structlog.contextvars.bound_contextvars(request_id="r1"):
    log.info("ours", ms=1.5, path=__import__("pathlib").Path("/x"))
    logging.getLogger("uvicorn.error").info("theirs %s", "formatted")
log.info("surrogate", text="\\ud800", number=1 << 70)
log.debug("hidden")
logging.getLogger("alembic").info("hidden")
try:
    secret = "hunter2"
    raise ValueError("broke")
except ValueError:
    log.exception("failed")
    logging.getLogger("celery.worker").exception("failed too")
"""


def written(form: str) -> str:
    ran = subprocess.run([sys.executable, "-c", _LINES, form], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    return ran.stderr


def test_one_json_form_for_ours_and_the_standard_librarys() -> None:
    lines = [json.loads(line) for line in written("json").splitlines()]
    assert [line["event"] for line in lines] == ["ours", "theirs formatted", "surrogate", "failed", "failed too"]
    for line in lines:
        assert line["timestamp"].endswith("Z")
        assert line["level"] in ("info", "error")
    ours, theirs, surrogate, failed, failed_too = lines
    assert (ours["request_id"], ours["ms"], ours["path"]) == ("r1", 1.5, "/x")
    assert (theirs["request_id"], theirs["logger"]) == ("r1", "uvicorn.error")
    assert "request_id" not in surrogate
    assert "ValueError: broke" in failed["exception"]
    assert "ValueError: broke" in failed_too["exception"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_local_variable_is_written(form: str) -> None:
    text = written(form)
    assert "ValueError: broke" in text
    assert "hunter2" not in text.replace('secret = "hunter2"', "")
