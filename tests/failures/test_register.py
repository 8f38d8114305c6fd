"""The register of failures: every number in README.md has a test that bears it, and no test bears another."""

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parent
FAILURES = 18  # at the end of the design's list


def marked() -> dict[int, list[str]]:
    """Return the names of the tests that are marked with each number, as they stand in the source."""
    found: dict[int, list[str]] = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.failure":
                        found.setdefault(ast.literal_eval(mark.args[0]), []).append(f"{path.name}::{node.name}")
    return found


def test_every_failure_has_a_test_and_a_row() -> None:
    tests = marked()
    assert sorted(tests) == list(range(1, FAILURES + 1))
    for number, names in tests.items():
        assert all(f"test_{number:02d}_" in name for name in names), names
    rows = re.findall(r"^\| (\d+) \|(.*)$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, FAILURES + 1))
    for number, row in rows:
        for name in tests[int(number)]:
            assert f"`{name.split('::')[1]}`" in row, f"row {number} does not name {name}"
