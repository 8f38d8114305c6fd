"""The page of one calibration: a running one is followed to its end, and everything that can be done with one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from service.settings import load_settings
from service.store import open_store
from testbed.databases import SqliteFiles
from testbed.waiting import until
from tests.api.keyed import PEPPER, bearer, new_key
from tests.api.samples import bowl
from tests.browser.chromium import PATIENCE_MS
from tests.browser.idle import Idle, idle_service
from tests.browser.reader import Reader

EVERYTHING: dict[str, Any] = {
    "parameterization": "standard",
    "optimizer": "adam",
    "widths": [8, 16],
    "seeds": 1,
    "steps": 8,
    "search": "grid",
    "learning_rates": [0.02, 0.08, 0.3, 1.2],
    "proxy": {"architecture": "mlp", "depth": 1, "batch_size": 16},
    "measure": ["learning_rate", "gamma", "epsilon", "alignment", "coordinates", "horizon"],
    "horizons": [4, 8],
    "name": "everything",
}
TRAINS_SECONDS = 240  # the worker imports JAX and trains, on a machine that has much to do
LOOK = "document.dispatchEvent(new Event('visibilitychange'))"  # as when a reader comes back to the tab
PANELS = ("coordinates", "alignment", "epsilon", "gamma", "horizon")


@pytest.fixture(scope="module")
def measuring(service: str) -> Iterator[httpx.Client]:
    """A client of the service whose worker trains."""
    with httpx.Client(base_url=service, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def measured(measuring: httpx.Client) -> str:
    """A calibration that measures everything, by a real worker: it may still run."""
    answer = measuring.post("/v1/calibrations", json=EVERYTHING)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.fixture(scope="module")
def idle(sqlite_files: SqliteFiles) -> Iterator[Idle]:
    """A service without workers."""
    with idle_service(load_settings(database_url=sqlite_files.new_migrated(), workers=0, log_requests=False)) as found:
        yield found


@pytest.fixture
def visit(page: Page, idle: Idle) -> Any:
    """Open the page of one of its calibrations."""

    def visited(identifier: str) -> Page:
        page.goto(f"{idle.url}/calibrations/{identifier}")
        expect(page.locator("#name")).to_be_visible()
        return page

    return visited


def button(page: Page, name: str) -> Locator:
    """A button by its exact name."""
    return page.get_by_role("button", name=name, exact=True)


def fact(page: Page, term: str) -> Locator:
    """What the page says next to a term."""
    return page.locator(".facts div").filter(has=page.get_by_text(term, exact=True)).locator("dd")


def focus(page: Page) -> Any:
    """The id of what has the focus, or its name or text."""
    return page.evaluate("(({id, name, textContent}) => id || name || textContent)(document.activeElement)")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on something."""
    for _ in range(60):
        if focus(page) == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached; the focus is on {focus(page)}")


@pytest.mark.timeout(300)
def test_a_running_one_is_followed_to_its_end(reader: Reader, page: Page, measured: str) -> None:
    reader.visit(f"/calibrations/{measured}")
    expect(page.locator("#name")).to_have_text("everything")
    expect(page.locator("#horizon-told")).to_contain_text(re.compile("Waits|tried so far|tokens"))
    page.get_by_role("link", name="Use as a template").focus()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#facts dd'))")
    page.evaluate("window.scrollTo(0, 200)")
    selected, scrolled = page.evaluate("[getSelection().toString(), window.scrollY]")
    assert selected == "standard, Adam, full alignment"
    expect(page.locator("#state")).to_have_text("succeeded", timeout=1000 * TRAINS_SECONDS)
    assert focus(page) == "template"
    assert page.evaluate("[getSelection().toString(), window.scrollY]") == [selected, scrolled]
    expect(page.locator("#how-far")).to_contain_text("took")
    for panel in PANELS:
        expect(page.locator(f"#{panel}-pictures svg").first).to_be_visible()
        expect(page.locator(f"#{panel}-table tbody tr").first).to_be_visible()
    expect(page.locator("#alignment-pictures").get_by_role("img")).to_have_count(3)
    expect(page.locator("#epsilon-told")).to_contain_text("Every epsilon in force is harmless")
    expect(page.locator("#coordinates-told .state")).to_have_text(re.compile("pass|fail|inconclusive"))
    expect(page.locator("#losses .runs").first).to_be_attached()


@pytest.mark.timeout(300)
def test_the_panels_show_what_the_service_says(
    reader: Reader, page: Page, measured: str, measuring: httpx.Client
) -> None:
    address = f"/v1/calibrations/{measured}"
    until(lambda: measuring.get(address).json()["state"] == "succeeded", TRAINS_SECONDS)
    found = measuring.get(address).json()
    result, trials = found["result"], measuring.get(f"{address}/trials").json()["items"]
    reader.visit(f"/calibrations/{measured}")
    expect(page.locator("#exponents tbody tr")).to_have_count(len(result["exponents"]))
    expect(page.locator("#epsilon-table tbody tr")).to_have_count(len(result["epsilon"]["needs"]))
    expect(page.locator("#coordinates-table tbody tr")).to_have_count(len(result["coordinates"]["judgements"]))
    layers = {judged["layer"] for judged in result["coordinates"]["judgements"]}
    expect(page.locator("#coordinates-pictures figure")).to_have_count(len(layers))
    expect(page.locator("#gamma-table tbody tr")).to_have_count(len(result["gamma"]["optima"]))
    expect(page.locator("#horizon-table tbody tr")).to_have_count(len(result["horizon"]["optima"]))
    expect(page.locator("#cautions .warning")).to_have_count(len(result["warnings"]))
    largest = next(each for each in result["alignment"]["measured"] if each["quantity"] == "alpha")
    shown = page.locator("#alignment-table tbody tr").filter(has_text=f"α of {largest['role']}")
    expect(shown).to_contain_text(f"{largest['exponent']['value']:.2f}")
    assert page.locator("#times tbody tr").count() == len(
        {(trial["width"], trial["role"] is None, trial["horizon"] is None) for trial in trials}
    )
    expect(fact(page, "Code, SHA-256")).to_have_text(result["provenance"]["code_sha256"][0][:12])
    expect(fact(page, "Versions")).to_contain_text("jax")
    expect(fact(page, "Time in trials")).to_contain_text(f"in {len(trials)} trials")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_and_nothing_clipped(
    browser: Browser, service: str, measured: str, measuring: httpx.Client, scheme: Any
) -> None:
    until(lambda: measuring.get(f"/v1/calibrations/{measured}").json()["state"] == "succeeded", TRAINS_SECONDS)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{service}/calibrations/{measured}")
    expect(page.locator("#horizon-table tbody tr").first).to_be_visible()
    for details in page.locator("main details").all():
        details.evaluate("(box) => { box.open = true; }")
    for width in (380, 1280, 2560):
        page.set_viewport_size({"width": width, "height": 900})
        barrier_free(page, width)
    page.set_viewport_size({"width": 380, "height": 900})
    button(page, "Extend…").click()
    barrier_free(page, 380)
    context.close()


def barrier_free(page: Page, width: int) -> None:
    """Assert that nothing is clipped and that axe finds nothing serious."""
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth)"
    assert page.evaluate(f"{boxes}.map((box) => box.firstElementChild.id)") == [], width
    found = Axe().run(page).response["violations"]
    grave = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave] == [], width


def test_an_exponent_is_called_what_it_is(visit: Any, idle: Idle) -> None:
    page = visit(idle.finished(drift=0.0))
    row = page.locator("#exponents tbody tr").filter(has_text="hidden")
    expect(row).to_contain_text("theory, not refuted")
    expect(page.locator("#optima-over-width .sentence")).to_contain_text("the optima alone go as width^(")
    page = visit(idle.finished(drift=1.0))
    expect(row).to_contain_text("measured, differs from theory")
    expect(page.locator("#laws tbody tr").filter(has_text="yes")).to_contain_text("power of width")


def test_one_that_is_cancelled_shows_what_it_tried(visit: Any, idle: Idle) -> None:
    identifier = idle.submit(runner="external")
    trials = [{"width": 64, "learning_rate": rate, "seed": 0, "loss": loss} for rate, loss in ((0.01, 3), (0.02, 2.5))]
    idle.client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": trials}).raise_for_status()
    idle.client.post(f"/v1/calibrations/{identifier}/cancel").raise_for_status()
    page = visit(identifier)
    expect(page.locator("#found")).to_contain_text("It ended without a result")
    expect(page.locator("#optima tbody tr")).to_have_count(1)
    expect(page.locator("#optima tbody tr")).to_contain_text("2.5")


def test_a_panel_waits_and_another_is_absent(visit: Any, idle: Idle) -> None:
    page = visit(idle.submit(measure=["learning_rate", "coordinates"]))
    expect(page.locator("#coordinates-told")).to_have_text("Waits for a worker.")
    expect(page.locator("#how-far")).to_contain_text("waits for a worker")
    for panel in ("alignment", "epsilon", "gamma", "horizon"):
        expect(page.locator(f"#{panel}")).to_be_hidden()


def test_a_failed_one_says_why_and_is_retried(visit: Any, idle: Idle) -> None:
    identifier = idle.failed("The device ran out of memory.")
    page = visit(identifier)
    expect(page.locator("#reason")).to_contain_text("The device ran out of memory.")
    expect(page.locator("#failures .failure")).to_have_count(0)  # the same is not said twice
    button(page, "Retry the failed shards").click()
    expect(page.locator("#state")).to_have_text(re.compile("queued|running"))
    expect(button(page, "Retry the failed shards")).to_be_hidden()
    assert focus(page) == "name"  # and not the top of the page
    assert idle.show(identifier)["state"] in ("queued", "running")
    idle.client.post(f"/v1/calibrations/{identifier}/cancel")


def test_cancelling_is_confirmed(visit: Any, idle: Idle) -> None:
    identifier = idle.submit()
    page = visit(identifier)
    button(page, "Cancel…").click()
    sure = page.get_by_role("dialog", name="Cancel this calibration?")
    expect(sure).to_be_visible()
    page.keyboard.press("Escape")
    expect(sure).to_be_hidden()
    assert focus(page) == "cancel"
    assert idle.show(identifier)["state"] == "queued"
    page.keyboard.press("Enter")
    sure.get_by_role("button", name="Cancel the calibration").click()
    expect(page.locator("#state")).to_have_text("cancelled")
    expect(sure).to_be_hidden()
    assert focus(page) == "name"


def test_deleting_is_confirmed_and_explained(visit: Any, idle: Idle, allowed: list[str]) -> None:
    allowed += ["409", "404"]
    parent = idle.finished()
    child = idle.client.post(f"/v1/calibrations/{parent}/extensions", json={"seeds": 3}).json()["id"]
    page = visit(child)
    button(page, "Delete…").click()
    yet = page.get_by_role("dialog", name="It can't be deleted yet")
    expect(yet).to_contain_text("Cancel it first")
    expect(button(page, "Delete it for good")).to_be_hidden()
    button(page, "Leave it").click()
    visit(parent)
    button(page, "Delete…").click()
    button(page, "Delete it for good").click()
    expect(page.locator("#sure-error")).to_contain_text("delete what extends it first")
    page.locator("#sure-links").get_by_role("link", name=child).click()
    expect(page).to_have_url(f"{idle.url}/calibrations/{child}")
    idle.client.post(f"/v1/calibrations/{child}/cancel").raise_for_status()
    expect(page.locator("#state")).to_have_text("cancelled")
    button(page, "Delete…").click()
    button(page, "Delete it for good").click()
    expect(page).to_have_url(f"{idle.url}/calibrations")
    page.goto(f"{idle.url}/calibrations/{child}")
    expect(page.get_by_role("heading", name="There is no such calibration")).to_be_visible()
    expect(page.locator("#missing-id")).to_have_text(child)
    expect(page.locator("#whole")).to_be_hidden()


def test_name_and_note_by_keyboard_alone(visit: Any, idle: Idle) -> None:
    identifier = idle.finished()
    page = visit(identifier)
    expect(page.locator("#name")).to_have_text(identifier)
    keys = page.keyboard
    tab_to(page, "rename")
    keys.press("Enter")
    assert focus(page) == "name"  # the field's name
    keys.type("muP, wide")
    keys.press("Enter")
    expect(page.locator("h2#name")).to_have_text("muP, wide")
    assert focus(page) == "rename"
    expect(fact(page, "Identifier")).to_have_text(identifier)
    tab_to(page, "edit-note")
    keys.press("Enter")
    keys.type("Before the new tokenizer.")
    keys.press("Escape")
    expect(page.locator("#note")).to_be_hidden()
    assert focus(page) == "edit-note"
    keys.press("Enter")
    keys.type("Before the new tokenizer.")
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator("#note")).to_have_text("Before the new tokenizer.")
    shown = idle.show(identifier)
    assert (shown["name"], shown["note"]) == ("muP, wide", "Before the new tokenizer.")


def test_an_extension_by_keyboard_alone(visit: Any, idle: Idle, allowed: list[str]) -> None:
    allowed.append("422")
    parent = idle.worked()
    page = visit(parent)
    keys = page.keyboard
    tab_to(page, "extend")
    keys.press("Enter")
    assert focus(page) == "widths"
    tab_to(page, "extension-yes")
    keys.press("Enter")
    expect(page.locator("#extension-error")).to_contain_text("Nothing is added yet")
    tab_to(page, "widths")
    for wrong, told in (("wide", "Widths are whole numbers"), ("64", "is already included")):
        keys.press("Control+A")
        keys.type(wrong)
        tab_to(page, "extension-yes")
        keys.press("Enter")
        expect(page.locator("#problem-widths")).to_contain_text(told)
        assert focus(page) == "widths"
    keys.press("Control+A")
    keys.type("512")
    tab_to(page, "seeds")
    keys.press("Control+A")
    keys.type("3")
    tab_to(page, "name")
    keys.type("wider")
    expect(page.locator("#extension-cost")).to_have_text(
        re.compile(r"^It runs \d+ further trials, .*; \d+ trials are there")
    )
    keys.press("Enter")
    expect(page.locator("h2#name")).to_have_text("wider")
    expect(fact(page, "Extends")).to_have_text(parent)
    expect(fact(page, "Widths")).to_have_text("64, 128, 256, 512")
    visit(parent)
    expect(fact(page, "Extended by").get_by_role("link", name="wider")).to_be_visible()


def test_the_ways_on(visit: Any, idle: Idle) -> None:
    identifier = idle.finished()
    page = visit(identifier)
    expect(page.get_by_role("link", name="Use as a template")).to_have_attribute(
        "href", f"/calibrations#from={identifier}"
    )
    page.get_by_role("link", name="Use its exponents in a transfer").click()
    expect(page.locator("#provenance")).to_contain_text(f"measured by {identifier}")
    expect(page.get_by_label("Exponents", exact=True)).to_have_value(identifier)


def test_a_comparison(visit: Any, idle: Idle, allowed: list[str]) -> None:
    allowed.append("404")
    other, identifier = idle.finished(drift=0.5, name="drifts"), idle.finished(drift=0.0, epsilon=1e-10)
    page = visit(identifier)
    button(page, "Compare…").click()
    assert focus(page) == "other"
    expect(page.locator(f"#others option[value={other}]")).to_have_text("drifts, succeeded")
    page.keyboard.type("cal_0")
    page.keyboard.press("Enter")
    expect(page.locator("#compare-error")).to_contain_text("cal_0")
    page.get_by_label("The other one").fill(other)
    page.keyboard.press("Enter")
    expect(page.locator("#compared")).to_contain_text("Specification different, code not known")
    expect(page.locator("#compared")).to_contain_text("54 trials in both, 18 are equal")
    expect(page.locator("#differences tbody tr")).to_contain_text("epsilon")


def test_the_specification_is_taken_along(visit: Any, idle: Idle) -> None:
    identifier = idle.finished()
    page = visit(identifier)
    page.get_by_text("Specification, with every default").click()
    button(page, "Copy").click()
    expect(page.locator("#spec-told")).to_have_text("The specification is copied.")
    stored = idle.show(identifier)["spec"]
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == stored
    with page.expect_download() as download:
        button(page, "Download").click()
    assert json.loads(Path(download.value.path()).read_text(encoding="utf-8")) == stored
    assert download.value.suggested_filename == f"{identifier}.json"


def test_what_was_uploaded_is_fitted(visit: Any, idle: Idle, allowed: list[str]) -> None:
    allowed.append("409")
    identifier = idle.submit(runner="external")
    page = visit(identifier)
    button(page, "Fit what was uploaded").click()
    expect(page.locator("#action-error")).to_contain_text("trials")
    idle.client.post(f"/v1/calibrations/{identifier}/trials", json={"trials": bowl()}).raise_for_status()
    button(page, "Fit what was uploaded").click()
    expect(page.locator("#state")).to_have_text("succeeded")
    expect(page.locator("#exponents tbody tr").first).to_be_visible()


def test_a_service_that_is_gone_is_told(visit: Any, idle: Idle, allowed: list[str]) -> None:
    allowed.append("ERR_CONNECTION_REFUSED")
    page = visit(idle.submit())
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    page.evaluate(LOOK)
    expect(page.locator("#stale")).to_contain_text("The service does not answer")
    expect(page.get_by_role("status").filter(has_text="not connected")).to_be_visible()
    page.unroute("**/v1/**")
    page.evaluate(LOOK)
    expect(page.locator("#stale")).to_be_hidden()


def test_a_key_is_asked_for_and_its_scope_explained(page: Page, sqlite_files: SqliteFiles, allowed: list[str]) -> None:
    allowed += ["401", "403"]
    settings = load_settings(
        database_url=sqlite_files.new_migrated(), workers=0, log_requests=False, require_keys=True, pepper=PEPPER
    )
    store = open_store(settings.database_url)
    admin, reads = new_key(store), new_key(store, scope="read")
    store.close()
    with idle_service(settings, bearer(admin)) as locked:
        identifier = locked.failed("The child process died.")
        page.goto(f"{locked.url}/calibrations/{identifier}")
        expect(page.locator("#key-card")).to_be_visible()
        expect(page.locator("#results")).to_be_hidden()
        page.get_by_label("Key", exact=True).fill(reads.reveal())
        page.keyboard.press("Enter")
        expect(page.locator("#state")).to_have_text("failed")
        needed = "This needs a key with scope calibrate; yours has read. Ask the operator"
        button(page, "Retry the failed shards").click()
        expect(page.locator("#action-error")).to_contain_text(needed)
        button(page, "Delete…").click()
        button(page, "Delete it for good").click()
        expect(page.locator("#sure-error")).to_contain_text(needed)
        button(page, "Leave it").click()
        button(page, "Name it").click()
        page.keyboard.type("mine")
        page.keyboard.press("Enter")
        expect(page.locator("#name-error")).to_contain_text(needed)
