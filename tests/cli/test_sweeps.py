"""`widthwise sweeps`, and the client's methods about sweeps, with a service on a socket."""

import json
import math
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.conftest import Run
from tests.cli.test_fit import LEVEL, OVER_TOKENS, OVER_WIDTH, runs, write
from widthwise import Sweep
from widthwise.client import Client
from widthwise.client.calls import FIT_SECONDS
from widthwise.errors import ServiceError


@pytest.fixture
def table(tmp_path: Path) -> str:
    """A CSV with other names of its columns, and a column that no sweep reads."""
    rows = [{"lr": row["learning_rate"], "D": row["tokens"], **row, "host": "a100\n7"} for row in runs()]
    return write(
        tmp_path / "ours.csv", [{k: v for k, v in row.items() if k not in ("learning_rate", "tokens")} for row in rows]
    )


COLUMNS = ("--column", "learning_rate=lr", "--axis", "tokens=D")


def created(run: Run, url: str, table: str, *options: object) -> str:
    """Upload the table and return the sweep's id."""
    ran = run("sweeps", "create", table, *COLUMNS, "--url", url, "--json", *options)
    assert ran.code == 0, ran.err
    return str(json.loads(ran.out)["id"])


def test_from_a_file_to_a_prediction(run: Run, url: str, table: str, tmp_path: Path) -> None:
    identifier = created(run, url, table, "--name", "overnight", "--notes", "of last week")
    listed = run("sweeps", "list", "--url", url)
    assert all(word in listed.out for word in ("1 sweep", identifier, "overnight", "width, tokens"))
    shown = run("sweeps", "show", identifier, "--url", url)
    for word in (
        "overnight",
        "of last week",
        "9 cells",
        "256 to 1024",
        "1e+09 to 4e+09",
        "Optima (9 cells)",
        "Law",
        "scatter",
    ):
        assert word in shown.out, word
    assert "Warning (one_seed)" in shown.err
    fit = json.loads(run("sweeps", "show", identifier, "--url", url, "--json").out)["fit"]
    assert len(fit["optima"]) == 9

    predicted = run("sweeps", "predict", identifier, "width=2048,tokens=8e9", "--holdout", "width=max", "--url", url)
    assert "Predictions" in predicted.out
    assert "Held out: 3 of 3 intervals hold the optimum" in predicted.out
    asked = ("sweeps", "predict", identifier, "width=2048,tokens=8e9", "--url", url, "--json")
    (at,) = json.loads(run(*asked).out)["predictions"]
    truth = 2 ** (LEVEL + 3 * OVER_WIDTH + 3 * OVER_TOKENS)
    assert at["interval"][0] < truth < at["interval"][1]

    listing = run("sweeps", "runs", identifier, "--limit", 6, "--url", url)
    assert "Runs (6)" in listing.out
    assert "diverged" in run("sweeps", "runs", identifier, "--url", url).out
    more = tmp_path / "more.jsonl"
    lines = [{"lr": row["learning_rate"], "D": row["tokens"], **row} for row in runs(widths=(1024, 2048))]
    more.write_text("\n".join(json.dumps(line) for line in lines))
    added = run("sweeps", "add", identifier, more, "--url", url)
    assert f"{len(runs(widths=(2048,)))} of {len(lines)} runs were new" in added.err
    assert "revision 2" in added.out
    assert run("sweeps", "delete", identifier, "--url", url).code == 0
    assert "There are no sweeps" in run("sweeps", "list", "--url", url).err


def test_groups_and_repeats(run: Run, url: str, tmp_path: Path) -> None:
    rows = [
        {**row, "who": who, "loss": row["loss"] and row["loss"] + 0.001 * k}
        for who in ("adam", "lion")
        for k in (0, 1)
        for row in runs()
    ]
    file = write(tmp_path / "runs.csv", rows)
    ran = run("sweeps", "create", file, "--group", "optimizer=who", "--without", "tokens", "--url", url, "--json")
    sweep = json.loads(ran.out)
    assert sweep["name"] == "runs"
    assert sweep["axes"]["optimizer"] == {"levels": ["adam", "lion"]}
    assert "tokens" not in sweep["axes"]
    assert sweep["runs"] == len(rows)  # without seeds, every row is a repeat
    asked = run("sweeps", "predict", sweep["id"], "width=512,optimizer=lion", "--url", url)
    assert asked.code == 0, asked.err
    assert "lion" in asked.out


def test_a_contradiction_names_the_run(run: Run, url: str, table: str, tmp_path: Path) -> None:
    identifier = created(run, url, table)
    row = {"lr": 2.0**-9, "D": 1e9, "width": 256, "loss": 2.0}
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(row))
    refused = run("sweeps", "add", identifier, other, "--url", url)
    assert refused.code == 1
    assert "is stored with loss 3.0, and this request says 2.0" in refused.err


def test_a_sweep_without_runs_has_no_fit(run: Run, url: str, client: Client) -> None:
    identifier = client.create_sweep("empty")["id"]
    shown = run("sweeps", "show", identifier, "--url", url)
    assert (shown.code, "has no runs yet" in shown.err) == (0, True)
    assert json.loads(run("sweeps", "show", identifier, "--url", url, "--json").out)["fit"] is None
    assert "no runs yet" in run("sweeps", "runs", identifier, "--url", url).err


def test_a_transfer_takes_the_sweeps_exponent(run: Run, url: str, table: str) -> None:
    identifier = created(run, url, table, "-p", "standard", "-o", "adam")
    asked = ("transfer", "-p", "standard", "-o", "adam", "--base-width", 256, "--target-width", 1024, "--lr", 0.002)
    plan = run(*asked, "--sweep", identifier, "--url", url)
    assert plan.code == 0, plan.err
    assert f"Exponents from sweep {identifier} (revision 1, width^" in plan.out
    refused = run(*asked, "--sweep", identifier, "--calibration", "cal_1", "--url", url)
    assert refused.code == 2
    assert "given with --calibration" in refused.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("predict", "swp_1"), "missing; give a cell, or --holdout"),
        (("predict", "swp_1", "--holdout", "width"), "give AXIS=max or AXIS=min"),
        (("create", "none.csv"), "can't be read"),
        (("create", "none.csv", "--column", "depth=d"), "give learning_rate, loss, seed or status"),
        (("create", "none.csv", "--axis", "=d"), "give NAME=COLUMN"),
        (("show", "swp_none"), "There is no sweep 'swp_none'"),
    ],
    ids=str,
)
def test_what_can_not_be_done_says_what_to_do(run: Run, url: str, arguments: tuple[str, ...], says: str) -> None:
    ran = run("sweeps", *arguments, "--url", url)
    assert ran.code != 0
    assert says in " ".join(ran.err.replace("│", " ").split())


def test_cells_must_be_numbers_or_words_of_the_sweep(run: Run, url: str, table: str) -> None:
    identifier = created(run, url, table)
    ran = run("sweeps", "predict", identifier, "width=wide,tokens=1", "--url", url)
    assert (ran.code, "give AXIS=NUMBER" in ran.err) == (2, True)


def test_the_client(client: Client) -> None:
    rows: list[dict[str, Any]] = [{**row, "seed": 1} for row in runs()]
    nan = [
        {**row, "loss": math.nan if row["loss"] is None else row["loss"]} for row in rows
    ]  # as a training script has it
    sweep = client.create_sweep("ours", nan, idempotency_key="k", prescribed=None)
    assert client.create_sweep("ours", rows, idempotency_key="k")["id"] == sweep["id"]
    with pytest.raises(ServiceError, match="already created sweep"):
        client.create_sweep("theirs", rows, idempotency_key="k")
    assert client.add_runs(sweep["id"], rows)["added"] == 0
    assert [one["id"] for one in client.sweeps()] == [sweep["id"]]
    assert len(list(client.sweep_runs(sweep["id"]))) == len(rows)
    assert client.sweep(sweep["id"])["diverged"] == sum(row["loss"] is None for row in rows)
    answer = client.predict_sweep(sweep["id"], [{"width": 2048, "tokens": 8e9}], holdout=("tokens", "max"))
    assert answer["held_out"]["covered"] == 3
    client.delete_sweep(sweep["id"])
    with pytest.raises(ServiceError, match="There is no sweep"):
        client.fit_sweep(sweep["id"])


def test_a_fit_may_take_longer_than_other_answers() -> None:
    waited: dict[str, float] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        waited[request.url.path] = request.extensions["timeout"]["read"]
        page = {"items": [], "next_cursor": None}
        plan = {"layers": [], "tensors": [], "rules": [], "provenance": {}}
        fit = {"sweep": {}, "optima": [], "law": [], "scatter": 0.1, "saturation_batch": None, "shape": {}}
        fit |= {"warnings": [], "predictions": [], "held_out": None}
        return httpx.Response(200, json={**page, **plan, **fit})

    with Client("http://127.0.0.1:1", transport=httpx.MockTransport(answer), timeout_seconds=7.0) as client:
        list(client.sweeps())
        client.fit_sweep("swp_1")
        client.predict_sweep("swp_1", [{"width": 64}])
        client.transfer({"exponents": {"source": "sweep", "id": "swp_1"}})
        assert waited.pop("/v1/transfers") == FIT_SECONDS
        client.transfer({"exponents": {"source": "theory"}})
    assert waited == {
        "/v1/sweeps": 7.0,
        "/v1/sweeps/swp_1/fit": FIT_SECONDS,
        "/v1/sweeps/swp_1/predictions": FIT_SECONDS,
        "/v1/transfers": 7.0,
    }


def test_a_sweep_that_was_asked_for_run_by_run_is_uploaded(client: Client, tmp_path: Path) -> None:
    sweep = Sweep(
        axes={"width": [64.0, 128.0, 256.0], "optimizer": ["adam"], "gain": [1.0]},
        learning_rates=(2.0**-12, 2.0**-6),
        ratio=2.0,
        target={"width": 512.0, "optimizer": "adam", "gain": 1.0},
        prescribed=("width",),
        budget=1e9,
        path=tmp_path / "sweep.jsonl",
    )
    for _ in range(2):
        for run in sweep.ask(3):
            sweep.tell(run, 3 + 0.05 * (math.log2(run.learning_rate) + 9) ** 2)
        identifier = sweep.upload(client, "asked for")
    assert sweep.upload(client, "asked for") == identifier
    stored = client.sweep(identifier)
    assert (stored["runs"], stored["revision"], stored["reading"]["prescribed"]) == (6, 2, ["width"])
    assert set(stored["axes"]) == {"width", "optimizer", "gain"}
    assert [run["learning_rate"] for run in client.sweep_runs(identifier)] == [r.learning_rate for r in sweep.runs]
    assert len(client.fit_sweep(identifier)["optima"]) == stored["cells"]
