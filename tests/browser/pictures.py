"""The pictures of the pages in docs/pictures (`make pictures`)."""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import expect

from tests.browser.chromium import chromium
from tests.cli.test_serve import serving

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"


@dataclass(frozen=True)
class Picture:
    """A picture of a page."""

    file: str
    #: The page's address with its state, or what returns it when it has stored what the page shows.
    path: str | Callable[[httpx.Client], str]
    shown: str  #: a selector of what must be visible before the picture is taken
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


def exponents(api: httpx.Client) -> str:
    """The address of the library, with what the calibration measured."""
    calibrated(api)
    return "/exponents"


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


PICTURES = (
    Picture(
        "calculator.png",
        "/#optimizer=adamw&weight_decay=0.1&init_std=0.02&compare_parameterization=mup",
        "#curves svg",
        height=1172,
    ),
    Picture(
        "tensors.png",
        "/#model=architecture&parameterization=mup&optimizer=adamw&weight_decay=0.1&depth_rule=completep&target_depth=24"
        "&open=model.layers.*.mlp.up_proj.weight+hidden%7Clearning_rate%7Cfirst",
        "#explanation",
        dark=True,
    ),
    Picture(
        "phone.png",
        "/#parameterization=mup&optimizer=adamw&weight_decay=0.1",
        "#curves svg",
        width=380,
        height=760,
        dark=True,
        at="#results",
    ),
    Picture(
        "wide.png",
        "/#model=architecture&optimizer=adamw&weight_decay=0.1&init_std=0.02&compare_parameterization=mup&target_depth=8",
        "#curves svg",
        width=2560,
        height=1440,
    ),
    Picture("new_calibration.png", "/calibrations#new=1", "#estimate dl, #estimate table", height=1000, dark=True),
    Picture("calibration.png", calibrated, "#losses .runs", height=1010),
    Picture("calibration_phone.png", calibrated, "#losses .runs", width=380, height=760, at="#losses"),
    Picture("calibration_wide.png", calibrated, "#losses .runs", width=2560, height=1440, dark=True, at="#pictures"),
    Picture("calibration_panels.png", multiplied, "#horizon-runs .optimum", height=1000, dark=True, at="#gamma"),
    Picture("sweep.png", swept, "#plot[src]", height=1100),
    Picture("sweep_phone.png", swept, "#plot[src]", width=380, height=760, dark=True, at="#law"),
    Picture("exponents.png", exponents, "#exponents tbody tr", height=1000, dark=True),
    Picture("workers.png", "/workers", "#workers tbody tr", height=500),
)


def main() -> None:
    """Draw them all, or those whose files are named on the command line."""
    FOLDER.mkdir(exist_ok=True)
    wanted = [each for each in PICTURES if each.file in sys.argv[1:] or not sys.argv[1:]]
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(folder, "log").open("w") as log,
        serving(Path(folder, "data"), "--workers", "1", stderr=log) as (address, _),
        httpx.Client(base_url=address, trust_env=False, timeout=60) as api,
        chromium() as browser,
    ):
        for each in wanted:
            path = each.path if isinstance(each.path, str) else each.path(api)
            page = browser.new_page(
                viewport={"width": each.width, "height": each.height}, color_scheme="dark" if each.dark else "light"
            )
            page.goto(f"{address}{path}")
            expect(page.locator(each.shown).first).to_be_visible()
            page.wait_for_load_state("networkidle")
            if each.at:
                page.locator(each.at).evaluate("(place) => place.scrollIntoView()")
            page.screenshot(path=FOLDER / each.file)
            sys.stdout.write(f"{each.file}: {(FOLDER / each.file).stat().st_size // 1000} kB\n")


if __name__ == "__main__":
    main()
