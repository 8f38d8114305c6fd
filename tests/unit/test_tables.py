"""Tables of the command line: at any width every word and every number is whole."""

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from widthwise.cli.tables import Laid, Table, fits, laid_out

WORDS = st.lists(st.text("abcdefg×λ漢", min_size=1, max_size=30), min_size=1, max_size=6)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A table of words, each of which occurs once; a cell of numbers has one word for each line."""
    columns, left = draw(st.integers(1, 7)), draw(st.integers(0, 3))
    number = count()

    def words(text: list[str]) -> list[str]:
        return [f"{word}{next(number)}" for word in text]

    def cell(place: int) -> str:
        return (" " if place < left else "\n").join(words(draw(WORDS)))

    headings = tuple(" ".join(words(draw(WORDS))) for _ in range(columns))
    rows = [tuple(cell(place) for place in range(columns)) for _ in range(draw(st.integers(0, 4)))]
    return Table(headings, min(left, columns), rows)


@given(tables(), st.integers(1, 200))
def test_nothing_is_cut_and_nothing_is_lost(table: Table, width: int) -> None:
    laid = laid_out(table, width)
    shown = [word for line in laid.rows for word in line.split()]
    for row in table.rows:
        assert {word for cell in row for word in cell.split()} <= set(shown)
    for line in (*laid.head, *laid.rows):
        assert cell_len(line) <= width or len(line.split()) == 1, line


@given(tables(), st.integers(1, 200))
def test_a_table_that_fits_has_a_line_for_its_tallest_cell(table: Table, width: int) -> None:
    if fits(table, width):
        heights = [max(cell.count("\n") + 1 for cell in row) for row in table.rows]
        assert len(laid_out(table, width).rows) == sum(heights)


PLAN = Table(
    ("tensor", "role", "lr"), 2, [("h.*.attn.weight (×48)", "hidden", "0.000288"), ("head", "readout (tied)", "1")]
)


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (
            60,
            [
                " tensor                  role                   lr",
                " ─────────────────────────────────────────────────",
                " h.*.attn.weight (×48)   hidden           0.000288",
                " head                    readout (tied)          1",
            ],
        ),
        (
            36,
            [
                "tensor           role             lr",
                "────────────────────────────────────",
                "h.*.attn.weight  hidden     0.000288",
                "(×48)",
                "head             readout           1",
                "                 (tied)",
            ],
        ),
        (
            20,
            [
                "h.*.attn.weight",
                "(×48)",
                "  role hidden",
                "  lr 0.000288",
                "head",
                "  role readout",
                "    (tied)   lr 1",
            ],
        ),
    ],
)
def test_each_layout(width: int, lines: list[str]) -> None:
    laid = laid_out(PLAN, width)
    assert [*laid.head, *laid.rows] == lines


def test_a_row_has_a_cell_for_each_column() -> None:
    table: Any = Table(("a", "b"))
    with pytest.raises(ValueError, match="a row of 1 cells for 2 columns"):
        table.add_row("1")
    assert laid_out(table, 80) == Laid((" a   b", " ─────"), ())


def test_a_name_has_lines_for_itself_if_wrapping_makes_rows_too_tall() -> None:
    laid = laid_out(Table(("name", "lr", "loss"), 1, [("one two three four five six", "0.000288", "2.5012")]), 24)
    head = ("name", "         lr     loss", "   ─────────────────")
    assert laid == Laid(head, ("one two three four five", "six", "   0.000288   2.5012"))
