"""docs/exports.md has what the records say, and its list of trainers is that of the tests that load them."""

import re
from pathlib import Path

from tests.unit.exports.page import LOADED, PAGE, page

TRAINERS = Path(__file__).parents[2] / "trainers"


def test_the_page_is_what_the_records_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "write it again: python -m tests.unit.exports.page"


def test_what_is_said_to_be_loaded_is_loaded() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in TRAINERS.glob("test_*.py"))
    assert set(re.findall(r'(?:loaded|written)\(\w+, "(\w+)", tmp_path\)', tests)) == set(LOADED)
