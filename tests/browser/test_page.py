"""The page as a whole: its weight, its policy, its size on every screen, and nothing in a reader's way."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response, expect

from tests.browser.chromium import PATIENCE_MS
from tests.browser.reader import Reader

WEIGHT = 300_000  # bytes of the first view, answers included (the page's promise)
STATES = {
    "plain": "",
    "compared": "compare_parameterization=mup&optimizer=adamw&weight_decay=0.1&open=hidden%7Cepsilon%7Cfirst",
    "tensors": "model=architecture&target_depth=8&depth_rule=completep&batch_rule=half_life",
}


def test_the_first_view_is_light_and_comes_from_the_service_alone(reader: Reader, page: Page, service: str) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  Playwright marks what it is given
    reader.open()
    expect(reader.field("Form").locator("option")).to_have_count(16)
    page.wait_for_load_state("networkidle")
    assert {answer.url for answer in answers if not answer.url.startswith((service, f"blob:{service}"))} == set()
    assert sum(len(answer.body()) for answer in answers) < WEIGHT


def test_the_policy_is_strict_and_in_force(reader: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("Content Security Policy")
    reader.open()
    policy = page.request.get(reader.address).headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    page.evaluate(
        "() => { const script = document.createElement('script'); script.textContent = 'window.ran = true';"
        " document.body.append(script); }"
    )
    assert page.evaluate("window.ran") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_no_barrier_and_nothing_clipped(browser: Browser, service: str, scheme: Any, state: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    reader = Reader(context.new_page(), service)
    reader.open(STATES[state])
    for width in (380, 1280, 2560):
        reader.page.set_viewport_size({"width": width, "height": 900})
        assert reader.page.evaluate("document.documentElement.scrollWidth") == width
        clipped = "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth).length"
        assert reader.page.evaluate(clipped) == 0, width
        found = Axe().run(reader.page).response["violations"]
        grave = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave] == [], width
    context.close()


def test_a_service_that_is_gone_is_told(reader: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("ERR_CONNECTION_REFUSED")
    reader.open()
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    expect(page.get_by_role("status").filter(has_text="not connected")).to_be_visible()
    reader.field("Learning rate").fill("0.5")
    expect(page.locator("#transfer-error")).to_contain_text("The service does not answer")
    page.unroute("**/v1/**")
    reader.field("Learning rate").fill("0.25")
    reader.shows("embedding", "0.25")
