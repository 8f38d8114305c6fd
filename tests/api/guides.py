"""Guides to serve: a small one that is built, and one that is not."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from service.guide.site import Guide

ADVICE = "Run `make docs`, then load this page again."
#: What a small site has, by name.
FILES = {
    "index.html": '<!doctype html><title>Widthwise</title><a href="docs/glossary.html">Glossary</a>',
    "docs/glossary.html": '<!doctype html><title>Glossary</title><h2 id="alignment">Alignment</h2>',
    "docs/results/index.html": "<!doctype html><title>Results</title>",
    "docs/figures/plan.svg": '<svg xmlns="http://www.w3.org/2000/svg"><style>g { fill: red; }</style></svg>',
    "docs/results/depth.json": '{"width": 64}',
    "assets/bundle.js": "addEventListener('load', () => {});",
    "assets/main.css": "body { margin: 0; }",
    "assets/license.txt": "MIT",
    "search/search_index.json": '{"docs": []}',
}


def build_guide(folder: Path, files: Mapping[str, str] = FILES) -> Guide:
    """Write a small site into a folder; return the guide that it is."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    (folder / "files.json").write_text(json.dumps(digests), encoding="utf-8")
    return Guide(folder, ADVICE)
