"""Estimates: what a submission would be told, and nothing that it would leave behind."""

from typing import Any

import pytest

from service.app import create_app
from service.calibrations.examples import SPEC_EXAMPLES
from service.settings import Settings, load_settings
from service.store import Store
from tests.api.client import Client, client_of, problem
from tests.api.keyed import Keyed, keyed_app, new_key
from tests.api.samples import finished, spec

PATH = "/v1/calibrations/estimates"
BODIES = {
    **{name: example["value"] for name, example in SPEC_EXAMPLES.items()},
    "information": spec(search="information", precision=0.8),
    "minimal": {"parameterization": "mup", "optimizer": "adam", "widths": [64, 128]},
}


@pytest.mark.parametrize("name", BODIES)
def test_it_is_what_the_submission_is_told(client: Client, name: str) -> None:
    finished(client)  # uploaded trials say nothing of the time
    before = client.get("/v1/calibrations").json()
    answer = client.post(PATH, json=BODIES[name])
    assert answer.status_code == 200, answer.text
    assert client.get("/v1/calibrations").json() == before
    made = client.post("/v1/calibrations", json=BODIES[name]).json()
    assert answer.json() == {"spec": made["spec"], "estimate": made["estimate"]}
    assert answer.json()["estimate"]["upper_bound"] is (name == "information")


@pytest.mark.parametrize(
    "changes",
    [
        {"widths": [64]},
        {"optimizer": "adan"},
        {"search": "information"},
        {"precision": 0.5},
        {"runner": "external", "measure": ["epsilon"]},
        {"proxy": {"architecture": "transformer", "head_dim": 48}},
        {"proxy": {"architecture": "mlp", "dataset": "nothing"}},
        {"name": ""},
        {"unknown": 1},
        {"seeds": 32, "steps": 100_000, "widths": [1024, 16_384]},  # over a cap
    ],
)
def test_it_refuses_what_a_submission_refuses_in_the_same_words(client: Client, changes: dict[str, Any]) -> None:
    estimated, submitted = (client.post(path, json=spec(**changes)) for path in (PATH, "/v1/calibrations"))
    assert (estimated.status_code, submitted.status_code) == (422, 422)
    assert {**estimated.json(), "instance": ""} == {**submitted.json(), "instance": ""}


def test_a_cap_is_told_with_its_numbers(settings: Settings, store: Store) -> None:
    capped = load_settings(database_url=settings.database_url, max_trials=53)
    with client_of(create_app(capped, store)) as client:
        told = problem(client.post(PATH, json=spec(search="grid", mesh=1)), 422, "specification-too-large")
    assert [(each["asked"], each["limit"]) for each in told["errors"]] == [(54, 53)]


def test_a_quota_is_told_with_its_numbers_and_a_reader_may_ask(settings: Settings, store: Store) -> None:
    with client_of(keyed_app(settings, store)) as plain:
        hers = Keyed(plain, new_key(store, "alice", "calibrate"))
        flops = hers.post("/v1/calibrations", json=spec()).json()["estimate"]["flops"]
    with client_of(keyed_app(settings, store, owner_queued_flops=1.5 * flops)) as plain:
        hers = Keyed(plain, new_key(store, "alice", "read"))
        (fault,) = problem(hers.post(PATH, json=spec()), 429, "quota-exceeded")["errors"]
        assert (fault["in_use"], fault["limit"]) == pytest.approx((flops, 1.5 * flops))
        his = Keyed(plain, new_key(store, "bob", "read"))
        assert his.post(PATH, json=spec()).json()["estimate"]["flops"] == flops
        problem(his.post("/v1/calibrations", json=spec()), 403, "missing-scope")
