"""The fit of a calibration so far: what its result says, in any state, fitted once for each state of its trials."""

from typing import Any

import pytest

from service.store import Store
from tests.api.client import Client, problem
from tests.api.samples import bowl, finished, submit
from widthwise.estimate.so_far import OF_RESULT

SAME = (*OF_RESULT, "predictions")


def fit_of(client: Client, identifier: str, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/v1/calibrations/{identifier}/fit{query}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def upload(client: Client, identifier: str, trials: list[dict[str, Any]]) -> None:
    answer = client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": trials})
    assert answer.status_code == 200, answer.text


def test_of_one_that_has_succeeded_it_says_what_the_result_says(client: Client) -> None:
    identifier = finished(client)
    shown = client.get(f"/v1/calibrations/{identifier}").json()
    found = fit_of(client, identifier)
    assert {name: found[name] for name in SAME} == {name: shown["result"][name] for name in SAME}
    assert found["choice"]["law"] == "power"
    assert found["choice"]["standing"] == "measured"
    assert shown["links"]["fit"] == f"/v1/calibrations/{identifier}/fit"


def test_a_running_one_has_the_fit_of_its_trials_so_far(client: Client) -> None:
    identifier = submit(client, runner="external")
    empty = fit_of(client, identifier)
    assert (empty["state"], empty["trials"], empty["widths"], empty["lines"]) == ("queued", 0, [], [])
    assert empty["choice"]["sentence"] == "No width has an optimum yet"
    rising = [each for each in bowl() if each["learning_rate"] <= 2.0**-9]
    upload(client, identifier, rising)
    running = fit_of(client, identifier)
    assert (running["state"], running["trials"]) == ("running", len(rising))
    assert {each["edge"] for each in running["widths"]} == {"provisional"}
    upload(client, identifier, bowl())
    found = fit_of(client, identifier)
    assert [each["kind"] for each in found["optima"]] == ["interior"] * 3
    assert {each["edge"] for each in found["widths"]} == {None}


def test_a_cancelled_one_has_no_edge_where_runs_are_missing(client: Client) -> None:
    identifier = submit(client, runner="external")
    upload(client, identifier, [each for each in bowl() if each["learning_rate"] <= 2.0**-9])
    client.post(f"/v1/calibrations/{identifier}/cancel")
    found = fit_of(client, identifier)
    assert found["state"] == "cancelled"
    assert {each["edge"] for each in found["widths"]} == {"provisional"}


def test_it_is_fitted_again_only_after_an_event(client: Client, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    every = type(store.trials).all
    monkeypatch.setattr(type(store.trials), "all", lambda self, one: (read.append(one), every(self, one))[1])
    identifier = submit(client, runner="external")
    for _ in range(2):
        fit_of(client, identifier)
    assert read == [identifier]
    upload(client, identifier, bowl())
    for query in ("", "", "?multiples=8", "?multiples=8"):
        fit_of(client, identifier, query)
    assert len(read) == 3


@pytest.mark.parametrize(("multiples", "widths"), [("8", [2048]), ("4,1,4", [256, 1024]), ("16,2", [512, 4096])])
def test_it_predicts_where_it_is_asked(client: Client, multiples: str, widths: list[int]) -> None:
    found = fit_of(client, finished(client), f"?multiples={multiples}")
    assert [each["width"] for each in found["predictions"]] == widths
    assert max(point["width"] for point in found["lines"][0]["points"]) > widths[-1]


@pytest.mark.parametrize("query", ["multiples=", "multiples=0", "multiples=2.5", "multiples=1,2,3,4,5,6,7,8,9", "x=1"])
def test_other_questions_are_refused(client: Client, query: str) -> None:
    told = problem(client.get(f"/v1/calibrations/{finished(client)}/fit?{query}"), 422, "invalid-request")
    assert query == "x=1" or "one to eight integers from 1 to 9999" in told["detail"]


def test_there_is_none_of_what_is_not_there(client: Client) -> None:
    problem(client.get("/v1/calibrations/cal_none/fit"), 404, "not-found")
