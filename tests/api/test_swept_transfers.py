"""Transfers that take the exponent over width from an uploaded sweep."""

from typing import Any

import pytest

from service.settings import Settings
from service.store import Store
from tests.api.client import Client, client_of, problem
from tests.api.keyed import Keyed, keyed_app, new_key
from tests.api.test_sweeps import rows, uploaded

SETTING = {"parameterization": "standard", "optimizer": "adam"}


def transfer(identifier: str, **changes: Any) -> dict[str, Any]:
    """A request from width 128 to 512 with the exponents of a sweep."""
    return {
        **SETTING,
        "base": {"width": 128, "learning_rate": 0.004},
        "target": {"width": 512},
        "exponents": {"source": "sweep", "id": identifier},
        **changes,
    }


def test_every_tensor_follows_the_sweep(client: Client) -> None:
    identifier = uploaded(client, **SETTING)
    fit = client.get(f"/v1/sweeps/{identifier}/fit").json()
    width = next(one for one in fit["law"] if one["name"] == "width")
    answer = client.post("/v1/transfers", json=transfer(identifier))
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    for layer in plan["layers"]:
        power = 0.0 if layer["role"] == "scalar" else -width["value"]
        assert layer["learning_rate"]["exponent"] == pytest.approx(power, abs=1e-9)
    named = plan["provenance"]["exponents"]
    assert {name: named[name] for name in ("source", "sweep_id", "revision", "name", "runs", "prescribed")} == {
        "source": "sweep",
        "sweep_id": identifier,
        "revision": 1,
        "name": "ours",
        "runs": 20,
        "prescribed": False,
    }
    over = named["over"]["width"]
    assert (over["value"], *over["interval"]) == pytest.approx((width["value"], *width["interval"]), abs=1e-9)
    assert named["warnings"] == fit["warnings"]
    assert {warning["code"] for warning in plan["warnings"]} >= {warning["code"] for warning in fit["warnings"]}
    client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": rows(widths=(1024,))})
    again = client.post("/v1/transfers", json=transfer(identifier)).json()
    assert again["provenance"]["exponents"]["revision"] == 2


def test_prescribed_rates_correct_theory(client: Client) -> None:
    """A sweep of base rates under theory's multipliers: what remains of the drift is added to each role's exponent."""
    runs = rows(slope=-0.1)
    setting = {"parameterization": "mup", "optimizer": "adam", "alignment": "none", "prescribed": ["width"]}
    identifier = uploaded(client, runs, **setting)
    asked = transfer(identifier, parameterization="mup", alignment="none")
    measured = client.post("/v1/transfers", json=asked).json()
    theory = client.post("/v1/transfers", json={**asked, "exponents": {"source": "theory"}}).json()
    value = measured["provenance"]["exponents"]["over"]["width"]["value"]
    assert value == pytest.approx(-0.1, abs=0.1)
    for mine, theirs in zip(measured["layers"], theory["layers"], strict=True):
        moved = mine["learning_rate"]["exponent"] - theirs["learning_rate"]["exponent"]
        assert moved == pytest.approx(0.0 if mine["role"] == "scalar" else -value, abs=1e-9)


@pytest.mark.parametrize(
    ("sweep", "request_", "pointer", "says"),
    [
        ({}, {"parameterization": "mup"}, "parameterization", "was trained with parameterization 'standard'"),
        (
            {},
            {"optimizer": "adamw"},
            "optimizer",
            "was trained with optimizer 'adam', and this transfer asks for 'adamw'",
        ),
        ({"parameterization": None}, {}, "exponents/id", "does not say with which parameterization"),
        ({"optimizer": None}, {}, "exponents/id", "does not say with which optimizer"),
        ({"columns": {"depth": "width"}, "without": ["width"]}, {}, "exponents/id", "has no numeric axis `width`"),
        ({"groups": ["width"]}, {}, "exponents/id", "has no numeric axis `width`"),
        ({"prescribed": ["width"]}, {"alignment": "none"}, "alignment", "trained with alignment 'full'"),
        ({"prescribed": ["width"]}, {"readout_omega": 1.0}, "alignment", "(ω of the readout 0.5 and 1)"),
    ],
    ids=str,
)
def test_another_setting_is_refused(
    client: Client, sweep: dict[str, Any], request_: dict[str, Any], pointer: str, says: str
) -> None:
    given = {name: value for name, value in {**SETTING, **sweep}.items() if value is not None}
    identifier = uploaded(client, **given)
    told = problem(client.post("/v1/transfers", json=transfer(identifier, **request_)), 422, "invalid-input")
    assert says in told["detail"]
    assert [fault["pointer"] for fault in told["errors"]] == [f"#/{pointer}"]


def test_alignment_does_not_matter_to_one_rate_for_all(client: Client) -> None:
    identifier = uploaded(client, **SETTING)
    assert client.post("/v1/transfers", json=transfer(identifier, alignment="none")).status_code == 200


def test_an_exponent_that_is_mostly_prior_is_refused(client: Client) -> None:
    identifier = uploaded(client, rows(widths=(64, 68)), **SETTING)
    told = problem(client.post("/v1/transfers", json=transfer(identifier)), 409, "conflict")
    assert "the sweep's exponent over width" in told["detail"]
    assert "is mostly prior" in told["detail"]


def test_a_sweep_that_is_not_there(client: Client) -> None:
    told = problem(client.post("/v1/transfers", json=transfer("swp_none")), 404, "not-found")
    assert told["errors"] == [{"pointer": "#/exponents/id", "message": "names no sweep", "value": "swp_none"}]
    empty = uploaded(client, [], **SETTING)
    assert "has no runs yet" in problem(client.post("/v1/transfers", json=transfer(empty)), 409, "conflict")["detail"]


def test_anothers_sweep_is_not_there(settings: Settings, store: Store) -> None:
    with client_of(keyed_app(settings, store)) as client:
        ada, ben = (Keyed(client, new_key(store, owner, "calibrate")) for owner in ("ada", "ben"))
        identifier = uploaded(ada, **SETTING)
        assert ada.post("/v1/transfers", json=transfer(identifier)).status_code == 200
        problem(ben.post("/v1/transfers", json=transfer(identifier)), 404, "not-found")


def test_batch_and_tokens_follow_it_too(client: Client) -> None:
    runs = [
        {**row, "learning_rate": row["learning_rate"] * 2 ** (power / 4), "tokens": 1e9 * 2**power}
        for power in range(4)
        for row in rows()
    ]
    identifier = uploaded(client, runs, **SETTING)
    sizes = {
        "base": {"width": 128, "learning_rate": 0.004, "tokens": 10**9},
        "target": {"width": 512, "tokens": 8 * 10**9},
    }
    asked = {**transfer(identifier), **sizes, "rules": {"tokens": "measured"}}
    answer = client.post("/v1/transfers", json=asked)
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    (hidden,) = [layer for layer in plan["layers"] if layer["role"] == "hidden"]
    assert hidden["learning_rate"]["factors"]["tokens"] == pytest.approx(8**0.25, rel=0.1)
    rule = plan["provenance"]["rules"]["tokens"]
    assert rule["measured"] == f"sweep {identifier}, revision 1"
    assert rule["interval"][0] < rule["exponent"] < rule["interval"][1]
    assert any(identifier in each["message"] for each in plan["warnings"] if each["code"] == "horizon_interval")
    told = problem(client.post("/v1/transfers", json={**asked, "rules": {"batch": "measured"}}), 422, "invalid-input")
    assert "no axis 'batch_tokens' of numbers" in told["detail"]
    theory = {**asked, "exponents": {"source": "theory"}}
    told = problem(client.post("/v1/transfers", json=theory), 422, "invalid-input")
    assert "rules.tokens is 'measured'" in told["detail"]
