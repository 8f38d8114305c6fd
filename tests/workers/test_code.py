"""The digest of the code that decides a loss: which sources it holds, and that each of them counts."""

import shutil
import subprocess
import sys
from pathlib import Path

from workers.engine.code import code_sha256, sources

ROOT = Path(__file__).parents[2]


def test_it_holds_the_engine_and_what_that_reads_of_the_library() -> None:
    names = set(sources())
    assert {"engine/sweep.py", "engine/proxies/mlp.py"} <= names
    assert {"widthwise/theory/stability.py", "widthwise/theory/scaling.py", "widthwise/calibration/cost.py"} <= names
    assert not names & {"widthwise/client.py", "widthwise/cli/calibrate.py", "widthwise/estimate/calibration.py"}
    assert list(sources()) == sorted(names)


def test_a_changed_source_changes_it_and_another_file_does_not(tmp_path: Path) -> None:
    for package in ("widthwise", "workers"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))

    def digest() -> str:
        command = [sys.executable, "-c", "from workers.engine.code import code_sha256; print(code_sha256())"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    def append(name: str) -> None:
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write("# a remark\n")

    assert digest() == code_sha256()
    append("widthwise/client.py")
    assert digest() == code_sha256()
    append("widthwise/theory/scaling.py")
    changed = digest()
    assert changed != code_sha256()
    append("workers/engine/sweep.py")
    assert digest() != changed
