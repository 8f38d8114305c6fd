"""The pages' scripts, styles and images: what may be served, and what each script needs."""

import hashlib
import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "assets"
TYPES = {".css": "text/css", ".svg": "image/svg+xml", ".js": "text/javascript"}
#: Every asset by its name under /assets: those that were there at the start, and nothing that a path could reach.
ASSETS = {path.relative_to(FOLDER).as_posix(): path for path in sorted(FOLDER.rglob("*")) if path.suffix in TYPES}

_IMPORT = re.compile(r'^import (?:.*? from )?"/assets/([^"]+)";$', re.MULTILINE)

_RELEASE = re.compile(r"([0-9a-f]{12})/")


@cache
def asset(name: str) -> bytes:
    """Return the content of an asset."""
    return ASSETS[name].read_bytes()


@cache
def release() -> str:
    """Return what stands in the addresses of all assets: it changes if any of them does, so that they can be kept."""
    digest = hashlib.sha256()
    for name in ASSETS:
        digest.update(b"%s\0%d\0%s" % (name.encode(), len(asset(name)), asset(name)))
    return digest.hexdigest()[:12]


def with_release(text: str) -> str:
    """Return a page or a script with the addresses of this release wherever it names an asset.

    >>> with_release('from "/assets/a.js"') == f'from "/assets/{release()}/a.js"'
    True
    """
    return text.replace('"/assets/', f'"/assets/{release()}/')


def found(path: str) -> tuple[str, bytes, bool] | None:
    """Return the name and the content of what a path under /assets names, and whether it may be kept for good.

    A page of another release gets what is there now, so that it works while servers are upgraded one after another.
    """
    of_release = _RELEASE.match(path)
    name = path[of_release.end() :] if of_release else path
    if name not in ASSETS:
        return None
    content = _of_release(name) if of_release else asset(name)
    return name, content, of_release is not None and of_release[1] == release()


@cache
def _of_release(name: str) -> bytes:
    content = asset(name)
    return with_release(content.decode("utf-8")).encode() if name.endswith(".js") else content


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
