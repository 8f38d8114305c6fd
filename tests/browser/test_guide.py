"""The guide as a reader uses it: opened, searched, followed from page to page, with nothing in the console."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response, expect

from service.dashboard.terms import GLOSSARY
from tests.browser.chromium import PATIENCE_MS

PAGES = ["docs/theory.html", "docs/results/depth.html", "docs/reference/http.html", "docs/training.html"]


@pytest.fixture
def answers(page: Page) -> list[Response]:
    """Every answer that the page got."""
    found: list[Response] = []
    page.on("response", lambda answer: found.append(answer))  # noqa: PLW0108  Playwright marks what it is given
    return found


def opened(page: Page, address: str) -> None:
    """Open an address and wait until it has loaded everything."""
    page.goto(address)
    page.wait_for_load_state("networkidle")
    assert "The guide is not built here" not in page.content(), "this needs the built documentation: make docs"


def test_it_opens_and_a_link_leads_on(page: Page, service: str, answers: list[Response]) -> None:
    opened(page, f"{service}/guide")
    assert page.url == f"{service}/guide/"
    page.get_by_role("article").get_by_role("link", name="glossary").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Glossary")
    assert page.url == f"{service}/guide/docs/glossary.html"
    assert [answer.url for answer in answers if answer.status >= 400] == []
    assert [answer.url for answer in answers if not answer.url.startswith(service)] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_with_formulas_figures_or_code_obeys_the_policy(page: Page, service: str, name: str) -> None:
    """Whatever the policy blocks stands in the console, and the fixture fails."""
    opened(page, f"{service}/guide/{name}")
    drawn = "[...document.querySelectorAll('article img')].every((image) => image.complete && image.naturalWidth > 0)"
    assert page.evaluate(drawn)
    assert page.evaluate("getComputedStyle(document.querySelector('article h1')).fontWeight") == "300"  # the theme's


def test_the_search_finds_a_word_of_the_glossary(page: Page, service: str) -> None:
    opened(page, f"{service}/guide/docs/theory.html")
    page.get_by_role("textbox", name="Search").click()
    page.keyboard.type("noise scale")
    found = page.locator('.md-search-result a[href*="glossary.html#noise-scale"]')
    found.first.click()
    page.wait_for_url(f"{service}{GLOSSARY}#noise-scale")


def test_a_link_of_a_page_leads_to_the_word(page: Page, service: str) -> None:
    opened(page, f"{service}{GLOSSARY}#finite-width-shift")
    heading = page.locator("#finite-width-shift")
    expect(heading).to_be_in_viewport()
    assert heading.evaluate("(it) => it === document.querySelector(':target')")


def test_links_to_words_lead_there_on_a_phone_too(page: Page, service: str) -> None:
    """The service's pages open one guide: the second link moves within the page that the first one opened."""
    page.set_viewport_size({"width": 380, "height": 800})
    for word in ("alignment", "seed", "mesh"):
        opened(page, f"{service}{GLOSSARY}#{word}")
        page.wait_for_timeout(500)  # what moves the page away does so after it has arrived
        expect(page.locator(f"#{word}")).to_be_in_viewport()


def test_a_wide_formula_does_not_widen_the_page(page: Page, service: str) -> None:
    page.set_viewport_size({"width": 380, "height": 800})
    opened(page, f"{service}/guide/docs/theory.html")
    assert page.evaluate("document.documentElement.scrollWidth") == 380


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_has_no_barrier(browser: Browser, service: str, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    for name in ("", "docs/glossary.html", "docs/theory.html", "docs/training.html", "docs/results/cost.html"):
        opened(page, f"{service}/guide/{name}")
        found = Axe().run(page).response["violations"]
        grave = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave] == [], name
    context.close()


def test_its_colours_can_be_changed_and_stay(page: Page, service: str) -> None:
    """By a script of the theme that stood in the page, and is a file now."""
    opened(page, f"{service}/guide/")
    body = page.locator("body")
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    page.locator("label[title=Dark]").click()
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    opened(page, f"{service}/guide/docs/glossary.html")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")


def test_code_can_be_copied(page: Page, service: str) -> None:
    opened(page, f"{service}/guide/docs/five_minutes.html")
    page.locator("button[data-clipboard-target], .md-code__button").first.click()
    expect(page.get_by_text("Copied to clipboard")).to_be_visible()


def test_the_policy_is_in_force(page: Page, service: str, allowed: list[str]) -> None:
    allowed.append("Content Security Policy")
    opened(page, f"{service}/guide/")
    page.evaluate(
        "() => { const script = document.createElement('script'); script.textContent = 'window.ran = true';"
        " document.body.append(script); document.body.setAttribute('style', 'color: red'); }"
    )
    assert page.evaluate("window.ran") is None
    assert page.evaluate("getComputedStyle(document.body).color") != "rgb(255, 0, 0)"


def test_a_page_that_is_not_there(page: Page, service: str, allowed: list[str]) -> None:
    allowed.append("404")
    page.goto(f"{service}/guide/docs/nothing.html")
    expect(page.get_by_role("heading", name="Not in the guide")).to_be_visible()
    page.get_by_role("link", name="Where the guide begins").click()
    expect(page.get_by_role("heading", name="Widthwise", level=1)).to_be_visible()
