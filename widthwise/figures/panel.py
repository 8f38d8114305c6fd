"""A panel: a frame with its axes, in which a part of a figure is drawn."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

from widthwise.figures.axes import Axes
from widthwise.figures.colours import FAINT, GRID, PAPER
from widthwise.figures.lettering import length, wrapped
from widthwise.figures.svg import add, text
from widthwise.figures.ticks import Tick, short

TICK, LABEL = 11, 12  # font sizes: 9 and 10 pixels where a figure is shown at 380 of its 480


WIDTH, EDGE = 480, 14  # pixels of a figure, of which a phone shows 380; and of its margin
LEFT, BELOW = 62, 50  # pixels to the left of a frame for its upright ticks, and under it for the others
ABOVE = 24  # pixels over a frame for the name of its upright axis
OVER = 12  # pixels by which a label may reach beyond its frame
TITLE, LINE = 15, 15  # font size of a heading, and pixels of a line under it


def paper(root: Element) -> Element:
    """Add the sheet that a figure is drawn on; its height is known last."""
    return add(root, "rect", x=0.5, y=0.5, width=WIDTH - 1, rx=6, fill=PAPER, stroke=GRID)


def heading(root: Element, top: float, title: str, notes: Sequence[str] = ()) -> float:
    """Write the title of a part and the lines under it, broken where they have to be; return where they end."""
    room = WIDTH - 2 * EDGE
    y = top + 5
    for line in wrapped(title, room, TITLE, bold=True):
        y += LINE + 3
        text(root, EDGE, y, line, size=TITLE, weight="600")
    for note in notes:
        for line in wrapped(note, room, LABEL):
            y += LINE
            text(root, EDGE, y, line, size=LABEL, fill=FAINT)
    return y + 8


def draw_panel(
    root: Element, axes: Axes, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick], labels: tuple[str, str] = ("", "")
) -> None:
    """Draw frame, grid lines, ticks and the names of the axes: x under the frame, y above its upright ticks."""
    x_label, y_label = labels
    area = add(root, "g", stroke=GRID, fill="none")
    for tick in x_ticks:
        x = axes.x(tick.at)
        shown = bool(tick.label) and x + length(tick.label, TICK) / 2 < axes.right + OVER
        add(area, "line", x1=x, x2=x, y1=axes.top, y2=axes.bottom + 4 * shown)
        if shown:
            text(root, x, axes.bottom + 16, tick.label, size=TICK, fill=FAINT, anchor="middle")
    for tick in y_ticks:
        y = axes.y(tick.at)
        add(area, "line", x1=axes.left - 4 * bool(tick.label), x2=axes.right, y1=y, y2=y)
        if tick.label:
            text(root, axes.left - 7, y + 4, tick.label, size=TICK, fill=FAINT, anchor="end")
    width, height = axes.right - axes.left, axes.bottom - axes.top
    add(area, "rect", x=axes.left, y=axes.top, width=width, height=height, stroke=FAINT)
    if x_label:
        text(root, axes.left + width / 2, axes.bottom + 34, x_label, size=LABEL, anchor="middle")
    if y_label:
        text(root, EDGE, axes.top - 9, y_label, size=LABEL)


def room_for(ticks: Sequence[Tick], least: float = LEFT) -> float:
    """Return the pixels to the left of a frame that the labels of its upright axis need, at least some."""
    return max(least, 10 + max((length(tick.label, TICK) for tick in ticks), default=0.0))


def clipped(root: Element, axes: Axes, name: str) -> Element:
    """Add a group whose marks end at the frame."""
    clip = SubElement(SubElement(root, "defs"), "clipPath", {"id": name})
    add(clip, "rect", x=axes.left, y=axes.top, width=axes.right - axes.left, height=axes.bottom - axes.top)
    return add(root, "g", fill="none", **{"clip-path": f"url(#{name})"})


def described(value: float | str) -> str:
    """Return the value of an axis as a figure writes it."""
    return value if isinstance(value, str) else short(float(value))
