"""Every link of the README and of docs/ leads somewhere: to a file of the repository, to a heading, or out."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docs_site.figures import FIGURES, FOLDER
from docs_site.links import anchors, links
from tests.docs.blocks import PAGES, ROOT

#: The form of arXiv's identifiers since April 2007: two digits of year, month, and four or five of a number.
ARXIV = re.compile(r"\d{2}(0[1-9]|1[0-2])\.\d{4,5}(v\d+)?")
#: Fits end at other last digits on other machines: pixels are compared as numbers.
NUMBER = r"(-?\d+\.?\d*)"
CHECKED = [*PAGES, "CHANGELOG.md", "SECURITY.md", "distributions/server/README.md", "tests/failures/README.md"]


@pytest.mark.parametrize("page", CHECKED)
def test_its_links_lead_somewhere(page: str) -> None:
    faults = [fault for link in links(ROOT / page) if (fault := _fault(ROOT / page, link))]
    assert faults == []


@pytest.mark.parametrize("page", CHECKED)
def test_its_papers_have_well_formed_numbers(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"arxiv\.org/(?:abs|pdf)/([^\s)>\]]+)|arXiv[ :\n]+(\d[\d.v]*\d)", text)
    assert [number for pair in named for number in pair if number and not ARXIV.fullmatch(number)] == []


def _fault(page: Path, link: str) -> str | None:
    """Return what is wrong with a link, or None. Addresses on the network are held to their form alone."""
    if re.match(r"[a-z]+:", link):
        parts = urlsplit(link)
        return None if parts.scheme in ("https", "mailto") and (parts.netloc or parts.path) else f"{link}: no address"
    name, _, anchor = unquote(link).partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.is_file():
        return f"{link}: no such file"
    if not target.is_relative_to(ROOT):
        return f"{link}: outside of the repository"
    if anchor and (target.suffix != ".md" or anchor not in anchors(target)):
        return f"{link}: no such heading"
    return None


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("theory.md", None),
        ("https://arxiv.org/abs/2407.05872", None),
        ("security.md#owners", None),
        ("#what-every-export-does", None),
        ("no_such_file.json", "no such file"),
        ("security.md#no-such-heading", "no such heading"),
        ("ftp://example.org", "no address"),
        ("results", "no such file"),
    ],
)
def test_a_wrong_link_is_found(link: str, fault: str | None) -> None:
    found = _fault(ROOT / "docs" / "exports.md", link)
    assert (found is None) if fault is None else str(found).endswith(fault)


def test_every_page_of_docs_is_in_the_navigation() -> None:
    """Results and decisions are put there by docs_site/pages.py."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = {page for page in PAGES if re.fullmatch(r"docs/[^/]+\.md", page)}
    assert sorted(page for page in pages if f": {page}\n" not in navigation) == []
    named = re.findall(r": (docs/\S+\.md|README\.md)$", navigation, re.MULTILINE)
    assert len(named) == len(set(named))
    assert [page for page in named if not page.startswith("docs/reference/") and not (ROOT / page).exists()] == []


def test_every_figure_of_docs_is_shown_and_made_by_a_command() -> None:
    """By a benchmark that the page next to it names, by docs_site/figures.py or by tests/browser/pictures.py.

    tests/browser/test_gallery.py holds those of docs/pictures/every to the latter.
    """
    for figure in sorted(path for path in (ROOT / "docs").rglob("*") if path.suffix in (".svg", ".png", ".webp")):
        showing = [page for page in PAGES if figure in _shown(page)]
        assert showing, f"no page shows {figure.name}"
        if figure.parent == FOLDER:
            assert figure.name in FIGURES
        elif figure.parent.name == "every":
            assert showing == ["docs/pictures/README.md"]
        elif figure.parent.name == "pictures":
            assert f'"{figure.name}"' in (ROOT / "tests/browser/pictures.py").read_text(encoding="utf-8")
        else:
            assert any("python -m benchmarks." in (ROOT / page).read_text(encoding="utf-8") for page in showing)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_what_its_code_draws(name: str) -> None:
    drawn, committed = (re.split(NUMBER, text) for text in (FIGURES[name]().svg(), (FOLDER / name).read_text("utf-8")))
    assert drawn[::2] == committed[::2], "draw it again: python -m docs_site.figures"
    assert [float(each) for each in drawn[1::2]] == pytest.approx([float(each) for each in committed[1::2]], abs=1.0)


def _shown(page: str) -> set[Path]:
    return {((ROOT / page).parent / unquote(link)).resolve() for link in links(ROOT / page)}
