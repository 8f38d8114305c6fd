"""The calibration routes: submission, keys, listings, uploads, the picture, and cancelling."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from service.calibrations.examples import SPEC_EXAMPLES, UPLOAD_EXAMPLES
from service.calibrations.schemas import CalibrationBody, CalibrationPage, TrialPage
from service.store import Store
from tests.api.client import Client, problem
from tests.api.samples import bowl, changed, finished, spec, submit
from widthwise.theory.optimizers import trained


class TestSubmission:
    """POST /v1/calibrations."""

    def test_answer(self, client: Client) -> None:
        response = client.post("/v1/calibrations", json=spec(search="grid", mesh=1.0))
        assert response.status_code == 202
        body = response.json()
        assert response.headers["location"] == f"/v1/calibrations/{body['id']}" == body["links"]["self"]
        assert int(response.headers["retry-after"]) >= 1
        assert body["state"] == "queued"
        assert body["estimate"]["trials"] == 3 * 9 * 2 == body["progress"]["trials_total"]
        assert body["estimate"]["training_steps"] == 54 * 10
        assert body["estimate"]["flops"] > 0
        assert (body["estimate"]["seconds"], body["estimate"]["seconds_from"]) == (None, None)  # nothing ran here yet
        assert body["progress"]["seconds_left"] is None
        assert body["progress"]["shards"] == {"queued": body["estimate"]["shards"]}
        assert (body["extends"], body["rounds"]) == (None, 1)
        assert CalibrationBody.model_validate_json(response.content)
        assert client.get(response.headers["location"]).json() == body

    @pytest.mark.parametrize("name", SPEC_EXAMPLES)
    def test_examples(self, client: Client, name: str) -> None:
        assert client.post("/v1/calibrations", json=SPEC_EXAMPLES[name]["value"]).status_code == 202

    @pytest.mark.parametrize("architecture", ["mlp", "transformer"])
    @pytest.mark.parametrize("optimizer", ["sgd", "adam"])
    def test_defaults_are_filled_in(self, client: Client, architecture: str, optimizer: str) -> None:
        asked = {"parameterization": "mup", "optimizer": optimizer, "widths": [64, 32]}
        response = client.post("/v1/calibrations", json={**asked, "proxy": {"architecture": architecture}})
        stored = response.json()["spec"]
        rates = stored["learning_rates"]
        assert len(rates) >= 5
        assert rates == sorted(set(rates))
        assert stored["widths"] == [32, 64]
        assert stored["alignment"] == "full"
        assert stored["readout_omega"] is None
        assert stored["runner"] == "worker"
        assert (stored["search"], stored["mesh"], stored["measure"]) == ("telescope", 0.5, ["learning_rate"])
        assert stored["horizons"] == []
        both = {"architecture", "depth", "head_dim", "sequence_length", "batch_size", "dataset"}
        transformers = {"feed_forward", "qk_norm", "tied"} if architecture == "transformer" else set()
        assert set(stored["proxy"]) == both | transformers

    def test_horizons_are_filled_in_where_they_are_measured(self, client: Client) -> None:
        measured = {"measure": ["learning_rate", "horizon"]}
        assert client.post("/v1/calibrations", json=spec(**measured)).json()["spec"]["horizons"] == [10, 20, 40]
        given = client.post("/v1/calibrations", json=spec(**measured, horizons=[30, 10]))
        assert given.json()["spec"]["horizons"] == [10, 30]

    def test_a_telescope_asks_for_less_than_the_grid(self, client: Client) -> None:
        grid, telescope = (
            client.post("/v1/calibrations", json=spec(search=search)).json() for search in ("grid", "telescope")
        )
        assert telescope["estimate"]["flops"] < 0.7 * grid["estimate"]["flops"]
        assert telescope["progress"]["trials_total"] == telescope["estimate"]["trials"]

    def test_an_information_search_is_told_at_most_the_grid_or_its_budget(self, client: Client) -> None:
        grid = client.post("/v1/calibrations", json=spec(search="grid")).json()["estimate"]
        asked = {"search": "information", "precision": 0.5, "target_width": 4096}
        found = client.post("/v1/calibrations", json=spec(**asked)).json()
        assert found["estimate"] | {"upper_bound": False} == grid | {"upper_bound": False}
        assert (found["estimate"]["upper_bound"], grid["upper_bound"]) == (True, False)
        assert {name: found["spec"][name] for name in asked} == asked
        less = client.post("/v1/calibrations", json=spec(**asked, budget=0.5 * grid["flops"])).json()["estimate"]
        assert less["flops"] == 0.5 * grid["flops"]

    @pytest.mark.parametrize(
        ("field", "asked"),
        [
            ("precision", {"search": "information"}),
            ("precision", {"search": "telescope", "precision": 0.5}),
            ("budget", {"budget": 1e15}),
            ("budget", {"search": "information", "budget": 1.0}),
            ("precision", {"search": "information", "precision": 0.5, "widths": [64, 128]}),
            ("target_width", {"search": "information", "precision": 0.5, "target_width": 8}),
            ("measure", {"search": "information", "precision": 0.5, "measure": ["epsilon"]}),
            ("search", {"search": "information", "precision": 0.5, "runner": "external"}),
            ("precision", {"search": "information", "precision": 0.001}),
            ("budget", {"search": "information", "budget": -1}),
        ],
    )
    def test_an_information_search_needs_what_goes_together(
        self, client: Client, field: str, asked: dict[str, Any]
    ) -> None:
        refused = client.post("/v1/calibrations", json=spec(**asked))
        assert refused.status_code == 422
        assert field in str(refused.json()["errors"])

    def test_measured_alignment_is_kept(self, client: Client) -> None:
        measured = {role: {"alpha": 0.8, "omega": 0.5, "u": 0.7} for role in ("hidden", "readout")}
        identifier = submit(client, alignment=measured)
        assert client.get(f"/v1/calibrations/{identifier}").json()["spec"]["alignment"] == measured

    @pytest.mark.parametrize(
        ("changes", "pointer", "word"),
        [
            ({"widths": [64, 64, 128]}, "#/widths", "give each once"),
            ({"widths": [64]}, "#/widths", "at least 2"),
            ({"widths": list(range(1, 18))}, "#/widths", "at most 16"),
            ({"widths": [64, -1]}, "#/widths/1", "from 1 to 16384"),
            ({"learning_rates": [0.1, 0.1, 0.2]}, "#/learning_rates", "give each once"),
            ({"learning_rates": [0.1, 0.10000000001, 0.2]}, "#/learning_rates", "give each once"),
            ({"learning_rates": [0.1, 0.2]}, "#/learning_rates", "at least 3"),
            ({"learning_rates": [0.1, 0.2, 0.0]}, "#/learning_rates/2", "greater than 0"),
            ({"learning_rates": [0.1 + i for i in range(65)]}, "#/learning_rates", "at most 64"),
            ({"seeds": 33}, "#/seeds", "from 1 to 32"),
            ({"steps": 100_001}, "#/steps", "from 1 to 100000"),
            ({"search": "random"}, "#/search", "'grid'"),
            ({"measure": ["learning_rate", "learning_rate"]}, "#/measure", "give each once"),
            ({"measure": []}, "#/measure", "at least 1"),
            ({"horizons": [10]}, "#/horizons", "at least 2"),
            ({"horizons": [10, 10]}, "#/horizons", "give each once"),
            ({"mesh": 0.01}, "#/mesh", "0.0625"),
            ({"measure": ["speed"]}, "#/measure/0", "'learning_rate'"),
            ({"runner": "cloud"}, "#/runner", "'worker'"),
            ({"proxy": {"architecture": "cnn"}}, "#/proxy", "'mlp'"),
            ({"proxy": {"architecture": "mlp", "depth": 0}}, "#/proxy/depth", "from 1 to"),
            ({"proxy": {"architecture": "mlp", "dataset": "C4\0"}}, "#/proxy/dataset", "pattern"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_refusals(self, client: Client, changes: dict[str, Any], pointer: str, word: str) -> None:
        found = problem(client.post("/v1/calibrations", json=spec(**changes)), 422, "invalid-request")
        assert found["errors"][0]["pointer"] == pointer
        assert word in found["errors"][0]["message"]

    def test_what_the_schema_can_not_express(self, client: Client) -> None:
        found = problem(client.post("/v1/calibrations", json=spec(form="table_8")), 422, "invalid-input")
        assert found["errors"][0]["field"] == "form"
        heads = spec(proxy={"architecture": "transformer", "head_dim": 24}, widths=[48, 64])
        found = problem(client.post("/v1/calibrations", json=heads), 422, "invalid-input")
        assert found["errors"][0]["pointer"] == "#/proxy/head_dim"
        assert "does not divide width 64" in found["detail"]

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"measure": ["gamma"]}, "also measure learning_rate"),
            ({"runner": "external", "measure": ["learning_rate", "epsilon"]}, "only workers measure"),
        ],
    )
    def test_measures_that_do_not_go_together(self, client: Client, changes: dict[str, Any], word: str) -> None:
        found = problem(client.post("/v1/calibrations", json=spec(**changes)), 422, "invalid-input")
        assert found["errors"][0]["pointer"] == "#/measure"
        assert word in found["detail"]

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({}, "give one of sgd, adam, adamw"),
            ({"learning_rates": None}, "give one of sgd, adam, adamw"),
            ({"learning_rates": None, "runner": "external"}, "or learning_rates and runner 'external'"),
        ],
    )
    def test_an_optimizer_that_workers_do_not_train_with(
        self, client: Client, changes: dict[str, Any], word: str
    ) -> None:
        found = problem(client.post("/v1/calibrations", json=spec(optimizer="adan", **changes)), 422, "invalid-input")
        assert "optimizer" in (found["errors"][0].get("pointer") or found["errors"][0]["field"])
        assert word in found["detail"]
        assert all(word in found["detail"] for word in trained())

    def test_its_user_may_train_with_it(self, client: Client) -> None:
        body = spec(optimizer="adan", runner="external")
        assert client.post("/v1/calibrations", json=body).status_code == 202

    def test_an_optimizers_other_name_is_refused_with_the_word(self, client: Client) -> None:
        body = spec(optimizer="adamw_torch")
        found = problem(client.post("/v1/calibrations", json=body), 422, "invalid-request")
        assert "give 'adamw'" in found["detail"]


class TestIdempotency:
    """The Idempotency-Key header."""

    def test_the_same_body_is_replayed(self, client: Client) -> None:
        headers = {"Idempotency-Key": "run-7"}
        first = client.post("/v1/calibrations", json=spec(), headers=headers)
        # The same specification, though not the same bytes: defaults written out, members in another order.
        second = client.post("/v1/calibrations", json=dict(reversed(spec(form="table_9").items())), headers=headers)
        assert second.status_code == 202
        assert second.json() == first.json()
        assert second.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        assert len(client.get("/v1/calibrations").json()["items"]) == 1

    def test_another_body_is_refused(self, client: Client) -> None:
        headers = {"Idempotency-Key": "run-7"}
        first = client.post("/v1/calibrations", json=spec(), headers=headers).json()
        response = client.post("/v1/calibrations", json=spec(seeds=3), headers=headers)
        found = problem(response, 422, "idempotency-key-reused")
        assert found["calibration_id"] == first["id"]

    def test_without_a_key_each_is_new(self, client: Client) -> None:
        assert submit(client) != submit(client)

    @pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "caf\xe9"])
    def test_keys_that_are_none(self, client: Client, key: str) -> None:
        response = client.post("/v1/calibrations", json=spec(), headers={b"Idempotency-Key": key.encode("latin-1")})
        assert problem(response, 422, "invalid-request")["errors"][0]["field"] == "header.idempotency-key"


class TestListings:
    """Pages of calibrations and of trials."""

    def test_pages_hold_each_once_newest_first(self, client: Client) -> None:
        identifiers = [submit(client) for _ in range(5)]
        found: list[str] = []
        cursor = None
        while True:
            parameters = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
            response = client.get("/v1/calibrations", params=parameters)
            assert CalibrationPage.model_validate_json(response.content)
            found += [item["id"] for item in response.json()["items"]]
            cursor = response.json()["next_cursor"]
            if cursor is None:
                break
        assert found == identifiers[::-1]

    def test_by_state(self, client: Client) -> None:
        kept, cancelled = submit(client), submit(client)
        client.post(f"/v1/calibrations/{cancelled}/cancel")
        for state, identifier in (("queued", kept), ("cancelled", cancelled)):
            items = client.get("/v1/calibrations", params={"state": state}).json()["items"]
            assert [item["id"] for item in items] == [identifier]

    def test_trials(self, client: Client) -> None:
        identifier = finished(client)
        first = client.get(f"/v1/calibrations/{identifier}/trials", params={"limit": 40})
        assert TrialPage.model_validate_json(first.content)
        rest = client.get(
            f"/v1/calibrations/{identifier}/trials", params={"limit": 40, "cursor": first.json()["next_cursor"]}
        )
        assert rest.json()["next_cursor"] is None
        trials = first.json()["items"] + rest.json()["items"]
        assert len({trial["id"] for trial in trials}) == len(trials) == 54
        assert {trial["status"] for trial in trials} == {"completed"}


class TestExternal:
    """A calibration whose trials are made elsewhere."""

    def test_upload_and_finish(self, client: Client) -> None:
        identifier = finished(client, drift=-0.5)
        body = client.get(f"/v1/calibrations/{identifier}").json()
        assert body["state"] == "succeeded"
        assert body["result"]["drift"]["value"] == pytest.approx(-0.5, abs=0.02)
        assert [optimum["width"] for optimum in body["result"]["optima"]] == [64, 128, 256]
        again = client.post(f"/v1/calibrations/{identifier}/finish")
        assert again.json() == body

    def test_uploading_twice_changes_nothing(self, client: Client) -> None:
        identifier = submit(client, runner="external")
        address = f"/v1/calibrations/{identifier}/trials"
        for _ in range(2):
            body = client.post(address, json={"trials": bowl()[:4]}).json()
            assert body["progress"]["trials_done"] == 4
            assert body["state"] == "running"

    def test_the_example(self, client: Client) -> None:
        identifier = client.post("/v1/calibrations", json=SPEC_EXAMPLES["external"]["value"]).json()["id"]
        address = f"/v1/calibrations/{identifier}/trials"
        assert client.post(address, json=UPLOAD_EXAMPLES["trials"]["value"]).status_code == 200
        by_rate = {trial["learning_rate"]: trial for trial in client.get(address).json()["items"]}
        assert by_rate[0.008]["status"] == "diverged"
        assert by_rate[0.008]["loss"] is None

    @pytest.mark.parametrize(
        ("trial", "slug", "word"),
        [
            ({"width": 100}, "invalid-input", "100"),
            ({"width": 0}, "invalid-request", "from 1 to"),
            ({"learning_rate": 0}, "invalid-request", "greater than 0"),
            ({"seed": -1}, "invalid-request", "from 0 to"),
            ({"loss": "low"}, "invalid-request", "number"),
            ({"loss": 1e301}, "invalid-request", "less than"),
            ({"note": "x"}, "invalid-request", "no field"),
        ],
        ids=str,
    )
    def test_bad_trials(self, client: Client, trial: dict[str, Any], slug: str, word: str) -> None:
        address = f"/v1/calibrations/{submit(client, runner='external')}/trials"
        good = {"width": 64, "learning_rate": 0.01, "seed": 0, "loss": 2.0}
        found = problem(client.post(address, json={"trials": [good, {**good, **trial}]}), 422, slug)
        assert word in json.dumps(found)
        assert client.get(address).json()["items"] == []

    def test_a_loss_that_is_not_finite(self, client: Client) -> None:
        address = f"/v1/calibrations/{submit(client, runner='external')}/trials"
        for loss in (b"NaN", b"1e999", b"-Infinity"):
            text = b'{"trials": [{"width": 64, "learning_rate": 0.01, "seed": 0, "loss": %b}]}' % loss
            found = problem(client.post_bytes(address, text), 422, "invalid-request")
            assert found["errors"][0]["pointer"] == "#/trials/0/loss"

    def test_too_few_trials_can_be_mended(self, client: Client) -> None:
        identifier = submit(client, runner="external")
        problem(client.post(f"/v1/calibrations/{identifier}/finish"), 409, "conflict")
        client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": bowl()[:6]})
        found = problem(client.post(f"/v1/calibrations/{identifier}/finish"), 409, "conflict")
        assert "upload more" in found["detail"]
        client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": bowl()})
        assert client.post(f"/v1/calibrations/{identifier}/finish").json()["state"] == "succeeded"

    def test_only_external_ones_take_uploads(self, client: Client) -> None:
        identifier = submit(client)
        problem(client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": bowl()}), 409, "conflict")
        problem(client.post(f"/v1/calibrations/{identifier}/finish"), 409, "conflict")


class TestCancelling:
    """POST /v1/calibrations/{id}/cancel."""

    def test_queued_at_once_and_twice_is_no_error(self, client: Client) -> None:
        identifier = submit(client)
        for _ in range(2):
            response = client.post(f"/v1/calibrations/{identifier}/cancel")
            assert response.status_code == 200
            assert response.json()["state"] == "cancelled"

    def test_running_is_asked(self, client: Client, store: Store) -> None:
        identifier = submit(client)
        assert store.work.claim("worker-1") is not None
        body = client.post(f"/v1/calibrations/{identifier}/cancel").json()
        assert body["state"] == "running"
        assert body["cancel_requested"] is True

    def test_a_finished_one_stays(self, client: Client) -> None:
        assert client.post(f"/v1/calibrations/{finished(client)}/cancel").json()["state"] == "succeeded"


@pytest.mark.parametrize("name", ["plot", "widths"])
def test_the_plot_is_a_picture(client: Client, name: str) -> None:
    for identifier in (submit(client), finished(client)):
        links = client.get(f"/v1/calibrations/{identifier}").json()["links"]
        response = client.get(links[name])
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("image/svg+xml")
        assert "script-src" not in response.headers["content-security-policy"]
        assert ElementTree.fromstring(response.text).tag.endswith("svg")  # noqa: S314  our own picture


class TestDelete:
    """DELETE of a calibration."""

    def test_it_is_gone_and_so_are_its_exponents(self, client: Client) -> None:
        identifier = finished(client)
        address = f"/v1/calibrations/{identifier}"
        answer = client.request("DELETE", address)
        assert (answer.status_code, answer.content) == (204, b"")
        for path in (address, f"{address}/trials", f"{address}/events", f"{address}/plot.svg"):
            problem(client.get(path), 404, "not-found")
        problem(client.request("DELETE", address), 404, "not-found")
        assert client.get("/v1/exponents").json()["items"] == []
        body = changed("exponents", {"source": "calibration", "id": identifier})
        problem(client.post("/v1/transfers", json=body), 404, "not-found")

    def test_it_has_to_end_first(self, client: Client) -> None:
        identifier = submit(client)
        address = f"/v1/calibrations/{identifier}"
        assert "cancel it" in problem(client.request("DELETE", address), 409, "conflict")["detail"]
        client.post(f"{address}/cancel")
        assert client.request("DELETE", address).status_code == 204
