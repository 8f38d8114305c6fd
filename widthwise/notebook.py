"""HTML of tables and figures, as notebooks show them; every text is escaped, since names come from users."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from widthwise.caution import Caution

MOST_ROWS = 60  # chosen: what a reader scrolls through; the object has the rest
Place = Mapping[str, float | str]


def heading(text: str) -> str:
    """Return a line in bold."""
    return f"<p><b>{escape(text)}</b></p>"


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]], *, words: int = 1) -> str:
    """Return a table; the first `words` columns are words, the others numbers. Of many rows the first ones are shown.

    >>> "&lt;b&gt;" in table("A table", ("name",), [("<b>",)])
    True
    """
    every = list(rows)
    head_cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{_cells(row, words)}</tr>" for row in every[:MOST_ROWS])
    if len(every) > MOST_ROWS:
        body += f'<tr><td colspan="{len(head)}">and {len(every) - MOST_ROWS} more</td></tr>'
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head_cells}</tr></thead><tbody>{body}</tbody></table>"
    )


def _cells(row: Sequence[object], words: int) -> str:
    sides = ("left" if place < words else "right" for place in range(len(row)))
    return "".join(
        f'<td style="text-align:{side}">{escape(str(value))}</td>' for side, value in zip(sides, row, strict=True)
    )


def picture(drawing: str | bytes, media_type: str = "image/svg+xml") -> str:
    """Return a drawing as an image, so that nothing in an SVG can run or restyle the page."""
    data = b64encode(drawing.encode() if isinstance(drawing, str) else drawing).decode()
    return f'<img alt="figure" style="max-width:100%" src="data:{escape(media_type)};base64,{data}"/>'


def warnings(cautions: Iterable[Caution]) -> str:
    """Return a list of warnings; nothing if there are none."""
    found = [f"<li>{escape(one.code)}: {escape(one.message)}</li>" for one in cautions]
    return f"<p>Warnings</p><ul>{''.join(found)}</ul>" if found else ""


def described(title: str, members: Mapping[str, object]) -> str:
    """Return an object as a table with a row for each member."""
    return table(title, ("field", "value"), [(name, _short(value)) for name, value in members.items()], words=2)


def optima(found: Iterable[tuple[Place, float, Sequence[float], str | None]]) -> str:
    """Return the best rate of each cell of a sweep as a table: axes, rate, interval, edge."""
    every = list(found)
    axes = list(dict.fromkeys(name for place, *_ in every for name in place))
    rows = [
        (*(number(place.get(name)) for name in axes), f"{rate:.3g}", interval(ends), edge or "")
        for place, rate, ends, edge in every
    ]
    return table("Best learning rate of each cell", (*axes, "learning rate", "95 % interval", "edge"), rows, words=0)


def law(found: Iterable[tuple[str, float, Sequence[float]]]) -> str:
    """Return the parameters of a sweep's law as a table: name, value, interval."""
    rows = [(name, f"{value:+.3f}", interval(ends, "+.3f")) for name, value, ends in found]
    return table("Law over the axes", ("parameter", "value", "95 % interval"), rows)


def number(value: Any) -> str:
    """Return a value as a cell shows it."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def interval(ends: Sequence[float] | None, form: str = ".3g") -> str:
    """Return both ends of an interval."""
    return "–" if ends is None else f"{format(ends[0], form)} … {format(ends[1], form)}"


def _short(value: object, most: int = 200) -> str:
    text = number(value)
    return text if len(text) <= most else text[: most - 1] + "…"
