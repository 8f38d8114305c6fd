"""The pictures of the pages in docs/pictures (`make pictures`)."""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
)


def main() -> None:
    """Draw them all, or those whose files are named on the command line."""
    FOLDER.mkdir(exist_ok=True)
    wanted = [each for each in PICTURES if each.file in sys.argv[1:] or not sys.argv[1:]]
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(folder, "log").open("w") as log,
        serving(Path(folder, "data"), stderr=log) as (address, _),
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
