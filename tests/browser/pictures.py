"""The pictures in docs/pictures (`make pictures`): those of the texts, and every page in every width and scheme."""

import base64
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain, product
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, expect

from tests.browser.barriers import WIDTHS
from tests.browser.chromium import chromium
from tests.cli.test_serve import serving

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
GALLERY = FOLDER / "README.md"
LONGEST = 4000  #: pixels that are kept of a whole page: what is longer are lists
QUALITY = 60  #: of WebP: letters stay sharp


@dataclass(frozen=True)
class View:
    """A page when it has something to show."""

    #: The page's address with its state, or what returns it when it has stored what the page shows.
    path: str | Callable[[httpx.Client], str]
    shown: str  #: a selector of what must be visible before a picture is taken


@dataclass(frozen=True)
class Picture:
    """A picture of a page."""

    file: str
    view: View
    width: int = 1280
    height: int = 900  #: what is kept of the page, in pixels
    dark: bool = False
    at: str | None = None  #: a selector of what stands at the top


#: What the pictures of calibrations show, trained while they are drawn: standard parameterization with one global rate.
CALIBRATION: dict[str, Any] = {
    "name": "SP, one global rate",
    "note": "Does the best global rate fall with the width here?",
    "parameterization": "standard",
    "optimizer": "adam",
    "learning_rate_rule": "global",
    "widths": [32, 64, 128, 256],
    "learning_rates": [2.0**power for power in range(-13, -2)],
    "seeds": 3,
    "steps": 100,
    "search": "grid",
    "measure": ["learning_rate", "epsilon", "coordinates", "alignment"],
    "proxy": {"architecture": "mlp", "depth": 2, "batch_size": 64},
}


#: What the picture of γ and of horizons shows.
MULTIPLIED: dict[str, Any] = {
    **CALIBRATION,
    "name": "SP, γ and horizons",
    "widths": [32, 64, 128],
    "measure": ["learning_rate", "gamma", "horizon"],
    "horizons": [25, 50, 100],
}


@cache
def calibrated(api: httpx.Client) -> str:
    """The address of the calibration's page, once it has ended."""
    return ended(api, CALIBRATION)


def multiplied(api: httpx.Client) -> str:
    """The address of the page of the calibration of γ and of horizons, once it has ended."""
    return ended(api, MULTIPLIED)


def ended(api: httpx.Client, asked: dict[str, Any]) -> str:
    """Submit a calibration, wait for its end, and return the address of its page."""
    answer = api.post("/v1/calibrations", json=asked).raise_for_status().json()
    while answer["state"] not in ("succeeded", "failed"):
        time.sleep(1)
        answer = api.get(answer["links"]["self"]).raise_for_status().json()
    assert answer["state"] == "succeeded", answer["reason"]
    return f"/calibrations/{answer['id']}"


@cache
def swept(api: httpx.Client) -> str:
    """The address of a sweep's page: the losses of the calibration's runs, as they would come from elsewhere."""
    trials = api.get(f"/v1{calibrated(api)}/trials").raise_for_status().json()["items"]
    runs = [
        {name: trial[name] for name in ("width", "learning_rate", "seed", "loss")}
        for trial in trials
        if trial["status"] != "stopped"
    ]
    body = {"name": "The same runs as a table", "runs": runs}
    return f"/sweeps/{api.post('/v1/sweeps', json=body).raise_for_status().json()['id']}"


VIEWS = {
    "calculator": View("/#optimizer=adamw&weight_decay=0.1&init_std=0.02&compare_parameterization=mup", "#curves svg"),
    "new_calibration": View("/calibrations#new=1", "#estimate dl, #estimate table"),
    "calibrations": View(lambda api: calibrated(api) and "/calibrations", "#calibrations tbody tr"),
    "calibration": View(calibrated, "#losses .runs"),
    "sweeps": View(lambda api: swept(api) and "/sweeps", "#sweeps tbody tr"),
    "sweep": View(swept, "#plot[src]"),
    "exponents": View(lambda api: calibrated(api) and "/exponents", "#exponents tbody tr"),
    "workers": View("/workers", "#workers tbody tr"),
}
TENSORS = View(
    "/#model=architecture&parameterization=mup&optimizer=adamw&weight_decay=0.1&depth_rule=completep&target_depth=24"
    "&open=model.layers.*.mlp.up_proj.weight+hidden%7Clearning_rate%7Cfirst",
    "#explanation",
)
PANELS = View(multiplied, "#horizon-runs .optimum")
PLAN = View("/#parameterization=mup&optimizer=adamw&weight_decay=0.1", "#curves svg")
DEEPER = View(
    "/#model=architecture&optimizer=adamw&weight_decay=0.1&init_std=0.02&compare_parameterization=mup&target_depth=8",
    "#curves svg",
)

PICTURES = (
    Picture("calculator.png", VIEWS["calculator"], height=1172),
    Picture("tensors.png", TENSORS, dark=True),
    Picture("phone.png", PLAN, width=380, height=760, dark=True, at="#results"),
    Picture("wide.png", DEEPER, width=2560, height=1440),
    Picture("new_calibration.png", VIEWS["new_calibration"], height=1000, dark=True),
    Picture("calibration.png", VIEWS["calibration"], height=1010),
    Picture("calibration_phone.png", VIEWS["calibration"], width=380, height=760, at="#losses"),
    Picture("calibration_wide.png", VIEWS["calibration"], width=2560, height=1440, dark=True, at="#pictures"),
    Picture("calibration_panels.png", PANELS, height=1000, dark=True, at="#gamma"),
    Picture("sweep.png", VIEWS["sweep"], height=1100),
    Picture("sweep_phone.png", VIEWS["sweep"], width=380, height=760, dark=True, at="#law"),
    Picture("exponents.png", VIEWS["exponents"], height=1000, dark=True),
    Picture("workers.png", VIEWS["workers"], height=500),
)


#: Every view in every width and scheme, kept whole.
WHOLE = {
    view: [
        Picture(f"every/{view}_{width}_{'dark' if dark else 'light'}.webp", VIEWS[view], width=width, dark=dark)
        for dark, width in product((False, True), WIDTHS)
    ]
    for view in VIEWS
}


def gallery() -> str:
    """The text of the page that shows every view in every width and scheme."""
    parts = [
        "# Each page in every width and scheme\n",
        f"`make pictures` draws them in Chromium: whole pages, of {LONGEST} pixels at most. Each opens in full size.\n",
    ]
    for view, pictures in WHOLE.items():
        rows = (
            [f"{each.width}, {'dark' if each.dark else 'light'}" for each in pictures],
            ["---" for _ in pictures],
            [f"[![{Path(each.file).stem}]({each.file})]({each.file})" for each in pictures],
        )
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        parts.append(f"## {view.replace('_', ' ').capitalize()}\n\n{table}\n")
    return "\n".join(parts)


@contextmanager
def opened(browser: Browser, api: httpx.Client, picture: Picture) -> Iterator[Page]:
    """The page in its own window, once it shows what it has."""
    page = browser.new_page(
        viewport={"width": picture.width, "height": picture.height}, color_scheme="dark" if picture.dark else "light"
    )
    path = picture.view.path
    page.goto(f"{str(api.base_url).rstrip('/')}{path if isinstance(path, str) else path(api)}")
    expect(page.locator(picture.view.shown).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    if picture.at:
        page.locator(picture.at).evaluate("(place) => place.scrollIntoView()")
    yield page
    page.context.close()


def whole(page: Page) -> bytes:
    """The whole page as WebP, which takes far fewer bytes than the library's PNG."""
    width, height = page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": width, "height": min(LONGEST, height), "scale": 1}
    asked = {"format": "webp", "quality": QUALITY, "captureBeyondViewport": True, "clip": clip}
    return base64.b64decode(page.context.new_cdp_session(page).send("Page.captureScreenshot", asked)["data"])


def main() -> None:
    """Draw them all, or those whose files are named on the command line."""
    (FOLDER / "every").mkdir(parents=True, exist_ok=True)
    GALLERY.write_text(gallery(), encoding="utf-8")

    pictures = [*PICTURES, *chain.from_iterable(WHOLE.values())]
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(folder, "log").open("w") as log,
        serving(Path(folder, "data"), "--workers", "1", stderr=log) as (address, _),
        httpx.Client(base_url=address, trust_env=False, timeout=60) as api,
        chromium() as browser,
    ):
        for each in pictures:
            if sys.argv[1:] and each.file not in sys.argv[1:]:
                continue
            with opened(browser, api, each) as page:
                drawn = page.screenshot() if each.file.endswith(".png") else whole(page)
            (FOLDER / each.file).write_bytes(drawn)
            sys.stdout.write(f"{each.file}: {len(drawn) // 1000} kB\n")


if __name__ == "__main__":
    main()
