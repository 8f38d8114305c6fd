"""What the page takes until its first plan is there, in a real browser, on this machine and over a slow link.

    python -m benchmarks.page_first_view [--views 10] [--dry]

`widthwise serve` without workers, on SQLite, and Debian's Chromium. Every view is made in a fresh context, which has
nothing cached, and then once more in the same. Milliseconds count from the start of the navigation to the first row of
the plan in the document; bytes and requests are those on the wire, answers of the API included, until nothing is asked
any more. The slow link is the browser's own emulation.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import record

if TYPE_CHECKING:  # it is installed for the page alone
    from playwright.sync_api import Browser, BrowserContext

ALLOWED_MS, ALLOWED_BYTES = 1000, 300_000  # of a first view on this machine: the page's promise
LATENCY_MS, BYTES_PER_SECOND = 60, 10_000_000 // 8  # of the slow link (chosen): a phone with a fair signal
LINKS = {"this machine": False, f"{LATENCY_MS} ms, {8 * BYTES_PER_SECOND // 10**6} Mbit/s": True}
VIEWS = ("first", "again")

#: Notes when the first row of the plan is there, and how far what was there before has moved.
_WATCH = """
window.shifted = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shifted += entry.value; })
  .observe({ type: "layout-shift", buffered: true });
new MutationObserver((_, observer) => {
  if (!document.querySelector("#layers tbody tr")) return;
  window.planMs = performance.now();
  observer.disconnect();
}).observe(document, { childList: true, subtree: true });
"""


@dataclass(frozen=True)
class View:
    """One view of the page."""

    plan_ms: float
    painted_ms: float
    bytes: int
    requests: int
    shift: float  #: of the layout, as browsers score it: under 0.1 is good


@contextmanager
def service() -> Iterator[str]:
    """The address of a service."""
    command = [sys.executable, "-m", "widthwise.cli", "serve", "--workers", "0", "--port", "0"]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("WIDTHWISE_")}
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--data-dir", folder], stdout=subprocess.PIPE, stderr=log, text=True, env=settings
        )
        assert process.stdout is not None
        lines = list(takewhile(lambda line: line != "Ctrl-C stops it.\n", process.stdout))
        try:
            yield lines[0].split()[-1]
        finally:
            process.terminate()
            process.communicate(timeout=30)


@contextmanager
def browser() -> Iterator["Browser"]:
    """Debian's Chromium; root has no sandbox in it, which it refuses to go without."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        sys.exit("This needs Chromium: make page_first_view installs it.")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield found
        found.close()


def view(context: "BrowserContext", address: str, *, slow: bool) -> View:
    """View the page in a context, in a new tab."""
    page = context.new_page()
    page.add_init_script(_WATCH)
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    if slow:
        rates = {"downloadThroughput": BYTES_PER_SECOND, "uploadThroughput": BYTES_PER_SECOND}
        network.send("Network.emulateNetworkConditions", {"offline": False, "latency": LATENCY_MS, **rates})
    kept: set[str] = set()
    sizes: dict[str, int] = {}
    network.on("Network.requestServedFromCache", lambda event: kept.add(event["requestId"]))
    network.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: int(event["encodedDataLength"])}),
    )
    page.goto(address)
    page.wait_for_selector("#layers tbody tr", state="attached")
    page.wait_for_load_state("networkidle")
    asked = {request: size for request, size in sizes.items() if request not in kept and size > 0}
    plan_ms, shift = page.evaluate("[window.planMs, window.shifted]")
    painted_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.close()
    return View(round(plan_ms, 1), round(painted_ms, 1), sum(asked.values()), len(asked), round(shift, 4))


def measure(views: int) -> dict[str, dict[str, list[View]]]:
    """By link, the views that were the first of a context and those that came again."""
    found: dict[str, dict[str, list[View]]] = {link: {name: [] for name in VIEWS} for link in LINKS}
    with service() as address, browser() as chromium:
        _warm(chromium, address)
        for _ in range(views):
            for link, slow in LINKS.items():
                context = chromium.new_context(viewport={"width": 1280, "height": 900})
                for name in VIEWS:
                    found[link][name].append(view(context, address, slow=slow))
                context.close()
    return found


def _warm(chromium: "Browser", address: str) -> None:
    """A service's and a browser's first answer of all is slower: it does not count."""
    context = chromium.new_context()
    view(context, address, slow=False)
    context.close()


def page(found: Mapping[str, Mapping[str, Sequence[View]]]) -> list[str]:
    """The page's lines."""
    rows = []
    for link, by_name in found.items():
        for name, views in by_name.items():
            plan_ms = [each.plan_ms for each in views]
            painted = statistics.median(each.painted_ms for each in views)
            rows.append(
                f"| {link} | {name} | {statistics.median(plan_ms):.0f} | {max(plan_ms):.0f} | {painted:.0f} | "
                f"{max(each.bytes for each in views) / 1000:.0f} | {max(each.requests for each in views)} | "
                f"{max(each.shift for each in views):.3f} |"
            )
    first = found[next(iter(found))]["first"]
    slowest, largest = max(each.plan_ms for each in first), max(each.bytes for each in first)
    return [
        f"A first view on this machine has its plan after {statistics.median(each.plan_ms for each in first):.0f} ms, "
        f"at most {slowest:.0f} ms, {_kept(slowest, ALLOWED_MS)} the {ALLOWED_MS} ms that it may take, and takes "
        f"{largest / 1000:.0f} kB, {_kept(largest, ALLOWED_BYTES)} {ALLOWED_BYTES // 1000} kB.",
        f"Each number is of {len(first)} views; a shift of the layout under 0.1 is good.",
        "",
        "| link | view | plan, median ms | at most | first paint, median ms | kB | requests | layout shift |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
        *rows,
    ]


def _kept(value: float, allowed: float) -> str:
    return "within" if value <= allowed else "over"


def main() -> None:
    """Measure, and write the page."""
    parser = record.arguments(__doc__)
    parser.add_argument("--views", type=int, default=10)
    options = parser.parse_args()
    found = measure(options.views)
    data: dict[str, Any] = {
        link: {name: [asdict(each) for each in views] for name, views in by_name.items()}
        for link, by_name in found.items()
    }
    record.write_result(
        "page_first_view",
        "First view of the page",
        page(found),
        {"views": data},
        options,
        packages=("widthwise", "fastapi", "uvicorn", "playwright"),
    )


if __name__ == "__main__":
    main()
