"""Debian's Chromium, driven by Playwright's library."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

PATIENCE_MS = 30_000  # for what the page should show: far more than it takes, on a machine that has much to do


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; root has no sandbox in it, which Chromium refuses to go without."""
    path = shutil.which("chromium")
    assert path is not None, "tests/browser needs Chromium: `make test-browser` installs it"
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()
