"""The guide as `make docs` built it, and the words that the service's pages link to it."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs_site.links import anchors
from service.guide.site import TYPES
from service.guide.terms import TERMS
from tests.docs.blocks import ROOT

SITE = ROOT / "build" / "site"
GLOSSARY = ROOT / "docs" / "glossary.md"


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


def test_every_word_has_a_heading_in_the_glossary_and_every_heading_a_word() -> None:
    addresses = {address.partition("#")[0] for address in TERMS.values()}
    assert addresses == {f"/guide/{GLOSSARY.relative_to(ROOT).with_suffix('.html')}"}
    assert {address.partition("#")[2] for address in TERMS.values()} == anchors(GLOSSARY) - {"glossary"}


def test_every_address_of_a_word_is_in_the_built_glossary(listed: dict[str, str]) -> None:
    text = (SITE / "docs/glossary.html").read_text(encoding="utf-8")
    there = set(re.findall(r'<h2 id="([^"]+)"', text))
    assert {address.partition("#")[2] for address in TERMS.values()} == there


@pytest.mark.parametrize("word", TERMS)
def test_a_word_is_written_as_pages_write_it(word: str) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", word)


def test_the_glossary_is_in_the_order_of_its_words() -> None:
    headings = re.findall(r"^## (.+)$", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == sorted(headings, key=str.lower)
