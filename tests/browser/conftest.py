"""The real browser that browser tests share, and the site that they load."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, expect, sync_playwright

from mlitb.datasets import digits_zip
from tests.running import Running, running

from .bundle import build_test_vendor
from .chromium import EXECUTABLE, FLAGS
from .pages import SIZES, opened, sign_in
from .site import serving

expect.set_options(timeout=20_000)  # a machine may be much slower than the one on which this was written


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


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run the system once for all tests of the pages; each makes the projects that it changes."""
    with running(tmp_path_factory.mktemp("pages") / "data") as started:
        yield started


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the digits as a zip of label folders."""
    return digits_zip(tmp_path_factory.mktemp("zip") / "digits.zip")


@pytest.fixture(scope="session")
def model(system: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the demo's model as a file."""
    path = tmp_path_factory.mktemp("model") / "digits.json"
    path.write_bytes(system.visitor.get("/api/projects/digits/model.json").content)
    return path


@pytest.fixture(scope="session")
def axe() -> str:
    """Give the source of axe-core."""
    return (build_test_vendor() / "axe.js").read_text()


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder where Chromium keeps, from one module to the next, what it fetched and compiled."""
    return tmp_path_factory.mktemp("profile")


@pytest.fixture(scope="module")
def warm(chromium: BrowserType, profile: Path) -> Iterator[BrowserContext]:
    """Start Chromium once for the tests of a module: its cache outlives a test, nothing that a page keeps does."""
    context = chromium.launch_persistent_context(profile, executable_path=EXECUTABLE, args=FLAGS, viewport=None)
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def owner(warm: BrowserContext, system: Running) -> Iterator[Page]:
    """Open a page as the owner."""
    with opened(warm, 1440, 900) as page:
        sign_in(page, system)
        yield page


@pytest.fixture
def at_projects(owner: Page, system: Running) -> None:
    """Let the owner begin at the list of projects."""
    owner.goto(system.master)


@pytest.fixture(params=SIZES)
def sized(request: pytest.FixtureRequest, warm: BrowserContext, system: Running) -> Iterator[Page]:
    """Open a page as the owner, in a window of each size."""
    with opened(warm, *SIZES[request.param], reduced_motion="reduce") as page:
        sign_in(page, system)
        yield page


@pytest.fixture
def visitor(warm: BrowserContext) -> Iterator[Page]:
    """Open a page as anybody."""
    with opened(warm, 390, 844) as page:
        yield page
