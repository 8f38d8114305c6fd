"""The guide as `make docs` built it, and the words that the service's pages link to it."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs_site.links import anchors
from service.dashboard.assets import ASSETS, asset
from service.dashboard.terms import GLOSSARY
from service.dashboard.views import VIEWS, view_page
from service.guide.site import TYPES
from tests.docs.blocks import ROOT
from widthwise.vocabulary import Role

SITE = ROOT / "build" / "site"
MARKDOWN = ROOT / "docs" / "glossary.md"


@pytest.fixture(scope="module")
def listed() -> dict[str, str]:
    """The digest of every file of the built site."""
    assert (SITE / "files.json").is_file(), "this needs the built documentation: make docs"
    found: dict[str, str] = json.loads((SITE / "files.json").read_text(encoding="utf-8"))
    return found


def pages(listed: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield every page of the site with its HTML, without what is shown as code."""
    for name in listed:
        if name.endswith(".html"):
            yield name, (SITE / name).read_text(encoding="utf-8")


def test_the_list_is_whole_and_every_file_can_be_served(listed: dict[str, str]) -> None:
    there = {path.relative_to(SITE).as_posix(): path for path in SITE.rglob("*") if path.is_file()}
    del there["files.json"]
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()} == listed
    assert {Path(name).suffix for name in listed} <= TYPES.keys()
    assert {"index.html", "docs/glossary.html", "search/search_index.json"} <= listed.keys()


def test_no_page_has_a_script_or_style_inside(listed: dict[str, str]) -> None:
    """The policy would block it, and the page would look right to all who build it."""
    found = list(pages(listed))
    assert len(found) > 60
    for name, text in found:
        inside = re.findall(r"<script(?![^>]*\b(?:src=|type=\"application/json\"))[^>]*>", text)
        assert inside == [], name
        assert re.findall(r"<style\b|<[a-z][^<>]*\s(?:style|on[a-z]+)=\"", text) == [], name


def test_no_page_loads_from_elsewhere(listed: dict[str, str]) -> None:
    for name, text in pages(listed):
        loaded = re.findall(r'<(?:script|img|iframe|source)\b[^>]*\ssrc="([^"]+)"', text)
        loaded += re.findall(r'<link\b[^>]*\shref="([^"]+)"', text)
        assert loaded
        for address in loaded:
            assert not re.match(r"[a-z]+:|/", address), (name, address)
            assert ((SITE / name).parent / address.partition("#")[0]).is_file(), (name, address)


def test_it_comes_with_the_licence_of_the_theme(listed: dict[str, str]) -> None:
    assert "Permission is hereby granted" in (SITE / "assets/mkdocs-material-license.txt").read_text(encoding="utf-8")


def linked() -> dict[str, set[str]]:
    """By page and by script, the words that it links to the glossary."""
    pages = {name: set(re.findall(rf'"{GLOSSARY}#([^"]+)"', view_page(name))) for name in VIEWS}
    scripts = {name: asset(name).decode("utf-8") for name in ASSETS if name.endswith(".js")}
    named = {name: set(re.findall(r'termLink\("([^"]+)"', text)) for name, text in scripts.items()}
    of_quantities = re.findall(r'"([^"]+)"', scripts["calculator/plan.js"].split("TERMS = {")[1].split("}")[0])
    return {**pages, **named, "calculator/plan.js": set(of_quantities), "roles": {role.value for role in Role}}


def test_every_word_that_is_linked_has_an_entry() -> None:
    words = linked()
    assert len(set().union(*words.values())) > 40  # fewer: the search lost the links
    assert {name: found - anchors(MARKDOWN) for name, found in words.items() if found - anchors(MARKDOWN)} == {}


def test_scripts_and_pages_link_to_one_glossary() -> None:
    assert f'const GLOSSARY = "{GLOSSARY}";' in asset("shared/terms.js").decode("utf-8")
    assert f"/guide/{MARKDOWN.relative_to(ROOT).with_suffix('.html')}" == GLOSSARY


def test_every_entry_is_in_the_built_glossary(listed: dict[str, str]) -> None:
    text = (SITE / "docs/glossary.html").read_text(encoding="utf-8")
    assert set(re.findall(r'<h2 id="([^"]+)"', text)) == anchors(MARKDOWN) - {"glossary"}


def test_the_glossary_is_in_the_order_of_its_words() -> None:
    headings = re.findall(r"^## (.+)$", MARKDOWN.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == sorted(headings, key=str.lower)
