"""POST /v1/calibrations/{id}/retry: only what has failed, once, with everything that was stored."""

import pytest

from service.store import Lease, Store
from tests.api.client import Client, problem
from tests.api.samples import finished, submit


def fail(client: Client, store: Store) -> str:
    """A calibration with one trial stored, and every shard failed; return its id."""
    identifier = submit(client)
    first = True
    while (claim := store.work.claim("w")) is not None:
        if first:
            trial = {
                "width": claim.shard.width,
                "learning_rate": claim.shard.learning_rates[0],
                "seed": claim.shard.seeds[0],
                "status": "completed",
                "loss": 2.5,
                "seconds": 0.5,
                "steps": 10,
                "flops": 1e9,
            }
            assert store.work.record_trial(claim, trial) is Lease.HELD
            first = False
        store.work.fail(claim, "The child process died.", retryable=False)
    body = client.get(f"/v1/calibrations/{identifier}").json()
    assert body["state"] == "failed"
    assert body["reason"]
    return identifier


def test_a_failed_one_runs_again_with_its_trials(client: Client, store: Store) -> None:
    identifier = fail(client, store)
    response = client.post(f"/v1/calibrations/{identifier}/retry")
    assert response.status_code == 202, response.text
    assert response.headers["location"] == f"/v1/calibrations/{identifier}"
    assert int(response.headers["retry-after"]) >= 1
    body = response.json()
    assert (body["state"], body["reason"], body["finished_at"]) == ("running", None, None)
    assert body["progress"]["trials_done"] == 1
    assert "failed" not in body["progress"]["shards"]
    shards = client.get(body["links"]["shards"]).json()["items"]
    assert {(shard["state"], shard["attempts"]) for shard in shards} == {("queued", 0)}
    claim = store.work.claim("another")
    assert claim is not None
    assert claim.epoch == 2  # no write of the first claim can be taken for one of this


def test_twice_retries_once(client: Client, store: Store) -> None:
    identifier = fail(client, store)
    assert client.post(f"/v1/calibrations/{identifier}/retry").status_code == 202
    again = problem(client.post(f"/v1/calibrations/{identifier}/retry"), 409, "conflict")
    assert "running" in again["detail"]


def test_events_tell_of_it(client: Client, store: Store) -> None:
    identifier = fail(client, store)
    before = client.get(f"/v1/calibrations/{identifier}/events").text.count("event: ")
    client.post(f"/v1/calibrations/{identifier}/retry")
    assert len(store.calibrations.events(identifier, after=before - 1)) >= 2


@pytest.mark.parametrize("state", ["queued", "running", "cancelled", "succeeded"])
def test_of_what_has_not_failed(client: Client, store: Store, state: str) -> None:
    identifier = finished(client) if state == "succeeded" else submit(client)
    if state == "running":
        assert store.work.claim("w") is not None
    elif state == "cancelled":
        client.post(f"/v1/calibrations/{identifier}/cancel")
    detail = problem(client.post(f"/v1/calibrations/{identifier}/retry"), 409, "conflict")["detail"]
    assert state in detail
    assert client.get(f"/v1/calibrations/{identifier}").json()["state"] == state


def test_of_no_calibration(client: Client) -> None:
    problem(client.post("/v1/calibrations/nothing/retry"), 404, "not-found")
