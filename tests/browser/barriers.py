"""What keeps a reader out: barriers that axe-core finds, what is wider than the window, and labels that touch."""

from collections.abc import Sequence

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDTHS = (380, 1280, 2560)
_CLIPPED = "[...document.querySelectorAll('.scroll')].filter((box) => box.scrollWidth > box.clientWidth).length"

#: Labels of a picture that touch each other or leave it. The box of a text is some pixels higher than its letters.
TOUCHING = """[...document.querySelectorAll('.plotted svg')].flatMap((svg) => {
  const frame = svg.getBoundingClientRect();
  const words = [...svg.querySelectorAll('text')].filter((text) => text.textContent);
  const boxes = words.map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }));
  const out = boxes.filter(({ box }) => box.left < frame.left - 1 || box.right > frame.right + 1);
  const meet = (a, b) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4;
  const touch = boxes.flatMap((one, k) => boxes.slice(k + 1).filter((other) => meet(one.box, other.box))
    .map((other) => `${one.text} / ${other.text}`));
  return [...out.map(({ text }) => text), ...touch];
})"""


def check_barriers(page: Page, widths: Sequence[int] = WIDTHS) -> None:
    """Hold a page to no serious finding and nothing clipped, at every width."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(_CLIPPED) == 0, width
        found = Axe().run(page).response["violations"]
        grave = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave] == [], width
