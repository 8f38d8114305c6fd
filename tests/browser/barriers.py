"""What keeps a reader out: barriers that axe-core finds, and what is wider than the window."""

from collections.abc import Sequence

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDTHS = (380, 1280, 2560)
_CLIPPED = "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth).length"


def check_barriers(page: Page, widths: Sequence[int] = WIDTHS) -> None:
    """Hold a page to no serious finding and nothing clipped, at every width."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(_CLIPPED) == 0, width
        found = Axe().run(page).response["violations"]
        grave = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave] == [], width
