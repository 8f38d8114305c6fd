"""Names and notes of sweeps: changed at any time, and neither runs, revision nor fit do with them."""

from typing import Any

import pytest
from fastapi import FastAPI

from service.store import SWEEP_NAME_MAXIMUM, SWEEP_NOTES_MAXIMUM
from service.sweeps.examples import LABELS_EXAMPLES
from tests.api.client import Client, problem
from tests.api.test_sweeps import described, rows, uploaded


def patch(client: Client, identifier: str, **changes: Any) -> Any:
    return client.request("PATCH", f"/v1/sweeps/{identifier}", json=changes)


def test_they_change_and_nothing_else_does(client: Client, app: FastAPI) -> None:
    identifier = uploaded(client, notes="of last week")
    fit = client.get(f"/v1/sweeps/{identifier}/fit").json()
    before = client.get(f"/v1/sweeps/{identifier}").json()
    answer = patch(client, identifier, name="two optimizers")
    assert answer.status_code == 200, answer.text
    described(app, "SweepBody", answer.json())
    assert answer.json() == before | {"name": "two optimizers"}
    assert patch(client, identifier, notes="two\nlines").json()["notes"] == "two\nlines"
    assert patch(client, identifier, notes=None).json() == before | {"name": "two optimizers", "notes": None}
    assert patch(client, identifier).json() == client.get(f"/v1/sweeps/{identifier}").json()
    renamed = client.get(f"/v1/sweeps/{identifier}/fit").json()
    assert renamed == fit | {"sweep": fit["sweep"] | {"name": "two optimizers"}}  # also the one that is kept


def test_lists_and_predictions_have_the_new_name(client: Client) -> None:
    first, second = uploaded(client), uploaded(client, rows(widths=(64,)))
    patch(client, first, name="renamed")
    found = client.get("/v1/sweeps").json()["items"]
    assert [(each["id"], each["name"]) for each in found] == [(second, "ours"), (first, "renamed")]
    predicted = client.post(f"/v1/sweeps/{first}/predictions", json={"places": [{"width": 1024}]}).json()
    assert predicted["sweep"]["name"] == "renamed"


def test_the_longest_are_kept(client: Client) -> None:
    longest = {"name": "ß" * SWEEP_NAME_MAXIMUM, "notes": "𝛼" * SWEEP_NOTES_MAXIMUM}
    answer = patch(client, uploaded(client, []), **longest).json()
    assert {name: answer[name] for name in longest} == longest


def test_a_key_stands_for_what_was_uploaded_with_it(client: Client) -> None:
    key, body = {"Idempotency-Key": "mine"}, {"name": "ours", "runs": rows()}
    first = client.post("/v1/sweeps", json=body, headers=key).json()
    patch(client, first["id"], name="renamed")
    again = client.post("/v1/sweeps", json=body, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.json()["id"], again.json()["name"]) == (first["id"], "renamed")
    other = client.post("/v1/sweeps", json={**body, "name": "renamed"}, headers=key)
    problem(other, 422, "idempotency-key-reused")


@pytest.mark.parametrize("example", LABELS_EXAMPLES)
def test_examples(client: Client, example: str) -> None:
    assert patch(client, uploaded(client, []), **LABELS_EXAMPLES[example]["value"]).status_code == 200


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", None, "A sweep always has a name: give another one, or leave it as it is"),
        ("name", "", "A sweep always has a name: give another one, or leave it as it is"),
        ("name", "two\nlines", "A name is one line of text: leave out tabs, line breaks"),
        ("name", "x" * (SWEEP_NAME_MAXIMUM + 1), "String should have at most 200 characters"),
        ("name", 7, "It must be a valid string"),
        ("notes", "", "String should have at least 1 character"),
        ("notes", "x" * (SWEEP_NOTES_MAXIMUM + 1), "String should have at most 4000 characters"),
        ("notes", "\x00", "String should match pattern"),
        ("note", "calibrations have one", "There is no field 'note' here"),
        ("runs", [], "There is no field 'runs' here"),
    ],
)
def test_refused(client: Client, field: str, value: Any, says: str) -> None:
    identifier = uploaded(client, [], notes="these stay")
    before = client.get(f"/v1/sweeps/{identifier}").json()
    told = problem(patch(client, identifier, **{field: value}), 422, "invalid-request")
    assert told["errors"][0]["pointer"] == f"#/{field}"
    assert told["errors"][0]["message"].startswith(says)
    assert client.get(f"/v1/sweeps/{identifier}").json() == before
