"""Workers and queue: who trains, what waits in which order, and what failed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from service.store import Store, open_store
from service.store.database.clock import now
from service.store.database.tables import workers as workers_table
from tests.api.client import Client
from tests.api.samples import submit
from tests.browser.barriers import check_barriers
from tests.browser.chromium import PATIENCE_MS
from tests.browser.reader import Reader
from tests.browser.test_keyboard import tab_to
from tests.cli.test_serve import serving

VERSIONS = {"jax": "0.10.2", "widthwise": "0.1.0"}
TOTALS = {
    "shards": {"succeeded": 4, "failed": 1},
    "trials": {"completed": 40, "diverged": 3},
    "trial_seconds": {"count": 43, "sum": 258.0},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a service whose workers are this test."""
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[str]:
    """Its address."""
    with (folder / "log").open("w") as log, serving(folder, stderr=log) as (address, _):
        yield address


@pytest.fixture(scope="module")
def store(service: str, folder: Path) -> Iterator[Store]:
    """The database, as a worker has it."""
    store = open_store(f"sqlite:///{folder}/widthwise.db")
    yield store
    store.close()


def seen(store: Store, worker: str, seconds_ago: float) -> None:
    """Set a worker's last report back."""
    with store.database.write() as connection:
        back = sa.update(workers_table).where(workers_table.c.id == worker).values(last_seen=now(-seconds_ago))
        assert connection.execute(back).rowcount == 1


@pytest.fixture(scope="module")
def at_work(api: httpx.Client, store: Store) -> dict[str, str]:
    """Calibrations by name: one failed, one runs on three workers, one waits, one is trained elsewhere."""
    client = cast(Client, api)
    made: dict[str, str] = {}

    def submitted(name: str, **changes: Any) -> None:
        made[name] = submit(client, **changes)
        assert api.patch(f"/v1/calibrations/{made[name]}", json={"name": name}).status_code == 200

    def taken(worker: str) -> Any:
        claim = store.work.claim(worker)
        assert claim is not None
        return claim

    for name in ("busy", "silent", "free", "gone", "trier"):
        store.workers.report(name, host="node-1", device="NVIDIA H200", versions=VERSIONS, totals=TOTALS, begins=True)
    submitted("hopeless", widths=[64, 128], search="grid")
    while (claim := store.work.claim("trier")) is not None:
        store.work.fail(claim, "the loss of every trial is infinite", retryable=False)
    submitted("first", search="grid")
    submitted("second", widths=[32, 64])
    submitted("elsewhere", runner="external")
    store.work.fail(taken("trier"), "CUDA out of memory", retryable=True)
    assert taken("busy").calibration_id == taken("silent").calibration_id == made["first"]
    store.workers.stop("gone")
    seen(store, "gone", 7200)
    seen(store, "silent", 200)
    return made


@pytest.fixture
def opened(reader: Reader, at_work: dict[str, str]) -> Reader:
    """The page with all of it."""
    reader.visit("/workers")
    expect(row(reader.page, "workers", "busy")).to_be_visible()
    return reader


def row(page: Page, table: str, text: str) -> Any:
    """The rows of a table that have a text."""
    return page.locator(f"#{table} tbody tr").filter(has_text=text)


def test_nothing_yet_says_how_to_start(reader: Reader, page: Page) -> None:
    page.route("**/v1/workers", lambda route: route.fulfill(json={"items": []}))
    page.route("**/v1/calibrations?*", lambda route: route.fulfill(json={"items": [], "next_cursor": None}))
    reader.visit("/workers")
    expect(page.locator("#no-workers")).to_contain_text("widthwise work")
    expect(page.locator("#no-queue")).to_contain_text("Nothing waits and nothing runs.")
    expect(page.locator("#no-failures")).to_be_visible()
    expect(page.locator("#stuck")).to_be_hidden()


def test_each_worker_says_what_it_is_and_runs(opened: Reader, page: Page, at_work: dict[str, str]) -> None:
    busy = row(page, "workers", "busy")
    expect(busy).to_contain_text("running")
    expect(busy).to_contain_text("NVIDIA H200")
    expect(busy).to_contain_text("jax 0.10.2, widthwise 0.1.0")
    expect(busy).to_contain_text(re.compile("width (256|128|64)"))
    expect(busy).to_contain_text("1 failed")
    expect(busy).to_contain_text("in 4 min")
    expect(busy.get_by_role("link", name="first")).to_have_attribute("href", f"/calibrations/{at_work['first']}")
    silent = row(page, "workers", "silent")
    expect(silent).to_have_class("stale")
    expect(silent).to_contain_text("another worker may take it over in")
    expect(row(page, "workers", "free")).to_contain_text("idle")
    expect(page.locator("#workers-summary")).to_have_text(re.compile("1 running, .*1 stale"))


def test_those_that_stopped_long_ago_are_shown_when_asked_for(opened: Reader, page: Page) -> None:
    expect(row(page, "workers", "gone")).to_have_count(0)
    page.get_by_label("Show 1 worker that stopped over an hour ago").check()
    expect(row(page, "workers", "gone")).to_contain_text("stopped")


def test_the_queue_is_in_the_order_of_claims(opened: Reader, page: Page) -> None:
    names = page.locator("#queue tbody th")
    expect(names).to_have_text(["first", "second", "elsewhere"])
    expect(row(page, "queue", "first")).to_contain_text("2 running")
    expect(row(page, "queue", "first").locator("code")).to_have_text(["busy", "silent"])
    expect(row(page, "queue", "second")).to_contain_text("waiting")
    expect(row(page, "queue", "elsewhere")).to_contain_text("waits for its trials")
    expect(page.locator("#queue-summary")).to_contain_text("2 shards running")


def test_failures_say_why(opened: Reader, page: Page, at_work: dict[str, str]) -> None:
    hopeless = row(page, "failures", "hopeless")
    expect(hopeless).to_have_count(1)  # three shards, one reason
    expect(hopeless).to_contain_text("3 shards, widths 64, 128")
    expect(hopeless).to_contain_text("the loss of every trial is infinite")
    expect(hopeless).to_contain_text("1 of 3")
    expect(hopeless).to_contain_text("trier")
    again = row(page, "failures", "CUDA out of memory")
    expect(again).to_contain_text("tried again")
    expect(again.get_by_role("link")).to_have_attribute("href", f"/calibrations/{at_work['first']}")


def test_work_that_nobody_can_take_is_said(opened: Reader, page: Page) -> None:
    expect(page.locator("#stuck")).to_be_hidden()

    def without_workers(route: Any) -> None:
        items = [{**each, "state": "stale"} for each in route.fetch().json()["items"]]
        route.fulfill(json={"items": items})

    page.route("**/v1/workers", without_workers)
    page.reload()
    expect(page.locator("#stuck")).to_contain_text("no worker is alive to take them")


def test_what_is_read_again_leaves_the_reader_alone(opened: Reader, page: Page) -> None:
    page.clock.install()
    page.reload()
    link = row(page, "queue", "second").get_by_role("link")
    link.focus()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#failures tbody td'))")
    selected = page.evaluate("getSelection().toString()")
    with page.expect_response("**/v1/workers"):
        page.clock.run_for(6000)
    page.wait_for_load_state("networkidle")
    assert opened.focused() == "second"
    assert page.evaluate("getSelection().toString()") == selected != ""


def test_how_it_was_is_told_while_the_service_is_gone(opened: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("ERR_CONNECTION_REFUSED")
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    expect(page.get_by_text("This is how it was when it last did")).to_be_visible()
    expect(row(page, "workers", "busy")).to_be_visible()


def test_a_calibration_that_is_deleted_meanwhile_is_no_trouble(opened: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("404")
    page.route("**/shards", lambda route: route.fulfill(status=404, json={"detail": "there is no calibration"}))
    page.reload()
    expect(row(page, "queue", "second")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="not connected")).to_have_count(0)


def test_by_keyboard_alone(opened: Reader, page: Page, at_work: dict[str, str]) -> None:
    tab_to(opened, "stopped")
    page.keyboard.press("Space")
    expect(row(page, "workers", "gone")).to_be_visible()
    tab_to(opened, "second")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/calibrations/{at_work['second']}$"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_and_nothing_clipped(browser: Browser, service: str, at_work: dict[str, str], scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{service}/workers")
    expect(row(page, "failures", "hopeless").first).to_be_visible()
    check_barriers(page)
    context.close()
