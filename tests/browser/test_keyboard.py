"""The page by keyboard alone: everything is reached, and nothing that changes moves the focus."""

from playwright.sync_api import Page, expect

from service.dashboard.terms import GLOSSARY
from tests.browser.reader import Reader


def tab_to(reader: Reader, name: str, key: str = "Tab") -> None:
    """Press Tab until the focus is on something."""
    for _ in range(40):
        if reader.focused() == name:
            return
        reader.page.keyboard.press(key)
    raise AssertionError(f"{name} is not reached; the focus is on {reader.focused()}")


def test_a_plan_by_keyboard_alone(reader: Reader, page: Page) -> None:
    reader.open()
    keys = page.keyboard
    tab_to(reader, "model")
    keys.press("ArrowRight")  # By role → Architecture
    expect(reader.rows().filter(has_text="q_proj")).to_have_count(1)
    tab_to(reader, "parameterization")
    keys.type("muP")
    tab_to(reader, "learning_rate")
    keys.press("Control+A")
    keys.type("0.01")
    reader.shows("embedding", "0.0025")
    tab_to(reader, "compare_parameterization")
    keys.type("standard")
    reader.shows("embedding", "0.01", side="second")
    tab_to(reader, "target_width")
    keys.press("Tab")  # its slider
    keys.press("ArrowRight")
    expect(reader.field("Width to train at")).to_have_value("4480")
    tab_to(reader, "model.embed_tokens.weight embedding|learning_rate|first")
    for key in ("ArrowDown", "ArrowRight", "ArrowUp", "Enter"):
        keys.press(key)
    expect(page.locator("#explanation")).to_be_visible()
    tab_to(reader, "Close")
    keys.press("Enter")
    assert reader.focused() == "model.embed_tokens.weight embedding|epsilon|first"
    tab_to(reader, "export")
    keys.press("ArrowDown")
    tab_to(reader, "copy")
    keys.press("Enter")
    expect(page.locator("#export-told")).to_contain_text("plan.yaml is copied.")


def test_every_term_is_reached(reader: Reader, page: Page) -> None:
    page.context.route("**/guide/**", lambda route: route.fulfill(body="The guide", content_type="text/html"))
    reader.open()
    keys = page.keyboard
    reader.field("Alignment").focus()
    with page.expect_popup() as opened:
        keys.press("F1")
    expect(opened.value).to_have_url(f"{reader.address}{GLOSSARY}#alignment")
    reader.number("hidden").focus()
    keys.press("ArrowLeft")
    assert reader.focused() == "hidden"
    for key, term in (("ArrowUp", "embedding"), ("ArrowUp", "Role"), ("ArrowRight", "Learning rate")):
        keys.press(key)
        assert reader.focused() == term
    keys.press("Enter")  # in the tab that is open
    expect(opened.value).to_have_url(f"{reader.address}{GLOSSARY}#learning-rate")
    keys.press("ArrowDown")
    assert reader.focused() == "embedding|learning_rate|first"


def test_the_skip_link_leads_to_the_results(reader: Reader, page: Page) -> None:
    reader.open()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the results")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#results")).to_be_focused()
    reader.shows("hidden", "1.875e-4")  # and the state is still the page's


def test_a_new_answer_leaves_the_focus_the_caret_and_the_scroll(reader: Reader, page: Page) -> None:
    reader.open()
    number = reader.number("readout", "Epsilon")
    number.focus()
    page.evaluate("window.scrollTo(0, 300)")
    before = page.evaluate("window.scrollY")
    page.evaluate(
        "() => { const field = document.querySelector('[name=learning_rate]'); field.value = '0.5';"
        " field.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    reader.shows("embedding", "0.5")
    assert reader.focused() == "readout|epsilon|first"
    assert page.evaluate("window.scrollY") == before > 0
