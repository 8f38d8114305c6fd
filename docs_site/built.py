"""The built site, made ready to be served by `widthwise serve`: no inline script, nothing unused, and a list of all."""

import hashlib
import json
import posixpath
import re
import shutil
from importlib.metadata import files
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig

#: SHA-256 of every file by its path. It is written last, so a site that has it is whole; `service.guide` serves what it
#: names.
LIST = "files.json"
#: What no page of ours asks for: source maps, the search in other languages than English, and pages and lists for hosts
#: that serve a site at the root of a domain.
_UNUSED = ("assets/**/*.map", "assets/javascripts/lunr", "404.html", "sitemap.xml*", "objects.inv")
#: The theme's search, which screen readers call a dialog without a name.
_UNNAMED = 'data-md-component="search" role="dialog"'
_SCRIPTS = "assets/javascripts"
_INLINE = re.compile(r"<script>(.+?)</script>", re.DOTALL)


def on_post_build(config: MkDocsConfig) -> None:
    """Finish the site."""
    site = Path(config.site_dir)
    for path in [path for pattern in _UNUSED for path in site.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for page in sorted(site.rglob("*.html")):
        _finish(page, site)
    _copy_licence(site)
    paths = sorted(path for path in site.rglob("*") if path.is_file())
    digests = {path.relative_to(site).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    unfinished = site / f"{LIST}.new"
    unfinished.write_text(json.dumps(digests, indent=1), encoding="utf-8")
    unfinished.replace(site / LIST)  # in one step: a service may be reading it


def _finish(page: Path, site: Path) -> None:
    """Move the theme's inline scripts into files, so that no policy needs 'unsafe-inline', and name its search."""

    def moved(found: re.Match[str]) -> str:
        name = f"{_SCRIPTS}/inline.{hashlib.sha256(found[1].encode()).hexdigest()[:8]}.js"
        (site / name).write_text(found[1], encoding="utf-8")
        return f'<script src="{posixpath.relpath(name, page.parent.relative_to(site).as_posix())}"></script>'

    text = page.read_text(encoding="utf-8").replace(_UNNAMED, f'{_UNNAMED} aria-label="Search"')
    page.write_text(_INLINE.sub(moved, text), encoding="utf-8")


def _copy_licence(site: Path) -> None:
    """The theme's scripts and styles are part of the site, and its licence asks to be with them."""
    (licence,) = (path for path in files("mkdocs-material") or () if path.match("*.dist-info/**/LICENSE"))
    (site / "assets" / "mkdocs-material-license.txt").write_text(licence.read_text(), encoding="utf-8")
