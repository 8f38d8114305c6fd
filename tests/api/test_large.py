"""Large transfers: a child process answers them as the service answers small ones."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI

from service.app import create_app
from service.settings import Settings
from service.store import Store
from service.transfers.large import LARGE_BYTES, LargeTransfers, unpacked
from testbed.waiting import until
from tests.api.client import Client, client_of, problem
from tests.api.samples import CONTRACT, finished

ROLE = {"role": "hidden", "base_shape": [64, 64], "target_shape": [128, 128]}
MANY = [{"name": f"t{n}", **ROLE} for n in range(LARGE_BYTES // 70)]
NO_CALIBRATION = "cal_0123456789abcdef01234567"


@pytest.fixture
def app(settings: Settings, store: Store) -> Iterator[FastAPI]:
    """An application whose child ends with the test."""
    app = create_app(settings, store)
    yield app
    app.state.large.close()


@pytest.fixture
def client(app: FastAPI) -> Iterator[Client]:
    """A client of it."""
    with client_of(app) as client:
        yield client


def large(**more: Any) -> dict[str, Any]:
    """The contract's example with many tensors."""
    body = {**CONTRACT, "tensors": MANY, **more}
    assert len(json.dumps(body)) > LARGE_BYTES
    return body


def test_an_answer_is_that_of_a_small_request(app: FastAPI, client: Client) -> None:
    small = client.post("/v1/transfers", json={**CONTRACT, "tensors": MANY[:1]}).json()
    assert app.state.large.pid is None
    found = client.post("/v1/transfers", json=large())
    assert found.headers["content-type"] == "application/json"
    assert int(found.headers["content-length"]) == len(found.content)
    body = found.json()
    assert body["tensors"] == [{**small["tensors"][0], "name": tensor["name"]} for tensor in MANY]
    assert {**body, "tensors": []} == {**small, "tensors": []}
    assert app.state.large.pid is not None


def test_a_model_is_read_by_the_child(app: FastAPI, client: Client) -> None:
    """A few bytes can describe one of any size."""
    shapes = {"shapes": {"a": [64, 64]}}, {"shapes": {"a": [128, 128]}}
    model = {"base": shapes[0], "target": shapes[1], "roles": {"a": "hidden"}}
    found = client.post("/v1/transfers", json={**CONTRACT, "model": model, "layout": "out_in"})
    assert found.status_code == 200, found.text
    assert [tensor["name"] for tensor in found.json()["tensors"]] == ["a"]
    assert app.state.large.pid is not None


def test_refusals_are_those_of_small_requests(client: Client) -> None:
    unplaced = [{**tensor, "role": None, "base_shape": [64]} for tensor in MANY]
    found = problem(client.post("/v1/transfers", json=large(tensors=unplaced)), 422, "unplaced-tensors")
    assert found["tensors"][0]["count"] == len(MANY)
    problem(client.post("/v1/transfers", json=large(form="none")), 422, "invalid-request")
    problem(client.post("/v1/transfers", json=large(base={"width": 0, "learning_rate": 1.0})), 422, "invalid-request")


def test_exponents_of_a_calibration_come_from_the_service(client: Client) -> None:
    unknown = {"source": "calibration", "id": NO_CALIBRATION}
    for _ in range(2):  # a question without an answer leaves the child ready for the next body
        problem(client.post("/v1/transfers", json=large(exponents=unknown)), 404, "not-found")
    measured = {"exponents": {"source": "calibration", "id": finished(client)}}
    found = client.post("/v1/transfers", json=large(**measured))
    assert found.status_code == 200, found.text
    small = client.post("/v1/transfers", json={**CONTRACT, **measured})
    provenance = found.json()["provenance"]["exponents"]
    assert provenance["source"] == "calibration"
    assert provenance == small.json()["provenance"]["exponents"]


def test_a_child_that_is_killed_costs_one_answer(app: FastAPI, client: Client) -> None:
    assert client.post("/v1/transfers", json=large()).status_code == 200
    first = app.state.large.pid
    os.kill(first, signal.SIGSTOP)  # so that it has not answered when it is killed
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.post, "/v1/transfers", json=large())
        until(lambda: app.state.large.lane.running)
        os.kill(first, signal.SIGKILL)
        found = problem(asked.result(), 503, "busy")
    assert "retry" in found["detail"]
    assert client.post("/v1/transfers", json=large()).status_code == 200
    os.kill(app.state.large.pid, signal.SIGKILL)
    until(lambda: app.state.large.pid is None)
    assert client.post("/v1/transfers", json=large()).status_code == 200  # another child, before it was asked


def test_a_child_without_work_ends(app: FastAPI, client: Client) -> None:
    app.state.large = LargeTransfers(max_body_bytes=1 << 20, idle_seconds=0.1)
    assert client.post("/v1/transfers", json=large()).status_code == 200
    until(lambda: app.state.large.pid is None)


@pytest.mark.parametrize("length", [0, 1, 65536, 1_000_000])
def test_unpacking_returns_what_was_packed(length: int) -> None:
    import zlib

    for text in (os.urandom(length), b"a" * length):
        parts = list(unpacked(zlib.compress(text, 1)))
        assert b"".join(parts) == text
        assert all(len(part) <= 65536 for part in parts)
