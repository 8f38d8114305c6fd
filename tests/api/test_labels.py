"""Names and notes of calibrations: given at the start, changed at any time, not part of the specification."""

from typing import Any

import pytest

from service.calibrations.examples import LABELS_EXAMPLES
from service.calibrations.schemas import CalibrationBody, CalibrationPage
from service.settings import Settings
from service.store import NAME_MAXIMUM, NOTE_MAXIMUM, Store
from tests.api.client import Client, client_of, problem
from tests.api.keyed import bearer, keyed_app, new_key
from tests.api.samples import finished, spec, submit

LABELS: dict[str, Any] = {"name": "muP, wide", "note": "Before the new tokenizer.\nSee the log."}


def labels(client: Client, identifier: str) -> dict[str, Any]:
    body = client.get(f"/v1/calibrations/{identifier}").json()
    return {"name": body["name"], "note": body["note"]}


def patch(client: Client, identifier: str, **changes: Any) -> Any:
    return client.request("PATCH", f"/v1/calibrations/{identifier}", json=changes)


def test_they_are_given_with_a_submission_and_stand_in_every_answer(client: Client) -> None:
    response = client.post("/v1/calibrations", json=spec(**LABELS))
    assert response.status_code == 202, response.text
    body = response.json()
    assert {name: body[name] for name in LABELS} == LABELS
    assert not set(LABELS) & set(body["spec"])
    assert labels(client, body["id"]) == LABELS
    page = client.get("/v1/calibrations")
    assert CalibrationPage.model_validate_json(page.content).items[0].name == LABELS["name"]
    assert labels(client, submit(client)) == {"name": None, "note": None}


def test_they_change_at_any_time_and_nothing_else_does(client: Client) -> None:
    identifier = finished(client)
    before = client.get(f"/v1/calibrations/{identifier}").json()
    answer = patch(client, identifier, **LABELS)
    assert answer.status_code == 200
    assert CalibrationBody.model_validate_json(answer.content)
    assert answer.json() == before | LABELS
    assert patch(client, identifier, note=None).json() == before | {"name": LABELS["name"]}
    assert patch(client, identifier).json() == before | {"name": LABELS["name"]}
    assert patch(client, identifier, name=None).json() == before


@pytest.mark.parametrize("example", LABELS_EXAMPLES)
def test_examples(client: Client, example: str) -> None:
    assert patch(client, submit(client, **LABELS), **LABELS_EXAMPLES[example]["value"]).status_code == 200


def test_they_are_no_part_of_what_a_key_stands_for(client: Client) -> None:
    key = {"Idempotency-Key": "k"}
    first = client.post("/v1/calibrations", json=spec(**LABELS), headers=key).json()
    again = client.post("/v1/calibrations", json=spec(name="another"), headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.json()["id"], again.json()["name"]) == (first["id"], LABELS["name"])


def test_an_extension_has_its_own(client: Client) -> None:
    parent = finished(client, **LABELS)
    address = f"/v1/calibrations/{parent}/extensions"
    more = client.post(address, json={"widths": [512]}).json()
    assert (more["name"], more["note"]) == (None, None)
    named = client.post(address, json={"seeds": 3, "name": "more seeds"}).json()
    assert (named["name"], named["note"]) == ("more seeds", None)
    refused = problem(client.post(address, json={"name": "nothing more"}), 422, "invalid-input")
    assert "adds nothing" in refused["detail"]


def test_a_list_of_one_name(client: Client) -> None:
    made = [submit(client, name=name) for name in ("a", "b", "a")]
    submit(client)
    found = client.get("/v1/calibrations", params={"name": "a"}).json()["items"]
    assert [each["id"] for each in found] == [made[2], made[0]]
    first = client.get("/v1/calibrations", params={"name": "a", "limit": 1}).json()
    second = client.get("/v1/calibrations", params={"name": "a", "limit": 1, "cursor": first["next_cursor"]}).json()
    assert [each["id"] for page in (first, second) for each in page["items"]] == [made[2], made[0]]
    assert client.get("/v1/calibrations", params={"name": "A", "state": "queued"}).json()["items"] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", value) for value in ("", "x" * (NAME_MAXIMUM + 1), "two\nlines", "\x00", 7)),
        *(("note", value) for value in ("", "x" * (NOTE_MAXIMUM + 1), "\x00", ["a"])),
        ("result", "succeeded"),
    ],
)
def test_refused(client: Client, field: str, value: Any) -> None:
    identifier = submit(client, **LABELS)
    for answer in (
        client.post("/v1/calibrations", json=spec(**{field: value})),
        patch(client, identifier, **{field: value}),
    ):
        assert problem(answer, 422, "invalid-request")["errors"][0]["pointer"] == f"#/{field}"
    assert labels(client, identifier) == LABELS


def test_the_longest_are_kept(client: Client) -> None:
    longest = {"name": "ß" * NAME_MAXIMUM, "note": "𝛼" * NOTE_MAXIMUM}
    assert labels(client, submit(client, **longest)) == longest


def test_nobody_names_what_is_anothers(settings: Settings, store: Store) -> None:
    with client_of(keyed_app(settings, store)) as client:
        hers, his, reads = (bearer(new_key(store, owner=owner, scope=scope)) for owner, scope in KEYS)
        identifier = client.post("/v1/calibrations", json=spec(**LABELS), headers=hers).json()["id"]
        address = f"/v1/calibrations/{identifier}"
        problem(client.request("PATCH", address, json={"name": "his"}, headers=his), 404, "not-found")
        problem(client.request("PATCH", address, json={"name": "his"}, headers=reads), 403, "missing-scope")
        assert client.get("/v1/calibrations", params={"name": LABELS["name"]}, headers=his).json()["items"] == []
        assert client.get(address, headers=hers).json()["name"] == LABELS["name"]
        assert client.request("PATCH", address, json={"name": "hers"}, headers=hers).json()["name"] == "hers"


KEYS = (("ada", "calibrate"), ("ben", "calibrate"), ("ada", "read"))
