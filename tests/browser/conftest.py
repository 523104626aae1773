"""The real browser that browser tests share, and the site that they load."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserType, Page, sync_playwright

from .bundle import build_test_vendor
from .chromium import EXECUTABLE, FLAGS
from .site import serving


# By module, not by session: while Playwright runs, the thread has an event loop, and no test could use asyncio.run.
@pytest.fixture(scope="module")
def chromium() -> Iterator[BrowserType]:
    """Give what starts Chromium; say how to install it where it is missing."""
    if not Path(EXECUTABLE).exists():
        pytest.fail(f"{EXECUTABLE} is missing: install it with `apt-get install chromium`", pytrace=False)
    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="module")
def browser(chromium: BrowserType) -> Iterator[Browser]:
    """Start Chromium once for the tests of a module that share it."""
    started = chromium.launch(executable_path=EXECUTABLE, args=FLAGS)
    yield started
    started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page in a fresh profile."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Serve the test site and give its address."""
    build_test_vendor()
    with serving() as address:
        yield address
