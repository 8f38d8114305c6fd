"""What a results page names: the command and the commit that give it again; and that a dry run writes none."""

import argparse
import json
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.record import command, commit, write_result

ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, of a benchmark and a document."""
    for name in ("benchmarks/horizon.py", "docs/theory.md"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("as committed\n")
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "Begin")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_a_clean_tree_is_named_by_its_commit(repository: Path) -> None:
    (repository / "docs" / "theory.md").write_text("it decides no result\n")
    assert re.fullmatch("[0-9a-f]{7,}", commit(repository))


@pytest.mark.parametrize("name", ["benchmarks/horizon.py", "benchmarks/untracked", "workers/new.py"])
def test_a_tree_with_other_code_than_its_commit_is_dirty(repository: Path, name: str) -> None:
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("changed\n")
    assert re.fullmatch("[0-9a-f]{7,}-dirty", commit(repository))


def test_without_a_repository_the_commit_is_unknown(tmp_path: Path) -> None:
    assert commit(tmp_path) == "unknown"


def test_the_command_is_what_was_run() -> None:
    assert command(["benchmarks/cost.py", "--steps", "300", "a b"]) == "python -m benchmarks.cost --steps 300 'a b'"


@pytest.mark.parametrize("dry", [False, True])
def test_a_page_is_written_unless_dry(tmp_path: Path, capsys: pytest.CaptureFixture[str], dry: bool) -> None:
    options = argparse.Namespace(dry=dry, commit="abc1234", command="python -m benchmarks.horizon")
    write_result("horizon", "Speed", ["As fast as light."], {"metres": 299792458}, options, folder=tmp_path)
    assert "As fast as light." in capsys.readouterr().out
    written = {path.suffix: path.read_text() for path in tmp_path.glob("horizon.*")}
    assert sorted(written) == ([] if dry else [".json", ".md"])
    if not dry:
        page, data = written[".md"], json.loads(written[".json"])
        assert page.startswith("# Speed\n\n    python -m benchmarks.horizon\n\nAs fast as light.\n")
        assert "commit abc1234." in page
        assert (data["command"], data["machine"]["commit"], data["metres"]) == (options.command, "abc1234", 299792458)


def test_every_benchmark_with_a_page_takes_the_same_option() -> None:
    sources = {path.stem: path.read_text() for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "record"}
    pages = {name for name, source in sources.items() if "write_result(" in source}
    assert len(pages) > 10
    assert {name for name in pages if not re.search(r"\b(axis_)?arguments\(__doc__[,)]", sources[name])} == set()
    assert {name for name, source in sources.items() if "RESULTS" in source} == set()
