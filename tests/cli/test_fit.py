"""`widthwise fit`: runs of a file, whatever their columns are called, as optima, a law and predictions."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run

#: log2 of the best rate at 1e9 tokens and width 256, and its exponents: the truth of every file here.
LEVEL, OVER_TOKENS, OVER_WIDTH = -9.0, -0.3, -1.0


def runs(widths: Sequence[int] = (256, 512, 1024), tokens: Sequence[float] = (1e9, 2e9, 4e9)) -> list[dict[str, Any]]:
    """Five rates a factor of 2 apart around the optimum of each cell; the fastest one diverges."""
    found = []
    for width in widths:
        for number in tokens:
            best = LEVEL + OVER_TOKENS * math.log2(number / 1e9) + OVER_WIDTH * math.log2(width / 256)
            for rate in range(round(best) - 2, round(best) + 4):
                loss = None if rate > best + 3 else 3 + 0.01 * (rate - best) ** 2
                found.append({"learning_rate": 2.0**rate, "loss": loss, "width": width, "tokens": number})
    return found


def write(path: Path, rows: Sequence[Mapping[str, Any]], delimiter: str = ",") -> str:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        table.writeheader()
        table.writerows(rows)
    return str(path)


def test_a_csv_is_fitted_and_a_cell_predicted(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "runs.csv", runs())
    found = json.loads(run("fit", file, "--predict", "width=2048,tokens=8e9", "--json").out)
    assert len(found["optima"]) == 9
    (prediction,) = found["predictions"]
    truth = 2 ** (LEVEL + 3 * OVER_WIDTH + 3 * OVER_TOKENS)
    assert prediction["interval"][0] < truth < prediction["interval"][1]
    shown = run("fit", file, "--predict", "width=2048,tokens=8e9")
    assert "Optima (9 cells)" in shown.out
    assert "Predictions" in shown.out
    assert "Warning (one_seed)" in shown.err


def test_an_export_of_another_tool_needs_no_map(run: Run, tmp_path: Path) -> None:
    """As Optuna names its columns, with semicolons; a failed run is one that diverged."""
    rows = [
        {
            "params_lr": each["learning_rate"],
            "value": "" if each["loss"] is None else each["loss"],
            "state": "FAIL" if each["loss"] is None else "COMPLETE",
            "params_D": each["tokens"],
            "params_d_model": each["width"],
        }
        for each in runs()
    ]
    asked = ("fit", write(tmp_path / "study.csv", rows, ";"), "--axis", "tokens=params_D")
    found = json.loads(run(*asked, "--json").out)
    plain = json.loads(run("fit", write(tmp_path / "runs.csv", runs()), "--json").out)
    assert [each["learning_rate"] for each in found["optima"]] == [each["learning_rate"] for each in plain["optima"]]
    assert found["export"]["columns"]["width"] == "params_d_model"
    assert plain["export"] is None
    assert run(*asked).out.startswith("Read as a study of Optuna: learning_rate from params_lr, loss from value")


def test_published_laws_stand_beside_a_prediction(run: Run, tmp_path: Path) -> None:
    rows = [{**each, "parameters": each["width"] * 1e6} for each in runs()]
    file = write(tmp_path / "runs.csv", [{k: v for k, v in each.items() if k != "width"} for each in rows])
    asked = ("fit", file, "--predict", "parameters=1e9,tokens=8e9")
    shown = run(*asked)
    assert "Published laws at parameters 1e+09, tokens 8e+09" in shown.out
    assert "Step Law" in shown.out
    (found,) = json.loads(run(*asked, "--json").out)["predictions"]
    assert {each["law"]: each["valid"] for each in found["published"]}["step_law"]
    assert "published_laws_differ" in {each["code"] for each in found["warnings"]}


def test_a_figure_is_written(run: Run, tmp_path: Path) -> None:
    file, figure = write(tmp_path / "runs.csv", runs()), tmp_path / "sweep.svg"
    assert run("fit", file, "--holdout", "tokens=max", "--plot", str(figure)).code == 0
    assert "Held out: 3 of 3 intervals hold" in figure.read_text(encoding="utf-8")
    for suffix, head in (("pdf", b"%PDF-"), ("png", b"\x89PNG"), ("csv", b"mark,")):
        other = figure.with_suffix(f".{suffix}")
        assert run("fit", file, "--plot", str(other)).code == 0
        assert other.read_bytes().startswith(head)
    assert ".svg, .pdf, .png, .csv" in run("fit", file, "--plot", str(tmp_path / "sweep.jpg")).err
    refused = run("fit", file, "--plot", str(tmp_path / "missing" / "sweep.svg"))
    assert refused.code == 1
    assert "sweep.svg can't be written: No such file or directory" in refused.err


@pytest.mark.parametrize("lines", [True, False])
def test_json_is_read_too(run: Run, tmp_path: Path, *, lines: bool) -> None:
    file = tmp_path / "runs.json"
    file.write_text("\n".join(map(json.dumps, runs())) if lines else json.dumps(runs()))
    assert "Optima (9 cells)" in run("fit", str(file)).out


def test_an_axis_can_be_left_out(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "runs.csv", [{**each, "depth": 12} for each in runs()])
    refused = run("fit", file, "--predict", "width=2048,tokens=8e9")
    assert refused.code == 1
    assert "give a value for each that the runs have, ['depth', 'tokens', 'width'], or read the runs" in refused.err
    assert run("fit", file, "--without", "depth", "--predict", "width=2048,tokens=8e9").code == 0


def test_the_end_of_an_axis_is_held_out_and_scored(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "runs.csv", runs())
    found = json.loads(run("fit", file, "--holdout", "tokens=max", "--json").out)
    assert [each["axes"]["tokens"] for each in found["held_out"]] == [4e9] * 3
    assert all(each["covered"] and abs(each["octaves"]) < 0.3 for each in found["held_out"])
    printed = run("fit", file, "--holdout", "tokens=max").out
    assert "Held out: 3 of 3 intervals hold the optimum" in printed
    off = sorted(abs(each["octaves"]) for each in found["held_out"])[1]
    assert f"Half of the predictions are within {off:.2f} octaves of it; they lose" in printed
    for each in found["held_out"]:  # runs of a parabola: the curve's skew moves it little
        assert each["regret"] == pytest.approx(0.01 * each["octaves"] ** 2, rel=0.5)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (None, (), "can't be read: No such file or directory"),
        ("learning_rate,loss\n", (), "holds no run"),
        ("learning_rate,loss\n1e-3,2,4\n", (), "row 1 has more values than the header"),
        ('{"learning_rate": 1e-3}\n{"learning', (), "line 2: it is not JSON"),
        ("[1, 2]", (), "row 1 is 1; give an object"),
        ("lr,loss\n1e-3,2\n", (), "there is no column 'learning_rate' for learning_rate; name one of 'lr', 'loss'"),
        ("learning_rate,loss\n1e-3,2\n", ("--column", "loss=eval"), "there is no column 'eval' for loss"),
        ("learning_rate,loss\n1e-3,2\n", ("--column", "status=State"), "there is no column 'State' for status"),
        ("learning_rate,loss\nfast,2\n", (), "row 1: learning_rate is 'fast'"),
        ("learning_rate,loss,tokens,batch_tokens\n1e-3,2,10,20\n", (), "tokens is 10, less than batch_tokens"),
        ("learning_rate,loss\n1e-3,2\n", ("--holdout", "tokens=max"), "holdout names 'tokens'"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    run: Run, tmp_path: Path, text: str | None, options: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "runs.csv"
    if text is not None:
        file.write_text(text)
    shown = run("fit", str(file), *options)
    assert shown.code == 1
    assert said in shown.err


@pytest.mark.parametrize(
    "options", [("--column", "lr=x"), ("--holdout", "tokens"), ("--predict", "width=wide"), ("--axis", "=x")]
)
def test_a_malformed_option_is_refused(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    shown = run("fit", write(tmp_path / "runs.csv", runs()), *options)
    assert shown.code == 2
    assert options[0] in shown.err
