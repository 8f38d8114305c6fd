"""The OpenAPI document is complete: what every route takes, gives and refuses."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, found in document["paths"].items():
        for method, operation in found.items():
            yield path, method, operation


def test_the_contract(document: dict[str, Any]) -> None:
    found = {f"{method.upper()} {path}" for path, method, _ in operations(document)}
    assert found == {
        "POST /v1/transfers",
        "POST /v1/transfers/plot.{suffix}",
        "GET /v1/parameterizations",
        "POST /v1/calibrations",
        "POST /v1/calibrations/estimates",
        "GET /v1/calibrations",
        "GET /v1/calibrations/{calibration_id}",
        "DELETE /v1/calibrations/{calibration_id}",
        "PATCH /v1/calibrations/{calibration_id}",
        "GET /v1/calibrations/{calibration_id}/trials",
        "GET /v1/calibrations/{calibration_id}/measurements",
        "GET /v1/calibrations/{calibration_id}/fit",
        "GET /v1/calibrations/{calibration_id}/comparison",
        "POST /v1/calibrations/{calibration_id}/extensions",
        "POST /v1/calibrations/{calibration_id}/extensions/estimates",
        "GET /v1/calibrations/{calibration_id}/events",
        "GET /v1/calibrations/{calibration_id}/plot.svg",
        "GET /v1/calibrations/{calibration_id}/widths.svg",
        "GET /v1/calibrations/{calibration_id}/plot.{suffix}",
        "GET /v1/calibrations/{calibration_id}/widths.{suffix}",
        "POST /v1/calibrations/{calibration_id}/cancel",
        "POST /v1/calibrations/{calibration_id}/trials",
        "POST /v1/calibrations/{calibration_id}/finish",
        "GET /v1/calibrations/{calibration_id}/shards",
        "POST /v1/calibrations/{calibration_id}/retry",
        "POST /v1/sweeps",
        "GET /v1/sweeps",
        "GET /v1/sweeps/{sweep_id}",
        "PATCH /v1/sweeps/{sweep_id}",
        "DELETE /v1/sweeps/{sweep_id}",
        "POST /v1/sweeps/{sweep_id}/runs",
        "GET /v1/sweeps/{sweep_id}/runs",
        "GET /v1/sweeps/{sweep_id}/fit",
        "GET /v1/sweeps/{sweep_id}/plot.{suffix}",
        "POST /v1/sweeps/{sweep_id}/predictions",
        "POST /v1/advice",
        "GET /v1/exponents",
        "GET /v1/exports",
        "GET /v1/workers",
        "GET /livez",
        "GET /metrics",
        "GET /readyz",
    }


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    identifiers = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(identifiers)) == len(identifiers)
    known = {tag["name"] for tag in document["tags"]}
    for path, method, operation in operations(document):
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        assert set(operation["tags"]) <= known
        assert all("Successful Response" not in str(response) for response in operation["responses"].values())
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"]
            assert parameter.get("description") or schema.get("description"), parameter


def test_every_refusal_is_a_problem_document(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        statuses = {int(status) for status in operation["responses"]}
        expected = {405}
        if "requestBody" in operation:
            expected |= {400, 413, 415, 422}
        if "{" in path:
            expected |= {404}
        if any(parameter["in"] in ("query", "header") for parameter in operation.get("parameters", ())):
            expected |= {422}
        if path == "/v1/parameterizations":  # If-None-Match takes any text
            expected |= {422}
        assert expected <= statuses, (method, path)
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (method, path, status)


def test_every_body_has_examples(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert content["examples"], (method, path)
    first = next(
        iter(document["paths"]["/v1/transfers"]["post"]["requestBody"]["content"]["application/json"]["examples"])
    )
    assert first == "contract"


def test_no_schema_of_the_framework(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in str(document)
    assert "ValidationError" not in document["components"]["schemas"]


def test_every_field_of_a_request_is_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in (
        "TransferBody",
        "BaseBody",
        "TargetBody",
        "TensorBody",
        "SubmissionBody",
        "ExtensionRequest",
        "LabelsBody",
        "MlpProxy",
        "TransformerProxy",
        "SweepUpload",
        "SweepLabelsBody",
        "RunsUpload",
        "HoldOutBody",
        "PredictionsBody",
    ):
        assert schemas[name]["additionalProperties"] is False
        for field, schema in schemas[name]["properties"].items():
            assert schema.get("description") or "$ref" in schema or "const" in schema, f"{name}.{field}"
