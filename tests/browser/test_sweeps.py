"""Own sweeps: a table goes in; its optima, its law and predictions come out."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.barriers import check_barriers
from tests.browser.chromium import PATIENCE_MS
from tests.browser.reader import Reader
from tests.browser.test_keyboard import tab_to
from widthwise.sweeps import SweepRun, runs_from_rows
from widthwise.sweeps.reading import read_file
from widthwise.sweeps.table import read_rows

SWEEP = re.compile(r"/sweeps/swp_\w+$")


def table(widths: tuple[int, ...] = (128, 256, 512), separator: str = ",", header: str = "lr,val_loss,d_model") -> str:
    """A made-up sweep: the best rate is 0.008 at width 128, and falls as 1/width."""
    lines = [header]
    for width in widths:
        for step in range(-2, 3):
            rate = 0.008 * (128 / width) * 2.0**step
            lines.append(f"{rate:.6g},{3 + 0.02 * step**2 - 0.1 * width / 128:.4f},{width}")
    return "\n".join(lines).replace(",", separator) + "\n"


def drop(page: Page, name: str, text: str) -> None:
    """Drop a file on the page, as from a desk."""
    page.evaluate(
        """([name, text]) => {
          const data = new DataTransfer();
          data.items.add(new File([text], name));
          for (const kind of ["dragover", "drop"]) {
            const event = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data });
            document.body.dispatchEvent(event);
          }
        }""",
        [name, text],
    )


def choose(page: Page, name: str, text: str) -> None:
    """Choose a file."""
    page.locator("#file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": text.encode()})


def meaning(page: Page, column: str) -> Locator:
    """The list that says what a column means."""
    return page.get_by_label(f"Meaning of {column}", exact=True)


def uploaded(service: str, name: str, rows: list[dict[str, Any]], **more: Any) -> str:
    """Upload a sweep past the page; return the address of its page."""
    answer = httpx.post(f"{service}/v1/sweeps", json={"name": name, "runs": rows, **more})
    assert answer.status_code == 201, answer.text
    return f"/sweeps/{answer.json()['id']}"


def names(service: str) -> list[str]:
    """The names of the sweeps that the service keeps."""
    return [each["name"] for each in httpx.get(f"{service}/v1/sweeps?limit=200").json()["items"]]


@pytest.fixture(scope="module")
def sweep(service: str) -> str:
    """The address of the page of a sweep with its words, its bounds and a run that diverged."""
    rows = [
        {"learning_rate": 0.008 * 128 / width * 2.0**step * gain, "loss": loss, "seed": 0, "width": width, "opt": word}
        for width in (128, 256, 512)
        for word, gain in (("adam", 1), ("lion", 0.25))
        for step in range(-2, 3)
        for loss in [None if step == 2 else 3 + 0.02 * step**2 - 0.1 * width / 128]
    ]
    return uploaded(service, "two optimizers", rows, groups=["opt"])


TABLES = {
    "comma": 'lr,loss,"a ""name"""\n0.1,3,"one, two"\n',
    "semicolon, CRLF, BOM": "\ufefflr;loss\r\n0.1;3\r\n\r\n;\r\n0.2;\r\n",
    "tab, index, blank lines before": "\n \n\tlr\tloss\n0\t0.1\t3\n",
    "quotes over lines, and inside of a cell": 'lr,note\n0.1,"a\nb ""c"""x\n0.2,d"e"\n0.3,""\n',
    "short rows, no last newline": "lr,loss,width\n0.1\n0.2,3\n0.3,3,",
    "JSON lines": '{"lr": 0.1, "loss": NaN}\n\n{"lr": 0.2, "note": "NaN; \\"Infinity\\""}\n',
    "a JSON list": '[{"lr": 0.1, "loss": null}, {"lr": 0.2, "loss": 3}]',
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_a_table_is_read_as_the_library_reads_it(reader: Reader, page: Page, tmp_path: Path, text: str) -> None:
    reader.visit("/sweeps")
    found = page.evaluate(
        "async (text) => (await (await import('/assets/sweeps/table.js')).readTable(text)).rows", text
    )
    file = tmp_path / "runs"
    file.write_bytes(text.encode())
    expected = json.dumps([dict(row) for row in read_rows(file)]).replace("NaN}", "null}").replace("NaN,", "null,")
    assert found == json.loads(expected)


EXPORTS = {
    "Optuna": (
        "number,value,state,params_lr,params_n_layer,user_attrs_tokens\n"
        "0,3.1,COMPLETE,0.1,4,1e9\n1,3,PRUNED,0.2,4,1e9\n2,,FAIL,0.4,4,1e9\n3,,RUNNING,0.1,4,1e9\n4,inf,COMPLETE,0.8,4,1e9\n"
    ),
    "W&B": (
        "Name,State,config.optim.lr,config.d_model,eval/loss,train/loss\na,finished,0.1,64,3,2\nb,killed,0.2,64,3,2\n"
        "c,crashed,0.2,64,3,2\nd,preempting,0.1,64,3,2\ne,finished,,64,3,2\nf,Finished,0.4,64,NaN,2\n"
    ),
    "W&B's API": (
        '{"config": {"lr": 0.1, "hidden_size": 64}, "summary": {"train_loss": 3, "val_loss": 4}, "state": "ok"}\n'
        '{"config": {"lr": 0.2, "hidden_size": 64}, "summary": {"train_loss": 3, "val_loss": 4}, "state": "killed"}\n'
        '{"config": {"lr": 0.4, "hidden_size": 64}, "summary": {"train_loss": 3, "val_loss": NaN}, "state": "failed"}\n'
    ),
    "no tool": "learning_rate,loss,status,width\n0.1,3,completed,64\n0.2,3,Killed,64\n0.4,3,failed,64\n,3,ok,64\n",
}


def told(run: SweepRun) -> tuple[Any, ...]:
    """What a run is, with one word for every loss that is none."""
    return run.learning_rate, None if run.diverged else run.loss, run.axes, run.seed


@pytest.mark.parametrize("text", EXPORTS.values(), ids=EXPORTS)
def test_an_export_is_read_as_the_library_reads_it(reader: Reader, page: Page, tmp_path: Path, text: str) -> None:
    """Its columns mean the same, as do those of a plain table, and the same runs are left out, or have diverged."""
    reader.visit("/sweeps")
    found = page.evaluate(
        """async (text) => {
          const { readTable } = await import('/assets/sweeps/table.js');
          const { guessed } = await import('/assets/sweeps/meanings.js');
          const { readingOf, runsOf } = await import('/assets/sweeps/rows.js');
          const table = await readTable(text);
          const columns = await guessed(table);
          const reading = readingOf(columns);
          const meanings = Object.fromEntries(columns.map(({ name, meaning }) => [meaning, name]));
          return { meanings, reading, ...runsOf(table, columns, false, reading) };
        }""",
        text,
    )
    file = tmp_path / "runs"
    file.write_text(text)
    read = read_file(file)
    meanings = found["meanings"]
    columns = read.columns or {name: name for name in ("learning_rate", "loss", "status", "width")}
    assert {meaning: meanings.get(meaning) for meaning in columns} == columns
    assert set(meanings) - set(columns) <= {"kept", "left out"}
    runs = runs_from_rows(found["runs"], **found["reading"])
    assert [told(run) for run in runs] == [told(run) for run in read.runs()]
    assert (found["unfinished"], len(runs)) == (read.export.left_out, len(read.export.rows))
    assert read.export.left_out > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr,loss\n1,2,3\n", "Row 1 has 3 values, and the header 2 columns."),
        ("lr,loss\n", "It holds no run"),
        ('{"lr": 1}\n{"lr": \n', "Line 2 can't be read"),
        ("SQLite format 3\0", "widthwise fit study.db"),
    ],
)
def test_what_is_no_table_is_told(reader: Reader, page: Page, text: str, said: str) -> None:
    reader.visit("/sweeps")
    drop(page, "runs.csv", text)
    expect(page.locator("#table-error")).to_contain_text(said)
    expect(page.locator("#meaning-of-columns")).to_be_hidden()


def test_a_dropped_file_becomes_a_sweep_with_its_law_and_a_prediction(reader: Reader, page: Page, service: str) -> None:
    reader.visit("/sweeps")
    expect(page.locator("#loading-sweeps")).to_be_hidden()
    drop(page, "widths.csv", table(separator=";"))
    expect(meaning(page, "lr")).to_have_value("learning_rate")
    expect(meaning(page, "val_loss")).to_have_value("loss")
    expect(meaning(page, "d_model")).to_have_value("width")
    expect(page.locator("#table-told")).to_contain_text("15 runs in 3 cells over width; 0 diverged")
    reader.field("Name").fill("dropped")
    page.get_by_role("button", name="Upload and fit").click()
    page.wait_for_url(SWEEP)
    expect(page.locator("#optima tbody tr")).to_have_count(3)
    expect(page.locator("#law")).to_contain_text("Twice the width: ×0.")
    expect(page.locator("#plot[src]")).to_have_js_property("complete", True)
    expect(page.locator("#plot")).not_to_have_js_property("naturalWidth", 0)

    rate = page.locator("#prediction .rate strong")
    expect(rate).to_have_text(re.compile(r"^0\.00[12]"))
    reader.field("width").fill("2048")
    expect(page.locator(".reach")).to_contain_text("extrapolated by ×4; the runs cover 128 to 512")
    expect(rate).to_have_text(re.compile(r"^[4-6]\.?\d*e-4"))
    sent = httpx.post(
        service + page.url.removeprefix(service).replace("/sweeps", "/v1/sweeps") + "/predictions",
        json={"places": [{"width": 2048}]},
    ).json()
    assert float(rate.inner_text()) == pytest.approx(sent["predictions"][0]["learning_rate"], rel=0.005)
    reader.field("width").fill("wide")
    expect(page.locator("#place-error")).to_contain_text("width is “wide”; give a number above 0")
    expect(page.locator("#prediction")).to_have_class("void")
    reader.field("width, as a slider").fill("8")  # 2⁸
    expect(reader.field("width")).to_have_value("256")
    expect(page.locator(".reach")).to_have_text("the runs cover 128 to 512")

    page.get_by_role("button", name="Check").click()
    expect(page.locator("#held")).to_contain_text("of 1 intervals hold the optimum")
    expect(page.locator("#held tbody tr")).to_have_count(1)

    page.get_by_role("button", name="Delete…").click()
    expect(page.locator("#keep")).to_be_focused()
    page.get_by_role("button", name="Delete it for good").click()
    page.wait_for_url("**/sweeps")
    expect(page.locator("#sweeps, #no-sweeps:not([hidden])").first).to_be_attached()
    assert "dropped" not in names(service)


def test_what_is_wrong_is_told_at_its_column_and_what_is_open_is_asked(
    reader: Reader, page: Page, service: str
) -> None:
    reader.visit("/sweeps")
    text = (
        "log_lr,loss,d_model,bs,status\n-5,3.1,128,32,finished\n-4,diverged,128,32,finished\n"
        "-3,3,x,64,finished\n-2,1,,64,running\n,,64,64,failed\n"
    )
    choose(page, "wrong.csv", text)
    problem = page.locator("#columns .problem")
    expect(problem).to_have_text(
        [
            "Which logarithm of the rate is it?",
            "“diverged” in row 2: give a loss above 0, or nothing if the run diverged.",
            "“x” in row 3: give a number above 0 in every row, or leave the column out.",
            "In tokens it is batch tokens; in sequences, make it a separate axis.",
            "",
        ]
    )
    page.get_by_role("button", name="Upload and fit").click()
    expect(meaning(page, "log_lr")).to_be_focused()
    assert "wrong" not in names(service)
    reader.field("Scale of log_lr").select_option("ln")
    reader.field("Count the run whose loss is “diverged” as diverged").check()
    meaning(page, "bs").select_option("own axis")
    reader.field("Name of the axis bs").fill("sequences")
    meaning(page, "d_model").select_option("left out")
    expect(page.locator("#table-told")).to_contain_text(
        "3 runs in 2 cells over sequences; 1 diverged. 2 did not end by themselves or have no learning rate"
    )
    page.get_by_role("button", name="Upload and fit").click()
    page.wait_for_url(SWEEP)
    kept = httpx.get(f"{service}/v1/sweeps/{page.url.rsplit('/', 1)[1]}/runs").json()["items"]
    found = {(round(run["learning_rate"], 5), run["loss"], run["axes"]["sequences"]) for run in kept}
    assert found == {(0.00674, 3.1, 32), (0.01832, None, 32), (0.04979, 3, 64)}


def test_two_losses_of_one_run_are_told_with_what_they_differ_in(reader: Reader, page: Page) -> None:
    reader.visit("/sweeps")
    lines = [f"0.001,{3 + number / 10},128,0,{word}" for number, word in enumerate(("adam", "lion"))]
    page.get_by_text("Paste a table").click()
    rows = ["lr,loss,width,seed,opt", *lines, "0.002,3,128,0,adam", "0.002,3,256,0,lion"]
    reader.field("Rows with a header").fill("\n".join(rows))
    page.get_by_role("button", name="Read it").click()
    expect(page.locator("#columns-problem")).to_have_text(
        "Rows 1 and 2 are one run by their axes, learning rate and seed, but their losses differ. They differ in opt: "
        "is that an axis?"
    )
    meaning(page, "opt").select_option("own axis of words")
    expect(page.locator("#columns-problem")).to_be_hidden()


def test_a_long_table_is_read_without_holding_up_the_page(reader: Reader, page: Page) -> None:
    reader.visit("/sweeps")
    lines = [f"{0.001 + k / 1e6:.6f},{3 + k / 1e5:.5f},{128 << k % 4},{k}" for k in range(32768)]
    page.evaluate(
        "() => { window.frames = 0; const busy = document.getElementById('intake');"
        " const tick = () => { window.frames += busy.hasAttribute('aria-busy'); requestAnimationFrame(tick); };"
        " tick(); }"
    )
    drop(page, "long.csv", "\n".join(["lr,loss,width,note", *lines]))
    expect(page.locator("#table-told")).to_contain_text("32,768 rows and 4 columns in long.csv. They are 32,768 runs")
    assert page.evaluate("window.frames") > 1


def test_an_upload_goes_in_parts_and_one_that_fails_or_is_stopped_leaves_nothing(
    reader: Reader, page: Page, service: str, allowed: list[str]
) -> None:
    allowed.append("status of 422")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(f"{request.method} {request.url.removeprefix(service)}"))
    reader.visit("/sweeps")
    rates = [0.001 * 1.001**k for k in range(4500)]
    rates[2470] = 1e7  # which the service alone refuses, in the second part
    choose(page, "parts.csv", "\n".join(["lr,loss,width", *(f"{rate},3,128" for rate in rates)]))
    page.get_by_role("button", name="Upload and fit").click()
    expect(page.locator("#send-error")).to_have_text(
        re.compile(r"^Row 2471: learning_rate is 10000000\.0; give 1e-12 to 1e\+06\. Nothing is stored\.$")
    )
    parts = [re.sub("swp_[0-9a-f]+", "ID", line) for line in requests if not line.startswith("GET")]
    assert parts == ["POST /v1/sweeps", "POST /v1/sweeps/ID/runs", "DELETE /v1/sweeps/ID"]

    held: list[Route] = []
    choose(page, "parts.csv", "\n".join(["lr,loss,width", *(f"{rate},3,128" for rate in rates if rate < 1)]))
    page.route("**/runs", lambda route: held.append(route))  # noqa: PLW0108  Playwright marks what it is given
    page.get_by_role("button", name="Upload and fit").click()
    expect(page.locator("#sent-words")).to_have_text("2,000 of 4,499 runs are sent.")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#sent-words")).to_contain_text("Stopping")
    held[0].continue_()
    expect(page.locator("#send-error")).to_have_text("You stopped it. Nothing is stored.")
    assert "parts" not in names(service)


def test_more_runs_are_read_as_the_first_ones_and_count_once(
    reader: Reader, page: Page, service: str, allowed: list[str]
) -> None:
    allowed.append("status of 409")
    reader.visit("/sweeps")
    choose(page, "grown.csv", table(widths=(128, 256)))
    page.get_by_role("button", name="Upload and fit").click()
    page.wait_for_url(SWEEP)
    expect(page.locator("#optima tbody tr")).to_have_count(2)
    drop(page, "grown.csv", table(widths=(128, 256, 512), header="learning rate,val_loss,d_model"))
    expect(meaning(page, "learning rate")).to_have_value("learning_rate")  # it was lr: the service gets lr
    page.get_by_role("button", name="Add these runs").click()
    expect(page.locator("#added")).to_have_text("5 of 15 runs were new.")
    expect(page.locator("#optima tbody tr")).to_have_count(3)
    drop(page, "other.csv", table(widths=(128,)).replace("2.9", "2.8"))
    page.get_by_role("button", name="Add these runs").click()
    expect(page.locator("#send-error")).to_contain_text("None of the file's runs is stored.")
    drop(page, "depths.csv", "lr,val_loss,n_layer\n0.1,3,4\n")
    page.get_by_role("button", name="Add these runs").click()
    expect(page.locator("#send-error")).to_contain_text("Say which column is width.")


def test_a_sweep_that_can_not_be_fitted_says_why(reader: Reader, page: Page, service: str, allowed: list[str]) -> None:
    allowed += ["status of 409", "status of 404"]
    reader.visit(uploaded(service, "nothing yet", []))
    expect(page.locator("#refusal")).to_contain_text("There are no runs yet.")
    drop(page, "first.csv", table())
    page.get_by_role("button", name="Add these runs").click()
    expect(page.locator("#optima tbody tr")).to_have_count(3)
    expect(page.locator("#refusal")).to_be_hidden()
    lost = [{"learning_rate": 0.1 * k, "loss": None, "width": 128} for k in range(1, 4)]
    reader.visit(uploaded(service, "lost", lost))
    expect(page.locator("#refusal")).to_contain_text("All 3 runs diverged; try smaller learning rates.")
    reader.visit("/sweeps/swp_000000000000000000000000")
    expect(page.locator("#sweep-error")).to_contain_text("There is no such sweep")


def test_a_key_that_may_only_read_is_told_so(reader: Reader, page: Page, allowed: list[str]) -> None:
    allowed.append("status of 403")
    body = json.dumps({"type": "/problems/forbidden", "status": 403, "detail": "The key has scope read."})
    page.route("**/v1/sweeps", lambda route: route.fulfill(status=403, body=body))
    reader.visit("/sweeps")
    drop(page, "runs.csv", table())
    page.get_by_role("button", name="Upload and fit").click()
    expect(page.locator("#send-error")).to_have_text(
        "The key has scope read. Uploading needs a key with scope calibrate. Nothing is stored."
    )


def test_the_optima_are_sorted_and_the_figure_is_taken_along(reader: Reader, page: Page, sweep: str) -> None:
    reader.visit(sweep)
    first = page.locator("#optima tbody tr").first
    expect(first).to_contain_text("128")
    rate = page.get_by_role("button", name="Best rate")
    rate.click()
    expect(first).to_contain_text("512")
    expect(first).to_contain_text("lion")
    expect(page.locator("[aria-sort=ascending]")).to_have_text("Best rate ↑")
    expect(rate).to_be_focused()
    rate.click()
    expect(first).to_contain_text("128")
    expect(page.locator("#law")).to_contain_text("Separable:")
    for suffix, begins in {"SVG": b"<svg", "PDF": b"%PDF", "PNG": b"\x89PNG", "CSV": b"mark,"}.items():
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download the figure as {suffix}").click()
        assert download.value.suggested_filename == f"two_optimizers.{suffix.lower()}"
        assert Path(download.value.path()).read_bytes().startswith(begins)


def test_a_sweep_by_keyboard_alone(reader: Reader, page: Page) -> None:
    reader.visit("/sweeps")
    keys = page.keyboard
    tab_to(reader, "example")
    keys.press("Enter")
    expect(page.locator("#columns-heading")).to_be_focused()
    tab_to(reader, "parameterization")
    keys.type("Standard")
    tab_to(reader, "send")
    keys.press("Enter")
    page.wait_for_url(SWEEP)
    expect(page.locator("#prediction .rate")).to_be_visible()
    before = page.locator("#prediction .rate strong").inner_text()
    tab_to(reader, "axis width")
    keys.press("Tab")
    for _ in range(8):
        keys.press("ArrowRight")
    expect(reader.field("width")).to_have_value("2048")
    expect(page.locator("#prediction .rate strong")).not_to_have_text(before)
    tab_to(reader, "holdout")
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator("#held tbody tr")).to_have_count(2)
    tab_to(reader, "delete", "Shift+Tab")
    keys.press("Enter")
    keys.press("Enter")  # the focus is on keeping it
    expect(page.locator("#delete")).to_be_focused()


def test_name_and_notes_by_keyboard_alone(reader: Reader, page: Page, service: str, allowed: list[str]) -> None:
    allowed.append("status of 422")
    rows = [{"learning_rate": 0.1 * k, "loss": 3.0 + k, "width": 128} for k in range(1, 4)]
    address = uploaded(service, "to be renamed", rows)
    reader.visit(address)
    heading, error = page.locator("h2#sweep-name"), page.locator("#name-error")
    expect(heading).to_have_text("to be renamed")
    keys = page.keyboard
    tab_to(reader, "rename")
    keys.press("Enter")
    field = reader.field("Name")
    expect(field).to_be_focused()
    expect(field).to_have_value("to be renamed")
    keys.press("Delete")  # all of it is selected
    keys.press("Tab")
    keys.press("Enter")
    expect(error).to_have_text("A sweep always has a name: give another one, or leave it as it is.")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(error.inner_text())
    keys.type("lion and adam")
    with page.expect_response(lambda answer: answer.url.endswith(f"/v1{address}")):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # it reads again
    expect(field).to_be_focused()
    expect(field).to_have_value("lion and adam")
    keys.press("Enter")
    expect(heading).to_have_text("lion and adam")
    expect(error).to_be_hidden()
    assert reader.focused() == "rename"
    assert page.title().startswith("lion and adam")
    tab_to(reader, "edit-notes")
    keys.press("Enter")
    keys.type("of last week")
    keys.press("Escape")
    expect(page.locator("#sweep-notes")).to_be_hidden()
    assert reader.focused() == "edit-notes"
    keys.press("Enter")
    keys.type("of last week")
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator("#sweep-notes")).to_have_text("of last week")
    kept = httpx.get(f"{service}/v1{address}").json()
    assert (kept["name"], kept["notes"]) == ("lion and adam", "of last week")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the figure as CSV").click()
    assert download.value.suggested_filename == "lion_and_adam.csv"
    reader.visit("/sweeps")
    expect(page.get_by_role("link", name="lion and adam")).to_be_visible()
    assert "to be renamed" not in names(service)


@pytest.fixture
def screen(browser: Browser, service: str, request: pytest.FixtureRequest) -> Iterator[Reader]:
    """A reader with a colour scheme."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=request.param)
    context.set_default_timeout(PATIENCE_MS)
    yield Reader(context.new_page(), service)
    context.close()


@pytest.mark.parametrize("screen", ["light", "dark"], indirect=True)
def test_no_barrier_and_nothing_clipped(screen: Reader, sweep: str) -> None:
    screen.visit("/sweeps")
    choose(
        screen.page, "wrong.csv", "lr,loss,bs,a_long_name_of_a_column\n0.1,x,32,with a long value in it\n0.2,3,64,\n"
    )
    expect(screen.page.locator("#columns tbody tr")).to_have_count(4)
    check_barriers(screen.page)
    screen.visit(sweep)
    expect(screen.page.locator("#prediction .rate")).to_be_visible()
    screen.page.get_by_role("button", name="Check").click()
    expect(screen.page.locator("#held table")).to_be_visible()
    screen.page.get_by_role("button", name="Delete…").click()
    screen.page.get_by_role("button", name="Rename").click()
    screen.page.get_by_role("button", name="Add notes").click()
    check_barriers(screen.page)
