"""POST /v1/calibrations/{id}/extensions and GET …/comparison and …/measurements."""

from typing import Any

import pytest

from service.calibrations.comparison import ComparisonBody
from service.calibrations.examples import EXTENSION_EXAMPLES
from service.calibrations.schemas import CalibrationBody, ExtensionEstimateBody, MeasurementPage, TrialPage
from service.store import Store
from tests.api.client import Client, problem
from tests.api.samples import bowl, finished, spec, submit

ENVIRONMENT = {"device": "cpu", "versions": {"jax": "1"}, "code_sha256": "a" * 64}


def run(client: Client, store: Store, environment: dict[str, Any] = ENVIRONMENT, **changes: Any) -> str:
    """A calibration that a worker has run with the losses of the bowl, in this environment; return its id."""
    identifier = submit(client, **changes)
    losses = {(t["width"], t["learning_rate"], t["seed"]): t["loss"] for t in bowl()}
    while (claim := store.work.claim("w")) is not None:
        store.work.record_environment(claim, environment)
        for width, rate, seed, role, gamma, horizon in sorted(claim.shard.trials(), key=str):
            # a learning rate between two of the bowl's has the loss of the one below
            near = max(other for other in spec()["learning_rates"] if other <= rate * 1.001)
            trial = {"width": width, "learning_rate": rate, "seed": seed, "role": role, "gamma": gamma}
            done = {"horizon": horizon, "status": "completed", "loss": losses[width, near, seed % 2], "seconds": 0.5}
            store.work.record_trial(claim, {**trial, **done, "flops": 1e9})
        for _, seed, kind in claim.shard.measurements():
            store.work.record_measurement(
                claim, {"width": claim.shard.width, "seed": seed, "kind": kind, "data": {"x": 1}}
            )
        store.work.finish(claim)
    return identifier


def test_an_information_search_runs_round_by_round_and_says_why_it_ended(client: Client, store: Store) -> None:
    asked = {"search": "information", "precision": 4.0, "target_width": 512}
    found = client.get(f"/v1/calibrations/{run(client, store, **asked)}").json()
    assert found["state"] == "succeeded", found["reason"]
    assert found["rounds"] > 1
    ended = found["result"]["search"]
    assert (ended["ended_by"], ended["target_width"]) == ("precision", 512)
    assert ended["half_width"] <= 4.0
    assert found["progress"]["trials_total"] == found["progress"]["trials_done"] < found["estimate"]["trials"]


def test_an_estimate_says_what_an_extension_will_say(client: Client, store: Store) -> None:
    parent = run(client, store)
    address = f"/v1/calibrations/{parent}/extensions"
    before = client.get("/v1/calibrations").json()
    for more in ({"widths": [512]}, {"seeds": 4, "mesh": 0.25}):
        estimated = client.post(f"{address}/estimates", json=more)
        assert estimated.status_code == 200, estimated.text
        body = ExtensionEstimateBody.model_validate_json(estimated.content)
        assert client.get("/v1/calibrations").json() == before
        made = client.post(address, json=more).json()
        assert estimated.json()["estimate"] == made["estimate"]
        assert (body.spec, body.shared_trials) == (made["spec"], made["progress"]["trials_done"])
        assert 0 < body.estimate.trials < made["progress"]["trials_total"]
        client.post(f"/v1/calibrations/{made['id']}/cancel")
        before = client.get("/v1/calibrations").json()


@pytest.mark.parametrize("more", [{}, {"widths": [64]}, {"seeds": 1}, {"mesh": 1}, {"seeds": 0}])
def test_an_estimate_is_refused_as_its_extension_is(client: Client, more: dict[str, Any]) -> None:
    address = f"/v1/calibrations/{finished(client)}/extensions"
    refused, also = client.post(address, json=more), client.post(f"{address}/estimates", json=more)
    assert refused.status_code == also.status_code == 422
    assert (refused.json()["detail"], refused.json()["errors"]) == (also.json()["detail"], also.json()["errors"])
    running = submit(client)
    problem(client.post(f"/v1/calibrations/{running}/extensions/estimates", json={"seeds": 3}), 409, "conflict")


def test_a_list_of_what_extends_a_calibration(client: Client) -> None:
    parent, other = finished(client), finished(client)
    address = f"/v1/calibrations/{parent}/extensions"
    made = [client.post(address, json={"seeds": seeds}).json()["id"] for seeds in (3, 4)]
    found = client.get("/v1/calibrations", params={"extends": parent}).json()
    assert [item["id"] for item in found["items"]] == made[::-1]
    assert client.get("/v1/calibrations", params={"extends": other}).json()["items"] == []
    assert client.get("/v1/calibrations", params={"extends": parent, "state": "failed"}).json()["items"] == []
    problem(client.get("/v1/calibrations", params={"extends": "no id"}), 422, "invalid-request")


def test_an_information_search_is_extended_by_precision_or_budget(client: Client, store: Store) -> None:
    parent = run(client, store, search="information", precision=4.0)
    address = f"/v1/calibrations/{parent}/extensions"
    for same in ({"precision": 4.0}, {"precision": 5.0}):
        refused = client.post(address, json=same)
        assert refused.status_code == 422
        assert "/precision" in refused.text
    finer = client.post(address, json={"precision": 1.5, "budget": 1e15})
    assert finer.status_code == 202, finer.text
    assert finer.json()["spec"]["precision"] == 1.5
    assert (
        finer.json()["progress"]["trials_done"]
        == client.get(f"/v1/calibrations/{parent}").json()["progress"]["trials_done"]
    )
    telescope = run(client, store)
    assert "precision" in client.post(f"/v1/calibrations/{telescope}/extensions", json={"precision": 1.0}).text


class TestExtension:
    """More widths, more seeds, a finer mesh."""

    def test_answer(self, client: Client) -> None:
        parent = finished(client)
        response = client.post(f"/v1/calibrations/{parent}/extensions", json={"widths": [512, 1024], "seeds": 3})
        assert response.status_code == 202
        assert CalibrationBody.model_validate_json(response.content)
        body = response.json()
        assert response.headers["location"] == f"/v1/calibrations/{body['id']}"
        assert (body["extends"], body["progress"]["trials_done"]) == (parent, 54)
        before = client.get(f"/v1/calibrations/{parent}").json()["spec"]
        assert body["spec"] == {**before, "widths": [64, 128, 256, 512, 1024], "seeds": 3}
        trials = client.get(f"/v1/calibrations/{body['id']}/trials")
        assert TrialPage.model_validate_json(trials.content)
        assert len(trials.json()["items"]) == 54

    @pytest.mark.parametrize("name", EXTENSION_EXAMPLES)
    def test_examples(self, client: Client, name: str) -> None:
        address = f"/v1/calibrations/{finished(client)}/extensions"
        assert client.post(address, json=EXTENSION_EXAMPLES[name]["value"]).status_code == 202

    @pytest.mark.parametrize(
        ("more", "pointer", "word"),
        [
            ({}, "#", "give widths, seeds or mesh"),
            ({"widths": None}, "#", "give widths, seeds or mesh"),
            ({"widths": [512, 32]}, "#/widths/1", "below 64, the base width of every multiplier"),
            ({"widths": [128]}, "#/widths/0", "already included"),
            ({"widths": [512, 512]}, "#/widths/1", "already included"),
            ({"widths": list(range(300, 315))}, "#/widths", "at most 16"),
            ({"seeds": 1}, "#/seeds", "fewer than the 2"),
            ({"seeds": 2}, "#/seeds", "give more"),
            ({"mesh": 0.5}, "#/mesh", "not finer than 0.5"),
        ],
        ids=str,
    )
    def test_refusals(self, client: Client, more: dict[str, Any], pointer: str, word: str) -> None:
        identifier = finished(client)
        found = problem(client.post(f"/v1/calibrations/{identifier}/extensions", json=more), 422, "invalid-input")
        assert found["errors"][0]["pointer"] == pointer
        assert word in found["detail"]

    def test_a_mesh_out_of_bounds_is_outside_the_schema(self, client: Client) -> None:
        address = f"/v1/calibrations/{finished(client)}/extensions"
        assert problem(client.post(address, json={"mesh": 0.01}), 422, "invalid-request")
        assert problem(client.post(address, json={"steps": 10}), 422, "invalid-request")

    def test_heads_are_checked(self, client: Client) -> None:
        parent = finished(client, proxy={"architecture": "transformer", "head_dim": 16})
        response = client.post(f"/v1/calibrations/{parent}/extensions", json={"widths": [520]})
        assert "does not divide width 520" in problem(response, 422, "invalid-input")["detail"]

    def test_only_of_a_succeeded_one(self, client: Client) -> None:
        found = client.post(f"/v1/calibrations/{submit(client)}/extensions", json={"seeds": 4})
        assert "only one that has succeeded" in problem(found, 409, "conflict")["detail"]
        problem(client.post("/v1/calibrations/cal_none/extensions", json={"seeds": 4}), 404, "not-found")

    def test_a_key_is_honoured(self, client: Client) -> None:
        address, headers = f"/v1/calibrations/{finished(client)}/extensions", {"Idempotency-Key": "more"}
        first, again = (client.post(address, json={"seeds": 4}, headers=headers) for _ in range(2))
        assert again.json()["id"] == first.json()["id"]
        assert again.headers["idempotency-replayed"] == "true"
        problem(client.post(address, json={"seeds": 5}, headers=headers), 422, "idempotency-key-reused")

    def test_an_extended_search_runs_what_is_missing(self, client: Client, store: Store) -> None:
        parent = run(client, store, search="telescope", learning_rates=spec()["learning_rates"], widths=[64, 128])
        done = client.get(f"/v1/calibrations/{parent}").json()
        assert done["state"] == "succeeded", done["reason"]
        assert done["rounds"] > 1
        body = client.post(f"/v1/calibrations/{parent}/extensions", json={"widths": [256]}).json()
        planned = [shard.spec for shard in store.calibrations.shards(body["id"])]
        assert {shard.width for shard in planned} == {256}
        assert body["estimate"]["seconds_from"] == "stored_trials"
        assert body["estimate"]["seconds"] > 0


class TestComparison:
    """GET /v1/calibrations/{id}/comparison?other=ID."""

    def test_the_same_specification_code_and_device(self, client: Client, store: Store) -> None:
        one, two = run(client, store), run(client, store)
        response = client.get(f"/v1/calibrations/{one}/comparison", params={"other": two})
        assert ComparisonBody.model_validate_json(response.content)
        body = response.json()
        assert [body[name]["same"] for name in ("specification", "code", "device")] == [True] * 3
        assert body["trials"]["common"] == body["trials"]["equal"] > 20
        assert (body["trials"]["different"], body["trials"]["largest_difference"]) == (0, 0.0)

    def test_each_difference_is_named(self, client: Client, store: Store) -> None:
        one = run(client, store)
        other = {**ENVIRONMENT, "code_sha256": "b" * 64, "versions": {"jax": "2"}}
        proxy = {"architecture": "mlp", "depth": 3}
        two = run(client, store, other, widths=[64, 128], proxy=proxy)
        body = client.get(f"/v1/calibrations/{one}/comparison", params={"other": two}).json()
        assert body["specification"]["differences"] == [
            {"key": "proxy.depth", "this": 2, "other": 3},
            {"key": "widths", "this": [64, 128, 256], "other": [64, 128]},
        ]
        assert body["code"] == {"same": False, "this": ["a" * 64], "other": ["b" * 64]}
        assert body["device"]["differences"] == [{"key": "versions.jax", "this": ["1"], "other": ["2"]}]
        assert body["trials"]["only_this"] > 0

    def test_losses_are_compared_trial_by_trial(self, client: Client) -> None:
        one, two = finished(client), submit(client, runner="external")
        trials = bowl()
        trials[0] = {**trials[0], "loss": trials[0]["loss"] + 0.25}
        trials[1] = {**trials[1], "loss": None}
        client.post(f"/v1/calibrations/{two}/trials", json={"trials": trials[:-1]})
        body = client.get(f"/v1/calibrations/{one}/comparison", params={"other": two}).json()
        assert body["trials"] == {
            "common": 53,
            "equal": 51,
            "different": 2,
            "largest_difference": pytest.approx(0.25),
            "only_this": 1,
            "only_other": 0,
        }
        assert (body["code"]["same"], body["device"]["same"]) == (None, None)  # nobody recorded them

    def test_refusals(self, client: Client) -> None:
        address = f"/v1/calibrations/{submit(client)}/comparison"
        problem(client.get(address, params={"other": "cal_none"}), 404, "not-found")
        assert problem(client.get(address), 422, "invalid-request")["errors"][0]["field"] == "query.other"


def test_measurements_and_kinds_of_trial_are_listed(client: Client, store: Store) -> None:
    identifier = run(client, store, widths=[64, 128], measure=["learning_rate", "gamma", "epsilon"])
    first = client.get(f"/v1/calibrations/{identifier}/measurements", params={"limit": 3})
    assert MeasurementPage.model_validate_json(first.content)
    rest = client.get(
        f"/v1/calibrations/{identifier}/measurements", params={"cursor": first.json()["next_cursor"]}
    ).json()["items"]
    measured = first.json()["items"] + rest
    assert {(item["width"], item["seed"], item["kind"]) for item in measured} == {
        (width, seed, "epsilon") for width in (64, 128) for seed in (0, 1)
    }
    trials = client.get(f"/v1/calibrations/{identifier}/trials").json()["items"]
    kinds = {(trial["role"], trial["gamma"]) for trial in trials}
    assert (None, None) in kinds
    assert ("hidden", 0.5) in kinds
    problem(client.get("/v1/calibrations/cal_none/measurements"), 404, "not-found")
