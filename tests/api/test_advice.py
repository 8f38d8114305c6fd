"""POST /v1/advice: its example, and refusals."""

from service.advice.routes import EXAMPLES
from service.advice.schemas import AdviceBody
from tests.api.client import Client, problem

BODY = EXAMPLES["contract"]["value"]


def test_the_example_answers_in_the_documented_form(client: Client) -> None:
    response = client.post("/v1/advice", json=BODY)
    assert response.status_code == 200
    found = response.json()
    AdviceBody.model_validate(found)
    assert found["options"][0]["parameterization"] == "standard"
    assert {rule["about"] for rule in found["rules"]} == {"tokens", "schedule", "weight_decay"}
    assert client.post("/v1/calibrations", json=found["calibration"]["specification"]).status_code == 202


def test_a_case_that_cannot_be_is_refused(client: Client) -> None:
    problem(client.post("/v1/advice", json=BODY | {"optimizer": "sophia"}), 422, "invalid-request")
    missing = {name: value for name, value in BODY.items() if name != "parameterization"} | {"may_change": []}
    problem(client.post("/v1/advice", json=missing), 422, "invalid-input")
