"""The files of the site: the repository's own pages at their own addresses, what they link to, and the reference.

A page keeps its path in the repository, so that one relative link works on a code host and in the site.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

from docs_site import commands, http, python
from docs_site.links import targets

ROOT = Path(__file__).parents[1]
#: Pages that are written from the code at each build, by their address.
REFERENCE = {
    "docs/reference/python.md": python.page,
    "docs/reference/http.md": http.page,
    "docs/reference/commands.md": commands.page,
}
#: Of the site's own files, those that stand in docs_site, by their address.
_ASSETS = {"assets/site.css": "site.css", "assets/scrolling.js": "scrolling.js"}
#: Every page of the service in every width and scheme: pictures for those who change it, larger than all of the site.
_GALLERY = "docs/pictures/README.md"
_FOLDERS = ("docs/decisions", "docs/results")  # every page of these stands in the navigation, under its README


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of folders into the navigation, so that a new one needs no line there."""
    config.nav = [_whole(entry) for entry in config.nav or []]
    return config


def _whole(entry: object) -> object:
    if isinstance(entry, list):
        return [_whole(each) for each in entry]
    if not isinstance(entry, dict):
        return entry
    ((title, value),) = entry.items()
    if isinstance(value, str) and (folder := value.removesuffix("/README.md")) in _FOLDERS:
        others = sorted(path for path in (ROOT / folder).glob("*.md") if path.name != "README.md")
        return {title: [value, *(path.relative_to(ROOT).as_posix() for path in others)]}
    return {title: _whole(value) if isinstance(value, list) else value}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take the pages of docs/ at their paths in the repository, the README, and whatever these link to."""
    kept = [file for file in files if file.src_dir != config.docs_dir]
    names = {"README.md", *(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))} - {_GALLERY}
    shown = set(names)
    waiting = sorted(names)
    while waiting:
        for target in targets(ROOT / waiting.pop()):
            name = target.relative_to(ROOT).as_posix()
            if name not in names and target.is_file():  # the build names what leads nowhere
                names.add(name)
                waiting += [name] if name.endswith(".md") else []
    for name in sorted(names):
        file = File(name, str(ROOT), config.site_dir, config.use_directory_urls)
        file.inclusion = InclusionLevel.INCLUDED if name in shown else InclusionLevel.NOT_IN_NAV
        kept.append(file)
    kept += [File.generated(config, name, content=write()) for name, write in REFERENCE.items()]
    for name, own in _ASSETS.items():
        kept.append(File.generated(config, name, abs_src_path=str(Path(__file__).parent / own)))
    return Files(kept)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Set formulas as the site's extension reads them: a code host shows ```math, MkDocs $$."""
    return re.sub(r"^```math\n(.*?)^```$", r"$$\n\1$$", markdown, flags=re.MULTILINE | re.DOTALL)
