"""Every code block of the README and of docs/ runs as it stands, or is in the one list of those that can't."""

from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.docs import not_run
from tests.docs.blocks import PAGES, ROOT, blocks, needs_models
from tests.docs.running import Reader, runnable

HERE = [page for page in PAGES if runnable(page) and not needs_models(page)]


@pytest.mark.timeout(300)  # on a busy machine
@pytest.mark.parametrize("page", HERE)
@pytest.mark.usefixtures("worker")
def test_a_page_runs(page: str, url: str, tmp_path: Path) -> None:
    Reader(url, tmp_path).follow(page)


def test_the_list_of_what_is_not_run_has_nothing_stale() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    shell = [(block.page, command) for block in found if block.kind == "shell" for command in block.commands]
    python = [(block.page, block.text) for block in found if block.kind == "python"]
    for entries, there in ((not_run.COMMANDS, shell), (not_run.PYTHON, python)):
        stale = [(page, start) for page, start in entries if not any(_begins(each, page, start) for each in there)]
        assert stale == []
    assert [page for page in not_run.ELSEWHERE if page not in {name for name, _ in python}] == []
    for page, test in not_run.ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text(encoding="utf-8"), test


def _begins(each: tuple[str, str], page: str, start: str) -> bool:
    return fnmatch(each[0], page) and each[1].startswith(start)
