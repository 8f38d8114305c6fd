"""The form of a new calibration: what it will take follows every field, and starting it starts one."""

import json
import re
import shlex
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from service.calibrations.examples import SPEC_EXAMPLES
from tests.browser.barriers import check_barriers
from tests.browser.reader import Reader
from tests.browser.test_keyboard import tab_to
from widthwise.cli import main

ESTIMATES = "/v1/calibrations/estimates"
TINY = "new=1&widths=8%2C+16&seeds=1&steps=5&runner=external&batch_size=16&depth=1"
REFUSED = "status of 422"

#: Specifications that the form has to hold without loss, those of the API's own examples among them.
SPECS: dict[str, dict[str, Any]] = {
    **{name: example["value"] for name, example in SPEC_EXAMPLES.items()},
    "unusual": {
        "parameterization": "mup",
        "optimizer": "adam_atan2",
        "alignment": {role: {"alpha": 0.8, "omega": 0.6, "u": 0.9} for role in ("hidden", "readout")},
        "widths": [32, 64, 128],
        "learning_rates": [0.001, 0.0025, 0.004],
        "steps": 50,
        "epsilon": 1e-9,
        "form": "table_8",
        "readout_omega": 1,
        "learning_rate_rule": "global",
        "epsilon_rule": "constant",
        "atan2": {"a": 2.0, "b": 0.5},
        "early_stopping": False,
        "mesh": 0.25,
        "measure": ["learning_rate", "epsilon", "horizon"],
        "horizons": [50, 100],
        "probe_learning_rate": 0.002,
        "proxy": {"architecture": "transformer", "depth": 1, "head_dim": 8, "tied": True, "dataset": "synthetic"},
    },
    "information": {
        "parameterization": "ntk",
        "optimizer": "sgd",
        "widths": [32, 64, 128],
        "search": "information",
        "precision": 0.8,
        "target_width": 4096,
    },
    "untrained": {
        "parameterization": "standard",
        "optimizer": "adan",
        "widths": [32, 64],
        "learning_rates": [0.001, 0.002, 0.004],
        "runner": "external",
    },
}


def estimated(api: httpx.Client, body: Any) -> dict[str, Any]:
    """What the service says of a specification."""
    answer = api.post(ESTIMATES, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def told(page: Page, name: str) -> Locator:
    """The value of one line of the estimate."""
    return page.locator("#estimate dt").filter(has_text=name).locator("xpath=following-sibling::dd[1]")


def shown(page: Page) -> Any:
    """The specification that the form shows."""
    return json.loads(page.locator("#specification").text_content() or "")


def problem_of(reader: Reader, label: str) -> Locator:
    """What is said to be wrong with a field."""
    field = reader.field(label)
    expect(field).to_have_attribute("aria-invalid", "true")
    return reader.page.locator(f"#problem-{field.get_attribute('name')}")


def open_form(reader: Reader, state: str = "new=1") -> None:
    """Open the form in a state, and wait for its first estimate."""
    reader.page.goto("about:blank")
    reader.visit(f"/calibrations#{state}")
    expect(reader.page.locator("#estimate dd").first).to_be_visible()


def test_it_opens_valid_with_what_the_service_takes(reader: Reader, page: Page, api: httpx.Client) -> None:
    reader.visit("/calibrations")
    expect(page.locator("#new")).to_be_hidden()
    page.get_by_role("button", name="New calibration").click()
    expect(page.locator("#new")).to_be_focused()
    expect(page.locator("#estimate dd").first).to_be_visible()
    assert shown(page) == {"parameterization": "standard", "optimizer": "adam", "widths": [64, 128, 256]}
    answer = estimated(api, shown(page))
    spec = answer["spec"]
    for member in ("seeds", "steps", "mesh"):
        expect(page.locator(f"[name={member}]")).to_have_attribute("placeholder", str(spec[member]))
    for member in ("depth", "batch_size", "sequence_length", "dataset"):
        expect(page.locator(f"[name={member}]")).to_have_attribute("placeholder", str(spec["proxy"][member]))
    # what the form shows as chosen is what the service takes if nothing is said
    for member in ("alignment", "form", "search", "runner", "learning_rate_rule", "epsilon_rule"):
        assert page.locator(f"[name={member}]").input_value() == spec[member], member
    assert page.locator("[name=architecture]").input_value() == spec["proxy"]["architecture"]
    assert page.locator("[name=early_stopping]").is_checked() is spec["early_stopping"]
    ticked = page.locator("[name=measure]:checked").evaluate_all("(all) => all.map((each) => each.value)")
    assert ticked == spec["measure"]


def test_the_estimate_follows_every_field(reader: Reader, page: Page, api: httpx.Client) -> None:
    open_form(reader)
    before = told(page, "Trials").text_content()
    reader.field("Widths").fill("64 128 256 512")
    expect(told(page, "Trials")).not_to_have_text(before or "")
    reader.field("Seeds").fill("5")
    expect(told(page, "Trials")).to_have_text(str(estimated(api, shown(page))["estimate"]["trials"]))
    page.get_by_text("Range", exact=True).click()
    for label, value in (("Rate from", "0.001"), ("Rate to", "0.016"), ("Step, octaves", "1")):
        reader.field(label).fill(value)
    expect(page.locator("#rates-told")).to_have_text("5 rates, 0.001 to 0.016, in steps of 1 octaves.")
    assert shown(page)["learning_rates"] == [0.001, 0.002, 0.004, 0.008, 0.016]
    reader.field("Search").select_option("information")
    reader.field("Precision, octaves").fill("0.8")
    answer = estimated(api, shown(page))
    expect(told(page, "Trials")).to_have_text(f"at most {answer['estimate']['trials']:,}")
    expect(page.locator("#estimate")).to_contain_text("ends as soon as it knows enough")
    expect(page).to_have_url(re.compile("precision=0.8"))
    state = page.evaluate("location.hash.slice(1)")
    asked = shown(page)
    open_form(reader, state)  # the address holds all of it
    assert shown(page) == asked


def test_an_error_is_told_at_its_field_with_the_numbers(reader: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append(REFUSED)
    open_form(reader)
    reader.field("Widths").fill("64, x")
    expect(problem_of(reader, "Widths")).to_have_text("Widths must be a number, such as 200 or 1e-8, not “x”.")
    expect(page.locator("#estimate")).to_have_class("void")
    expect(page.locator("#specification")).to_have_text("")  # not what the fields held before
    reader.field("Widths").fill("64")
    expect(problem_of(reader, "Widths")).to_have_text("Give at least 2 of them, not 1.")
    reader.field("Widths").fill(", ".join(str(16 * width) for width in range(1, 17)))
    reader.field("Search").select_option("grid")
    reader.field("Seeds").fill("32")
    page.get_by_text("List", exact=True).click()
    reader.field("Learning rates").last.fill(" ".join(str(2.0 ** (-power / 4)) for power in range(64)))
    expect(problem_of(reader, "Widths")).to_contain_text("32,768 trials are asked for, and at most 20,000 are allowed")
    reader.field("Seeds").fill("1")
    expect(page.locator("#estimate")).not_to_have_class("void")
    reader.field("Optimizer").select_option("adan")
    expect(problem_of(reader, "Optimizer")).to_contain_text("Workers do not train with optimizer 'adan'")
    reader.field("Optimizer").select_option("adam")
    reader.field("Architecture").select_option("transformer")
    reader.field("Head width").fill("48")
    expect(problem_of(reader, "Head width")).to_contain_text("“Head width” 48 does not divide width 16")
    page.get_by_role("button", name="Start the calibration").click()
    expect(reader.field("Head width")).to_be_focused()
    expect(page.locator("#start-error")).to_contain_text("does not divide")


@pytest.mark.parametrize("name", SPECS)
def test_a_template_loses_nothing(reader: Reader, page: Page, api: httpx.Client, allowed: list[str], name: str) -> None:
    allowed.append(REFUSED)  # some specifications have no defaults to ask for
    made = api.post("/v1/calibrations", json={**SPECS[name], "name": name})
    assert made.status_code == 202, made.text
    api.post(f"/v1/calibrations/{made.json()['id']}/cancel")
    reader.visit("/calibrations")
    page.get_by_role("link", name=f"Use {name} as a template").first.click()
    expect(page.locator("#filled")).to_contain_text(f"The form holds the specification of {name}")
    assert estimated(api, shown(page))["spec"] == made.json()["spec"]
    if name == "contract":  # what the service would fill in is left to it
        assert set(shown(page)) == {"parameterization", "optimizer", "widths"}


def test_a_specification_is_pasted(reader: Reader, page: Page, api: httpx.Client) -> None:
    open_form(reader)
    page.get_by_text("Fill the form from a specification").click()
    page.locator("#pasted").fill("{")
    page.get_by_role("button", name="Fill the form").click()
    expect(page.locator("#fill-error")).to_contain_text("This is not JSON")
    page.locator("#pasted").fill(json.dumps(SPECS["unusual"]))
    page.get_by_role("button", name="Fill the form").click()
    expect(page.locator("#filled")).to_have_text("The form holds what was pasted.")
    assert estimated(api, shown(page)) == estimated(api, SPECS["unusual"])


@pytest.mark.parametrize(
    "state",
    [
        "new=1&name=it%27s+wide&note=a+%24b&rates=range&rate_from=0.001&rate_to=0.004&rate_step=1&search=grid"
        "&early_stopping=&measure=learning_rate+horizon&horizons=100+200&parameterization=mup&form=table_8",
        "new=1&architecture=transformer&qk_norm=yes&feed_forward=swiglu&search=information&budget=1e14&mesh=0.25",
    ],
)
def test_the_command_asks_for_the_same(
    reader: Reader, page: Page, api: httpx.Client, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    open_form(reader, state)
    page.get_by_text("As a command and as JSON").click()
    command = page.locator("#command").text_content() or ""
    program, *options = shlex.split(command)
    assert program == "widthwise"
    with pytest.raises(SystemExit) as ended:
        main([*options, "--estimate", "--json", "--url", reader.address])
    assert ended.value.code in (0, None)
    assert json.loads(capsys.readouterr().out) == estimated(api, shown(page))
    page.get_by_role("button", name="Copy the command").click()
    assert page.evaluate("navigator.clipboard.readText()") == command


def test_a_calibration_is_started_by_keyboard_alone(reader: Reader, page: Page, api: httpx.Client) -> None:
    reader.visit("/calibrations")
    keys = page.keyboard
    tab_to(reader, "open-form")
    keys.press("Enter")
    tab_to(reader, "runner")
    keys.press("ArrowDown")  # you train
    expect(page.locator("#external-steps")).to_be_visible()
    tab_to(reader, "widths")
    keys.press("Control+A")
    keys.type("8 16")
    tab_to(reader, "seeds")
    keys.type("1")
    expect(told(page, "Trials")).to_have_text("22")  # of the 11 automatic rates
    expect(told(page, "Time")).to_have_text("yours: this service trains nothing")
    tab_to(reader, "name")
    keys.type("by keyboard")
    tab_to(reader, "start")
    keys.press("Enter")
    page.wait_for_url(re.compile(r"/calibrations/cal_\w+$"))
    made = api.get(f"/v1{page.url.removeprefix(reader.address)}").json()
    assert (made["name"], made["spec"]["widths"], made["runner"]) == ("by keyboard", [8, 16], "external")


def test_a_click_that_is_repeated_or_sent_again_starts_one(
    reader: Reader, page: Page, api: httpx.Client, allowed: list[str]
) -> None:
    allowed.append("ERR_FAILED")
    open_form(reader, f"{TINY}&name=once")
    lost = []

    def lose(route: Route) -> None:
        if route.request.method != "POST" or lost:
            route.continue_()
            return
        lost.append(route.fetch())  # the service starts it, and its answer does not arrive
        route.abort()

    page.route("**/v1/calibrations", lose)
    start = page.get_by_role("button", name="Start the calibration")
    start.click()
    expect(page.locator("#start-error")).to_contain_text("The service does not answer")
    start.dblclick()
    page.wait_for_url(re.compile(r"/calibrations/cal_\w+$"))
    (made,) = api.get("/v1/calibrations", params={"name": "once"}).json()["items"]
    assert page.url.endswith(made["id"])


def test_what_is_missing_is_told_before_the_start(reader: Reader, page: Page, allowed: list[str]) -> None:
    allowed += ["status of 403", "status of 429"]
    page.route("**/v1/workers", lambda route: route.fulfill(json={"items": []}))
    open_form(reader, TINY.replace("&runner=external", ""))
    expect(page.locator("#no-worker")).to_contain_text("No worker is alive")
    reader.field("Who trains").select_option("external")
    expect(page.locator("#no-worker")).to_be_hidden()
    fault = {"message": "9 trials more are too many", "asked": 9, "limit": 10, "in_use": 5}
    full = {"status": 429, "headers": {"Retry-After": "60"}, "json": {"detail": "full", "errors": [fault]}}
    page.route(f"**{ESTIMATES}", lambda route: route.fulfill(**full))
    reader.field("Seeds").fill("2")
    expect(page.locator("#estimate-error")).to_have_text("9 trials more are too many.")
    page.unroute(f"**{ESTIMATES}")
    detail = "This needs a key with scope calibrate; yours has read."
    page.route("**/v1/calibrations", lambda route: route.fulfill(status=403, json={"detail": detail}))
    page.get_by_role("button", name="Start the calibration").click()
    expect(page.locator("#start-error")).to_have_text(detail)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_and_nothing_clipped(reader: Reader, page: Page, allowed: list[str], scheme: Any) -> None:
    allowed.append(REFUSED)
    page.emulate_media(color_scheme=scheme)
    open_form(
        reader, "new=1&architecture=transformer&measure=learning_rate+epsilon+horizon&search=information&precision=1"
    )
    page.get_by_text("As a command and as JSON").click()
    page.get_by_text("More", exact=True).click()
    check_barriers(page)
    reader.field("Readout ω").fill("3")
    expect(problem_of(reader, "Readout ω")).to_have_text("Readout ω must be less than or equal to 1, not 3.")
    check_barriers(page, widths=(1280,))
