"""How long a frame of the page takes with thousands of runs in its picture: at the first draw, and while more arrive.

    python -m benchmarks.page_frames [--widths 5] [--rates 63] [--seeds 16] [--dry]

One API process on SQLite, and Chromium without a screen. A calibration of an external runner gets half of its runs,
then a reader opens its page, and the other half arrives in batches while the reader points at the picture. Then the
page is opened again with all of them. A frame is the time from one animation frame to the next; a long task keeps the
page's thread for more than 50 ms. Both grow on a machine that does other things meanwhile; the processor time that a
task of that thread takes does not.
"""

import json
import math
import os
import shutil
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks import record
from benchmarks.service_process import HOST, PACKAGES, Server, serving

LONG_MS = 50  # what the page promises of a frame
BATCHES = 25  # in which the second half arrives
PAUSE_SECONDS = 0.3  # between them
SETTLE_SECONDS = 8.0  # for the last fit
PATIENCE_MS = 120_000
OPTIMUM, DRIFT, DIVERGED = -8.0, 0.2, -3.0  # log2 learning rates at the smallest width, and how the first moves

#: Runs before the page's own scripts: keeps every frame and every long task, and says what they are.
WATCH = """
(() => {
  window.seen = { frames: [], tasks: [] };
  let last = performance.now();
  const frame = (now) => { seen.frames.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  new PerformanceObserver((list) => { for (const task of list.getEntries()) seen.tasks.push(task.duration); })
    .observe({ type: "longtask", buffered: true });
})();
"""
#: How many runs the picture shows: dots and carets that are drawn.
DRAWN = (
    "[...document.querySelectorAll('#losses .plotted .runs')].reduce((n, p) => n + (p.getAttribute('d') || '')"
    ".split('h0').length - 1, 0) + [...document.querySelectorAll('#losses .plotted .carets')].reduce((n, p) => n + "
    "(p.getAttribute('d') || '').split('M').length - 1, 0)"
)


def runs(widths: Sequence[int], rates: Sequence[float], seeds: int) -> list[dict[str, Any]]:
    """All runs in the order in which they would end, seed by seed; those above a rate diverge."""
    noise = np.random.default_rng(0)
    found = []
    for seed in range(seeds):
        for width in widths:
            for rate in rates:
                away = math.log2(rate) - OPTIMUM + DRIFT * math.log2(width / widths[0])
                loss = 3 - 0.1 * math.log2(width) + 0.03 * away**2 + float(noise.normal(0, 0.01))
                lost = math.log2(rate) > DIVERGED
                found.append({"width": width, "learning_rate": rate, "seed": seed, "loss": None if lost else loss})
    return found


def ask(server: Server, path: str, body: Any) -> Any:
    """POST and return the answer."""
    address, data = f"http://{HOST}:{server.port}{path}", json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  our own server
        return json.load(answer)


@contextmanager
def page_of_a_reader() -> Iterator[Page]:
    """A page that is watched, in Debian's Chromium; root has no sandbox in it, which Chromium refuses to go without."""
    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("This needs Chromium as `chromium`: make test-browser installs it.")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(WATCH)
        yield page
        browser.close()


class Watch:
    """Frames and tasks of the page's thread, from one look to the next."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session = page.context.new_cdp_session(page)
        self._events: list[dict[str, Any]] = []
        self._complete: list[object] = []
        self._session.on("Tracing.dataCollected", lambda event: self._events.extend(event["value"]))
        self._session.on("Tracing.tracingComplete", lambda event: self._complete.append(event))  # noqa: PLW0108  marked
        self._begin()

    def _begin(self) -> None:
        self._events.clear()
        self._complete.clear()
        self._session.send("Tracing.start", {"categories": "toplevel", "transferMode": "ReportEvents"})

    def look(self) -> dict[str, Any]:
        """Return what was seen since the last look."""
        found = self._page.evaluate(
            "(() => { const found = seen; window.seen = { frames: [], tasks: [] }; return found; })()"
        )
        self._session.send("Tracing.end")
        while not self._complete:
            self._page.wait_for_timeout(50)
        threads = {
            (event["pid"], event["tid"])
            for event in self._events
            if event.get("args", {}).get("name") == "CrRendererMain"
        }
        busy = [each["tdur"] / 1e3 for each in self._events if "tdur" in each and (each["pid"], each["tid"]) in threads]
        frames = found["frames"]
        self._begin()
        return {
            "frames": len(frames),
            "longest_frame_ms": round(max(frames), 1),
            "frames_over_50_ms": sum(each > LONG_MS for each in frames),
            "long_tasks": len(found["tasks"]),
            "longest_task_ms": round(max(found["tasks"], default=0.0), 1),
            "busiest_task_ms": round(max(busy), 1),
        }


def drawn(page: Page, count: int) -> float:
    """Wait until so many runs are drawn; return the seconds."""
    start = time.perf_counter()
    while (found := page.evaluate(DRAWN)) != count:  # not wait_for_function, which the page's policy forbids
        if time.perf_counter() - start > PATIENCE_MS / 1e3:
            raise SystemExit(f"{found} of {count} runs are drawn")
        page.wait_for_timeout(100)
    return time.perf_counter() - start


def measured(server: Server, page: Page, spec: dict[str, Any], trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Open the page of half of the runs, let the others arrive, and open it again."""
    identifier = ask(server, "/v1/calibrations", spec)["id"]
    watch = Watch(page)
    upload = f"/v1/calibrations/{identifier}/trials"
    with_loss = [sum(trial["loss"] is not None for trial in trials[:stop]) for stop in (len(trials) // 2, None)]
    first, rest = trials[: len(trials) // 2], trials[len(trials) // 2 :]
    ask(server, upload, {"trials": first})
    address = f"http://{HOST}:{server.port}/calibrations/{identifier}"
    page.goto(address)
    drawn(page, with_loss[0])
    page.wait_for_selector("#losses .fitted")
    page.wait_for_timeout(2_000)
    half = watch.look()
    box = page.locator("#losses .plotted").bounding_box()
    assert box is not None
    size = math.ceil(len(rest) / BATCHES)
    for k in range(BATCHES):
        ask(server, upload, {"trials": rest[k * size : (k + 1) * size]})
        for step in range(6):
            page.mouse.move(box["x"] + 60 + 70 * step, box["y"] + 120 + 7 * k)
            page.wait_for_timeout(1e3 * PAUSE_SECONDS / 6)
    drawn(page, with_loss[1])
    page.wait_for_timeout(1e3 * SETTLE_SECONDS)
    updates = watch.look()
    page.goto(address)
    seconds = drawn(page, with_loss[1])
    page.wait_for_selector("#losses .fitted")
    page.wait_for_timeout(2_000)
    return {"half": half, "updates": updates, "all": watch.look() | {"seconds": round(seconds, 2)}}


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--widths", type=int, default=5)
    parser.add_argument("--rates", type=int, default=63)
    parser.add_argument("--seeds", type=int, default=16)
    options = parser.parse_args()
    widths = [64 * 2**k for k in range(options.widths)]
    rates = [2.0 ** (-12 + 12 * k / options.rates) for k in range(options.rates)]
    spec = {
        "parameterization": "mup",
        "optimizer": "adam",
        "alignment": "full",
        "widths": widths,
        "seeds": options.seeds,
        "steps": 100,
        "learning_rates": rates,
        "runner": "external",
    }
    trials = runs(widths, rates, options.seeds)
    with serving("service") as server, page_of_a_reader() as page:
        version = page.context.browser.version if page.context.browser else "unknown"
        outcome = measured(server, page, spec, trials) | {"trials": len(trials), "browser": f"Chromium {version}"}
    rows = (
        ("first draw of half of them", outcome["half"]),
        (f"the other half arrives in {BATCHES} batches, while a reader points at the picture", outcome["updates"]),
        ("first draw of all", outcome["all"]),
    )
    lines = [
        f"{len(trials):,} runs: {len(widths)} widths, {len(rates)} learning rates, {options.seeds} seeds; "
        f"{outcome['browser']} without a screen or a graphics processor, which shares the cores with the service.",
        "",
        "| | frames | longest frame, ms | over 50 ms | tasks over 50 ms | longest task, ms of processor time |",
        "|---|---|---|---|---|---|",
    ]
    for what, each in rows:
        frames = f"{each['frames']:,} | {each['longest_frame_ms']:.0f} | {each['frames_over_50_ms']}"
        lines.append(f"| {what} | {frames} | {each['long_tasks']} | {each['busiest_task_ms']:.0f} |")
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    outcome["load_per_core"] = round(load, 1)
    lines += ["", f"While this was measured, {load:.1f} threads wanted each core of the machine.", ""]
    lines += [f"After {outcome['all']['seconds']} s all runs were drawn, read in pages of 500."]
    title = f"Frames of the page with {len(trials):,} runs"
    record.write_result("page_frames", title, lines, outcome, options, packages=(*PACKAGES, "playwright"))


if __name__ == "__main__":
    main()
