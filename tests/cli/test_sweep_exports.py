"""Exports of Optuna and W&B in a service: the runs that `widthwise fit` reads from the file, and its questions."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.test_fit import runs, write
from tests.unit.sweeps.test_exports import storage
from widthwise.client import Client
from widthwise.sweeps.exports import UNFINISHED

#: What a run that did not end by itself was worth when it stopped: no loss of a whole run.
CUT_OFF = 9.0


def wandb(path: Path, **more: Any) -> str:
    """The table of a W&B project; one run was killed, one has crashed, one has no learning rate."""
    rows = [
        {"State": "crashed" if each["loss"] is None else "finished", "eval/loss": each["loss"] or "", **each}
        for each in runs()
    ]
    rows += [{**rows[0], "State": state, "eval/loss": CUT_OFF} for state in ("killed", "running")]
    rows += [{**rows[0], "learning_rate": ""}]
    columns = {"learning_rate": "lr", "width": "d_model", "tokens": "total_tokens"}
    return write(
        path,
        [
            {"Name": f"run-{number}", **{columns.get(name, name): row[name] for name in row if name != "loss"}, **more}
            for number, row in enumerate(rows)
        ],
    )


def wandb_api(path: Path) -> str:
    """Runs of W&B's API as JSON lines."""
    lines = [
        {
            "name": f"run-{number}",
            "state": "finished" if each["loss"] else "failed",
            "config": {"lr": each["learning_rate"], "n_embd": each["width"], "tokens": each["tokens"]},
            "summary": {"val_loss": each["loss"]},
        }
        for number, each in enumerate(runs())
    ]
    lines.append({**lines[0], "state": "preempted", "summary": {"val_loss": CUT_OFF}})
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


def optuna(path: Path) -> str:
    """`trials_dataframe()` of a study, with a pruned trial; a failed one diverged."""
    rows = [
        {
            "number": number,
            "value": each["loss"] or "",
            "params_lr": each["learning_rate"],
            "params_width": each["width"],
            "user_attrs_tokens": each["tokens"],
            "state": "COMPLETE" if each["loss"] else "FAIL",
        }
        for number, each in enumerate(runs())
    ]
    return write(path, [*rows, {**rows[0], "number": len(rows), "value": CUT_OFF, "state": "PRUNED"}])


EXPORTS = {"W&B": ("project.csv", wandb), "W&B's API": ("runs.jsonl", wandb_api), "Optuna": ("study.csv", optuna)}


def made(run: Run, url: str, *words: str) -> Mapping[str, Any]:
    ran = run("sweeps", *words, "--url", url, "--json")
    assert ran.code == 0, ran.err
    found: Mapping[str, Any] = json.loads(ran.out)
    return found


def kept(client: Client, identifier: str) -> list[tuple[Any, ...]]:
    """The runs that the service has: width, tokens, rate, loss."""
    found = client.sweep_runs(identifier)
    return sorted((one.axes["width"], one.axes["tokens"], one.learning_rate, one.loss) for one in found)


#: What every export here holds.
EXPECTED = sorted((each["width"], each["tokens"], each["learning_rate"], each["loss"]) for each in runs())


@pytest.mark.parametrize("kind", EXPORTS)
def test_the_same_export_is_the_same_runs_by_both_ways(
    run: Run, url: str, client: Client, tmp_path: Path, kind: str
) -> None:
    name, export = EXPORTS[kind]
    file = export(tmp_path / name)
    fit = json.loads(run("fit", file, "--json").out)
    sweep = made(run, url, "create", file)
    assert kept(client, sweep["id"]) == EXPECTED
    stored = json.loads(run("sweeps", "show", sweep["id"], "--url", url, "--json").out)["fit"]
    assert [one["learning_rate"] for one in stored["optima"]] == pytest.approx(
        [one["learning_rate"] for one in fit["optima"]]
    )
    assert [one["value"] for one in stored["law"]] == pytest.approx([one["value"] for one in fit["law"]])
    first_line = run("fit", file).out.splitlines()[0]
    assert f"left out: {fit['export']['left_out']} runs" in first_line
    assert run("sweeps", "create", file, "--url", url).err.splitlines()[0] == first_line


def test_a_run_that_was_killed_has_not_diverged_whoever_names_the_columns(
    run: Run, url: str, client: Client, tmp_path: Path
) -> None:
    named = ("learning_rate=lr", "loss=eval/loss", "status=State")
    words = [word for each in named for word in ("--column", each)]
    axes = ("--axis", "width=d_model", "--axis", "tokens=total_tokens")
    sweep = made(run, url, "create", wandb(tmp_path / "project.csv"), *words, *axes)
    assert kept(client, sweep["id"]) == EXPECTED
    assert sweep["diverged"] == sum(each["loss"] is None for each in runs())


def test_a_study_of_a_storage(run: Run, url: str, client: Client, tmp_path: Path) -> None:
    file = str(storage(tmp_path / "study.db", {"one": ["MINIMIZE"], "two": ["MINIMIZE"]}))
    assert "names no study; give one of them" in run("sweeps", "create", file, "--url", url).err
    sweep = made(run, url, "create", file, "--study", "two")
    assert (sweep["runs"], sweep["diverged"], sweep["name"]) == (3, 1, "study")
    assert "names no study" in run("sweeps", "add", sweep["id"], file, "--url", url).err
    assert made(run, url, "add", sweep["id"], file, "--study", "two")["added"] == 0


@pytest.mark.parametrize("first", EXPORTS)
def test_a_file_of_any_tool_is_added_to_a_sweep_of_any_other(
    run: Run, url: str, client: Client, tmp_path: Path, first: str
) -> None:
    """As the page does it: the runs are the same ones, under other names, so none is new."""
    files = [export(tmp_path / name) for name, export in EXPORTS.values()]
    files.append(write(tmp_path / "plain.csv", runs()))
    sweep = made(run, url, "create", str(tmp_path / EXPORTS[first][0]))["id"]
    for file in files[:-1]:
        ran = run("sweeps", "add", sweep, file, "--url", url)
        assert f"0 of {len(EXPECTED)} runs were new." in ran.err, ran.err
        assert ran.err.startswith("Read as ")
    plain = made(run, url, "create", files[-1])["id"]
    assert made(run, url, "add", plain, files[0])["added"] == 0
    assert kept(client, sweep) == kept(client, plain) == EXPECTED


def test_what_the_sweep_calls_otherwise_goes_before_what_is_recognised(
    run: Run, url: str, client: Client, tmp_path: Path
) -> None:
    """Two losses of every run: the sweep is of the one that was said, and so is what is added."""
    trained = wandb(tmp_path / "one.csv", **{"train/loss": 2.5})
    chosen = ("--column", "loss=train/loss")
    sweep = made(run, url, "create", trained, *chosen)["id"]
    more = wandb(tmp_path / "two.csv", **{"train/loss": 2.5})
    assert made(run, url, "add", sweep, more)["added"] == 0
    assert {loss for *_, loss in kept(client, sweep)} == {2.5, None}
    plain = made(run, url, "create", write(tmp_path / "plain.csv", runs()))["id"]
    both = wandb(tmp_path / "three.csv", loss=2.5)  # an evaluation loss goes before a training loss
    assert made(run, url, "add", plain, both)["added"] == 0


def test_an_axis_that_the_sweep_lacks_is_asked_about(run: Run, url: str, client: Client, tmp_path: Path) -> None:
    sweep = made(run, url, "create", wandb(tmp_path / "one.csv"))["id"]
    deeper = wandb(tmp_path / "two.csv", n_layer=24)
    refused = run("sweeps", "add", sweep, deeper, "--url", url)
    assert (refused.code, refused.out) == (1, "")
    said = (
        "column 'n_layer' is the axis depth, which the sweep lacks (its axes: width, tokens); leave it out (--without"
    )
    assert said in refused.err
    assert made(run, url, "add", sweep, deeper, "--without", "depth")["added"] == 0
    flat = made(run, url, "create", deeper, "--without", "depth")["id"]
    assert made(run, url, "add", flat, deeper)["added"] == 0  # it was said when the sweep was made
    plain = write(tmp_path / "plain.csv", [{**each, "depth": 24} for each in runs()])
    assert made(run, url, "add", sweep, plain, "--without", "depth")["added"] == 0


@pytest.mark.parametrize("command", ["fit", "create", "add"])
def test_an_export_without_a_run_that_counts_is_refused(run: Run, url: str, tmp_path: Path, command: str) -> None:
    file = write(tmp_path / "project.csv", [{"Name": "a", "State": "running", "lr": 0.1, "eval/loss": 3, "width": 64}])
    sweep = made(run, url, "create", write(tmp_path / "runs.csv", runs()))["id"]
    words = {"fit": ("fit", file), "create": ("sweeps", "create", file), "add": ("sweeps", "add", sweep, file)}[command]
    refused = run(*words, *(() if command == "fit" else ("--url", url)))
    assert refused.code == 1
    assert "none of its 1 runs (an export of W&B) ended by itself and has a learning rate" in refused.err


def test_a_run_of_a_plain_table_that_did_not_end_has_not_diverged(run: Run, url: str, tmp_path: Path) -> None:
    ended = [{**each, "status": "completed"} for each in runs()]
    file = write(
        tmp_path / "plain.csv", [*ended, *({**ended[0], "learning_rate": 9, "status": one} for one in UNFINISHED)]
    )
    told = f"Left out: {len(UNFINISHED)} runs that did not end by themselves or have no learning rate."
    fit = run("fit", file)
    assert fit.out.splitlines()[0] == told
    assert json.loads(run("fit", file, "--json").out)["export"] == {
        "tool": None,
        "columns": {},
        "left_out": len(UNFINISHED),
    }
    created = run("sweeps", "create", file, "--url", url, "--json")
    assert created.err.splitlines()[0] == told
    assert json.loads(created.out)["runs"] == len(ended)


def test_a_rate_by_another_name_says_which_runs_have_none(run: Run, url: str, tmp_path: Path) -> None:
    rows = [
        {"Name": "a", "State": "finished", "lr": "", "peak": 0.1, "eval/loss": 3, "width": 64},
        {"Name": "b", "State": "finished", "lr": "", "peak": "", "eval/loss": 3, "width": 64},
    ]
    file = write(tmp_path / "project.csv", rows)
    said = ("--column", "learning_rate=peak")
    assert made(run, url, "create", file, *said)["runs"] == 1
    assert "Read as an export of W&B: learning_rate from peak," in run("fit", file, *said).out
