"""A panel: a frame with its axes, in which a part of a figure is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from widthwise.figures.axes import Axes
from widthwise.figures.svg import FAINT, GRID, add, clean, text
from widthwise.figures.ticks import LETTER, short

TICK, LABEL = 11, 12  # font sizes: 9 and 10 pixels where a figure is shown at 380 of its 480


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float  #: in the units of the axis
    label: str


def draw_panel(
    root: Element, axes: Axes, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick], labels: tuple[str, str] = ("", "")
) -> None:
    """Draw frame, grid lines, ticks and the names of the axes, x before y."""
    x_label, y_label = labels
    area = add(root, "g", stroke=GRID, fill="none")
    for tick in x_ticks:
        add(area, "line", x1=axes.x(tick.at), x2=axes.x(tick.at), y1=axes.top, y2=axes.bottom + 4)
        text(root, axes.x(tick.at), axes.bottom + 16, tick.label, size=TICK, fill=FAINT, anchor="middle")
    for tick in y_ticks:
        add(area, "line", x1=axes.left - 4, x2=axes.right, y1=axes.y(tick.at), y2=axes.y(tick.at))
        text(root, axes.left - 7, axes.y(tick.at) + 4, tick.label, size=TICK, fill=FAINT, anchor="end")
    width, height = axes.right - axes.left, axes.bottom - axes.top
    add(area, "rect", x=axes.left, y=axes.top, width=width, height=height, stroke=FAINT)
    if x_label:
        text(root, axes.left + width / 2, axes.bottom + 34, x_label, size=LABEL, anchor="middle")
    if y_label:
        label = text(root, 0, 0, y_label, size=LABEL, anchor="middle")
        label.set("transform", f"translate({axes.left - 46:.1f} {axes.top + height / 2:.1f}) rotate(-90)")


def clipped(root: Element, axes: Axes, name: str) -> Element:
    """Add a group whose marks end at the frame."""
    clip = SubElement(SubElement(root, "defs"), "clipPath", {"id": name})
    add(clip, "rect", x=axes.left, y=axes.top, width=axes.right - axes.left, height=axes.bottom - axes.top)
    return add(root, "g", fill="none", **{"clip-path": f"url(#{name})"})


def fitting(words: str, pixels: float, size: int) -> str:
    """Return words, cut short if they are longer than this."""
    most = max(int(pixels / (LETTER * size)), 2)
    cleaned = clean(words)
    return cleaned if len(cleaned) <= most else cleaned[: most - 1] + "…"


def described(value: float | str) -> str:
    """Return the value of an axis as a figure writes it."""
    return value if isinstance(value, str) else short(float(value))
