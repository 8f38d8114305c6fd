"""The parts that every plot of a calibration is made of: elements, text, marks and colours."""

import math
import re
from collections.abc import Sequence
from typing import Protocol
from xml.etree.ElementTree import Element, SubElement

INK, FAINT, GRID, PAPER = (
    "#1f2430",
    "#5b6273",
    "#e4e7ee",
    "#ffffff",
)  # with its own background, so that it fits any page
#: viridis without its yellow end, which is too light for lines on white; ordered in lightness, so it reads in
#: grey and with any colour blindness (van der Walt and Smith 2015).
RAMP = ((0x44, 0x01, 0x54), (0x41, 0x44, 0x87), (0x2A, 0x78, 0x8E), (0x22, 0xA0, 0x84), (0x5F, 0xB0, 0x3C))
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


class Scales(Protocol):
    """Axes: where a value lies, in pixels."""

    def x(self, value: float, /) -> float:
        """From the left."""

    def y(self, value: float, /) -> float:
        """From the top."""


def document(width: int, height: int, title: str) -> Element:
    """Return an empty plot on its own background, with a title for screen readers."""
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "role": "img",
            "font-family": "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif",
            "font-size": "12",
            "fill": INK,
        },
    )
    SubElement(root, "title").text = title
    return root


def tick_step(span: float) -> float:
    """Return a round step, 1, 2 or 5 times a power of ten, that makes four to ten ticks."""
    rough = span / 8
    power = 10.0 ** math.floor(math.log10(rough))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough)


def ramp(position: float) -> str:
    """Return a colour of the ramp: 0 for the smallest width, 1 for the largest."""
    at = position * (len(RAMP) - 1)
    k = min(int(at), len(RAMP) - 2)
    mixed = (round(a + (b - a) * (at - k)) for a, b in zip(RAMP[k], RAMP[k + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def clean(text: str) -> str:
    """Return text without the characters that XML does not allow, even escaped."""
    return NOT_XML.sub("�", text)


def add(parent: Element, tag: str, **attributes: float | str) -> Element:
    """Add a child element; numbers are rounded to a tenth of a pixel, finer than any screen shows."""
    return SubElement(
        parent, tag, {k: v if isinstance(v, str) else f"{v:.2f}".rstrip("0").rstrip(".") for k, v in attributes.items()}
    )


def text(
    parent: Element,
    x: float,
    y: float,
    words: str,
    *,
    size: int = 12,
    fill: str = INK,
    anchor: str = "start",
    weight: str = "400",
) -> Element:
    """Add one line of text at a point."""
    style: dict[str, float | str] = {"font-size": size, "text-anchor": anchor, "font-weight": weight, "stroke": "none"}
    element = add(parent, "text", x=x, y=y, fill=fill, **style)
    element.text = words
    return element


def path(parent: Element, axes: Scales, points: Sequence[tuple[float, float]], **style: float | str) -> None:
    """Add a line through points in the units of the axes; nothing for fewer than two."""
    if len(points) > 1:
        steps = " L".join(f"{axes.x(x):.1f} {axes.y(y):.1f}" for x, y in points)
        add(parent, "path", d=f"M{steps}", **style)


def key_line(parent: Element, x: float, y: float, **style: str) -> Element:
    """Add a short line for a legend."""
    return add(parent, "line", x1=x, x2=x + 20, y1=y - 4, y2=y - 4, **style)


def diamond(parent: Element, x: float, y: float, fill: str, stroke: str) -> Element:
    """Add the mark of an optimum."""
    outline = f"M{x - 5:.1f} {y:.1f} L{x:.1f} {y - 6:.1f} L{x + 5:.1f} {y:.1f} L{x:.1f} {y + 6:.1f} Z"
    return add(parent, "path", d=outline, fill=fill, stroke=stroke, **{"stroke-width": 1.6})


def cross(parent: Element, x: float, y: float, opacity: float) -> Element:
    """Add the mark of a divergence."""
    outline = f"M{x - 4:.1f} {y - 4:.1f} L{x + 4:.1f} {y + 4:.1f} M{x - 4:.1f} {y + 4:.1f} L{x + 4:.1f} {y - 4:.1f}"
    return add(parent, "path", d=outline, opacity=opacity)


def bar(parent: Element, x: float, y: float, opacity: float) -> Element:
    """Add the mark of a trial that was stopped early."""
    return add(parent, "path", d=f"M{x:.1f} {y - 4:.1f} L{x:.1f} {y + 4:.1f}", opacity=opacity)


def arrow(parent: Element, x: float, y: float, direction: int, length: float = 26) -> Element:
    """Add a horizontal arrow, the mark of an optimum beyond the grid; direction −1 (left) or 1."""
    tip, neck = x + direction * length, x + direction * (length - 8)
    add(parent, "line", x1=x, x2=neck, y1=y, y2=y, **{"stroke-width": 2.2})
    outline = f"M{tip:.1f} {y:.1f} L{neck:.1f} {y - 5:.1f} L{neck:.1f} {y + 5:.1f} Z"
    return add(parent, "path", d=outline)
