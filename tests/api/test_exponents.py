"""GET /v1/exponents: filters and pages over what calibrations measured."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.app import create_app
from service.exponents.schemas import ExponentPage
from service.settings import Settings, load_settings
from service.store import open_store
from service.store.database.records import ShardSpec
from testbed.databases import SqliteFiles
from tests.api.client import Client, client_of
from tests.api.samples import finished, spec
from tests.asjson import fit_calibration, next_round
from tests.cli.bowl import RATES, bowl_loss
from tests.unit.estimate.measured import records
from widthwise.estimate.calibration import CalibrationResult
from widthwise.vocabulary import ExponentQuantity

MEASURED = {role: {"alpha": 0.8, "omega": 0.5, "u": 0.7} for role in ("hidden", "readout")}


@pytest.fixture(scope="module")
def settings(sqlite_files: SqliteFiles) -> Settings:
    """One database for all: these tests only read."""
    return load_settings(database_url=sqlite_files.new_migrated())


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[Client]:
    """A client of a service with three finished calibrations, of four exponents each."""
    store = open_store(settings.database_url)
    with client_of(create_app(settings, store)) as client:
        finished(client)
        finished(client, parameterization="mup", optimizer="adamw", alignment=MEASURED)
        finished(client, alignment="none", proxy={"architecture": "transformer", "dataset": "our_corpus"})
        yield client
    store.close()


def test_all_of_them(client: Client) -> None:
    response = client.get("/v1/exponents")
    assert ExponentPage.model_validate_json(response.content)
    items = response.json()["items"]
    assert len(items) == 12
    hidden = next(item for item in items if item["role"] == "hidden" and item["alignment"] == "full")
    assert hidden["value"] == pytest.approx(1.25, abs=0.02)
    assert hidden["theory"] == 1.0
    assert hidden["interval"][0] < 1.25 < hidden["interval"][1]
    assert hidden["degrees_of_freedom"] >= 1
    assert hidden["widths"] == [64, 128, 256]
    assert hidden["provenance"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"parameterization": "mup"}, 4),
        ({"optimizer": "adam"}, 8),
        ({"alignment": "full"}, 4),
        ({"alignment": "measured"}, 4),
        ({"role": "hidden"}, 3),
        ({"quantity": "learning_rate"}, 12),
        ({"quantity": "epsilon"}, 0),
        ({"source": "calibration"}, 12),
        ({"architecture": "transformer"}, 4),
        ({"dataset": "our_corpus"}, 4),
        ({"dataset": "python_docs", "role": "readout", "optimizer": "adamw"}, 1),
        ({"calibration_id": "cal_none"}, 0),
    ],
    ids=str,
)
def test_filters(client: Client, query: dict[str, str], count: int) -> None:
    items = client.get("/v1/exponents", params=query).json()["items"]
    assert len(items) == count
    assert all(item[name] == value for item in items for name, value in query.items())


def test_pages_hold_each_once(client: Client) -> None:
    found: list[str] = []
    parameters: dict[str, str] = {"limit": "5"}
    while True:
        page = client.get("/v1/exponents", params=parameters).json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 5
        parameters["cursor"] = page["next_cursor"]
    assert len(found) == len(set(found)) == 12


def test_by_calibration(client: Client) -> None:
    identifier = client.get("/v1/calibrations").json()["items"][0]["id"]
    items = client.get("/v1/exponents", params={"calibration_id": identifier}).json()["items"]
    assert {item["calibration_id"] for item in items} == {identifier}
    assert len(items) == 4


def test_the_name_of_the_calibration_is_told_as_it_is_now(client: Client) -> None:
    identifier = client.get("/v1/calibrations").json()["items"][-1]["id"]

    def names() -> set[str | None]:
        items = client.get("/v1/exponents").json()["items"]
        return {item["calibration_name"] for item in items if item["calibration_id"] == identifier}

    assert names() == {None}
    for name in ("first", "second", None):
        assert client.request("PATCH", f"/v1/calibrations/{identifier}", json={"name": name}).status_code == 200
        assert names() == {name}


def everything() -> CalibrationResult:
    """The fit of a calibration that measures all there is: searched to its end, on losses and sizes that are known."""
    asked = spec(
        measure=["learning_rate", "gamma", "epsilon", "alignment", "coordinates", "horizon"],
        proxy={"architecture": "mlp", "depth": 2, "sequence_length": 8, "batch_size": 16},
        learning_rates=RATES,
    )
    powers = {"gradient_rms": -0.5, "alpha": 0.8, "omega": 0.5, "u": 0.7, "log_alignment": 0.5}
    constants = {"epsilon": 1e-12, "underflow_share": 0.0}
    tensors = dict.fromkeys(("embedding", "first", "second", "readout"), powers)
    shape = partial(records, widths=asked["widths"], seeds=asked["seeds"])
    measurements = [
        *shape("epsilon", {0: tensors}, constants=constants),
        *shape("alignment", {5: tensors}),
        *shape("coordinates", {}),
    ]
    trials: list[dict[str, Any]] = []
    while planned := next_round(asked, trials, measurements):
        trials += [
            {
                "width": width,
                "learning_rate": rate,
                "seed": seed,
                "role": role,
                "gamma": gamma,
                "horizon": horizon,
                "status": "completed",
                "loss": bowl_loss(width, rate * gamma, seed, drift=0.25),
            }
            for shard in planned
            for width, rate, seed, role, gamma, horizon in ShardSpec.from_dict(shard).trials()
        ]
    return fit_calibration(asked, trials, measurements)


def test_whatever_a_fit_gives_is_listed_found_and_described(sqlite_files: SqliteFiles) -> None:
    fitted = everything()
    given = {(exponent.quantity.value, exponent.role.value) for exponent in fitted.exponents}
    quantities, roles = {quantity for quantity, _ in given}, {role for _, role in given}
    assert quantities == {quantity.value for quantity in ExponentQuantity}
    assert roles == {"embedding", "hidden", "readout", "vector", "all"}
    settings = load_settings(database_url=sqlite_files.new_migrated())
    store = open_store(settings.database_url, fit=lambda *_: fitted)
    app = create_app(settings, store)
    schemas = app.openapi()["components"]
    described = Draft202012Validator({"$ref": "#/components/schemas/ExponentPage", "components": schemas})
    with client_of(app) as client:
        finished(client)
        for query in ({}, *({"quantity": each} for each in quantities), *({"role": each} for each in roles)):
            page = client.get("/v1/exponents", params=query).json()
            described.validate(page)
            wanted = {pair for pair in given if set(query.values()) <= set(pair)}
            assert {(item["quantity"], item["role"]) for item in page["items"]} == wanted
    store.close()
