"""The benchmark of imports: what it times is an import, and its page says whether it is fast enough."""

import pytest

from benchmarks import import_time


def test_every_case_is_an_import() -> None:
    for case in import_time.CASES:
        compile(case, "case", "exec")
        assert case.split()[0] in ("import", "from")
    assert min(import_time.milliseconds("import sys")) >= 0


@pytest.mark.parametrize(("best", "kept"), [(99.0, "within"), (101.0, "over")])
def test_the_page_says_whether_it_is_fast_enough(best: float, kept: str) -> None:
    lines = import_time.page({case: [(2 * best, 8.0), (best, 4.0), (3 * best, 6.0)] for case in import_time.CASES})
    assert f"{best:.0f} ms, {kept} the 100 ms" in lines[0]
    assert lines[-1] == f"| `import numpy` | {best:.0f} | 4 | 1.00 |"
