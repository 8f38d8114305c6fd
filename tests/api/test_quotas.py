"""Quotas of an owner: what they have queued and stored, told with the numbers, and nobody else's concern."""

from typing import Any

import httpx
import pytest

from service.settings import Settings
from service.store import Store
from tests.api.client import Client, client_of, problem
from tests.api.keyed import Keyed, keyed_app, new_key
from tests.api.samples import bowl, finished, spec, submit


def refused(answer: httpx.Response) -> dict[str, Any]:
    """Check that an answer is of a quota, and return its one fault."""
    (fault,) = problem(answer, 429, "quota-exceeded")["errors"]
    assert int(answer.headers["retry-after"]) >= 1
    assert fault["in_use"] + fault["asked"] > fault["limit"]
    return dict(fault)


def of_two(plain: Client, store: Store) -> tuple[Keyed, Keyed]:
    """Clients of two owners."""
    return Keyed(plain, new_key(store, "alice", "calibrate")), Keyed(plain, new_key(store, "bob", "calibrate"))


def test_queued_operations(settings: Settings, store: Store) -> None:
    with client_of(keyed_app(settings, store)) as plain:
        one, _ = of_two(plain, store)
        flops = one.get(f"/v1/calibrations/{submit(one)}").json()["estimate"]["flops"]
    with client_of(keyed_app(settings, store, owner_queued_flops=2.5 * flops)) as plain:
        hers, his = of_two(plain, store)
        key = {"Idempotency-Key": "k"}
        second = hers.post("/v1/calibrations", json=spec(), headers=key)
        fault = refused(hers.post("/v1/calibrations", json=spec()))
        assert (fault["in_use"], fault["limit"]) == pytest.approx((2 * flops, 2.5 * flops))
        again = hers.post("/v1/calibrations", json=spec(), headers=key)  # it was accepted already
        assert (again.status_code, again.json()["id"]) == (202, second.json()["id"])
        submit(his)
        submit(hers, runner="external")  # asks nothing of workers
        hers.post(f"/v1/calibrations/{second.json()['id']}/cancel")
        submit(hers)
        assert len(hers.get("/v1/calibrations").json()["items"]) == 4


@pytest.mark.parametrize(("setting", "each"), [("owner_stored_trials", 1), ("owner_stored_bytes", 612)])
def test_stored_trials_and_bytes(settings: Settings, store: Store, setting: str, each: int) -> None:
    trials = bowl()
    room = each * len(trials) + (0 if each == 1 else 4_000)  # its events take bytes too
    with client_of(keyed_app(settings, store, **{setting: room})) as plain:
        hers, his = of_two(plain, store)
        parent = finished(hers)
        for _ in range(3):
            answer = hers.post(f"/v1/calibrations/{parent}/extensions", json={"widths": [512]})
            assert answer.status_code == 202, answer.text  # it shares what is stored
        address = f"/v1/calibrations/{answer.json()['id']}/trials"
        more = [{**trial, "width": 512} for trial in trials[:20]]
        fault = refused(hers.post(address, json={"trials": more}))
        assert (fault["asked"], fault["limit"]) == (20 * each, room)
        assert refused(hers.post("/v1/calibrations", json=spec()))["asked"] > 30 * each
        finished(his)


def test_a_service_without_keys_has_no_owners_and_no_quotas(client: Client) -> None:
    for _ in range(3):
        finished(client)


def test_an_extension_asks_for_what_its_parent_has_not(settings: Settings, store: Store) -> None:
    with client_of(keyed_app(settings, store, owner_stored_trials=70)) as plain:
        hers, _ = of_two(plain, store)
        parent = finished(hers)  # 54 trials
        fault = refused(hers.post("/v1/calibrations", json=spec()))
        assert (fault["in_use"], fault["limit"]) == (54, 70)
        assert hers.post(f"/v1/calibrations/{parent}/extensions", json={"widths": [512]}).status_code == 202
