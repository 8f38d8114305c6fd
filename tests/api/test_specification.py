"""The specification of a calibration: what is left out, null, and the default that the document names are one."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from service.calibrations.specification import SpecificationBody
from service.store.database.validation import checked_spec
from tests.api.client import Client
from tests.api.samples import spec
from tests.recorded import asks


def members(schemas: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every member of every schema that has a default."""
    return [
        (name, member, schema)
        for name, described in schemas.items()
        for member, schema in described.get("properties", {}).items()
        if "default" in schema
    ]


def test_every_default_of_the_document_is_one_that_it_allows(app: FastAPI) -> None:
    components = app.openapi()["components"]
    found = members(components["schemas"])
    assert len(found) > 40  # fewer: the search lost the requests
    wrong = [
        (name, member)
        for name, member, schema in found
        if not Draft202012Validator({**schema, "components": components}).is_valid(schema["default"])
    ]
    assert wrong == []


@pytest.mark.parametrize("measure", [["learning_rate"], ["learning_rate", "horizon"]])
def test_a_client_that_fills_in_the_defaults_asks_for_the_same(
    client: Client, app: FastAPI, measure: list[str]
) -> None:
    described = app.openapi()["components"]["schemas"]
    defaults = {member: schema["default"] for name, member, schema in members(described) if name == "CalibrationSpec"}
    asked = {**spec(measure=measure), "learning_rates": None}
    filled = client.post("/v1/calibrations", json=defaults | asked)
    del asked["learning_rates"]
    plain = client.post("/v1/calibrations", json=asked)
    assert (filled.status_code, plain.status_code) == (202, 202), filled.text
    assert filled.json()["spec"] == plain.json()["spec"]
    assert len(filled.json()["spec"]["learning_rates"]) > 3
    assert bool(filled.json()["spec"]["horizons"]) is ("horizon" in measure)


@pytest.mark.parametrize("member", ["learning_rates", "horizons"])
def test_an_empty_list_is_not_one_that_was_left_out(client: Client, member: str) -> None:
    refused = client.post("/v1/calibrations", json=spec(**{member: []}))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == f"#/{member}"


@pytest.mark.parametrize(("name", "body"), list(asks.specifications()))
def test_what_is_stored_is_what_the_request_says_with_its_defaults(name: str, body: dict[str, Any]) -> None:
    """To the last byte: idempotency and provenance know a specification by its digest."""
    del name
    read = SpecificationBody.model_validate_json(json.dumps(body))
    assert checked_spec(read.to_spec().to_dict()) == checked_spec(read.model_dump(mode="json"))
