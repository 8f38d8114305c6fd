"""GET /v1/calibrations/{id}/shards: each unit of work with its worker, and a stale worker's shard."""

from typing import Any

import pytest

from service.store import Store
from service.store.work.queue import ATTEMPTS_MAXIMUM
from tests.api.client import Client, problem
from tests.api.samples import finished, spec, submit
from tests.api.test_workers import fall_silent, run_out


def listed(client: Client, identifier: str) -> list[dict[str, Any]]:
    address = client.get(f"/v1/calibrations/{identifier}").json()["links"]["shards"]
    response = client.get(address)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def test_the_plan_of_a_new_calibration(client: Client) -> None:
    identifier = submit(client, search="grid")
    found = listed(client, identifier)
    assert [shard["position"] for shard in found] == list(range(len(found)))
    assert {shard["width"] for shard in found} == set(spec()["widths"])
    for shard in found:
        assert (shard["state"], shard["attempts"], shard["worker"], shard["lease_seconds"]) == ("queued", 0, None, None)
        assert shard["attempts_maximum"] == ATTEMPTS_MAXIMUM
        assert shard["kind"] == "sweep"


def test_a_stale_workers_shard_runs_until_its_lease_ends(client: Client, store: Store) -> None:
    identifier = submit(client)
    store.workers.report("first", host="h", device="cpu")
    claim = store.work.claim("first")
    assert claim is not None
    shard = next(shard for shard in listed(client, identifier) if shard["id"] == claim.shard_id)
    assert (shard["state"], shard["attempts"], shard["worker"]["state"]) == ("running", 1, "running")
    assert 30 < shard["lease_seconds"] <= 60

    fall_silent(store, "first")
    shard = next(shard for shard in listed(client, identifier) if shard["id"] == claim.shard_id)
    assert (shard["state"], shard["worker"]["state"]) == ("running", "stale")
    assert shard["worker"]["seconds_since_seen"] > 60
    assert shard["lease_seconds"] > 0  # still its own

    run_out(store, claim.shard_id)
    shard = next(shard for shard in listed(client, identifier) if shard["id"] == claim.shard_id)
    assert (shard["state"], shard["reason"]) == ("running", None)  # stale, not failed
    assert shard["lease_seconds"] < 0

    store.workers.report("second", host="h")
    taken = store.work.claim("second")
    while taken is not None and taken.shard_id != claim.shard_id:
        taken = store.work.claim("second")
    shard = next(shard for shard in listed(client, identifier) if shard["id"] == claim.shard_id)
    assert (shard["worker"]["id"], shard["worker"]["state"], shard["attempts"]) == ("second", "running", 2)
    assert shard["lease_seconds"] > 30


def test_a_failed_attempt_keeps_its_reason(client: Client, store: Store) -> None:
    identifier = submit(client)
    claim = store.work.claim("never-reported")
    assert claim is not None
    store.work.fail(claim, "The device ran out of memory.", retryable=True)
    shard = next(shard for shard in listed(client, identifier) if shard["id"] == claim.shard_id)
    assert (shard["state"], shard["attempts"], shard["reason"]) == ("queued", 1, "The device ran out of memory.")
    assert shard["worker"] == {"id": "never-reported", "state": None, "device": None, "seconds_since_seen": None}


def test_an_external_runner_has_none(client: Client) -> None:
    assert listed(client, finished(client)) == []


@pytest.mark.parametrize("identifier", ["nothing", "%00", "x" * 65])
def test_of_no_calibration(client: Client, identifier: str) -> None:
    problem(client.get(f"/v1/calibrations/{identifier}/shards"), 404, "not-found")


def test_retry_after_while_it_has_not_ended(client: Client, store: Store) -> None:
    identifier = submit(client)
    waits = client.get(f"/v1/calibrations/{identifier}")
    assert 1 <= int(waits.headers["retry-after"]) <= 60
    assert store.work.claim("w") is not None
    assert int(client.get(f"/v1/calibrations/{identifier}").headers["retry-after"]) >= 1
    client.post(f"/v1/calibrations/{finished(client)}/cancel")
    assert "retry-after" not in client.get(f"/v1/calibrations/{finished(client)}").headers
