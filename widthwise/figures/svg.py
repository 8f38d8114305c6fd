"""The parts that every figure is made of: elements, text and marks."""

import hashlib
from collections.abc import Sequence
from typing import Protocol
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from widthwise.figures.colours import INK, add_dark_page
from widthwise.figures.lettering import clean


class Scales(Protocol):
    """Axes: where a value lies, in pixels."""

    def x(self, value: float, /) -> float:
        """From the left."""

    def y(self, value: float, /) -> float:
        """From the top."""


def document(width: int, title: str) -> Element:
    """Return an empty drawing, with a title for screen readers."""
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": str(width),
            "role": "img",
            "font-family": "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif",
            "font-size": "12",
            "fill": INK,
        },
    )
    SubElement(root, "title").text = clean(title)
    return root


def written(root: Element, height: float) -> str:
    """Return the drawing as text, once its height is known."""
    root.set("height", f"{height:.0f}")
    root.set("viewBox", f"0 0 {root.get('width')} {height:.0f}")
    add_dark_page(root)
    _name_apart(root)
    indent(root)
    return tostring(root, encoding="unicode")


def _name_apart(root: Element) -> None:
    """Add a suffix to ids, since a notebook has many figures in one document."""
    suffix = hashlib.sha256(tostring(root)).hexdigest()[:8]
    for each in root.iter():
        if "id" in each.attrib:
            each.set("id", f"{each.get('id')}-{suffix}")
        if clip := each.get("clip-path"):
            each.set("clip-path", clip.replace(")", f"-{suffix})"))


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
    element.text = clean(words)
    return element


def path(parent: Element, axes: Scales, points: Sequence[tuple[float, float]], **style: float | str) -> None:
    """Add a line through points in the units of the axes; nothing for fewer than two."""
    if len(points) > 1:
        steps = " L".join(f"{axes.x(x):.1f} {axes.y(y):.1f}" for x, y in points)
        add(parent, "path", d=f"M{steps}", **style)


def key_line(parent: Element, x: float, y: float, *, stroke: str = "", width: float = 0, dashes: str = "") -> Element:
    """Add a short line for a legend; what is not given is that of the group."""
    style: dict[str, float | str] = {"stroke": stroke, "stroke-width": width or "", "stroke-dasharray": dashes}
    given = {name: value for name, value in style.items() if value != ""}
    return add(parent, "line", x1=x, x2=x + 20, y1=y, y2=y, **given)


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
