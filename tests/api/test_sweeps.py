"""Sweeps over HTTP: uploaded, appended to, fitted, predicted, deleted."""

import math
from typing import Any

import pytest

from tests.api.client import Client, problem

RATES = [2.0**power for power in range(-11, -6)]


def rows(widths: tuple[int, ...] = (64, 128, 256, 512), slope: float = -0.5) -> list[dict[str, Any]]:
    """Runs whose best rate goes as width^slope and is 2^-9 at width 256; the highest rate of the widest diverged."""
    found = []
    for width in widths:
        best = -9 + slope * math.log2(width / 256)
        for rate in RATES:
            loss = 3.0 + 0.05 * (math.log2(rate) - best) ** 2 + 0.001 * math.sin(1000 * rate * width)
            lost = width == 512 and rate == RATES[-1]
            found.append({"learning_rate": rate, "loss": None if lost else loss, "seed": 0, "width": width})
    return found


def uploaded(client: Client, **changes: Any) -> str:
    """Upload a sweep and return its id."""
    response = client.post("/v1/sweeps", json={"name": "ours", "runs": rows(), **changes})
    assert response.status_code == 201, response.text
    identifier: str = response.json()["id"]
    return identifier


def test_upload_fit_and_predict(client: Client) -> None:
    identifier = uploaded(client)
    fit = client.get(f"/v1/sweeps/{identifier}/fit")
    assert fit.status_code == 200, fit.text
    body = fit.json()
    assert body["sweep"] == {"id": identifier, "name": "ours", "revision": 1, "runs": 20}
    assert [round(math.log2(each["learning_rate"]), 1) for each in body["optima"]] == pytest.approx(
        [-8, -8.5, -9, -9.5], abs=0.21
    )
    width = next(one for one in body["law"] if one["name"] == "width")
    assert width["value"] == pytest.approx(-0.5, abs=0.15)
    asked = {"places": [{"width": 1024}], "holdout": {"axis": "width", "end": "max"}}
    predicted = client.post(f"/v1/sweeps/{identifier}/predictions", json=asked)
    assert predicted.status_code == 200, predicted.text
    (at,) = predicted.json()["predictions"]
    assert math.log2(at["learning_rate"]) == pytest.approx(-10, abs=0.5)
    assert at["interval"][0] < at["learning_rate"] < at["interval"][1]
    score = predicted.json()["held_out"]
    assert [cell["axes"] for cell in score["cells"]] == [{"width": 512.0}]


def test_a_contradicting_loss_is_refused_and_nothing_of_it_is_stored(client: Client) -> None:
    identifier = uploaded(client)
    again = client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": rows()})
    assert (again.status_code, again.json()["added"]) == (200, 0)
    new = {"learning_rate": 0.5, "loss": 9.0, "seed": 0, "width": 64}
    other = {**rows()[0], "loss": 1.25}
    refused = client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": [new, other]})
    detail = problem(refused, 409, "conflict")["detail"]
    assert f"stored with loss {rows()[0]['loss']!r}, and this request says 1.25" in detail
    assert "Run 2 (learning rate 0.000488281, seed 0, width 64)" in detail
    assert client.get(f"/v1/sweeps/{identifier}").json()["runs"] == 20
