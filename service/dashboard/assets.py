"""The pages' scripts, styles and images: what may be served, and what each script needs."""

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "assets"
TYPES = {".css": "text/css", ".svg": "image/svg+xml", ".js": "text/javascript"}
#: Every asset by its name under /assets: those that were there at the start, and nothing that a path could reach.
ASSETS = {path.relative_to(FOLDER).as_posix(): path for path in sorted(FOLDER.rglob("*")) if path.suffix in TYPES}

_IMPORT = re.compile(r'^import (?:.*? from )?"/assets/([^"]+)";$', re.MULTILINE)


@cache
def asset(name: str) -> bytes:
    """Return the content of an asset."""
    return ASSETS[name].read_bytes()


@cache
def needed_by(name: str) -> tuple[str, ...]:
    """Return the modules that a script imports, and those that they import, without the script itself."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        for each in _IMPORT.findall(asset(waiting.pop()).decode("utf-8")):
            if each not in found:
                found[each] = None
                waiting.append(each)
    return tuple(found)
