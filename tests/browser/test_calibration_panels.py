"""The panels of γ and of horizons: every run is drawn there next to what was found, while the calibration runs too."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from service.settings import load_settings
from testbed.databases import SqliteFiles
from tests.browser.barriers import TOUCHING, WIDTHS, check_barriers
from tests.browser.chromium import PATIENCE_MS
from tests.browser.idle import Idle, idle_service
from widthwise.calibration.trial import TrialIdentity
from widthwise.vocabulary import Role, ShardKind

ROLES = ("embedding", "hidden", "readout")
STEPS = (5, 10, 40)
ASKED: dict[str, Any] = {"measure": ["learning_rate", "gamma", "horizon"], "horizons": list(STEPS), "steps": 40}
#: log2 of the best γ; that of the embedding lies beyond every γ that is tried.
BEST = {Role.EMBEDDING: -9.0, Role.HIDDEN: 0.6, Role.READOUT: -0.7}
#: Runs that are drawn in a picture: dots in its frame, and carets for those above it.
DRAWN = """(figure) => { const count = (kind, part) => [...figure.querySelectorAll(`.plotted ${kind}`)]
  .reduce((sum, path) => sum + (path.getAttribute("d") || "").split(part).length - 1, 0);
  return count(".runs", "h0") + count(".carets", "M"); }"""
LOOK = "document.dispatchEvent(new Event('visibilitychange'))"  # as when a reader comes back to the tab


def losses(trial: TrialIdentity) -> float | None:
    """Bowls over the learning rate, which move with the horizon, and over γ; large γ of the readout diverge."""
    at = math.log2(trial.learning_rate) + 8 + 0.5 * math.log2((trial.horizon or 40) / 40)
    loss = 2.0 + 0.05 * at**2 + 0.001 * trial.seed - 0.1 * math.log2(trial.width)
    if trial.role is None:
        return loss if trial.horizon is None or at < 1.2 else None
    away = math.log2(trial.gamma)
    if trial.role is Role.READOUT and away > 1.5:
        return None
    return loss + 0.02 * ((away - BEST[trial.role]) ** 2 - BEST[trial.role] ** 2)


@pytest.fixture(scope="module")
def idle(sqlite_files: SqliteFiles) -> Iterator[Idle]:
    """A service without workers."""
    with idle_service(load_settings(database_url=sqlite_files.new_migrated(), workers=0, log_requests=False)) as found:
        yield found


@pytest.fixture(scope="module")
def ended(idle: Idle) -> str:
    """A calibration that has swept γ and horizons."""
    identifier = idle.submit(**ASKED)
    idle.work(losses)
    assert idle.show(identifier)["state"] == "succeeded"
    return identifier


def trials_of(idle: Idle, identifier: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = idle.client.get(f"/v1/calibrations/{identifier}/trials").json()["items"]
    return items


def visited(page: Page, idle: Idle, identifier: str) -> Page:
    page.goto(f"{idle.url}/calibrations/{identifier}")
    expect(page.locator("#optima-over-width .sentence")).not_to_be_empty()
    return page


def picture(page: Page, panel: str, name: str) -> Locator:
    """The picture of a role, or of a horizon."""
    found = page.locator(f"#{panel}-runs figure").filter(has=page.get_by_text(name, exact=True))
    expect(found).to_have_count(1)
    return found


def shows(found: Locator, count: int) -> None:
    """Wait until so many runs are drawn in a picture."""
    for _ in range(200):
        if found.evaluate(DRAWN) == count:
            return
        found.page.wait_for_timeout(100)
    assert found.evaluate(DRAWN) == count


def of_gamma(trials: list[dict[str, Any]], role: str) -> list[dict[str, Any]]:
    """The runs of a role's picture: those of its γ, and those of the plain sweep at the same base learning rates."""
    swept = [each for each in trials if each["role"] == role]
    cells = {(each["width"], each["learning_rate"]) for each in swept}
    plain = [each for each in trials if each["role"] is None and each["horizon"] is None]
    return swept + [each for each in plain if (each["width"], each["learning_rate"]) in cells]


def with_loss(trials: list[dict[str, Any]]) -> int:
    return sum(each["loss"] is not None for each in trials)


def shown(value: float, digits: int = 3) -> str:
    """A number as a picture says it."""
    return f"{float(f'{value:.{digits}g}'):g}"


def said(optima: list[Mapping[str, Any]], name: str) -> list[str]:
    """What the picture's name says of optima that are inside what was tried."""
    return [f"{each['width']}: {shown(each[name])}" for each in optima if each["interval"]]


def test_every_run_of_gamma_is_drawn_beside_the_optima_of_its_role(page: Page, idle: Idle, ended: str) -> None:
    trials, optima = trials_of(idle, ended), idle.show(ended)["result"]["gamma"]["optima"]
    visited(page, idle, ended)
    expect(page.locator("#gamma-runs figcaption")).to_have_text(list(ROLES))
    for role in ROLES:
        found, runs = picture(page, "gamma", role), of_gamma(trials, role)
        shows(found, with_loss(runs))
        of_role = [each for each in optima if each["role"] == role]
        inside = [each for each in of_role if each["interval"]]
        expect(found.locator(".optimum")).to_have_count(len(inside))
        expect(found.locator(".span")).to_have_count(len(inside))
        expect(found.locator(".mean")).to_have_count(3)
        expect(found.locator(".bound.final")).to_have_count(len(of_role) - len(inside))
        expect(found.locator(".tried.hollow")).to_have_count(len(of_role) - len(inside))
        name = found.get_by_role("img").get_attribute("aria-label") or ""
        assert name.startswith(f"Loss over γ of {role}: {len(runs)} runs at 3 widths"), name
        assert all(each in name for each in said(of_role, "gamma")), name
    assert "64: best γ < " in (picture(page, "gamma", "embedding").get_by_role("img").get_attribute("aria-label") or "")
    readout = picture(page, "gamma", "readout")
    expect(readout.locator(".lost.all")).to_have_count(3)
    expect(readout.get_by_role("img")).to_have_attribute("aria-label", re.compile("6 diverged"))


def test_every_run_of_a_horizon_is_drawn_over_the_learning_rate(page: Page, idle: Idle, ended: str) -> None:
    trials, optima = trials_of(idle, ended), idle.show(ended)["result"]["horizon"]["optima"]
    visited(page, idle, ended)
    expect(page.locator("#horizon-runs figcaption")).to_have_text([f"{steps} steps" for steps in STEPS])
    for steps in STEPS:
        found = picture(page, "horizon", f"{steps} steps")
        runs = [each for each in trials if each["horizon"] == steps]
        shows(found, with_loss(runs))
        assert with_loss(runs) > 0
        of_steps = [each for each in optima if each["steps"] == steps]
        expect(found.locator(".optimum")).to_have_count(1)
        expect(found.locator(".span")).to_have_count(1)
        name = found.get_by_role("img").get_attribute("aria-label") or ""
        assert name.startswith(f"Loss over learning rate of {steps} steps: {len(runs)} runs at 1 width"), name
        assert len(said(of_steps, "learning_rate")) == 1
        assert said(of_steps, "learning_rate")[0] in name, name
    expect(picture(page, "horizon", "40 steps").locator(".lost.all")).to_have_count(1)


def test_the_main_picture_says_where_the_other_runs_are(page: Page, idle: Idle, ended: str) -> None:
    trials = trials_of(idle, ended)
    gamma, horizon = (sum(each[name] is not None for each in trials) for name in ("role", "horizon"))
    visited(page, idle, ended)
    expect(page.locator("#losses")).to_contain_text(
        f"Not here: {gamma} runs of γ, drawn in γ by role; {horizon} runs of horizons, drawn in Horizons."
    )
    for link, panel in (("γ by role", "gamma"), ("Horizons", "horizon")):
        page.locator("#losses").get_by_role("link", name=link).press("Enter")
        expect(page.locator(f"#{panel}-heading")).to_be_in_viewport()


def test_the_numbers_of_a_run_are_told_by_keyboard(page: Page, idle: Idle, ended: str) -> None:
    optima = idle.show(ended)["result"]["gamma"]["optima"]
    visited(page, idle, ended)
    hidden = picture(page, "gamma", "hidden")
    box = hidden.get_by_role("group", name="Runs of hidden: the arrow keys lead from one to the next")
    tip = box.get_by_role("status")
    box.focus()
    page.keyboard.press("Home")
    for told in ("γ 0.25", "width 64, seed", "base learning rate 0.003906"):
        expect(tip).to_contain_text(told)
    best = next(each for each in optima if (each["role"], each["width"]) == ("hidden", 64))
    hidden.locator(".optimum").first.hover()
    expect(tip).to_contain_text(f"best γ {shown(best['gamma'], 4)}")
    low, high = map(shown, best["interval"])
    expect(tip).to_contain_text(f"95 %: {low} to {high}")
    page.get_by_role("button", name="Width 64", exact=True).first.press("Enter")
    expect(hidden.locator(".optimum")).to_have_count(2)
    expect(picture(page, "gamma", "readout").locator(".optimum")).to_have_count(2)


def test_the_panels_fill_while_it_runs_and_move_nothing(page: Page, idle: Idle) -> None:
    identifier = idle.submit(**ASKED)
    visited(page, idle, identifier)
    expect(page.locator("#gamma-told")).to_contain_text("Waits")
    expect(page.locator("#gamma-runs")).to_be_hidden()
    idle.work(losses, ShardKind.GAMMA)
    first = trials_of(idle, identifier)[-1]
    runs = of_gamma(trials_of(idle, identifier), first["role"])
    shows(picture(page, "gamma", first["role"]), with_loss(runs))
    button = page.locator("#gamma-runs").get_by_role("button", name=f"Width {first['width']}", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    shows(picture(page, "gamma", first["role"]), 0)
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#gamma-heading'))")
    button.evaluate("(node) => scrollBy(0, node.getBoundingClientRect().top - 300)")
    before = page.evaluate("[getSelection().toString(), scrollY]")
    idle.work(losses, ShardKind.HORIZON)
    page.evaluate(LOOK)
    for steps in STEPS:
        runs = [each for each in trials_of(idle, identifier) if each["horizon"] == steps]
        shows(picture(page, "horizon", f"{steps} steps"), with_loss(runs))
        expect(page.locator("#horizon-table tbody tr").filter(has_text=str(steps)).first).to_be_visible()
        shows(picture(page, "horizon", f"{steps} steps"), with_loss(runs))  # the event and the listing tell of one run
    expect(button).to_be_focused()
    assert page.evaluate("[getSelection().toString(), scrollY]") == before
    expect(page.locator("#horizon-runs .tried").first).to_be_attached()
    expect(page.locator("#horizon-runs .plotted .optimum")).to_have_count(0)
    idle.work(losses)
    expect(page.locator("#state")).to_have_text("succeeded")
    expect(page.locator("#gamma-runs figcaption")).to_have_text(list(ROLES))
    for role in ("hidden", "readout"):  # the width is hidden in those that came later too
        expect(picture(page, "gamma", role).locator(".optimum")).to_have_count(2)
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Enter")
    for role in ("hidden", "readout"):
        expect(picture(page, "gamma", role).locator(".optimum")).to_have_count(3)


def test_the_best_so_far_counts_the_plain_run_at_one(page: Page, idle: Idle) -> None:
    identifier = idle.submit(**ASKED)
    idle.work(lambda trial: 2.0 + 0.05 * (math.log2(trial.learning_rate * trial.gamma) + 8) ** 2, ShardKind.GAMMA)
    idle.client.post(f"/v1/calibrations/{identifier}/cancel")
    visited(page, idle, identifier)
    row = page.locator("#gamma-table tbody tr")
    expect(row.locator("td").nth(1)).to_have_text("1")
    expect(page.locator("#gamma-runs .plotted .tried:not(.hollow)")).to_have_count(1)
    expect(page.locator("#gamma-runs").get_by_role("img", name=re.compile("best γ tried so far 1"))).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_nothing_clipped_and_no_labels_that_touch(
    browser: Browser, idle: Idle, ended: str, scheme: Any
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    page = visited(context.new_page(), idle, ended)
    shows(picture(page, "gamma", "hidden"), with_loss(of_gamma(trials_of(idle, ended), "hidden")))
    for width in WIDTHS:
        check_barriers(page, (width,))
        assert page.evaluate(TOUCHING) == [], width
    context.close()
