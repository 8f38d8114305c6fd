"""docs/rules.md is written from the rules' own records."""

from pathlib import Path

from widthwise.rules.beyond_width.registry import NAMED_RULES
from widthwise.rules.beyond_width.sheet import excluded, sheet

PAGE = Path(__file__).parents[3] / "docs" / "rules.md"


def test_the_page_has_the_sheet() -> None:
    written = PAGE.read_text(encoding="utf-8").partition("converted.\n\n")[2].partition("\n## Where")[0]
    assert written.strip() == sheet()


def test_every_rule_stands_in_the_sheet_once() -> None:
    for rule in NAMED_RULES:
        assert sheet().count(f"| `{rule.word}` |") == 1
    assert ("completed_p", "square_root") in {(one.word, other.word) for one, other in excluded()}
