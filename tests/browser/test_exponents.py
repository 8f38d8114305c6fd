"""The library of exponents: filtered, sorted, drawn next to theory, compared, and taken into a plan."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.client import Client
from tests.api.samples import finished
from tests.browser.barriers import check_barriers
from tests.browser.chromium import PATIENCE_MS
from tests.browser.reader import Reader
from tests.browser.test_keyboard import tab_to
from tests.cli.test_serve import serving

MEASURED = {role: {"alpha": 0.8, "omega": 0.5, "u": 0.7} for role in ("hidden", "readout")}
ROLES = 4  # embedding, hidden, readout and vector: an exponent of the learning rate for each


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a separate service, so that the library holds what these tests put there and no more."""
    folder = tmp_path_factory.mktemp("library")
    with (folder / "log").open("w") as log, serving(folder, stderr=log) as (address, _):
        yield address


@pytest.fixture(scope="module")
def library(api: httpx.Client) -> dict[str, str]:
    """Calibrations by name; the last has none."""
    client = cast(Client, api)
    made = {
        "drifting": finished(client, 0.25),
        "as theory": finished(client, 0.0),
        "by role": finished(client, parameterization="mup", optimizer="adamw", alignment=MEASURED),
        "none": finished(client, 0.1, alignment="none", proxy={"architecture": "transformer", "dataset": "our_corpus"}),
    }
    for name in ("drifting", "as theory", "by role"):
        assert api.patch(f"/v1/calibrations/{made[name]}", json={"name": name}).status_code == 200
    return made


@pytest.fixture
def opened(reader: Reader, library: dict[str, str]) -> Reader:
    """The page with all of them."""
    reader.visit("/exponents")
    expect(rows(reader.page)).to_have_count(ROLES * len(library))
    return reader


def rows(page: Page) -> Any:
    """The rows of the table, without what is open under one."""
    return page.locator("#exponents tbody tr:not(.source)")


def column(page: Page, heading: str) -> list[str]:
    """The cells of a column."""
    return cast(list[str], page.locator(f"#exponents tbody [data-label='{heading}']").all_inner_texts())


def test_an_empty_library_says_how_to_measure(reader: Reader, page: Page, service: str) -> None:
    page.route("**/v1/exponents*", lambda route: route.fulfill(json={"items": [], "next_cursor": None}))
    reader.visit("/exponents")
    expect(page.locator("#none-yet")).to_contain_text("One trains small models at several widths")
    expect(page.locator("#library")).to_be_hidden()
    page.get_by_role("link", name="Start a calibration").click()
    expect(page).to_have_url(f"{service}/calibrations")


def test_a_row_says_how_far_it_is_from_theory(opened: Reader, page: Page, library: dict[str, str]) -> None:
    row = rows(page).filter(has_text="drifting").filter(has_text="hidden")
    expect(row).to_contain_text(re.compile(r"1\.2\d ± 0\.\d+.*to.*1\.00.*\+\d+\.\d SE.*standard, adam, full", re.S))
    expect(rows(page).filter(has_text="as theory").first).to_contain_text("not refuted")
    expect(row.get_by_role("link", name="drifting")).to_have_attribute("href", f"/calibrations/{library['drifting']}")
    expect(page.locator("#counted")).to_have_text("16 exponents of 4 calibrations.")


def test_the_filter_is_the_apis_and_stands_in_the_address(opened: Reader, page: Page) -> None:
    opened.field("Role").select_option("hidden")
    expect(rows(page)).to_have_count(4)
    opened.field("Alignment").select_option("measured")
    expect(rows(page)).to_have_count(1)
    expect(page).to_have_url(re.compile("#role=hidden&alignment=measured$"))
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(opened.field("Role")).to_have_value("hidden")
    opened.field("Quantity").select_option("epsilon")
    expect(page.locator("#counted")).to_contain_text("No exponent matches")
    page.route("**/v1/exponents*", lambda _: None)  # until the answer comes, no rows do not mean an empty library
    page.get_by_role("button", name="Clear the filter").click()
    expect(opened.field("Quantity")).to_be_focused()
    expect(page.locator("#none-yet")).to_be_hidden()
    page.unroute("**/v1/exponents*")
    page.reload()
    expect(rows(page)).to_have_count(16)
    expect(page).to_have_url(re.compile("/exponents$"))
    opened.field("Data set").fill("our_corpus")
    expect(rows(page)).to_have_count(4)


def test_a_name_that_is_no_data_set_is_told_at_its_field(opened: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("422")
    opened.field("Data set").fill("our corpus!")
    expect(page.locator("#filter-error")).to_be_visible()
    expect(opened.field("Data set")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("status").filter(has_text="not connected")).to_have_count(0)
    opened.field("Data set").fill("our_corpus")
    expect(page.locator("#filter-error")).to_be_hidden()
    expect(rows(page)).to_have_count(4)


def test_any_column_sorts_and_the_address_holds_it(opened: Reader, page: Page) -> None:
    exponent = page.get_by_role("button", name="Exponent", exact=True)
    exponent.click()
    values = [float(text.split()[0].replace("−", "-")) for text in column(page, "Exponent")]
    assert values == sorted(values)
    assert len(set(values)) > 4
    expect(page.locator("th[aria-sort=ascending]")).to_have_text(re.compile("Exponent"))
    exponent.click()
    assert column(page, "Exponent")[0].startswith(("1.25", "1.24"))
    expect(page).to_have_url(re.compile("sort=-value"))
    page.reload()
    expect(page.locator("th[aria-sort=descending]")).to_have_text(re.compile("Exponent"))
    exponent.click()
    expect(page.locator("th[aria-sort]")).to_have_count(0)
    expect(opened.field("Sort by")).to_be_hidden()
    page.set_viewport_size({"width": 380, "height": 900})  # a phone shows no headings
    opened.field("Sort by").select_option("-far")
    assert "not refuted" not in column(page, "From theory")[0]
    assert column(page, "From theory")[-1] == "not refuted"
    opened.field("Sort by").select_option("newest first")
    page.set_viewport_size({"width": 1280, "height": 900})
    for heading in page.locator("#exponents thead button").all():
        heading.click()
        expect(page.locator("th[aria-sort=ascending] button")).to_have_text(heading.inner_text())


def test_the_pictures_have_every_row_beside_theory(opened: Reader, page: Page) -> None:
    picture = page.get_by_role("img", name="learning rate: 16 exponents")
    expect(picture).to_have_accessible_name(re.compile("theory is outside the interval of [0-9]+$"))
    expect(picture.locator("circle")).to_have_count(16)
    expect(picture.locator(".theory")).to_have_count(16)
    opened.field("Role").select_option("readout")
    expect(page.locator("#forests circle")).to_have_count(4)


def test_a_row_opens_to_where_it_comes_from(opened: Reader, page: Page) -> None:
    page.get_by_role("button", name="Source of learning rate, hidden, drifting").click()
    source = page.locator("tr.source")
    expect(source).to_contain_text("the best learning rate of the role's tensors")
    expect(source).to_contain_text("64, 128, 256; 1 degree of freedom")
    expect(source).to_contain_text("elsewhere; the losses were uploaded")
    expect(source).to_contain_text("standard errors from it")
    page.reload()
    expect(source).to_be_visible()
    page.get_by_role("button", name="Source of learning rate, hidden, by role").click()
    expect(source).to_contain_text("Its alignment was measured: the calibration's page opens a plan")
    expect(source.get_by_role("link", name="Use in a plan")).to_have_count(0)


def test_the_rows_are_taken_along_with_all_their_digits(opened: Reader, page: Page, api: httpx.Client) -> None:
    opened.field("Role").select_option("hidden")
    expect(rows(page)).to_have_count(4)
    with page.expect_download() as started:
        page.get_by_role("button", name="Download as CSV").click()
    assert started.value.suggested_filename == "exponents.csv"
    with Path(started.value.path()).open(encoding="utf-8", newline="") as file:
        found = {row["id"]: row for row in csv.DictReader(file)}
    items = api.get("/v1/exponents", params={"role": "hidden"}).json()["items"]
    assert set(found) == {item["id"] for item in items}
    for item in items:
        row = found[item["id"]]
        assert float(row["value"]) == item["value"]
        assert [float(row["interval_low"]), float(row["interval_high"])] == item["interval"]
        assert row["calibration_name"] == (item["calibration_name"] or "")
        assert [int(width) for width in row["widths"].split()] == item["widths"]


def test_calibrations_side_by_side(opened: Reader, page: Page, library: dict[str, str]) -> None:
    page.get_by_label("Compare drifting").first.check()
    expect(page.get_by_label("Compare drifting").nth(3)).to_be_checked()  # one choice for all of its rows
    expect(page.locator("#comparison-hint")).to_contain_text("Tick another calibration")
    page.get_by_label("Compare as theory").first.check()
    table = page.locator("#compared")
    expect(table.locator("tr", has_text="learning rate, hidden")).to_contain_text(re.compile("1.000 ± .*SE"))
    expect(table.locator("tr", has_text="trials")).to_contain_text(re.compile(r"54 in common, \d+ equal, \d+ differ"))
    page.get_by_role("button", name="Show them").click()  # they stand above the table
    expect(page.locator("#comparison-heading")).to_be_focused()
    expect(table.locator("thead")).to_be_in_viewport()
    page.get_by_label("Compare none").or_(page.get_by_label("Compare cal_")).first.check()
    setting = table.locator("tr", has_text="proxy.architecture")
    expect(setting.locator("td")).to_have_text(["mlp", "mlp", "transformer"])
    expect(setting.get_by_role("img", name="differs")).to_have_count(1)
    expect(table.locator("tr", has_text="parameterization")).to_have_count(0)  # the same in all
    page.reload()
    expect(table.locator("thead th")).to_have_text(["", "drifting", "as theory", re.compile("cal_")])
    table.get_by_role("button", name="Remove as theory").click()
    expect(table.locator("thead th")).to_have_count(3)
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator("#comparison")).to_be_hidden()
    expect(page).to_have_url(re.compile("/exponents$"))


def test_a_calibration_that_is_gone_is_told(
    opened: Reader, page: Page, library: dict[str, str], allowed: list[str]
) -> None:
    allowed.append("404")
    opened.visit(f"/exponents#compare={library['drifting']},cal_000000000000000000000000")
    page.reload()
    expect(page.locator("#comparison-error")).to_contain_text("cal_000000000000000000000000")
    expect(page.locator("#comparison-hint")).to_contain_text("compare it with drifting")


def test_one_is_sent_into_a_plan(opened: Reader, page: Page, library: dict[str, str]) -> None:
    page.get_by_role("button", name="Source of learning rate, hidden, cal_").click()
    page.get_by_role("link", name="Use in a plan").click()
    expect(page.locator("#provenance")).to_contain_text(f"measured by {library['none']} at widths 64, 128, 256")
    expect(opened.field("Alignment")).to_have_value("none")
    expect(opened.field("Exponents").locator("option:checked")).to_contain_text("transformer, our_corpus")
    expect(page.locator("#transfer-error")).to_be_hidden()


def test_one_with_a_measured_alignment_is_sent_into_a_plan(
    opened: Reader, page: Page, library: dict[str, str], allowed: list[str]
) -> None:
    allowed.append("422")  # before the alignment is back
    page.get_by_role("button", name="Source of learning rate, hidden, by role").click()
    page.get_by_role("link", name="Open the calibration").click()
    page.get_by_role("link", name="Use its exponents in a transfer").click()
    expect(page.locator("#provenance")).to_contain_text(f"measured by {library['by role']} at widths 64, 128, 256")
    expect(opened.field("readout: u")).to_have_value("0.7")
    expect(page.locator("#offered")).to_contain_text("measured in another setting")  # the others
    opened.field("readout: u").fill("0.6")
    expect(page.locator("#offered")).to_contain_text("measured in another setting: mup, adamw, an alignment by role")
    opened.field("readout: u").fill("0.70")
    expect(opened.field("Exponents").locator("option:checked")).to_contain_text("by role")


def test_a_link_to_a_plan_whose_calibration_does_not_fit_says_so(
    reader: Reader, page: Page, library: dict[str, str], allowed: list[str]
) -> None:
    allowed += ["422", "404"]
    reader.open(f"exponents={library['drifting']}&parameterization=mup")
    expect(page.locator("#offered")).to_have_text(
        "The chosen one was measured in another setting: standard, adam, full."
    )
    expect(page.locator("#transfer-error")).to_contain_text("iffers from the calibration's 'standard'")
    reader.field("Parameterization").select_option("standard")
    expect(page.locator("#provenance")).to_contain_text(f"measured by {library['drifting']}")
    reader.open("exponents=cal_000000000000000000000000")
    expect(page.locator("#problem-exponents")).to_contain_text("ames no calibration")


def test_what_is_read_again_leaves_the_reader_alone(
    opened: Reader, page: Page, api: httpx.Client, library: dict[str, str]
) -> None:
    page.clock.install()
    opened.visit("/exponents")
    page.reload()
    expect(rows(page)).to_have_count(16)
    page.get_by_role("button", name="Source of learning rate, hidden, drifting").focus()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#counted'))")
    assert api.patch(f"/v1/calibrations/{library['none']}", json={"name": "named since"}).status_code == 200
    page.clock.run_for(20_000)
    expect(rows(page).filter(has_text="named since")).to_have_count(4)
    assert opened.focused().startswith("exp_")
    assert page.evaluate("getSelection().toString()") == "16 exponents of 4 calibrations."
    assert api.patch(f"/v1/calibrations/{library['none']}", json={"name": None}).status_code == 200


def test_old_numbers_are_told_apart_while_the_service_is_gone(opened: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("ERR_CONNECTION_REFUSED")
    expect(page.get_by_text("These are the last numbers that it gave")).to_be_hidden()
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    opened.field("Role").select_option("hidden")
    expect(page.get_by_text("These are the last numbers that it gave")).to_be_visible()
    page.unroute("**/v1/**")
    opened.field("Alignment").select_option("full")
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_text("These are the last numbers that it gave")).to_be_hidden()


def test_by_keyboard_alone(opened: Reader, page: Page, library: dict[str, str]) -> None:
    keys = page.keyboard
    tab_to(opened, "exponent_role")
    keys.type("hid")
    expect(rows(page)).to_have_count(4)
    tab_to(opened, "Calibration")
    keys.press("Enter")
    expect(page.locator("th[aria-sort=ascending]")).to_have_text(re.compile("Calibration"))
    assert opened.focused().startswith("Calibration")
    for name in ("as theory", "cal_"):
        for _ in range(40):
            if (page.evaluate("document.activeElement.ariaLabel") or "").startswith(f"Compare {name}"):
                break
            keys.press("Tab")
        keys.press("Space")
        expect(page.locator(f"input[aria-label^='Compare {name}']").first).to_be_checked()
        assert (page.evaluate("document.activeElement.ariaLabel") or "").startswith(f"Compare {name}")
    expect(page.locator("#compared thead th")).to_have_count(3)
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator("tr.source")).to_be_visible()
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator("#provenance")).to_contain_text("Learning-rate exponents measured by")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_and_nothing_clipped(browser: Browser, service: str, library: dict[str, str], scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{service}/exponents#compare={library['drifting']},{library['none']}")
    page.get_by_role("button", name="Source of learning rate, hidden, drifting").click()
    expect(page.locator("#compared tbody tr").nth(5)).to_be_visible()
    check_barriers(page)
    context.close()
