"""GET /v1/workers: states by the database's clock, and whose work is shown to whom."""

from typing import Any

import sqlalchemy as sa

from service.store import Store
from service.store.database.clock import now
from service.store.database.tables import shards, workers
from service.store.work.workers import ALIVE_SECONDS
from tests.api.client import Client
from tests.api.samples import submit


def listed(client: Client) -> dict[str, dict[str, Any]]:
    response = client.get("/v1/workers")
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-cache"
    return {worker["id"]: worker for worker in response.json()["items"]}


def fall_silent(store: Store, worker_id: str, seconds: float = ALIVE_SECONDS + 30) -> None:
    """Set a worker's last report back by so many seconds."""
    with store.database.write() as connection:
        silent = sa.update(workers).where(workers.c.id == worker_id).values(last_seen=now(-seconds))
        assert connection.execute(silent).rowcount == 1


def run_out(store: Store, shard_id: str) -> None:
    """Set the end of a shard's lease into the past."""
    with store.database.write() as connection:
        ended = sa.update(shards).where(shards.c.id == shard_id).values(lease_until=now(-1.0))
        assert connection.execute(ended).rowcount == 1


def test_none(client: Client) -> None:
    assert listed(client) == {}


def test_what_each_reports(client: Client, store: Store) -> None:
    identifier = submit(client)
    totals = {"shards": {"succeeded": 3}, "lease_losses": 1}
    store.workers.report(
        "busy", host="node-1", device="NVIDIA H100", versions={"jax": "0.10.2"}, totals=totals, begins=True
    )
    store.workers.report("free", host="node-2")
    store.workers.report("gone", host="node-3")
    store.workers.stop("gone")
    claim = store.work.claim("busy")
    assert claim is not None
    found = listed(client)
    assert {name: worker["state"] for name, worker in found.items()} == {
        "busy": "running",
        "free": "idle",
        "gone": "stopped",
    }
    busy = found["busy"]
    assert (busy["host"], busy["device"], busy["versions"]) == ("node-1", "NVIDIA H100", {"jax": "0.10.2"})
    assert (busy["shard_id"], busy["calibration_id"], busy["totals"]) == (claim.shard_id, identifier, totals)
    assert 0 <= busy["seconds_since_seen"] < 30
    assert found["free"]["shard_id"] is found["free"]["device"] is None
    assert found["gone"]["stopped_at"] is not None


def test_a_silent_worker_is_stale_and_not_failed(client: Client, store: Store) -> None:
    identifier = submit(client)
    store.workers.report("w", host="h")
    assert store.work.claim("w") is not None
    fall_silent(store, "w")
    worker = listed(client)["w"]
    assert worker["state"] == "stale"
    assert worker["calibration_id"] == identifier
    assert ALIVE_SECONDS + 30 <= worker["seconds_since_seen"] < ALIVE_SECONDS + 60
    assert client.get(f"/v1/calibrations/{identifier}").json()["state"] == "running"
    store.workers.report("w", host="h")
    assert listed(client)["w"]["state"] == "running"


def test_work_of_another_owner_is_not_shown(client: Client, store: Store) -> None:
    identifier = submit(client)
    store.workers.report("w", host="h")
    assert store.work.claim("w") is not None
    (own,), (foreign,), (everyone,) = (
        seen.workers.all() for seen in (store.of(""), store.of("bob"), store.of("bob", everyone=True))
    )
    assert (own.calibration_id, everyone.calibration_id) == (identifier, identifier)
    assert (foreign.calibration_id, foreign.shard_id, foreign.owner) == (None, None, None)
    assert foreign.state == "running"
