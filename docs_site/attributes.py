"""Docstrings as the sources write them: `#:` comments describe attributes, and doctests are code."""

import re
from typing import Any

from griffe import Attribute, Docstring, Extension, Object

_DOCTEST = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)


class Comments(Extension):
    """Take what `#:` says as the docstring of its attribute, and set doctests as code."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Set the doctests of one docstring as code."""
        if obj.docstring is not None:
            obj.docstring.value = _DOCTEST.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)

    def on_attribute(self, *, attr: Attribute, **_: Any) -> None:
        """Take the docstring of one attribute from its comment, if it has one."""
        if attr.docstring is None and attr.lineno is not None:
            lines = attr.lines_collection[attr.filepath]
            said = _said(lines, attr.lineno - 1, (attr.endlineno or attr.lineno) - 1)
            attr.docstring = Docstring(said, lineno=attr.lineno, parent=attr) if said else None


def _said(lines: list[str], first: int, last: int) -> str:
    """Return the comment at the end of the last line, else the one above the first."""
    if "  #: " in lines[last]:
        return lines[last].partition("  #: ")[2].strip()
    above: list[str] = []
    while first > 0 and lines[first - 1].lstrip().startswith("#: "):
        first -= 1
        above.insert(0, lines[first].strip().removeprefix("#: "))
    return " ".join(above)
