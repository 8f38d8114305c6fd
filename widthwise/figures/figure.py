"""A figure: one drawing and the numbers in it, as SVG, PDF, PNG and CSV."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from widthwise.errors import InvalidInputError
from widthwise.figures import printing

Cell = str | float | int | None
MEDIA_TYPES = {
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "png": "image/png",
    "csv": "text/csv; charset=utf-8",
}
SCALE = 3.0  # pixels of a PNG for each of the drawing's 480 (chosen): sharp on a page at 12 cm and on a slide


@dataclass(frozen=True)
class Figure:
    """One drawing and its data. A notebook shows it, `save` writes it in the format that the file's name says.

    The drawing changes its colours where the viewer prefers a dark page; PDF and PNG are for paper.
    """

    title: str
    drawing: str  #: SVG, which needs nothing from elsewhere
    columns: tuple[str, ...]  #: of the data
    rows: tuple[tuple[Cell, ...], ...]  #: the data: a row for each mark, None where a column doesn't apply

    def svg(self) -> str:
        """Return the drawing."""
        return self.drawing

    def csv(self) -> str:
        """Return the data, with a line for each mark of the drawing."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in self.rows)
        return text.getvalue()

    def pdf(self) -> bytes:
        """Return the drawing as a page of PDF; needs the extra `figures`."""
        return printing.pdf(self.drawing)

    def png(self, scale: float = SCALE) -> bytes:
        """Return the drawing as PNG; needs the extra `figures`."""
        return printing.png(self.drawing, scale)

    def encoded(self, suffix: str) -> bytes:
        """Return the figure in a format: "svg", "pdf", "png" or "csv"."""
        if suffix == "svg":
            return self.svg().encode()
        if suffix == "csv":
            return self.csv().encode()
        return self.pdf() if suffix == "pdf" else self.png()

    def save(self, path: str | Path) -> None:
        """Write the figure in the format that the name of the file ends in.

        Raises `InvalidInputError` for another ending, a file that can't be written, or PDF and PNG without the extra.
        """
        file = Path(path)
        suffix = suffix_of(file)
        content = self.encoded(suffix)
        try:
            file.write_bytes(content)
        except OSError as error:
            raise InvalidInputError(f"{file} can't be written: {error.strerror}", field="plot") from None

    def _repr_svg_(self) -> str:
        return self.drawing


def suffix_of(file: Path) -> str:
    """Return the format that a file's name asks for. Raises `InvalidInputError` for one that there isn't."""
    suffix = file.suffix.lower().removeprefix(".")
    if suffix not in MEDIA_TYPES:
        known = ", ".join(f".{each}" for each in MEDIA_TYPES)
        raise InvalidInputError(f"{file}: a figure's file ends in one of {known}", field="plot")
    return suffix


class Rows:
    """The data of a figure while it is drawn: each row names the columns that it fills."""

    def __init__(self, *columns: str) -> None:
        self.columns = columns
        self._rows: list[tuple[Cell, ...]] = []

    def add(self, **cells: Cell) -> None:
        """Add a row."""
        unknown = cells.keys() - set(self.columns)
        if unknown:
            raise ValueError(f"no column of this figure: {', '.join(sorted(unknown))}")
        self._rows.append(tuple(cells.get(name) for name in self.columns))

    def of(self, title: str, drawing: str) -> Figure:
        """Return the figure with these rows."""
        return Figure(title, drawing, self.columns, tuple(self._rows))
