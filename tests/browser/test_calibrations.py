"""Calibrations on the page: one is followed, all are listed, and what refreshes leaves the reader alone."""

import re
from typing import Any, cast

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.api.client import Client
from tests.api.samples import finished, spec, submit
from tests.browser.barriers import check_barriers
from tests.browser.reader import Reader

SPEC: dict[str, Any] = spec(
    widths=[8, 16],
    seeds=1,
    steps=20,
    search="grid",
    learning_rates=[0.001, 0.004, 0.016],
    proxy={"architecture": "mlp", "depth": 1, "batch_size": 16},
)


@pytest.fixture
def calibration(api: httpx.Client) -> str:
    """A calibration that the service's worker runs."""
    answer = api.post("/v1/calibrations", json=SPEC)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.fixture
def chosen(reader: Reader, calibration: str) -> Reader:
    """A page that shows it."""
    reader.visit(f"/calibrations/{calibration}")
    return reader


def test_its_exponents_are_offered_in_its_setting_alone(reader: Reader, api: httpx.Client) -> None:
    measured = finished(cast(Client, api))
    reader.open()
    exponents = reader.field("Exponents")
    expect(exponents.locator(f"option[value={measured}]")).to_contain_text("widths 64 to 256")
    exponents.select_option(measured)
    expect(reader.page.locator("#provenance")).to_contain_text(f"measured by {measured}")
    exponents.select_option("theory")
    reader.field("Optimizer").select_option("adamw")
    expect(exponents.locator("option")).to_have_count(1)
    expect(reader.page.locator("#offered")).to_contain_text("measured in another setting")


def test_a_refresh_leaves_the_focus_and_the_selection(reader: Reader, page: Page, calibration: str) -> None:
    reader.visit("/calibrations")
    page.locator(f"[data-key='{calibration}'] a").first.focus()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#calibrations tbody td:last-child'))")
    selected = page.evaluate("getSelection().toString()")
    assert selected
    for _ in range(3):
        with page.expect_response(lambda answer: "/v1/calibrations?" in answer.url):
            pass
    assert calibration in page.evaluate("document.activeElement.href")
    assert page.evaluate("getSelection().toString()") == selected


def test_an_old_link_leads_to_the_calibrations_page(reader: Reader, page: Page, calibration: str) -> None:
    page.goto(f"{reader.address}/#{calibration}")
    expect(page).to_have_url(f"{reader.address}/calibrations/{calibration}")
    expect(page.locator("#name")).to_have_text(calibration)


def in_twos(route: Route) -> None:
    """Ask for two calibrations where the page asks for a page of them."""
    route.continue_(url=route.request.url.replace("limit=50", "limit=2"))


def test_the_list_says_what_was_found(reader: Reader, page: Page, api: httpx.Client) -> None:
    moved, still = finished(cast(Client, api), drift=0.25), finished(cast(Client, api), drift=0.0)
    reader.visit("/calibrations")
    exponent = api.get(f"/v1/calibrations/{moved}").json()["result"]["exponents"]
    (hidden,) = [each for each in exponent if (each["quantity"], each["role"]) == ("learning_rate", "hidden")]
    found = page.locator(f"[data-key='{moved}']").get_by_role("cell").nth(5)
    expect(found).to_have_text(f"∝ width^−{hidden['value']:.3g} ± {hidden['standard_error']:.2g}")
    # theory alone says all of it: not a measurement
    expect(page.locator(f"[data-key='{still}']").get_by_role("cell").nth(5)).to_contain_text("theory’s, not refuted")


def test_the_list_is_filtered_and_the_address_holds_the_filter(reader: Reader, page: Page, api: httpx.Client) -> None:
    identifier = submit(cast(Client, api), runner="external", name="of the filter")
    api.post(f"/v1/calibrations/{identifier}/cancel")
    reader.visit("/calibrations")
    reader.field("State").select_option("succeeded")
    expect(page.locator(f"[data-key='{identifier}']")).to_have_count(0)
    reader.field("State").select_option("cancelled")
    reader.field("Name, in full").fill("of the filter")
    rows = page.locator("#calibrations tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("cancelled")
    page.reload()
    expect(rows).to_have_count(1)
    reader.field("Name, in full").fill("of the filte")
    expect(page.locator("#none-found")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(f"[data-key='{identifier}']")).to_be_visible()
    expect(reader.field("State")).to_be_focused()
    expect(page).to_have_url(re.compile("/calibrations$"))


def test_older_ones_are_added_below_and_the_reader_keeps_their_place(
    reader: Reader, page: Page, api: httpx.Client
) -> None:
    name = "one of five"
    made = [submit(cast(Client, api), runner="external", name=name) for _ in range(5)]
    page.route("**/v1/calibrations?*", in_twos)
    reader.visit("/calibrations#named=one+of+five")
    rows = page.locator("#calibrations tbody tr")
    expect(rows).to_have_count(2)
    older = page.get_by_role("button", name="Show older ones")
    older.focus()
    page.keyboard.press("Enter")
    expect(rows).to_have_count(4)
    expect(older).to_be_focused()
    newest = submit(cast(Client, api), runner="external", name=name)
    shown = "(all) => all.map((each) => each.dataset.key)"
    expect(rows.first).to_have_attribute("data-key", newest)
    assert rows.evaluate_all(shown) == [newest, *made[:1:-1]]  # without a gap where the pages meet
    page.keyboard.press("Enter")
    expect(rows).to_have_count(6)
    expect(page.locator("#shown")).to_have_text("6 are shown: all of them.")
    expect(older).to_be_hidden()
    for identifier in (*made, newest):
        api.post(f"/v1/calibrations/{identifier}/cancel")


def test_an_empty_list_says_what_a_calibration_is(reader: Reader, page: Page) -> None:
    page.route("**/v1/calibrations?*", lambda route: route.fulfill(json={"items": [], "next_cursor": None}))
    reader.visit("/calibrations")
    expect(page.locator("#no-calibrations")).to_contain_text("A calibration trains small models at several widths")
    expect(page.locator("#no-calibrations").get_by_role("link")).to_have_attribute("href", "/workers")
    check_barriers(page)


def test_a_list_of_a_service_that_is_gone_says_so(
    reader: Reader, page: Page, allowed: list[str], calibration: str
) -> None:
    allowed.append("ERR_CONNECTION_REFUSED")
    reader.visit("/calibrations")
    expect(page.locator(f"[data-key='{calibration}']")).to_be_visible()
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    expect(page.locator("#stale")).to_be_visible()
    expect(page.locator(f"[data-key='{calibration}']")).to_be_visible()  # what was there stays
    page.unroute("**/v1/**")
    expect(page.locator("#stale")).to_be_hidden()
