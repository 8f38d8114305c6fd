"""A service, a browser, and a page that must leave nothing in the console."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import PATIENCE_MS, chromium
from tests.browser.reader import Reader
from tests.cli.test_serve import serving


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with one worker."""
    folder = tmp_path_factory.mktemp("data")
    with (folder / "log").open("w") as log, serving(folder, "--workers", "1", stderr=log) as (address, _):
        yield address


@pytest.fixture(scope="module")
def api(service: str) -> Iterator[httpx.Client]:
    """A client of the service, which a module may have for itself."""
    with httpx.Client(base_url=service, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each test gets a fresh context, and so fresh storage."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def allowed() -> list[str]:
    """Parts of what the test expects in the console, such as the status of a request that must fail."""
    return []


@pytest.fixture
def page(browser: Browser, allowed: list[str]) -> Iterator[Page]:
    """A page whose console and scripts must be without errors."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: told.append(f"error: {error}"))
    yield page
    context.close()
    assert [line for line in told if not any(part in line for part in allowed)] == []


@pytest.fixture
def reader(page: Page, service: str) -> Reader:
    """A reader of the page."""
    return Reader(page, service)
