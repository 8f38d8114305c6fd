"""GET /v1/calibrations/{id}/events: numbering, resuming, how a stream ends, and how many may be open."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from starlette.types import Message

from service.app import create_app
from service.auth.tokens import Token
from service.errors import TooManyRequestsError
from service.http.streams import IN_ALL, OF_A_KEY, Streams
from service.settings import Settings
from service.store import Store
from testbed.waiting import LONG_SECONDS, PATIENCE_SECONDS, until
from tests.api.client import Client, client_of, problem
from tests.api.keyed import Keyed, bearer, keyed_settings, new_key
from tests.api.samples import bowl, finished, submit


@dataclass(frozen=True)
class Received:
    """One event as a browser sees it."""

    kind: str
    number: int | None
    data: dict[str, Any]


def events(response: httpx.Response) -> list[Received]:
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        number = int(lines["id"]) if "id" in lines else None
        found.append(Received(lines["event"], number, json.loads(lines["data"])))
    return found


class WatchedCalibrations:
    """The calibrations of a store; counts how often events were read."""

    def __init__(self, store: Store) -> None:
        self._calibrations = store.calibrations
        self.reads = 0  #: that have ended

    def events(self, *arguments: Any, **options: Any) -> Any:
        """Read events."""
        found = self._calibrations.events(*arguments, **options)
        self.reads += 1
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._calibrations, name)


class Watched:
    """A store with such calibrations."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calibrations = WatchedCalibrations(store)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@contextmanager
def viewing(app: FastAPI, identifier: str, key: Token | None = None) -> Iterator[None]:
    """Hold a stream of a calibration open, then leave it as a browser does: without a word."""
    left = anyio.Event()
    statuses: list[int] = []

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [(name.lower().encode(), value.encode()) for name, value in {"Host": "localhost", **bearer(key)}.items()]
    path = f"/v1/calibrations/{identifier}/events"
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    with start_blocking_portal() as portal:
        stream = portal.start_task_soon(app, scope, receive, send)
        until(lambda: statuses or stream.done())
        assert statuses == [200]
        yield
        portal.call(left.set)
        stream.result(PATIENCE_SECONDS)


def test_a_finished_calibration_tells_all_and_ends(client: Client) -> None:
    identifier = finished(client)
    told = events(client.get(f"/v1/calibrations/{identifier}/events"))
    assert [event.number for event in told[:-1]] == list(range(1, len(told)))
    assert told[0].data["to"] == "queued"
    assert told[-2].data["to"] == "succeeded"
    assert told[-1] == Received("end", None, {"id": identifier, "state": "succeeded"})
    assert all(event.data["seq"] == event.number for event in told[:-1])


def test_resuming_loses_and_repeats_nothing(client: Client) -> None:
    address = f"/v1/calibrations/{finished(client)}/events"
    told = events(client.get(address))
    for last in range(len(told) - 1):
        resumed = events(client.get(address, headers={"Last-Event-ID": str(last)}))
        assert resumed == told[last:]


def test_nothing_more_is_204(client: Client) -> None:
    """A browser reconnects after a stream's end, and stops on 204."""
    address = f"/v1/calibrations/{finished(client)}/events"
    last = len(events(client.get(address))) - 1
    response = client.get(address, headers={"Last-Event-ID": str(last)})
    assert response.status_code == 204
    assert response.content == b""


@pytest.mark.parametrize("beyond", [1, 1000])
def test_a_number_from_before_a_restore_gives_every_event(app: FastAPI, client: Client, beyond: int) -> None:
    """The database was restored from a backup that is older than the events that a client saw."""
    app.state.stream_seconds = 0.0  # so that the stream of what runs ends with what is there
    ended, running = finished(client), submit(client)
    for identifier in (ended, running):
        address = f"/v1/calibrations/{identifier}/events"
        told = events(client.get(address))
        last = max(event.number or 0 for event in told)
        assert events(client.get(address, headers={"Last-Event-ID": str(last + beyond)})) == told


def test_events_come_while_it_runs(settings: Settings, store: Store) -> None:
    told: list[Received] = []
    watched = Watched(store)
    app = create_app(settings, watched, stream_seconds=LONG_SECONDS, poll_seconds=0.02)  # type: ignore[arg-type]
    with client_of(app) as client:
        address = f"/v1/calibrations/{submit(client, runner='external')}"
        stream = threading.Thread(target=lambda: told.extend(events(client.get(f"{address}/events"))))
        stream.start()
        until(lambda: watched.calibrations.reads > 1)  # it has told what was there, and waits
        client.post(f"{address}/trials", json={"trials": bowl()})
        client.post(f"{address}/finish")
        stream.join(PATIENCE_SECONDS)  # it ended with the calibration and not at the time limit
    assert [event.data.get("to") for event in told if event.kind == "calibration"] == ["queued", "running", "succeeded"]
    assert told[-1].kind == "end"


def test_the_time_limit_ends_a_stream_without_an_end(settings: Settings, store: Store) -> None:
    with client_of(create_app(settings, store, stream_seconds=0.1, poll_seconds=0.02)) as client:
        identifier = submit(client)
        told = events(client.get(f"/v1/calibrations/{identifier}/events"))
    assert [event.kind for event in told] == ["calibration"]


def test_an_open_stream_holds_no_connection(settings: Settings, store: Store) -> None:
    watched = Watched(store)
    app = create_app(settings, watched, stream_seconds=LONG_SECONDS, poll_seconds=LONG_SECONDS)  # type: ignore[arg-type]
    with client_of(app) as client:
        identifier = submit(client)
    with viewing(app, identifier):
        until(lambda: watched.calibrations.reads == 1)  # the next one is ten minutes away
        assert app.state.streams.open == 1
        until(lambda: store.database.engine.pool.checkedout() == 0)  # it may still look at the state


# how many may be open -----------------------------------------------------------------------------


def test_a_key_may_have_so_many_streams_open_and_another_its_own(settings: Settings, store: Store) -> None:
    busy, other = new_key(store), new_key(store)
    app = create_app(keyed_settings(settings), store, stream_seconds=LONG_SECONDS)
    app.state.streams.of_a_key = 2
    with client_of(app) as client:
        identifier = submit(Keyed(client, busy))
        address = f"/v1/calibrations/{identifier}/events"
        with viewing(app, identifier, other), viewing(app, identifier, busy):
            with viewing(app, identifier, busy):
                assert app.state.streams.open == 3
                app.state.stream_seconds = 0.0  # of those that come now: one that is let in ends at once
                answer = client.get(address, headers=bearer(busy))
                assert "2 event streams" in problem(answer, 429, "too-many-requests")["detail"]
                assert int(answer.headers["retry-after"]) >= 1
                assert client.get(f"/v1/calibrations/{identifier}", headers=bearer(busy)).status_code == 200
                assert client.get(address, headers=bearer(other)).status_code == 200
            assert app.state.streams.open == 2
            assert client.get(address, headers=bearer(busy)).status_code == 200  # the place that was left is free again
        assert app.state.streams.open == 0
        text = client.get("/metrics", headers=bearer(other)).text
    assert "widthwise_rate_limited_total 1.0" in text


@pytest.mark.parametrize("keys", [False, True])
def test_a_process_has_so_many_streams_open(settings: Settings, store: Store, keys: bool) -> None:
    one, two = new_key(store), new_key(store)
    app = create_app(keyed_settings(settings) if keys else settings, store, stream_seconds=LONG_SECONDS)
    app.state.streams.in_all = 2
    with client_of(app) as plain:
        client = Keyed(plain, one)
        identifier = submit(client)
        address = f"/v1/calibrations/{identifier}/events"
        with viewing(app, identifier, one), viewing(app, identifier, two):
            app.state.stream_seconds = 0.0  # of those that come now: one that is let in ends at once
            answer = client.get(address)
            assert "2 event streams" in problem(answer, 429, "too-many-requests")["detail"]
            assert int(answer.headers["retry-after"]) >= 1
        assert client.get(address).status_code == 200


def test_streams_that_are_refused_or_fail_are_not_counted(client: Client, app: FastAPI) -> None:
    identifier = finished(client)
    address = f"/v1/calibrations/{identifier}/events"
    last = len(events(client.get(address))) - 1
    for path, number, status in ((address, last, 204), (address, "x", 422), (address.replace("cal_", "cal_0"), 0, 404)):
        assert client.get(path, headers={"Last-Event-ID": str(number)}).status_code == status
    assert app.state.streams.open == 0


def test_the_bounds() -> None:
    streams = Streams(of_a_key=3, in_all=4)
    with ExitStack() as opened:
        for _ in range(3):
            opened.enter_context(streams.one_more("a"))
        with pytest.raises(TooManyRequestsError, match="This key"), streams.one_more("a"):
            pass
        opened.enter_context(streams.one_more("b"))
        with pytest.raises(TooManyRequestsError, match="The service"), streams.one_more("b"):
            pass
    assert (streams.open, streams.refused, len(streams._of)) == (0, 2, 0)
    documented = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    assert f"at most {OF_A_KEY} open streams per key and {IN_ALL} per process" in " ".join(documented.split())
