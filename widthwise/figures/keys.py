"""Keys: what the marks of a figure mean, in columns under it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from widthwise.figures.colours import FAINT
from widthwise.figures.lettering import fitting
from widthwise.figures.panel import EDGE, WIDTH
from widthwise.figures.svg import add, text

SIZE, ROW, MARK, COLUMNS = 11, 17, 27, 2  # font size, pixels of a row and of a mark with its gap; columns of keys


class Key(NamedTuple):
    """A mark and its meaning."""

    draw: Callable[[Element, float, float], object]  #: given a group, and x and y of the left end of the mark's middle
    words: str


def draw_keys(root: Element, top: float, keys: Sequence[Key], *, colour: str = FAINT) -> float:
    """Draw keys in two columns, filled one after the other; return where they end."""
    each = (WIDTH - 2 * EDGE) / COLUMNS
    rows = -(-len(keys) // COLUMNS)
    for place, key in enumerate(keys):
        column, row = divmod(place, rows)
        x, y = EDGE + column * each, top + ROW * (row + 0.5)
        key.draw(add(root, "g", stroke=colour, fill=colour, **{"stroke-width": 1.6}), x, y)
        text(root, x + MARK, y + 4, fitting(key.words, each - MARK - 4, SIZE), fill=FAINT, size=SIZE)
    return top + ROW * rows


class Column(NamedTuple):
    """A column of a table of words."""

    at: float  #: pixels from the left
    title: str
    cells: Sequence[str]
    anchor: str = "start"


def draw_table(
    root: Element, top: float, columns: Sequence[Column], *, marks: Sequence[Callable[[Element, float, float], object]]
) -> float:
    """Draw a small table under a figure, with a mark at the head of each row; return where it ends."""
    for column in columns:
        text(root, column.at, top + ROW * 0.7, column.title, size=SIZE, weight="600", anchor=column.anchor)
        for row, cell in enumerate(column.cells):
            text(root, column.at, top + ROW * (row + 1.7), cell, size=SIZE, anchor=column.anchor)
    for row, draw in enumerate(marks):
        draw(root, EDGE, top + ROW * (row + 1.7) - 4)
    return top + ROW * (1 + max((len(column.cells) for column in columns), default=0))
