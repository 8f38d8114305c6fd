"""POST /v1/transfers?export=NAME answers with a trainer's file, and GET /v1/exports lists the forms."""

from typing import Any

import pytest

from service.transfers.examples import EXAMPLES
from tests.api.client import Client, problem
from widthwise import Plan, TransferRequest
from widthwise.exports.exporting import export, listed
from widthwise.exports.registry import EXPORTS
from widthwise.transfers.transfer import plan_of

BODY: dict[str, Any] = {
    **EXAMPLES["tensors"]["value"],
    "base": {**EXAMPLES["tensors"]["value"]["base"], "init_std": 0.02},
}


def test_the_answer_is_the_librarys_file(client: Client) -> None:
    plan = plan_of(TransferRequest.from_dict(BODY))
    for name in EXPORTS:  # one service, and so one child process, for all of them
        wanted = export(plan, name, allow_lossy=True)
        answer = client.post(f"/v1/transfers?export={name}&allow_lossy=true", json=BODY)
        assert answer.status_code == 200
        assert answer.text == wanted.text
        assert answer.headers["Content-Type"].partition(";")[0] == wanted.media_type
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{wanted.file_name}"'
        assert answer.headers["Widthwise-Plan"] == wanted.digest
        lost = [each.quantity for each in wanted.not_expressed if each.matters]
        assert answer.headers["Widthwise-Not-Expressed"] == ", ".join(lost)


def test_a_plan_of_the_service_can_be_read(client: Client) -> None:
    answer = client.post("/v1/transfers?export=json", json=BODY)
    assert Plan.from_json(answer.content) == Plan.from_dict(client.post("/v1/transfers", json=BODY).json())


def test_a_lossy_export_is_refused(client: Client) -> None:
    found = problem(client.post("/v1/transfers?export=torchtitan", json=BODY), 422, "invalid-input")
    assert "forward_multiplier: torchtitan takes none from this file" in found["detail"]
    assert found["errors"][0]["field"] == "allow_lossy"


@pytest.mark.parametrize("query", ["export=keras", "export=json&lossy=true", "export="])
def test_another_form_or_parameter_is_refused(client: Client, query: str) -> None:
    found = problem(client.post(f"/v1/transfers?{query}", json=BODY), 422, "invalid-request")
    assert found["errors"][0]["field"].startswith("query.")


def test_a_plan_without_tensors_is_refused_where_names_are_needed(client: Client) -> None:
    body = EXAMPLES["contract"]["value"]
    found = problem(client.post("/v1/transfers?export=torch", json=body), 422, "invalid-input")
    assert "the plan lists no tensors" in found["detail"]
    assert client.post("/v1/transfers?export=csv", json=body).text.count("\n") == 6


def test_the_list_is_the_librarys(client: Client) -> None:
    assert client.get("/v1/exports").json() == {"items": listed()}
