"""A table as lines of text, at any width, in which every number and every name is whole.

If the columns don't fit, words wrap between words; then the first column gets lines for itself; then each row becomes a
block of `heading value` pairs. A name that is longer than the terminal is left to the terminal to wrap.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from rich.cells import cell_len

GAP, TIGHT_GAP = "   ", "  "  # between two columns: where there is room, and where there is not (chosen)
TALLEST = 3  # lines of a row whose words wrap (chosen): beyond, blocks are easier to read
INDENT = "  "

Row = tuple[str, ...]


@dataclass
class Table:
    """Headings and rows of text. The first `left` columns are words, the others numbers, which never wrap."""

    columns: Row
    left: int = 1
    rows: list[Row] = field(default_factory=list)

    def add_row(self, *cells: str) -> None:
        """Add a row with a cell for each column; a cell may have several lines."""
        if len(cells) != len(self.columns):
            raise ValueError(f"a row of {len(cells)} cells for {len(self.columns)} columns: {cells!r}")
        self.rows.append(cells)

    @property
    def natural(self) -> list[int]:
        """The width of each column if nothing wraps."""
        return [max(map(_width, cells)) for cells in zip(self.columns, *self.rows, strict=True)]


@dataclass(frozen=True)
class Laid:
    """A table as lines: its head, and its rows."""

    head: Row
    rows: Row


def fits(table: Table, width: int) -> bool:
    """Return whether the columns stand side by side in `width` places, and nothing wraps."""
    return _side_by_side(table, width) is not None


def laid_out(table: Table, width: int) -> Laid:
    """Return a table as lines of at most `width` places, longer only where a single word is."""
    layouts: tuple[Callable[[Table, int], Laid | None], ...] = (_side_by_side, _wrapped, _first_apart)
    found = (layout(table, width) for layout in layouts)
    return next((each for each in found if each is not None), Laid((), tuple(_blocks(table, width))))


def _side_by_side(table: Table, width: int) -> Laid | None:
    """The columns next to each other as they are; None if they don't fit."""
    return _set(table, table.natural, width)


def _set(table: Table, widths: Sequence[int], width: int) -> Laid | None:
    """A table with columns of these widths; None if that is too wide."""
    for gap, edge in ((GAP, " "), (TIGHT_GAP, "")):
        whole = sum(widths) + len(gap) * (len(widths) - 1)
        if whole + 2 * len(edge) <= width:
            head = (*_joined(table.columns, table.left, widths, gap), "─" * whole)
            rows = (line for row in table.rows for line in _joined(row, table.left, widths, gap))
            return Laid(tuple(edge + line for line in head), tuple(edge + line for line in rows))
    return None


def _joined(row: Row, left: int, widths: Sequence[int], gap: str) -> Iterator[str]:
    """Yield the lines of a row."""
    cells = [_wrap(cell, size) for cell, size in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        texts = (cell[number] if number < len(cell) else "" for cell in cells)
        places = enumerate(zip(texts, widths, strict=True))
        yield gap.join(_padded(text, size, left=place < left) for place, (text, size) in places).rstrip()


def _wrapped(table: Table, width: int) -> Laid | None:
    """The table with its words wrapped between words; None if it is then too wide or its rows too tall."""
    columns = list(zip(table.columns, *table.rows, strict=True))
    widths, words = table.natural, range(table.left)
    least = [max(_width(word) for text in columns[place] for word in (text.split() or [""])) for place in words]
    room = width - len(TIGHT_GAP) * (len(widths) - 1)
    while sum(widths) > room:
        place = max((each for each in words if widths[each] > least[each]), key=widths.__getitem__, default=None)
        if place is None:
            return None
        widths[place] -= 1
    tallest = max([TALLEST, *(cell.count("\n") + 1 for row in table.rows for cell in row)])
    tall = any(len(_wrap(cell, size)) > tallest for row in table.rows for cell, size in zip(row, widths, strict=True))
    return None if tall else _set(table, widths, width)


def _first_apart(table: Table, width: int) -> Laid | None:
    """The first column on lines between the rows of a table of the others; None if these don't fit."""
    if not table.left or len(table.columns) == 1:
        return None
    others = replace(table, columns=table.columns[1:], left=table.left - 1, rows=[row[1:] for row in table.rows])
    found = _side_by_side(others, width - len(INDENT))
    if found is None:
        return None
    rows = []
    for row, rest in zip(table.rows, others.rows, strict=True):
        one = _set(replace(others, rows=[rest]), others.natural, width - len(INDENT))
        rows += [*_wrap(row[0], width), *(INDENT + line for line in (one.rows if one else ()))]
    return Laid((*_wrap(table.columns[0], width), *(INDENT + line for line in found.head)), tuple(rows))


def _blocks(table: Table, width: int) -> Iterator[str]:
    """Yield each row as its first column and, indented, each other heading with its value."""
    for row in table.rows:
        cells = [" ".join(cell.split("\n")) for cell in row]
        pairs = [f"{name} {cell}".strip() for name, cell in zip(table.columns, cells, strict=True) if cell]
        if table.left and cells[0]:
            yield from _wrap(cells[0], width)
            pairs = pairs[1:]
        yield from _flowed(pairs, width)


def _flowed(pairs: Sequence[str], width: int) -> Iterator[str]:
    """Yield pairs on as few lines as they fit on, each whole; a longer one wraps between words."""
    line = ""
    for pair in pairs:
        more = f"{line}{GAP}{pair}" if line else INDENT + pair
        if cell_len(more) <= width:
            line = more
            continue
        if line:
            yield line
        first, *more_lines = _wrap(pair, width - 2 * len(INDENT))
        *full, line = (INDENT + first, *(2 * INDENT + part for part in more_lines))
        yield from full
    if line:
        yield line


def _wrap(text: str, width: int) -> list[str]:
    """Return the lines of a text, wrapped between words; a longer word has a line for itself."""
    lines = []
    for paragraph in text.split("\n"):
        if cell_len(paragraph) <= width:
            lines.append(paragraph)
            continue
        line = ""
        for word in paragraph.split():
            if line and cell_len(f"{line} {word}") > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return lines


def _padded(text: str, width: int, *, left: bool) -> str:
    blank = " " * (width - cell_len(text))
    return text + blank if left else blank + text


def _width(text: str) -> int:
    return max(map(cell_len, text.split("\n")))
