"""The pictures of a calibration: every run is in them, they follow what arrives, and they can be read by keyboard."""

import math
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.api.samples import bowl, finished, spec, submit
from tests.browser.barriers import TOUCHING
from tests.browser.chromium import PATIENCE_MS
from tests.browser.reader import Reader

#: How many runs are drawn: dots in the frame, and carets for those above it.
PLACE = (
    "(node) => [node.getBoundingClientRect().top + scrollY, node.offsetHeight]"  # on the page, wherever it is scrolled
)
DRAWN = """(() => { const count = (kind, part) => [...document.querySelectorAll(`#losses .plotted ${kind}`)]
  .reduce((sum, path) => sum + (path.getAttribute("d") || "").split(part).length - 1, 0);
  return count(".runs", "h0") + count(".carets", "M"); })()"""


def upload(api: httpx.Client, identifier: str, trials: list[dict[str, Any]]) -> None:
    answer = api.post(f"/v1/calibrations/{identifier}/trials", json={"trials": trials})
    assert answer.status_code == 200, answer.text


def shown(reader: Reader, identifier: str) -> None:
    """Open a calibration, and wait for its fit."""
    reader.visit(f"/calibrations/{identifier}")
    expect(reader.page.locator("#optima-over-width .sentence")).not_to_be_empty()


def drawn(page: Page, count: int) -> None:
    for _ in range(200):
        if page.evaluate(DRAWN) == count:
            return
        page.wait_for_timeout(100)
    assert page.evaluate(DRAWN) == count


def lost(trials: list[dict[str, Any]], least: float) -> list[dict[str, Any]]:
    return [{**each, "loss": None} if each["learning_rate"] >= least else each for each in trials]


def test_every_run_is_a_mark_and_the_choice_is_the_librarys(reader: Reader, page: Page, api: httpx.Client) -> None:
    identifier = finished(api)
    shown(reader, identifier)
    drawn(page, len(bowl()))
    fit = api.get(f"/v1/calibrations/{identifier}/fit").json()
    expect(page.locator("#optima-over-width .sentence")).to_have_text(fit["choice"]["sentence"] + ".")
    expect(page.locator("#optima-over-width .state")).to_have_text("exponent: measured")
    expect(page.locator("#losses .optimum:not(.marks *)")).to_have_count(3)
    expect(page.locator("#optima-over-width .plotted .law")).to_have_count(3)
    expect(page.locator("#optima-over-width .plotted .law.chosen")).to_have_count(1)
    expect(page.locator("#optima-over-width .plotted circle")).to_have_count(3)
    expect(page.get_by_role("img", name=re.compile("Loss over learning rate: 54 runs at 3 widths"))).to_be_visible()
    rows = page.locator("#predictions tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.last).to_contain_text("4096 (×16)")


def test_theorys_exponent_is_called_not_refuted(reader: Reader, page: Page, api: httpx.Client) -> None:
    shown(reader, finished(api, drift=0.0))
    expect(page.locator("#optima-over-width .state")).to_have_text("exponent: theory's, not refuted")
    expect(page.locator("#optima-over-width .sentence")).to_contain_text("not refuted")


def test_runs_appear_as_they_arrive_and_nothing_that_a_reader_does_is_undone(
    reader: Reader, page: Page, api: httpx.Client
) -> None:
    identifier, trials = submit(api, runner="external"), lost(bowl(), 2.0**-4)
    reader.visit(f"/calibrations/{identifier}")
    expect(page.locator("#losses .plotted")).to_contain_text("No run has ended yet")
    first = [each for each in trials if each["width"] == 64]
    upload(api, identifier, first)
    drawn(page, 16)
    expect(page.locator("#losses .lost.all").first).to_be_attached()
    button = page.get_by_role("button", name=re.compile("Width 64"))
    expect(button).to_have_accessible_name(re.compile(r"best learning rate 0\.0039"))
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "false")
    upload(api, identifier, trials)
    drawn(page, 32)  # of the two widths that are shown
    expect(page.locator("#optima-over-width .sentence")).to_contain_text("power of width")
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Enter")
    drawn(page, 48)


def test_an_outcome_that_is_replaced_is_drawn_once(reader: Reader, page: Page, api: httpx.Client) -> None:
    identifier, trials = submit(api, runner="external"), bowl()
    upload(api, identifier, trials)
    shown(reader, identifier)
    drawn(page, len(trials))
    upload(api, identifier, lost(trials, 2.0**-4))
    drawn(page, len(trials) - 6)
    expect(page.locator("#losses .lost.all:not(.marks *)")).to_have_count(3)


def test_the_scaled_rate_puts_the_minima_of_a_law_that_holds_on_one_line(
    reader: Reader, page: Page, api: httpx.Client
) -> None:
    shown(reader, finished(api, drift=0.5))
    places = (
        "[...document.querySelectorAll('#losses .plotted .optimum')].map((path) => path.getBBox())"
        ".map((box) => box.x + box.width / 2)"
    )
    raw = page.evaluate(places)
    assert max(raw) - min(raw) > 40
    page.get_by_label("Scaled rate").focus()
    page.keyboard.press("Space")
    expect(page.locator("#losses")).to_contain_text("every minimum is at 1")
    expect(page.locator("#losses .plotted .upright")).to_have_count(1)
    scaled = page.evaluate(places)
    assert max(scaled) - min(scaled) < 4


def test_an_edge_is_a_bound_and_of_a_cancelled_calibration_a_provisional_one(
    reader: Reader, page: Page, api: httpx.Client
) -> None:
    identifier = submit(api, runner="external")
    upload(api, identifier, [each for each in bowl() if each["learning_rate"] <= 2.0**-9])
    api.post(f"/v1/calibrations/{identifier}/cancel")
    shown(reader, identifier)
    expect(page.locator("#losses .plotted .bound.provisional")).to_have_count(3)
    expect(page.get_by_label("Scaled rate")).to_be_disabled()
    expect(page.locator("#optima tbody tr").first).to_contain_text("no larger one has run")
    ended = submit(api, runner="external")
    upload(api, ended, [each for each in bowl() if each["width"] > 64 or each["learning_rate"] <= 2.0**-9])
    assert api.post(f"/v1/calibrations/{ended}/finish").status_code == 200
    shown(reader, ended)
    expect(page.locator("#losses .plotted .bound.final")).to_have_count(1)
    expect(page.locator("#losses .plotted .bound.provisional")).to_have_count(0)


def test_the_numbers_of_a_run_are_told_by_keyboard_and_pointer_and_move_nothing(
    reader: Reader, page: Page, api: httpx.Client
) -> None:
    shown(reader, finished(api))
    drawn(page, len(bowl()))
    box = page.locator("#losses .plotted")
    before = page.locator("#losses").evaluate(PLACE)
    box.focus()
    page.keyboard.press("Home")
    tip = box.get_by_role("status")
    expect(tip).to_contain_text("width 64, seed")
    expect(tip).to_contain_text("learning rate 2.441e-4")
    page.keyboard.press("ArrowUp")
    expect(tip).to_contain_text("width 128")
    page.keyboard.press("End")
    expect(tip).to_contain_text("learning rate 0.0625")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.locator("#losses .plotted .optimum").last.hover()
    expect(tip).to_contain_text("width 256")
    assert page.locator("#losses").evaluate(PLACE) == before


def test_each_figure_is_downloaded(reader: Reader, page: Page, api: httpx.Client, tmp_path: Path) -> None:
    identifier = finished(api)
    shown(reader, identifier)
    for figure, name, suffix, head in (
        ("losses", "plot", "csv", b"mark,"),
        ("optima-over-width", "widths", "svg", b"<svg"),
    ):
        with page.expect_download() as download:
            page.locator(f"#{figure}").get_by_role("button", name=f"as {suffix.upper()}").press("Enter")
        assert download.value.suggested_filename == f"{identifier}-{name}.{suffix}"
        download.value.save_as(tmp_path / suffix)
        assert (tmp_path / suffix).read_bytes().startswith(head)


def test_a_fit_that_fails_is_said_and_greys_the_one_before(
    reader: Reader, page: Page, api: httpx.Client, allowed: list[str]
) -> None:
    allowed.append("503")
    identifier = submit(api, runner="external")
    upload(api, identifier, bowl())
    shown(reader, identifier)
    page.route("**/fit", lambda route: route.fulfill(status=503, json={"detail": "The database can't answer now."}))
    upload(api, identifier, lost(bowl(), 2.0**-4))
    told = page.locator("#optima-over-width [role=alert]").first
    expect(told).to_have_text("The curves are of an earlier fit: The database can't answer now.")
    expect(page.locator("#pictures")).to_have_class(re.compile("stale"))
    page.unroute("**/fit")
    expect(told).to_be_hidden()
    expect(page.locator("#pictures")).not_to_have_class(re.compile("stale"))


def of_many_widths(api: httpx.Client) -> str:
    rates = [2.0 ** (k / 2) for k in range(-28, -3)]
    asked = {"widths": [32, 48, 64, 96, 128, 192, 256, 512, 768, 1024], "learning_rates": rates}
    identifier = submit(api, runner="external", **asked)
    trials = [
        {**each, "loss": None if math.log2(each["learning_rate"]) > -3.2 else each["loss"]} for each in bowl(**asked)
    ]
    upload(api, identifier, trials)
    return identifier


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_nothing_clipped_and_no_labels_that_touch(
    browser: Browser, service: str, api: httpx.Client, scheme: Any
) -> None:
    states = (of_many_widths(api), submit(api, runner="external"))
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    reader = Reader(context.new_page(), service)
    for identifier in states:
        shown(reader, identifier)
        for width in (380, 1280, 2560):
            reader.page.set_viewport_size({"width": width, "height": 900})
            reader.page.wait_for_timeout(200)  # for the picture to be drawn at its new size
            assert reader.page.evaluate("document.documentElement.scrollWidth") == width
            assert reader.page.evaluate(TOUCHING) == [], width
            assert reader.page.evaluate(CLIPPED) == 0, width
            found = Axe().run(reader.page, context="#pictures").response["violations"]
            grave = [each for each in found if each["impact"] in ("serious", "critical")]
            assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave] == [], width
    context.close()


#: Tables that are wider than their place.
CLIPPED = (
    "[...document.querySelectorAll('#pictures .scroll')].filter((box) => box.scrollWidth > box.clientWidth).length"
)


@pytest.mark.timeout(300)  # the worker imports JAX and trains, on a machine that has much to do
def test_a_calibration_that_trains_fills_its_pictures(reader: Reader, page: Page, api: httpx.Client) -> None:
    proxy = {"architecture": "mlp", "depth": 1, "batch_size": 16}
    rates = [0.001, 0.004, 0.016]
    asked = spec(widths=[8, 16], seeds=1, steps=20, search="grid", learning_rates=rates, proxy=proxy)
    identifier = api.post("/v1/calibrations", json=asked).json()["id"]
    reader.visit(f"/calibrations/{identifier}")
    picture = page.locator("#losses .plotted svg")
    expect(picture).to_have_attribute("aria-label", re.compile(r"[1-9]\d* runs at"), timeout=240_000)
    while api.get(f"/v1/calibrations/{identifier}").json()["state"] == "running":
        page.wait_for_timeout(200)
    fit = api.get(f"/v1/calibrations/{identifier}/fit").json()
    assert fit["state"] == "succeeded"
    expect(picture).to_have_attribute("aria-label", re.compile(f"rate: {fit['trials']} runs at 2 widths"))
    expect(page.locator("#optima-over-width .sentence")).to_have_text(fit["choice"]["sentence"] + ".")
