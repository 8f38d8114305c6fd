"""Pages of results that nobody could make again are seen."""

import json
from pathlib import Path

import pytest

from benchmarks.pages import fault, git


@pytest.fixture
def head(tmp_path: Path) -> str:
    """The commit of a repository that holds one benchmark."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "speed.py").write_text("", encoding="utf-8")
    for words in (
        ("init", "--quiet"),
        ("add", "."),
        ("-c", "user.name=w", "-c", "user.email=w@example.org", "commit", "--quiet", "--message", "First"),
    ):
        assert git(tmp_path, *words).returncode == 0
    return git(tmp_path, "rev-parse", "--short", "HEAD").stdout.strip()


@pytest.mark.parametrize(
    ("named", "why"),
    [
        (("speed", "{head}", None), None),
        (("speed", "{head}-dirty", None), "clean tree"),
        (("speed", "unknown", None), "clean tree"),
        (("speed", "0123456789abcdef", None), "not in the history"),
        (("no_such", "{head}", None), "holds no"),
        (("speed", "{head}", "0123456"), "names another"),
    ],
)
def test_what_keeps_a_page_from_being_made_again(
    tmp_path: Path, head: str, named: tuple[str, str, str | None], why: str | None
) -> None:
    module, commit, beside = named
    command, commit = f"python -m benchmarks.{module}", commit.format(head=head)
    page = (tmp_path / "speed").with_suffix(".md")
    page.write_text(f"# Title\n\n    {command}\n\nPython 3; commit {commit}. All of it, as JSON.\n", encoding="utf-8")
    said = {"command": command, "machine": {"commit": beside or commit}}
    page.with_suffix(".json").write_text(json.dumps(said), encoding="utf-8")
    found = fault(tmp_path, page)
    assert found is None if why is None else found is not None and why in found
