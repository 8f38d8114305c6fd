"""What holds for every figure: nothing overlaps, nothing is cut off, every number is finite."""

import math
import re
from itertools import combinations
from typing import NamedTuple
from xml.etree import ElementTree

from widthwise.figures.lettering import length

SVG = "{http://www.w3.org/2000/svg}"
_NO_NUMBER = re.compile(r"\b(nan|inf)\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_ACROSS, _UP = ("x", "x1", "x2", "cx"), ("y", "y1", "y2", "cy")


class Box(NamedTuple):
    """Where some words stand."""

    words: str
    left: float
    right: float
    top: float
    bottom: float

    def hits(self, other: "Box") -> bool:
        """Whether some of it lies on the other."""
        across = self.left < other.right - 0.5 and other.left < self.right - 0.5
        return across and self.top < other.bottom - 0.5 and other.top < self.bottom - 0.5


def boxes(root: ElementTree.Element) -> list[Box]:
    """Where all words stand, by the widest font that is likely."""
    found = []
    for element in root.iter(f"{SVG}text"):
        size, words = float(element.attrib["font-size"]), element.text or ""
        reach = length(words, size, bold=element.attrib["font-weight"] == "600")
        x, y = float(element.attrib["x"]), float(element.attrib["y"])
        left = x - {"start": 0, "middle": reach / 2, "end": reach}[element.attrib["text-anchor"]]
        found.append(Box(words, left, left + reach, y - 0.75 * size, y + 0.2 * size))
    return found


def check_layout(drawing: str) -> ElementTree.Element:
    """Return a figure's root after the checks."""
    root = ElementTree.fromstring(drawing)  # noqa: S314  our own text
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    assert root.attrib["viewBox"] == f"0 0 {width:.0f} {height:.0f}"
    placed = boxes(root)
    assert [box for box in placed if box.left < 0 or box.right > width or box.top < 0 or box.bottom > height] == []
    assert [(one.words, other.words) for one, other in combinations(placed, 2) if one.hits(other)] == []
    clipped = {each for group in root.iter(f"{SVG}g") if "clip-path" in group.attrib for each in group.iter()}
    for element in root.iter():
        for name, value in element.attrib.items():
            if name in ("d", *_ACROSS, *_UP, "width", "height", "r", "points"):
                assert not _NO_NUMBER.search(value), (element.tag, name, value)
            if element in clipped or element.tag == f"{SVG}text":
                continue
            if name in _ACROSS:
                assert -0.5 <= float(value) <= width + 0.5, (element.tag, name, value)
            if name in _UP:
                assert -0.5 <= float(value) <= height + 0.5, (element.tag, name, value)
        if element.tag == f"{SVG}path":
            assert all(math.isfinite(float(number)) for number in _NUMBER.findall(element.attrib["d"]))
    return root
