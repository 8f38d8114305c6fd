"""The pages of the README and of docs/ whose code needs PyTorch, transformers, Flax or Optuna: every block runs."""

from pathlib import Path

import pytest

from tests.cli.conftest import settings, url, worker
from tests.docs.blocks import PAGES, needs_models
from tests.docs.running import Reader, runnable

__all__ = ["settings", "url", "worker"]


@pytest.mark.timeout(300)  # a page imports up to four frameworks, which takes a minute on a busy machine
@pytest.mark.parametrize("page", [page for page in PAGES if needs_models(page) and runnable(page)])
@pytest.mark.usefixtures("worker")
def test_a_page_runs(page: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    Reader(request.getfixturevalue("url"), tmp_path).follow(page)
