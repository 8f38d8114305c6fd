"""`make audit` is green only where every package was looked up."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "requirements" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FINE = {"name": "fine", "version": "1.0", "vulns": []}
BAD = {"name": "bad", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
SKIPPED = {"name": "unheard", "skip_reason": "Dependency not found on PyPI and could not be audited: unheard (1.0)"}


@pytest.mark.parametrize(
    ("report", "pinned", "code", "words"),
    [
        ({"dependencies": [FINE]}, 1, 0, ["1 packages were looked up"]),
        ({"dependencies": [FINE, BAD]}, 2, 1, ["bad 2.0: PYSEC-1, mended in 2.1"]),
        ({"dependencies": [SKIPPED, SKIPPED]}, 2, 2, ["NOT AUDITED: 2 of 2", "unheard"]),
        ({"dependencies": [FINE, SKIPPED]}, 2, 2, ["NOT AUDITED: 1 of 2"]),
        ({"dependencies": [BAD, SKIPPED]}, 2, 1, ["PYSEC-1", "NOT AUDITED: 1 of 2"]),
        ({"dependencies": [FINE]}, 2, 2, ["NOT AUDITED: 1 of 2"]),  # one is not even named
        (None, 2, 2, ["NOT AUDITED: 2 of 2"]),
    ],
)
def test_verdicts(audit: ModuleType, report: dict[str, Any] | None, pinned: int, code: int, words: list[str]) -> None:
    found, lines = audit.verdict(report, pinned)
    assert found == code
    assert all(word in "\n".join(lines) for word in words), lines


def test_the_makefile_runs_it_over_the_pins() -> None:
    assert "requirements/audit.py" in (ROOT / "Makefile").read_text()
