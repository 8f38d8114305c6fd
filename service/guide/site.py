"""The built guide: which files it has. `make docs` builds it, and the server's wheel brings it along."""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]
#: Of the files in a guide by the ends of their names; no others are served.
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_LIST = "files.json"  # written by docs_site/built.py once the site is whole


def built_guide() -> "Guide":
    """Return the guide of this installation: the last one built in a checkout, or the one that came with the wheel."""
    if (_CHECKOUT / "mkdocs.yml").is_file():
        return Guide(_CHECKOUT / "build" / "site", "Run `make docs`, then load this page again.")
    advice = "This server came without a guide: run `make docs` in its checkout, then install it from there again."
    return Guide(Path(__file__).parent / "site", advice)


@dataclass(frozen=True)
class GuideFile:
    """A file of the guide as it is sent."""

    content: bytes = field(repr=False)
    media_type: str
    digest: str  #: SHA-256


@dataclass(frozen=True)
class Guide:
    """A folder with a built site. It may be built, or built again, while the service runs."""

    folder: Path
    advice: str  #: what to do if the site is not there

    def is_built(self) -> bool:
        """Whether the whole site is there."""
        return (self.folder / _LIST).is_file()

    def file(self, address: str) -> GuideFile | None:
        """Return the file at an address below /guide/, or None. No address leads to a file that the list lacks."""
        name = f"{address}index.html" if not address or address.endswith("/") else address
        try:
            listed = self.folder / _LIST
            digest = _read(listed, listed.stat().st_mtime_ns).get(name)
            kind = TYPES.get(Path(name).suffix)
            if digest is None or kind is None:
                return None
            return GuideFile((self.folder / name).read_bytes(), kind, digest)
        except FileNotFoundError:
            return None  # not built, or being built again


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> dict[str, str]:
    """Return the digests of a site by name. _changed: when the list was written; a later one is read again."""
    listed: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return listed
