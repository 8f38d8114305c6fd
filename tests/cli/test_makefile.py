"""The Makefile: it explains itself, and says so when Python is too old."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def would_run(target: str) -> str:
    """What a target runs where nothing is installed yet."""
    return make("--dry-run", "--always-make", f"PYTHON={sys.executable}", target).stdout


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_help_is_the_default_and_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert targets is not None
    shown = make().stdout
    assert all(f"make {target} " in shown for target in targets[1].split())


def commands(target: str) -> list[str]:
    """The benchmarks that a target runs."""
    return re.findall(r"-m (benchmarks\..*)", make("--dry-run", f"PYTHON={sys.executable}", target).stdout)


def test_every_page_of_results_is_made_by_the_target_of_its_name() -> None:
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "results").glob("*.md")}
    del pages["README"]
    assert len(pages) > 10
    modules = {
        name: re.findall(r"^    python -m (benchmarks\.\w+)", page, re.MULTILINE) for name, page in pages.items()
    }
    made = {name: commands(name) for name in pages}
    assert {name: [each.split()[0] for each in ran] for name, ran in made.items()} == modules
    everything = commands("evidence")
    assert sorted(everything) == sorted(ran for (ran,) in made.values())
    assert [ran for ran in everything if "--dry" in ran] == []


def test_bench_writes_no_page() -> None:
    assert commands("bench") == ["benchmarks.plans", "benchmarks.service_transfers --dry"]


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "distributions/server/pyproject.toml", "requirements/constraints.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\ntest "$1" = --version && echo "Python 3.9.18" && exit 0\nexit 1\n', encoding="utf-8")
    old.chmod(0o755)
    ran = make(f"PYTHON={old}", "install", folder=tmp_path)
    assert ran.returncode != 0
    assert "needs Python 3.11 or newer" in ran.stderr
    assert "is Python 3.9.18" in ran.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_constraints_pin_and_name_no_address() -> None:
    lines = (ROOT / "requirements" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.+!]+", line) for line in pins)


def test_the_tests_of_models_are_left_to_a_target_of_their_own() -> None:
    without, with_models = would_run("test"), would_run("test-models")
    assert "--ignore tests/models --ignore tests/trainers --ignore tests/browser" in without
    assert "make test-models" in without
    assert "[models]" not in without
    assert "-e '.[models,optuna,ray]'" in with_models
    assert "pytest -n 2 --dist worksteal tests/models" in with_models


def test_the_trainers_have_an_environment_of_their_own() -> None:
    shown = would_run("test-trainers")
    assert ".venv-trainers/bin/python -m pytest --confcutdir tests/trainers tests/trainers" in shown
    assert "--no-deps" in shown
    pins = (ROOT / "requirements" / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    for name in ("trainers.txt", "trainers-alone.txt", "browser.txt"):
        lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
        packages = [line.split("#")[0].strip().replace("_", "-") for line in lines if not line.startswith("#")]
        assert [package for package in packages if f"\n{package}==" not in pins] == []


def test_the_page_is_tried_in_a_browser_that_is_installed_if_root_may() -> None:
    shown = would_run("test-browser")
    assert "-m pytest tests/browser" in shown
    assert "command -v chromium" in shown
    assert "apt-get install -y -qq --no-install-recommends" in shown
    assert "-r requirements/browser.txt" in shown


def test_ci_runs_the_same_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert [line for line in script.splitlines() if line.startswith("make ")] == ["make ci"]
    assert re.search(
        r"^ci: check docs test test-models test-trainers test-browser\b",
        (ROOT / "Makefile").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
