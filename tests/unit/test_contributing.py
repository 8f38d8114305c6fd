"""CONTRIBUTING.md, the decisions and SECURITY.md: each path, link and target that they name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(DECISIONS.glob("*.md"))]
#: What the table must cover.
TO_ADD = {
    "an optimizer",
    "a parameterization",
    "a rule",
    "a rule beyond width",
    "a measurement",
    "an architecture that is read from its config.json",
    "a warning",
    "an API resource",
    "a setting",
    "a metric",
    "a database column",
    "a guard against a failure",
    "a model that a trace must read right",
    "a form that plans are exported in",
    "a view of the service's page",
    "a panel on a calibration's page",
    "a page of the documentation",
    "a word that the service's pages explain",
    "a page of results",
}


def rows() -> list[list[str]]:
    table = CONTRIBUTING.partition("## To add")[2]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_the_table_says_what_to_touch_and_what_holds_it() -> None:
    assert {re.sub(r" \(.*", "", what) for what, _, _ in rows()} == TO_ADD
    for what, touched, held in rows():
        paths = re.findall(r"`([\w.]+(?:/[\w.]+)*)`", touched)
        tests = re.findall(r"`(tests/[\w./]+)`", held)
        assert paths, what
        assert tests, what


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_links_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:[\w.-]+/)+[\w.-]+|[\w-]+\.(?:py|toml|md|yml)|Makefile)`", text):
        assert (ROOT / path).exists() or (page.parent / path).exists() or _in_every_folder(path), (page.name, path)
    for target in re.findall(r"\]\(([^):#]+)(?:#[\w-]+)?\)", text):
        assert (page.parent / target).exists(), (page.name, target)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE)) <= targets


def _in_every_folder(name: str) -> bool:
    """Whether a name is that of a file which each folder of its kind has, such as `routes.py`."""
    return name in {"routes.py", "schemas.py", "errors.py"}


def test_the_index_lists_every_decision_in_order() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d{4}) \| \[[^]]+\]\((\d{4})(-[\w-]+\.md)\) \|", index, re.MULTILINE)
    assert [number for number, _, _ in listed] == [f"{position:04d}" for position in range(1, len(listed) + 1)]
    assert [start + rest for _, start, rest in listed] == [
        path.name for path in sorted(DECISIONS.glob("*.md")) if path.name != "README.md"
    ]


@pytest.mark.parametrize(
    "record", [page for page in PAGES if re.match(r"\d{4}-", page.name)], ids=lambda record: record.name
)
def test_a_decision_has_context_decision_and_consequences(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert text.startswith(f"# {int(record.name[:4])}. ")
    assert len(text.splitlines()) < 45  # half a page: a record longer than that is a design document
