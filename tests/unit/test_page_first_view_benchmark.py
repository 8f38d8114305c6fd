"""The page of results about the page's first view says what was measured."""

from benchmarks import page_first_view
from benchmarks.page_first_view import LINKS, VIEWS, View


def test_the_page_says_whether_the_promise_is_kept() -> None:
    quick = [View(plan_ms, 100, 60_000 + plan_ms, 25, 0.01) for plan_ms in (200, 300, 700)]
    slow = [View(1700, 900, 400_000, 25, 0.3)]
    found = {link: {name: [*quick, *(slow if emulated else ())] for name in VIEWS} for link, emulated in LINKS.items()}
    lines = page_first_view.page(found)
    assert "after 300 ms, at most 700 ms, within the 1000 ms" in lines[0]
    assert "takes 61 kB, within 300 kB" in lines[0]
    assert lines[-4] == "| this machine | first | 300 | 700 | 100 | 61 | 25 | 0.010 |"
    assert lines[-1].endswith("| again | 500 | 1700 | 100 | 400 | 25 | 0.300 |")
    slower = page_first_view.page({link: dict.fromkeys(VIEWS, slow) for link in LINKS})
    assert "at most 1700 ms, over the 1000 ms" in slower[0]
    assert "takes 400 kB, over 300 kB" in slower[0]
