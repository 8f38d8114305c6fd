"""`widthwise export`: the file on standard output or on disk, what is left out on standard error, and refusals."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.unit.exports.plans import plan_of
from widthwise import Plan
from widthwise.exports.exporting import export
from widthwise.exports.registry import EXPORTS


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    plan_of().save(path)
    return path


@pytest.mark.parametrize("name", EXPORTS)
def test_the_file_is_the_librarys(run: Run, saved: Path, tmp_path: Path, name: str) -> None:
    wanted = export(plan_of(), name, allow_lossy=True)
    ran = run("export", saved, "--to", name, "--allow-lossy")
    assert (ran.code, ran.out) == (0, wanted.text)
    assert run("export", "-", "--to", name, "--allow-lossy", stdin=saved.read_text(encoding="utf-8")).out == ran.out
    path = tmp_path / wanted.file_name
    ran = run("export", saved, "--to", name, "--allow-lossy", "-o", path)
    assert ran.out == ""
    assert path.read_text(encoding="utf-8") == wanted.text
    assert ("21 tensors in 4 groups" in ran.err) == bool(wanted.groups)
    assert ran.err.count("Not expressed") == sum(each.matters for each in wanted.not_expressed)


def test_yaml_is_read(run: Run, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    assert run("export", saved, "--to", "yaml", "-o", path).code == 0
    assert Plan.from_json(run("export", path, "--to", "json").out) == plan_of()


def test_a_plan_of_the_command_is_read(run: Run) -> None:
    plan = run("transfer", "examples/llama_pair.json", "--json").out
    ran = run("export", "-", "--to", "torchtitan", "--allow-lossy", stdin=plan)
    assert ran.code == 0
    assert "ParamGroupConfig" in ran.out


def test_refusals_say_what_to_do(run: Run, saved: Path, tmp_path: Path) -> None:
    ran = run("export", saved, "--to", "torchtitan")
    assert (ran.code, ran.out) == (1, "")
    assert "init_std: torchtitan takes none from this file" in ran.err
    assert "--allow-lossy" in ran.err
    assert "export is 'keras'; give one of json" in run("export", saved, "--to", "keras").err
    value = json.loads(saved.read_text(encoding="utf-8"))
    value["tensors"][0]["learning_rate"]["value"] = 1
    assert "it was changed after it was written" in run("export", "-", "--to", "csv", stdin=json.dumps(value)).err
    assert "make the plan first" in run("export", "examples/llama_pair.json", "--to", "csv").err
    assert run("export", saved).code == 2
    missing = run("export", saved, "--to", "csv", "-o", tmp_path / "none" / "plan.csv")
    assert (missing.code, "can't be written" in missing.err) == (1, True)


def test_the_list_names_every_form(run: Run) -> None:
    shown = run("export", "--list")
    assert all(re.search(rf"^ ?{name}\s", shown.out, re.MULTILINE) for name in EXPORTS)
    assert [row["name"] for row in json.loads(run("export", "--list", "--json").out)] == list(EXPORTS)
