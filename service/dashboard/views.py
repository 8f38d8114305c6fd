"""The pages that ask the API: each a piece of HTML in `views`, with its script and perhaps its style."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from service.dashboard.assets import ASSETS, needed_by, with_release
from service.dashboard.bar import bar
from service.dashboard.lists import with_choices, with_roles
from service.dashboard.parameters import with_parameters
from service.dashboard.terms import term_link

_FOLDER = Path(__file__).parent
_PART = re.compile(r"<!-- part (\w+) -->\n")
_TERM = re.compile(r"<!-- term ([\w-]+) -->")


@dataclass(frozen=True)
class Screen:
    """A view: where it is found, what it is called, and the page of the bar that it belongs to."""

    path: str
    title: str
    bar: str


#: By name: `views/NAME.html` is its content, `assets/NAME/NAME.js` its script, `assets/NAME/NAME.css` its style if any.
#: What several pages have is in `views/parts`.
VIEWS: Mapping[str, Screen] = {
    "calculator": Screen("/", "Transfer", "/"),
    "calibrations": Screen("/calibrations", "Calibrations", "/calibrations"),
    "calibration": Screen("/calibrations/{id}", "Calibration", "/calibrations"),
    "sweeps": Screen("/sweeps", "Sweeps", "/sweeps"),
    "sweep": Screen("/sweeps/{id}", "Sweep", "/sweeps"),
    "exponents": Screen("/exponents", "Exponents", "/exponents"),
    "workers": Screen("/workers", "Workers and queue", "/workers"),
}


@cache
def view_page(name: str) -> str:
    """Return the HTML of a view. It is the same for everybody: what is in it comes from the API."""
    view = VIEWS[name]
    views = _FOLDER / "views"
    parts = (views / f"{name}.html").read_text(encoding="utf-8")
    content = _PART.sub(lambda found: (views / "parts" / f"{found[1]}.html").read_text(encoding="utf-8"), parts)
    shell = (_FOLDER / "shell.html").read_text(encoding="utf-8")
    page = (
        shell.replace("<!-- title -->", escape(view.title))
        .replace("<!-- assets -->", _assets(name))
        .replace("<!-- bar -->", bar(view.bar))
        .replace("<!-- view -->", with_choices(with_parameters(with_roles(content))))
    )
    return with_release(_TERM.sub(lambda found: term_link(found[1]), page))


def _assets(name: str) -> str:
    """The modules are named in the head, so that a browser need not read one to learn of the next."""
    style, script = f"{name}/{name}.css", f"{name}/{name}.js"
    lines = [f'<link rel="stylesheet" href="/assets/{style}">'] if style in ASSETS else []
    lines += [f'<link rel="modulepreload" href="/assets/{each}">' for each in needed_by(script)]
    lines.append(f'<script src="/assets/{script}" type="module"></script>')
    return "\n".join(lines)
