"""The page as a whole: its weight, its policy, its size on every screen, and nothing in a reader's way."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response, Route, expect

from tests.browser.chromium import PATIENCE_MS
from tests.browser.reader import Reader

WEIGHT = 300_000  # bytes of the first view, answers included (the page's promise)
#: An alignment by role for each of two prescriptions.
MEASURED = {
    field: value
    for side in ("alignment", "compare_alignment")
    for field, value in (
        (side, "measured"),
        *((f"{side}_{role}_{name}", "0.75") for role in ("hidden", "readout") for name in ("alpha", "omega", "u")),
    )
}
STATES = {
    "plain": "",
    "compared": "compare_parameterization=mup&optimizer=adamw&weight_decay=0.1&open=hidden%7Cepsilon%7Cfirst",
    "measured": "compare_parameterization=mup&optimizer=adamw&gamma_hidden=2&depth_rule=completep"
    "&gradient_rms=1e-4&qk_norm=yes"
    "&batch_rule=power&batch_power_exponent=0.4&tokens_rule=horizon&tokens_horizon_exponent=0.3"
    + "".join(f"&{side}={value}" for side, value in MEASURED.items()),
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
    reader.field("Learning rate").fill("0.5")
    expect(page.locator("#transfer-error")).to_contain_text("The service does not answer")
    expect(page.get_by_role("status").filter(has_text="not connected")).to_be_visible()
    expect(page.locator("#answer")).to_have_class("void")
    page.unroute("**/v1/**")
    reader.shows("embedding", "0.5")  # it asks again by itself
    expect(page.locator("#answer")).not_to_have_class("void")
    expect(page.locator("#transfer-error")).to_be_hidden()
    expect(page.get_by_role("status").filter(has_text="not connected")).to_be_hidden()


def test_it_is_read_without_javascript(browser: Browser, service: str) -> None:
    context = browser.new_context(viewport={"width": 380, "height": 800}, java_script_enabled=False)
    page = context.new_page()
    for path in ("/", "/calibrations"):
        page.goto(f"{service}{path}")
        expect(page.get_by_role("heading", name="This page needs JavaScript")).to_be_visible()
        expect(page.locator("main form:visible, main table:visible, .skip:visible")).to_have_count(0)
        assert page.locator("main").bounding_box()["height"] < 800  # type: ignore[index]
    page.get_by_role("main").get_by_role("link", name="API").click()
    expect(page.get_by_role("heading", name="API reference")).to_be_visible()
    context.close()


def test_a_key_is_asked_for_and_a_wrong_one_refused(reader: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("401")
    seen = []

    def guard(route: Route) -> None:
        given = route.request.headers.get("authorization")
        seen.append(given)
        if given == "Bearer ww_right":
            route.continue_(headers={k: v for k, v in route.request.headers.items() if k != "authorization"})
        else:
            route.fulfill(status=401, json={"detail": "This key is not known." if given else "A key is needed."})

    page.route("**/v1/**", guard)
    reader.visit("/#learning_rate=0.5")
    key = page.get_by_label("Key", exact=True)
    expect(key).to_be_visible()
    expect(page.locator("#results")).to_be_hidden()
    key.fill("ww_wrong")
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#key-error")).to_have_text("This key is not known.")
    assert seen.count("Bearer ww_wrong") == 1  # a wrong key counts against the address
    key.fill("ww_right")
    page.keyboard.press("Enter")
    reader.shows("embedding", "0.5")
    expect(reader.field("Form").locator("option")).to_have_count(16)
    page.get_by_role("button", name="Forget the API key").click()
    expect(key).to_be_visible()
