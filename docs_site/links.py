"""Links in Markdown: what a page links to inside the repository, and the anchors that a page has."""

import re
from pathlib import Path
from urllib.parse import unquote

_LINK = re.compile(r"\]\(\s*<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_FENCE = re.compile(r"^( *)(`{3,}|~{3,})[^\n]*\n.*?^\1\2$", re.MULTILINE | re.DOTALL)


def links(path: Path) -> list[str]:
    """Return every link of a page as it is written, without those in code."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    return _LINK.findall(re.sub(r"`[^`\n]*`(?!\])", "", text))


def targets(path: Path) -> list[Path]:
    """Return the files that a page links to in the repository; anchors and addresses on the network are left out."""
    inside = [unquote(link.partition("#")[0]) for link in links(path) if not re.match(r"[a-z]+:", link)]
    return [(path.parent / link).resolve() for link in inside if link]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts and MkDocs make them."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.strip().lower(), flags=re.ASCII).replace(" ", "-")
        found.add(slug)
    return found
