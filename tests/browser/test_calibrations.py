"""Calibrations on the page: a running one is followed, and what refreshes leaves the reader alone."""

from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.api.client import Client
from tests.api.samples import finished, spec
from tests.browser.reader import Reader

SPEC: dict[str, Any] = spec(
    widths=[8, 16],
    seeds=1,
    steps=20,
    search="grid",
    learning_rates=[0.001, 0.004, 0.016],
    proxy={"architecture": "mlp", "depth": 1, "batch_size": 16},
)


@pytest.fixture(scope="module")
def api(service: str) -> Iterator[httpx.Client]:
    """A client of the service."""
    with httpx.Client(base_url=service, trust_env=False, timeout=60) as client:
        yield client


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


@pytest.mark.timeout(300)  # the worker imports JAX and trains, on a machine that has much to do
def test_it_is_followed_to_its_end(chosen: Reader, page: Page, calibration: str) -> None:
    expect(page.locator("#detail-title")).to_contain_text("succeeded", timeout=240_000)
    expect(page.locator("#shards tbody tr").first).to_be_visible()
    expect(page.locator("#losses .runs").first).to_be_visible()


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
    page.locator(f"[data-key='{calibration}'] a").focus()
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
    expect(page.locator("#detail-title")).to_contain_text(calibration)
