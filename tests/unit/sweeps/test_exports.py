"""Tables of other tools: recognised by their columns, read without a map, and told apart from any other table."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from widthwise.errors import InvalidInputError
from widthwise.sweeps import fit_sweep, runs_from_rows
from widthwise.sweeps.exports import recognised
from widthwise.sweeps.table import read_rows

#: What `study.trials_dataframe().to_csv()` of Optuna 5.0 writes, with a pruned, a failed and an infinite trial.
TRIALS = """,number,value,datetime_start,datetime_complete,duration,params_lr,\
params_n_layer,params_width,user_attrs_tokens,state
0,0,3.01,2026-11-28 19:33:34,2026-11-28 19:33:35,0 days 00:00:00.3,0.001,2,256,1000000000.0,COMPLETE
1,1,3.00,2026-11-28 19:33:34,2026-11-28 19:33:35,0 days 00:00:00.3,0.002,2,256,1000000000.0,COMPLETE
2,2,3.01,2026-11-28 19:33:34,2026-11-28 19:33:35,0 days 00:00:00.3,0.004,2,256,1000000000.0,COMPLETE
3,3,5.01,2026-11-28 19:33:34,2026-11-28 19:33:35,0 days 00:00:00.3,0.001,2,256,1000000000.0,PRUNED
4,4,,2026-11-28 19:33:34,2026-11-28 19:33:35,0 days 00:00:00.3,0.008,2,256,1000000000.0,FAIL
5,5,inf,2026-11-28 19:33:34,2026-11-28 19:33:35,0 days 00:00:00.3,0.016,2,256,1000000000.0,COMPLETE
"""
#: What the table of a W&B project exports.
PROJECT = """"Name","State","Notes","Created","Runtime","lr","d_model","seed","train/loss","eval/loss"
"run-1","finished","-","2026-11-28T19:33:34.000Z","120","0.001","256","0","2.9","3.01"
"run-2","finished","-","2026-11-28T19:33:34.000Z","121","0.002","256","0","2.8","3.00"
"run-3","crashed","-","2026-11-28T19:33:34.000Z","60","0.004","256","0","2.8","3.05"
"run-4","running","-","2026-11-28T19:33:34.000Z","60","0.001","256","0","4.8","5.00"
"evaluation","finished","-","2026-11-28T19:33:34.000Z","60","","256","0","","3.00"
"""


def test_a_study_of_optuna_is_read_without_a_map(tmp_path: Path) -> None:
    file = tmp_path / "study.csv"
    file.write_text(TRIALS, encoding="utf-8")
    export = recognised(read_rows(file))
    assert export.described() == (
        "Read as a study of Optuna: learning_rate from params_lr, loss from value, status from state, width from "
        "params_width, depth from params_n_layer, tokens from user_attrs_tokens; left out: 1 runs that did not "
        "end by themselves or have no learning rate."
    )
    runs = runs_from_rows(export.rows, columns=export.columns)
    assert [run.diverged for run in runs] == [False, False, False, True, True]
    assert runs[0].axes == {"width": 256, "depth": 2, "tokens": 1e9}


def test_an_export_of_wandb_is_read_without_a_map(tmp_path: Path) -> None:
    file = tmp_path / "project.csv"
    file.write_text(PROJECT, encoding="utf-8")
    export = recognised(read_rows(file))
    assert dict(export.columns) == {
        "learning_rate": "lr",
        "loss": "eval/loss",
        "status": "State",
        "seed": "seed",
        "width": "d_model",
    }
    runs = runs_from_rows(export.rows, columns=export.columns)
    assert [(run.learning_rate, run.loss) for run in runs] == [(0.001, 3.01), (0.002, 3.0), (0.004, None)]
    assert export.left_out == 2


def test_runs_of_wandbs_api_have_their_config_and_summary_as_objects(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    rows = [
        {"name": "a", "state": "finished", "config": {"lr": rate, "nested": {}}, "summary": {"val_loss": 3.0}}
        for rate in (1e-3, 2e-3)
    ]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    export = recognised(read_rows(file))
    assert dict(export.columns) == {"learning_rate": "config.lr", "loss": "summary.val_loss", "status": "state"}
    assert [run.loss for run in runs_from_rows(export.rows, columns=export.columns)] == [3.0, 3.0]


def test_any_other_table_is_left_as_it_is() -> None:
    rows = [{"lr": "1e-3", "loss": "3", "state": "running"}, {"value": "3", "state": "COMPLETE"}]
    for row in rows:
        export = recognised([row])
        assert (export.tool, list(export.rows), dict(export.columns)) == ("", [row], {})


def storage(path: Path, studies: dict[str, list[str]]) -> Path:
    """A database as Optuna 5.0's storage has it: three trials of each study, of which one diverged."""
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(
            "CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name VARCHAR(512) NOT NULL);"
            "CREATE TABLE study_directions (direction VARCHAR(8), study_id INTEGER, objective INTEGER);"
            "CREATE TABLE trials (trial_id INTEGER PRIMARY KEY, number INTEGER, study_id INTEGER, state VARCHAR(8));"
            "CREATE TABLE trial_values (trial_id INTEGER, objective INTEGER, value FLOAT, value_type VARCHAR(7));"
            "CREATE TABLE trial_user_attributes (trial_id INTEGER, key VARCHAR(512), value_json TEXT);"
            "CREATE TABLE trial_params (trial_id INTEGER, param_name VARCHAR(512), param_value FLOAT, "
            "distribution_json TEXT);"
        )
        for study, (name, directions) in enumerate(studies.items(), start=1):
            database.execute("INSERT INTO studies VALUES (?, ?)", (study, name))
            for number, direction in enumerate(directions):
                database.execute("INSERT INTO study_directions VALUES (?, ?, ?)", (direction, study, number))
            for number, (value, kind) in enumerate([(3.01, "FINITE"), (3.0, "FINITE"), (None, "INF_POS")]):
                trial = 10 * study + number
                choice = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": [256, 512]}})
                real = json.dumps({"name": "FloatDistribution", "attributes": {"low": 1e-4, "high": 1e-1}})
                database.execute("INSERT INTO trials VALUES (?, ?, ?, 'COMPLETE')", (trial, number, study))
                database.execute("INSERT INTO trial_values VALUES (?, 0, ?, ?)", (trial, value, kind))
                database.execute("INSERT INTO trial_params VALUES (?, 'lr', ?, ?)", (trial, 1e-3 * 2**number, real))
                database.execute("INSERT INTO trial_params VALUES (?, 'width', 1.0, ?)", (trial, choice))
                database.execute("INSERT INTO trial_user_attributes VALUES (?, 'tokens', '1e9')", (trial,))
    return path


def test_optunas_storage_is_read_without_optuna(tmp_path: Path) -> None:
    export = recognised(read_rows(storage(tmp_path / "a study?.db", {"one": ["MINIMIZE"]})))
    runs = runs_from_rows(export.rows, columns=export.columns)
    assert [(run.learning_rate, run.diverged) for run in runs] == [(1e-3, False), (2e-3, False), (4e-3, True)]
    assert runs[0].axes == {"width": 512, "tokens": 1e9}
    assert len(fit_sweep(runs).cells) == 1


def test_a_study_that_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    file = storage(tmp_path / "study.db", {"one": ["MINIMIZE"], "up": ["MAXIMIZE"], "two": ["MINIMIZE", "MINIMIZE"]})
    assert len(read_rows(file, study="one")) == 3
    with pytest.raises(InvalidInputError, match="names no study; give one of them"):
        read_rows(file)
    with pytest.raises(InvalidInputError, match="names the study 'three'"):
        read_rows(file, study="three")
    for name in ("up", "two"):
        with pytest.raises(InvalidInputError, match="give one that minimises one loss"):
            read_rows(file, study=name)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database, database:
        database.execute("CREATE TABLE x (y)")
    with pytest.raises(InvalidInputError, match="can't be read as Optuna's storage: no such table: studies"):
        read_rows(other)
