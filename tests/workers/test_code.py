"""The digest of the code that decides a loss: which sources it holds, and that each of them counts."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workers.engine.code import code_sha256, sources

ROOT = Path(__file__).parents[2]


def test_it_holds_the_engine_and_what_that_reads_of_the_library() -> None:
    names = set(sources())
    assert {"engine/sweep.py", "engine/proxies/mlp.py"} <= names
    assert {"widthwise/theory/stability.py", "widthwise/theory/scaling.py", "widthwise/calibration/cost.py"} <= names
    # what `from widthwise import transfer` leads to, through the package that hands it on
    assert {"widthwise/transfers/transfer.py", "widthwise/tensors/placement.py", "widthwise/model.py"} <= names
    assert not names & {"widthwise/client/sync.py", "widthwise/cli/calibrate.py", "widthwise/estimate/calibration.py"}
    assert list(sources()) == sorted(names)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for package in ("widthwise", "workers"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def digest(folder: Path) -> str:
    command = [sys.executable, "-c", "from workers.engine.code import code_sha256; print(code_sha256())"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def add(source: Path, line: str) -> None:
    with source.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def test_a_changed_source_changes_it_and_another_file_does_not(copied: Path) -> None:
    assert digest(copied) == code_sha256()
    add(copied / "widthwise/client/sync.py", "# a remark")
    assert digest(copied) == code_sha256()
    add(copied / "widthwise/theory/scaling.py", "# a remark")
    changed = digest(copied)
    assert changed != code_sha256()
    add(copied / "workers/engine/sweep.py", "# a remark")
    assert digest(copied) != changed


def test_a_package_counts_only_for_what_it_defines_itself(copied: Path) -> None:
    package, engine = copied / "widthwise/theory/__init__.py", copied / "workers/engine/sweep.py"
    before = digest(copied)
    add(package, "RULE = 1")
    assert digest(copied) == before
    add(engine, "from widthwise.theory import RULE")
    held = digest(copied)
    add(package, "# a remark")
    assert digest(copied) not in (before, held)
