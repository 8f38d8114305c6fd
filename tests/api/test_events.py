"""GET /v1/calibrations/{id}/events: numbering, resuming, and how a stream ends."""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.settings import Settings
from service.store import Store
from tests.api.client import Client, client_of
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


@pytest.mark.parametrize("beyond", [0, 1000])
def test_nothing_more_is_204(client: Client, beyond: int) -> None:
    """A browser reconnects after a stream's end, and stops on 204."""
    address = f"/v1/calibrations/{finished(client)}/events"
    last = len(events(client.get(address))) - 1
    response = client.get(address, headers={"Last-Event-ID": str(last + beyond)})
    assert response.status_code == 204
    assert response.content == b""


def test_events_come_while_it_runs(client: Client) -> None:
    identifier = submit(client, runner="external")
    address = f"/v1/calibrations/{identifier}"

    def run() -> None:
        time.sleep(0.1)  # so that the stream is open and has told what was there
        client.post(f"{address}/trials", json={"trials": bowl()})
        client.post(f"{address}/finish")

    runner = threading.Thread(target=run)
    runner.start()
    started = time.monotonic()
    told = events(client.get(f"{address}/events"))
    runner.join()
    assert time.monotonic() - started < 4  # it ended with the calibration and not at the time limit of 5 s
    assert [event.data.get("to") for event in told if event.kind == "calibration"] == ["queued", "running", "succeeded"]
    assert told[-1].kind == "end"


def test_the_time_limit_ends_a_stream_without_an_end(settings: Settings, store: Store) -> None:
    with client_of(create_app(settings, store, stream_seconds=0.1, poll_seconds=0.02)) as client:
        identifier = submit(client)
        told = events(client.get(f"/v1/calibrations/{identifier}/events"))
    assert [event.kind for event in told] == ["calibration"]


def test_an_open_stream_holds_no_connection(settings: Settings, store: Store) -> None:
    with client_of(create_app(settings, store, stream_seconds=1.0, poll_seconds=0.3)) as client:
        identifier = submit(client)
        stream = threading.Thread(target=client.get, args=(f"/v1/calibrations/{identifier}/events",))
        stream.start()
        time.sleep(0.2)  # between two of its reads
        assert store._database.engine.pool.checkedout() == 0
        stream.join()
