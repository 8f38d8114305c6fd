"""Pictures are drawn once for each state of a calibration."""

import sys

import pytest

from service.calibrations.pictures import Pictures
from service.store import Store
from tests.api.client import Client, problem
from tests.api.samples import bowl, submit
from tests.api.test_sweeps import rows, uploaded
from widthwise.figures.figure import Figure


def test_a_picture_is_drawn_again_only_after_an_event(client: Client, store: Store) -> None:
    identifier = submit(client, runner="external")
    pictures, drawn = Pictures(kept=2), []

    def look(kind: str = "plot") -> str:
        def draw() -> Figure:
            drawn.append(kind)
            return Figure(f"{kind} {len(drawn)}", "", (), ())

        return pictures.of(kind, store.calibrations.get(identifier), draw).title

    assert [look(), look()] == ["plot 1", "plot 1"]
    assert look("widths") == "widths 2"
    client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": bowl()})
    assert look() == "plot 3"  # and the oldest is forgotten
    assert look("widths") == "widths 4"
    assert drawn == ["plot", "widths", "plot", "widths"]


def test_the_routes_keep_what_they_drew_and_show_what_is_new(client: Client) -> None:
    identifier = submit(client, runner="external")
    for name in ("plot", "widths"):
        address = f"/v1/calibrations/{identifier}/{name}.svg"
        empty = client.get(address).text
        assert client.get(address).text == empty
    client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": bowl()})
    for name in ("plot", "widths"):
        assert client.get(f"/v1/calibrations/{identifier}/{name}.svg").text != empty


@pytest.mark.parametrize(
    ("suffix", "media_type", "head"),
    [
        ("pdf", "application/pdf", b"%PDF-"),
        ("png", "image/png", b"\x89PNG"),
        ("csv", "text/csv; charset=utf-8", b"mark,"),
    ],
)
def test_each_figure_is_there_for_print_and_as_numbers(
    client: Client, suffix: str, media_type: str, head: bytes
) -> None:
    identifier = submit(client, runner="external")
    client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": bowl()})
    for name in ("plot", "widths"):
        answer = client.get(f"/v1/calibrations/{identifier}/{name}.{suffix}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == media_type
        assert answer.headers["content-disposition"] == f'attachment; filename="{identifier}-{name}.{suffix}"'
        assert answer.content.startswith(head)


def test_there_is_no_other_format(client: Client) -> None:
    told = problem(client.get(f"/v1/calibrations/{submit(client, runner='external')}/plot.jpg"), 404, "not-found")
    assert told["detail"] == "There is no such suffix; it is one of 'pdf', 'png' or 'csv'."


def test_a_server_without_the_renderer_says_what_to_install(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)  # as where it isn't installed
    address = f"/v1/calibrations/{submit(client, runner='external')}"
    for suffix in ("pdf", "png"):
        answer = problem(client.get(f"{address}/plot.{suffix}"), 422, "invalid-input")
        assert "pip install 'widthwise[figures]'" in answer["detail"]
    assert client.get(f"{address}/plot.csv").status_code == 200


def test_a_sweep_is_drawn_in_every_format_and_again_only_after_new_runs(client: Client) -> None:
    identifier = uploaded(client)
    for suffix, head in (("svg", b"<svg"), ("pdf", b"%PDF-"), ("png", b"\x89PNG"), ("csv", b"mark,width,")):
        answer = client.get(f"/v1/sweeps/{identifier}/plot.{suffix}")
        assert answer.status_code == 200
        assert answer.content.startswith(head)
    assert client.get(f"/v1/sweeps/{identifier}/plot.csv").text.count("\noptimum,") == 4
    more = [run for run in rows(widths=(1024,)) if run["loss"] is not None]
    assert client.post(f"/v1/sweeps/{identifier}/runs", json={"runs": more}).status_code == 200
    assert client.get(f"/v1/sweeps/{identifier}/plot.csv").text.count("\noptimum,") == 5


def test_a_sweep_without_runs_is_not_drawn(client: Client) -> None:
    identifier = uploaded(client, [])
    assert "has no runs yet" in problem(client.get(f"/v1/sweeps/{identifier}/plot.svg"), 409, "conflict")["detail"]


PLAN = {
    "parameterization": "mup",
    "optimizer": "adam",
    "base": {"width": 256, "learning_rate": 0.003},
    "target": {"width": 1024},
}


def test_a_plan_is_drawn_in_every_format(client: Client) -> None:
    for suffix, head in (
        ("svg", b"<svg"),
        ("pdf", b"%PDF-"),
        ("png", b"\x89PNG"),
        ("csv", b"quantity,unit,role,width,"),
    ):
        answer = client.post(f"/v1/transfers/plot.{suffix}", json=PLAN)
        assert answer.status_code == 200
        assert answer.content.startswith(head)
    assert answer.headers["content-disposition"] == 'attachment; filename="plan.csv"'
    rate = client.post("/v1/transfers", json=PLAN).json()["layers"][1]["learning_rate"]["value"]
    assert f"learning_rate,value,hidden,1024,{rate}," in answer.text


def test_a_plan_that_is_not_drawn_says_why(client: Client) -> None:
    wrong = {**PLAN, "base": {"width": 256, "learning_rate": -1}}
    found = problem(client.post("/v1/transfers/plot.svg", json=wrong), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == "#/base/learning_rate"
    shapes = [{"name": "mix", "base_shape": [8, 8], "target_shape": [16, 16], "fan_in_axes": [0], "fan_out_axes": [1]}]
    without = {**PLAN, "base": {"learning_rate": 0.003}, "target": {}, "tensors": shapes}
    assert (
        "name the width" in problem(client.post("/v1/transfers/plot.svg", json=without), 422, "invalid-input")["detail"]
    )
