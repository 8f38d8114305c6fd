"""`widthwise fleet`, and what the client gives of workers, shards and retries."""

import json

import pytest

from service.settings import Settings
from service.store import open_store
from tests.cli.bowl import spec
from tests.cli.conftest import Run
from widthwise.client import Client
from widthwise.errors import ServiceError


def test_workers_shards_and_retry(client: Client, settings: Settings, url: str, run: Run) -> None:
    store = open_store(settings.database_url)
    store.workers.report("node-1", host="h", device="NVIDIA H100")
    store.workers.report("old", host="h")
    store.workers.stop("old")
    identifier = client.submit_calibration(spec())["id"]
    claim = store.work.claim("node-1")
    assert claim is not None
    assert {worker["id"]: worker["state"] for worker in client.workers()} == {"node-1": "running", "old": "stopped"}
    assert client.shards(identifier)[0]["worker"]["id"] == "node-1"

    shown = run("fleet", "--url", url)
    assert shown.code == 0
    assert all(word in shown.out for word in ("1 worker", "node-1", "running", "NVIDIA H100", identifier, "ago"))
    assert "old" not in shown.out
    assert json.loads(run("fleet", "--all", "--json", "--url", url).out)[0]["id"] == "old"

    with pytest.raises(ServiceError, match="running"):
        client.retry(identifier)
    while claim is not None:
        store.work.fail(claim, "no", retryable=False)
        claim = store.work.claim("node-1")
    assert client.calibration(identifier)["state"] == "failed"
    assert client.retry(identifier)["state"] == "running"
    client.cancel(identifier)
    store.close()
