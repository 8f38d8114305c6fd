"""Sweeps over HTTP: uploaded, appended to, listed, fitted, predicted, deleted."""

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from service.app import create_app
from service.settings import Settings
from service.store import Store, StoredRun, StoredSweep
from service.sweeps.examples import PREDICTIONS_EXAMPLES, RUNS_EXAMPLES, UPLOAD_EXAMPLES
from service.sweeps.fits import Fits
from tests.api.client import Client, client_of, problem
from tests.api.keyed import Keyed, keyed_app, new_key
from widthwise.sweeps.upload import MOST_BYTES, MOST_UNUSED

RATES = [2.0**power for power in range(-11, -6)]


def rows(widths: tuple[int, ...] = (64, 128, 256, 512), slope: float = -0.5) -> list[dict[str, Any]]:
    """Runs whose best rate goes as width^slope and is 2^-9 at width 256; the highest rate at 512 diverged."""
    found = []
    for width in widths:
        best = -9 + slope * math.log2(width / 256)
        for rate in RATES:
            loss = 3.0 + 0.05 * (math.log2(rate) - best) ** 2 + 0.001 * math.sin(1000 * rate * width)
            lost = width == 512 and rate == RATES[-1]
            found.append({"learning_rate": rate, "loss": None if lost else loss, "seed": 0, "width": width})
    return found


def uploaded(client: Client, runs: list[dict[str, Any]] | None = None, **changes: Any) -> str:
    """Upload a sweep and return its id."""
    body = {"name": "ours", "runs": rows() if runs is None else runs, **changes}
    response = client.post("/v1/sweeps", json=body)
    assert response.status_code == 201, response.text
    assert response.headers["location"] == f"/v1/sweeps/{response.json()['id']}"
    identifier: str = response.json()["id"]
    return identifier


def described(app: FastAPI, name: str, answer: Any) -> None:
    """Hold an answer to the schema that the document has for it, which must name everything in the answer."""
    schemas = {each: closed(schema) for each, schema in app.openapi()["components"]["schemas"].items()}
    Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}},
    ).validate(answer)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of an object without other names than those that it describes."""
    return {"additionalProperties": False, **schema} if "properties" in schema else schema


# what a sweep is ----------------------------------------------------------------------------------


def test_upload_fit_and_predict(client: Client, app: FastAPI) -> None:
    identifier = uploaded(client)
    fit = client.get(f"/v1/sweeps/{identifier}/fit")
    assert fit.status_code == 200, fit.text
    body = fit.json()
    described(app, "FitBody", body)
    assert body["sweep"] == {"id": identifier, "name": "ours", "revision": 1, "runs": 20}
    assert [math.log2(each["learning_rate"]) for each in body["optima"]] == pytest.approx([-8, -8.5, -9, -9.5], abs=0.2)
    width = next(one for one in body["law"] if one["name"] == "width")
    assert width["value"] == pytest.approx(-0.5, abs=0.15)
    assert {warning["code"] for warning in body["warnings"]} == {"one_seed"}
    asked = {"places": [{"width": 1024}], "holdout": {"axis": "width", "end": "max"}}
    predicted = client.post(f"/v1/sweeps/{identifier}/predictions", json=asked)
    assert predicted.status_code == 200, predicted.text
    described(app, "PredictedBody", predicted.json())
    (at,) = predicted.json()["predictions"]
    assert math.log2(at["learning_rate"]) == pytest.approx(-10, abs=0.5)
    assert at["interval"][0] < at["law_interval"][0] < at["learning_rate"] < at["law_interval"][1] < at["interval"][1]
    assert at["expected_regret"] > 0
    assert {"step_law", "deepseek"} <= {law["law"] for law in at["published"]}
    assert all(law["missing"] for law in at["published"] if law["learning_rate"] is None)
    score = predicted.json()["held_out"]
    assert [cell["axes"] for cell in score["cells"]] == [{"width": 512.0}]
    assert score["covered"] == score["cells"][0]["covered"] == 1
    assert score["median_octaves"] == abs(score["cells"][0]["octaves"])
    assert score["cells"][0]["regret"] == pytest.approx(0.05 * score["cells"][0]["octaves"] ** 2, rel=0.3)


def test_what_it_covers(client: Client, app: FastAPI) -> None:
    runs = [{"lr": "1e-3", "loss": "3.2", "D": 1e9, "who": "adam", "seed": "1", "depth": 4, "note": None}]
    runs += [{"lr": "2e-3", "loss": "nan", "D": 4e9, "who": "lion", "seed": "1", "depth": 4, "note": True}]
    runs += [{"lr": "4e-3", "loss": 3.0, "D": 4e9, "who": "lion", "seed": "1", "depth": 4, "status": "crashed"}]
    columns = {"learning_rate": "lr", "tokens": "D", "optimizer": "who"}
    identifier = uploaded(client, runs, columns=columns, groups=["optimizer"], without=["depth"], notes="two lines\n…")
    shown = client.get(f"/v1/sweeps/{identifier}").json()
    described(app, "SweepBody", shown)
    assert shown["axes"] == {"tokens": {"low": 1e9, "high": 4e9}, "optimizer": {"levels": ["adam", "lion"]}}
    assert (shown["runs"], shown["diverged"], shown["cells"], shown["revision"]) == (3, 2, 2, 1)
    assert (shown["name"], shown["notes"]) == ("ours", "two lines\n…")
    assert shown["reading"]["columns"] == columns
    page = client.get(f"/v1/sweeps/{identifier}/runs").json()
    described(app, "RunPage", page)
    first = page["items"][0]
    assert (first["learning_rate"], first["loss"], first["seed"]) == (0.001, 3.2, 1)
    assert first["axes"] == {"tokens": 1e9, "optimizer": "adam"}


@pytest.mark.parametrize("name", sorted(UPLOAD_EXAMPLES))
def test_every_example_is_accepted(client: Client, app: FastAPI, name: str) -> None:
    answer = client.post("/v1/sweeps", json=UPLOAD_EXAMPLES[name]["value"])
    assert answer.status_code == 201, answer.text
    described(app, "SweepBody", answer.json())


def test_the_other_examples_are_accepted(client: Client, app: FastAPI) -> None:
    runs = [{**row, "tokens": 1e9} for row in rows(widths=(128, 256))]
    identifier = uploaded(client, [row for row in runs if row["learning_rate"] != 0.002])
    added = client.post(f"/v1/sweeps/{identifier}/runs", json=RUNS_EXAMPLES["runs"]["value"])
    assert added.status_code == 200, added.text
    described(app, "AppendedBody", added.json())
    for example in PREDICTIONS_EXAMPLES.values():
        answer = client.post(f"/v1/sweeps/{identifier}/predictions", json=example["value"])
        assert answer.status_code == 200, answer.text


def test_pages_hold_each_once(client: Client) -> None:
    made = [uploaded(client, rows(widths=(64,))) for _ in range(3)]
    first = client.get("/v1/sweeps", params={"limit": 2}).json()
    rest = client.get("/v1/sweeps", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None
    page = client.get(f"/v1/sweeps/{made[0]}/runs", params={"limit": 3}).json()
    more = client.get(f"/v1/sweeps/{made[0]}/runs", params={"limit": 3, "cursor": page["next_cursor"]}).json()
    assert [run["learning_rate"] for run in page["items"] + more["items"]] == RATES  # as they were given
    wrong = client.get(f"/v1/sweeps/{made[0]}/runs", params={"cursor": first["next_cursor"]})
    problem(wrong, 422, "invalid-input")  # of another listing


def test_a_deleted_sweep_is_gone(client: Client) -> None:
    identifier = uploaded(client)
    gone = client.request("DELETE", f"/v1/sweeps/{identifier}")
    assert (gone.status_code, gone.content) == (204, b"")
    for method, path in (("GET", ""), ("GET", "/runs"), ("GET", "/fit"), ("PATCH", ""), ("DELETE", "")):
        problem(client.request(method, f"/v1/sweeps/{identifier}{path}", json={}), 404, "not-found")
    problem(client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": rows()}), 404, "not-found")
    problem(client.post(f"/v1/sweeps/{identifier}/predictions", json={"places": [{}]}), 404, "not-found")
    assert client.get("/v1/sweeps").json()["items"] == []


# appending ----------------------------------------------------------------------------------------


def test_the_same_runs_again_change_nothing(client: Client) -> None:
    identifier = uploaded(client)
    again = [{**row, "learning_rate": str(row["learning_rate"]), "width": float(row["width"])} for row in rows()]
    answer = client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": again * 2}).json()
    assert (answer["added"], answer["sweep"]["revision"], answer["sweep"]["runs"]) == (0, 1, 20)
    more = client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": rows() + rows(widths=(1024,))}).json()
    assert (more["added"], more["sweep"]["revision"], more["sweep"]["cells"]) == (5, 2, 5)
    assert more["sweep"]["axes"] == {"width": {"low": 64.0, "high": 1024.0}}


@pytest.mark.parametrize("sent", [1.25, None])
def test_a_contradicting_loss_is_refused_and_nothing_of_it_is_stored(client: Client, sent: float | None) -> None:
    identifier = uploaded(client)
    new = {"learning_rate": 0.5, "loss": 9.0, "seed": 0, "width": 64}
    refused = client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": [new, {**rows()[0], "loss": sent}]})
    told = problem(refused, 409, "conflict")
    said = "diverged" if sent is None else "1.25"
    assert f"is stored with loss {rows()[0]['loss']!r}, and this request says {said}" in told["detail"]
    assert "Run 2 (learning rate 0.000488281, seed 0, width 64)" in told["detail"]
    assert told["errors"] == [
        {"pointer": "#/runs/1", "message": f"is stored with loss {rows()[0]['loss']!r}", "value": said}
    ]
    shown = client.get(f"/v1/sweeps/{identifier}").json()
    assert (shown["runs"], shown["revision"]) == (20, 1)


def test_without_seeds_equal_runs_of_a_request_are_repeats(client: Client) -> None:
    repeats = [{"learning_rate": 0.01, "loss": loss, "width": 64} for loss in (3.0, 3.1, 3.0)]
    identifier = uploaded(client, repeats)
    assert client.get(f"/v1/sweeps/{identifier}").json()["runs"] == 3
    assert client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": repeats}).json()["added"] == 0
    fourth = client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": [*repeats, {**repeats[0], "loss": 3.2}]})
    assert fourth.json()["added"] == 1
    alone = client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": [{**repeats[0], "loss": 3.3}]})
    assert "give repeats a seed each" in problem(alone, 409, "conflict")["detail"]


def test_two_requests_at_once_store_each_run_once(client: Client) -> None:
    identifier = uploaded(client, [])
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": rows()}), range(8))
        )
    assert sorted(answer.json()["added"] for answer in answers) == [0] * 7 + [20]
    assert client.get(f"/v1/sweeps/{identifier}").json()["revision"] == 1


def test_a_key_creates_one_sweep(client: Client) -> None:
    key, body = {"Idempotency-Key": "mine"}, {"name": "ours", "runs": rows()}
    first = client.post("/v1/sweeps", json=body, headers=key)
    client.post(f"/v1/sweeps/{first.json()['id']}/runs", json={"runs": rows(widths=(1024,))})
    again = client.post("/v1/sweeps", json=body, headers=key)
    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.json()["id"], again.json()["runs"]) == (first.json()["id"], 25)
    other = client.post("/v1/sweeps", json={**body, "runs": rows()[1:]}, headers=key)
    assert problem(other, 422, "idempotency-key-reused")["sweep_id"] == first.json()["id"]
    assert len(client.get("/v1/sweeps").json()["items"]) == 1


# what is refused ----------------------------------------------------------------------------------

RUN = {"learning_rate": 0.01, "loss": 3.0, "seed": 0, "width": 64}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"runs": [RUN, {**RUN, "loss": 2.0}]}, "runs 1 and 2 are the same one"),
        ({"runs": [RUN, {**RUN, "learning_rate": "x"}]}, "row 2: learning_rate is 'x'"),
        ({"runs": [RUN, {**RUN, "learning_rate": 1e9}]}, "row 2: learning_rate is 1000000000.0; give 1e-12 to 1e+06"),
        ({"runs": [{**RUN, "loss": 1e-40}]}, "row 1: loss is 1e-40"),
        ({"runs": [{**RUN, "width": 1e40}]}, "row 1: width is 1e+40"),
        ({"runs": [{**RUN, "seed": 1.5}]}, "row 1: seed is 1.5"),
        ({"runs": [{**RUN, "seed": "inf"}]}, "row 1: seed is inf"),
        ({"runs": [{**RUN, "seed": "nan"}]}, "row 1: seed is nan"),
        ({"runs": [{**RUN, "seed": 2**60}]}, "row 1: seed is 1.15"),
        ({"runs": [{**RUN, "seed": "x"}]}, "row 1: seed is 'x'"),
        ({"runs": [{**RUN, "width": True}]}, "row 1: width is 'True'"),
        ({"runs": [RUN, {"learning_rate": 0.02, "loss": 3.0}]}, "row 2: width is blank"),
        ({"runs": [{"learning_rate": 0.02, "width": 3.0}]}, "no column 'loss'"),
        ({"runs": [{**RUN, "tokens": 5, "batch_tokens": 10}]}, "give both in tokens"),
        ({"runs": [RUN], "columns": {"tokens": "D"}}, "'D' has no value in any row"),
        ({"runs": [RUN], "prescribed": ["depth"]}, "prescribed names 'depth'; give axes of the runs: width"),
        ({"runs": [RUN], "columns": {"self": "width"}}, "an axis can't be called 'self'"),
        ({"runs": [], "groups": ["axis"]}, "an axis can't be called 'axis'"),
    ],
    ids=str,
)
def test_rows_that_are_no_runs_are_refused(client: Client, changes: dict[str, Any], says: str) -> None:
    answer = client.post("/v1/sweeps", json={"name": "ours", **changes})
    assert says in problem(answer, 422, "invalid-input")["detail"]
    assert client.get("/v1/sweeps").json()["items"] == []


@pytest.mark.parametrize(
    "changes",
    [{"name": ""}, {"name": "a\0b"}, {"runs": [{}]}, {"runs": [{"x": [1]}]}, {"runs": [{"a\n": 1}]}, {"more": 1}],
    ids=str,
)
def test_bodies_of_another_form_are_refused(client: Client, changes: dict[str, Any]) -> None:
    problem(client.post("/v1/sweeps", json={"name": "ours", "runs": [RUN], **changes}), 422, "invalid-request")


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ({**RUN, "depth": 4}, "run 1 has the axes ['depth', 'width'], and the sweep's runs have ['width']"),
        ({"learning_rate": 0.01, "loss": 3.0}, "run 1 has the axes [], and the sweep's runs have ['width']"),
    ],
)
def test_runs_of_other_axes_are_refused(client: Client, run: dict[str, Any], says: str) -> None:
    identifier = uploaded(client)
    answer = client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": [run]})
    assert says in problem(answer, 422, "invalid-input")["detail"]


@pytest.mark.parametrize(
    ("body", "slug", "says"),
    [
        ({}, "invalid-input", "asks for nothing"),
        ({"places": [{"depth": 4}]}, "invalid-input", "places[0]: the axes given are ['depth']"),
        ({"places": [{"width": 64}, {"width": "wide"}]}, "invalid-input", "places[1]: width is 'wide'; give a number"),
        ({"places": [{"width": 1e-31}]}, "invalid-request", "#/places/0/width"),
        ({"holdout": {"axis": "depth", "end": "max"}}, "invalid-input", "holdout names 'depth'"),
        ({"holdout": {"axis": "width", "end": "most"}}, "invalid-request", "#/holdout/end"),
    ],
    ids=str,
)
def test_predictions_that_can_not_be_made(client: Client, body: dict[str, Any], slug: str, says: str) -> None:
    answer = client.post(f"/v1/sweeps/{uploaded(client)}/predictions", json=body)
    assert says in problem(answer, 422, slug)["detail"]


def test_what_can_not_be_fitted_is_a_conflict(client: Client) -> None:
    empty = uploaded(client, [])
    assert "has no runs yet" in problem(client.get(f"/v1/sweeps/{empty}/fit"), 409, "conflict")["detail"]
    lost = uploaded(client, [{**row, "loss": None} for row in rows()])
    assert "all 20 runs diverged" in problem(client.get(f"/v1/sweeps/{lost}/fit"), 409, "conflict")["detail"]
    near = uploaded(client, [RUN, {**RUN, "learning_rate": 0.01001, "loss": 2.0}])  # the same one to 1 %
    assert "two losses for learning rate" in problem(client.get(f"/v1/sweeps/{near}/fit"), 409, "conflict")["detail"]
    one = uploaded(client, rows(widths=(64,)))
    held = {"holdout": {"axis": "width", "end": "max"}}
    answer = client.post(f"/v1/sweeps/{one}/predictions", json=held)
    assert "nothing remains to predict it from" in problem(answer, 409, "conflict")["detail"]


# owners and quotas --------------------------------------------------------------------------------


@pytest.fixture
def owners(settings: Settings, store: Store) -> Iterator[tuple[Keyed, Keyed, Keyed]]:
    """Clients of two owners and of an administrator, with small quotas."""
    quotas = {"max_sweep_runs": 22, "owner_sweep_runs": 30, "owner_sweeps": 2}
    with client_of(keyed_app(settings, store, **quotas)) as client:
        keys = [new_key(store, owner, scope) for owner, scope in (("ada", "calibrate"), ("ben", "calibrate"))]
        ada, ben, root = (Keyed(client, key) for key in (*keys, new_key(store, "root")))
        yield ada, ben, root


def test_what_is_anothers_is_not_there(owners: tuple[Keyed, Keyed, Keyed]) -> None:
    ada, ben, root = owners
    identifier = uploaded(ada)
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/runs", None),
        ("GET", "/fit", None),
        ("POST", "/runs", {"runs": rows()}),
        ("POST", "/predictions", {"places": [{"width": 64}]}),
        ("PATCH", "", {"name": "mine now"}),
        ("DELETE", "", None),
    ):
        problem(ben.request(method, f"/v1/sweeps/{identifier}{path}", json=body), 404, "not-found")
    assert ben.get("/v1/sweeps").json()["items"] == []
    assert [(item["id"], item["name"]) for item in root.get("/v1/sweeps").json()["items"]] == [(identifier, "ours")]
    assert root.get(f"/v1/sweeps/{identifier}/fit").status_code == 200
    assert ben.get(f"/v1/sweeps/{identifier}/fit").status_code == 404  # also once it is kept
    assert root.request("DELETE", f"/v1/sweeps/{identifier}").status_code == 204


def test_a_key_that_reads_stores_nothing(settings: Settings, store: Store) -> None:
    with client_of(keyed_app(settings, store)) as client:
        writer, reader = (Keyed(client, new_key(store, "ada", scope)) for scope in ("calibrate", "read"))
        identifier = uploaded(writer)
        assert reader.get(f"/v1/sweeps/{identifier}/fit").status_code == 200
        asked = reader.post(f"/v1/sweeps/{identifier}/predictions", json={"places": [{"width": 64}]})
        assert asked.status_code == 200
        for method, path in (
            *(("POST", ""), ("POST", f"/{identifier}/runs")),
            *(("PATCH", f"/{identifier}"), ("DELETE", f"/{identifier}")),
        ):
            problem(reader.request(method, f"/v1/sweeps{path}", json={"name": "x"}), 403, "missing-scope")


def test_quotas_name_the_numbers(owners: tuple[Keyed, Keyed, Keyed]) -> None:
    ada, ben, _ = owners
    identifier = uploaded(ada)
    refused = ada.post(f"/v1/sweeps/{identifier}/runs", json={"runs": rows(widths=(1024,))})
    assert "would have 25 runs, and one may have 22" in problem(refused, 422, "invalid-input")["detail"]
    more = ada.post("/v1/sweeps", json={"name": "second", "runs": rows(widths=(32, 64, 128))})
    told = problem(more, 429, "quota-exceeded")
    assert "You have 20 runs of sweeps and ask for 15 more, and at most 30 are allowed" in told["detail"]
    assert {name: told["errors"][0][name] for name in ("asked", "limit", "in_use")} == {
        "asked": 15,
        "limit": 30,
        "in_use": 20,
    }
    assert int(more.headers["retry-after"]) > 0
    assert len(ada.get("/v1/sweeps").json()["items"]) == 1  # nothing of it was stored
    second = uploaded(ada, rows(widths=(32, 64)))
    third = ada.post("/v1/sweeps", json={"name": "third"})
    assert (
        "You have 2 sweeps and ask for 1 more, and at most 2 are allowed"
        in problem(third, 429, "quota-exceeded")["detail"]
    )
    assert ada.request("DELETE", f"/v1/sweeps/{second}").status_code == 204
    uploaded(ada, [])
    uploaded(ben)  # whose quota is untouched


def test_cells_are_bounded(client: Client) -> None:
    many = [{**RUN, "width": 64 + number} for number in range(1001)]
    refused = client.post("/v1/sweeps", json={"name": "many", "runs": many})
    assert "would have 1001 cells" in problem(refused, 422, "invalid-input")["detail"]


# fits ---------------------------------------------------------------------------------------------


class CountedSweeps:
    """Stands before the sweeps of a store and counts how often all runs of one are read: once for every fit."""

    def __init__(self, store: Store) -> None:
        self._sweeps = store.sweeps
        self.read = 0
        self.now = 0
        self.most = 0  #: that were read at once
        self._lock = threading.Lock()

    def runs_at(self, sweep: StoredSweep) -> tuple[StoredRun, ...]:
        """Read every run."""
        with self._lock:
            self.read += 1
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self._sweeps.runs_at(sweep)
        finally:
            with self._lock:
                self.now -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sweeps, name)


def test_a_revision_is_fitted_once(settings: Settings, store: Store) -> None:
    counted = CountedSweeps(store)
    store.sweeps = counted  # type: ignore[assignment]  # has every method of it
    with client_of(create_app(settings, store)) as client:
        identifier = uploaded(client)
        with ThreadPoolExecutor(6) as pool:
            fits = list(pool.map(lambda _: client.get(f"/v1/sweeps/{identifier}/fit"), range(6)))
        assert {fit.status_code for fit in fits} == {200}
        assert len({fit.content for fit in fits}) == 1
        asked = {"places": [{"width": 1024}], "holdout": {"axis": "width", "end": "min"}}
        for _ in range(2):
            assert client.post(f"/v1/sweeps/{identifier}/predictions", json=asked).status_code == 200
        assert (counted.read, counted.most) == (2, 1)  # the fit and the holdout
        client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": rows(widths=(1024,))})
        fit = client.get(f"/v1/sweeps/{identifier}/fit").json()
        assert (fit["sweep"]["revision"], len(fit["optima"]), counted.read) == (2, 5, 3)


class HeldSweeps(CountedSweeps):
    """Holds a fit up until it may continue."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def runs_at(self, sweep: StoredSweep) -> tuple[StoredRun, ...]:
        """Wait, then read every run."""
        self.begun.set()
        assert self.go_on.wait(30)
        return super().runs_at(sweep)


def test_whose_turn_does_not_come_is_told_to_try_again(settings: Settings, store: Store) -> None:
    held = HeldSweeps(store)
    store.sweeps = held  # type: ignore[assignment]  # has every method of it
    app = create_app(settings, store)
    app.state.fits.lane.patience_seconds = 0.05
    with client_of(app) as client, ThreadPoolExecutor(1) as pool:
        first, second = uploaded(client), uploaded(client)
        fit = pool.submit(client.get, f"/v1/sweeps/{first}/fit")
        try:
            assert held.begun.wait(30)
            refused = client.get(f"/v1/sweeps/{second}/fit")
            assert client.get(f"/v1/sweeps/{second}").status_code == 200  # it answers others
        finally:
            held.go_on.set()
        problem(refused, 429, "too-many-requests")
        assert int(refused.headers["retry-after"]) > 0
        assert fit.result().status_code == 200
        assert client.get(f"/v1/sweeps/{second}/fit").status_code == 200


def test_a_fit_is_of_the_runs_of_its_revision(store: Store, client: Client) -> None:
    """Runs that arrive between the look at the sweep and the reading of its runs belong to the next fit."""
    identifier = uploaded(client)
    before = store.sweeps.get(identifier)
    client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": rows(widths=(1024,))})
    assert len(store.sweeps.runs_at(before)) == 20
    assert len(store.sweeps.runs_at(store.sweeps.get(identifier))) == 25


def test_the_latest_fits_are_kept() -> None:
    fits, made = Fits(kept=2), []

    def make(name: str) -> str:
        made.append(name)
        return name

    for name in ("a", "b", "a", "c", "a", "b"):
        assert fits.of(name, 1, compute=lambda name=name: make(name)) == name  # type: ignore[misc]  # mypy infers no default
    assert made == ["a", "b", "c", "b"]


# Columns that are not axes.


def with_dropout(widths: tuple[int, ...] = (64, 96, 128, 192, 256, 384, 512, 768)) -> list[dict[str, Any]]:
    """Runs whose best rate is an octave lower where the dropout is 0.1 than where it is 0."""
    found = []
    for number, width in enumerate(widths):
        dropout = 0.1 * (number in (1, 2, 4, 7))
        best = -9 - 0.5 * math.log2(width / 256) - 10 * dropout
        for rate in RATES:
            loss = 3.0 + 0.05 * (math.log2(rate) - best) ** 2 + 0.001 * math.sin(1000 * rate * width)
            found.append(
                {"learning_rate": rate, "loss": loss, "width": width, "dropout": dropout, "host": "a", "n": ""}
            )
    return found


def test_columns_that_are_no_axis_are_kept_and_held_against_the_fit(client: Client, app: FastAPI) -> None:
    identifier = uploaded(client, with_dropout())
    page = client.get(f"/v1/sweeps/{identifier}/runs").json()
    described(app, "RunPage", page)
    assert page["items"][0]["unused"] == {"dropout": 0.0, "host": "a"}
    warnings = client.get(f"/v1/sweeps/{identifier}/fit").json()["warnings"]
    (message,) = [warning["message"] for warning in warnings if warning["code"] == "unused_column"]
    assert "dropout" in message
    plain = uploaded(client, [{**row, "dropout": 0.1} for row in with_dropout()])
    assert "unused_column" not in {each["code"] for each in client.get(f"/v1/sweeps/{plain}/fit").json()["warnings"]}


def test_columns_that_are_no_axis_tell_no_runs_apart(client: Client) -> None:
    """Those of the first upload stay: the same run again changes nothing, whatever else its row says."""
    key = {"Idempotency-Key": "again"}
    body = {"name": "ours", "runs": with_dropout()}
    first = client.post("/v1/sweeps", json=body, headers=key)
    changed = [{**row, "host": "b"} for row in with_dropout()]
    again = client.post("/v1/sweeps", json={**body, "runs": changed}, headers=key)
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    identifier = first.json()["id"]
    assert client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": changed}).json()["added"] == 0
    items = client.get(f"/v1/sweeps/{identifier}/runs").json()["items"]
    assert {item["unused"]["host"] for item in items} == {"a"}


def test_columns_that_are_no_axis_are_bounded(client: Client, app: FastAPI) -> None:
    row = {"learning_rate": 0.01, "loss": 3.0, "width": 64}
    described_limits = app.openapi()["components"]["schemas"]["RunsUpload"]["properties"]["runs"]["description"]
    assert f"{MOST_UNUSED} of a run at most in {MOST_BYTES:,} bytes" in described_limits
    uploaded(client, [{**row, **{f"c{number}": number for number in range(MOST_UNUSED)}}])
    many = {**row, **{f"c{number}": number for number in range(MOST_UNUSED + 1)}}
    answer = client.post("/v1/sweeps", json={"name": "ours", "runs": [row, many]})
    says = problem(answer, 422, "invalid-input")["detail"]
    assert says.startswith("row 2: 33 columns are not axes, and a run may have 32; leave out those that say nothing")
    long = {**row, "short": 1, **{f"text{number}": "é" * 40 for number in range(7)}, "longest": "x" * 300}
    answer = client.post("/v1/sweeps", json={"name": "ours", "runs": [long]})
    says = problem(answer, 422, "invalid-input")["detail"]
    assert "bytes as JSON, and a run may have 2,000; shorten 'longest', or leave it out" in says
