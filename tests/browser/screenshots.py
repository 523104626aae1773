"""Take a picture of every page, light and dark, desktop and phone: `make screenshots` fills test-results/screenshots.

The system is the real one, with the demo project trained for a while by two workers, so that the curves show something.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.browser.chromium import EXECUTABLE, FAKE_CAMERA, FLAGS  # noqa: E402 - the checkout's own
from tests.running import Running, running, until  # noqa: E402

OUT = ROOT / "test-results/screenshots"
SIZES = {"desktop": (1440, 900), "phone": (360, 780), "wide": (2560, 1400)}
THEMES = ("light", "dark")
ITERATIONS = 30
"""Enough for a curve that falls and levels out; half a minute of the demo's period."""

LAYERS = [
    {"type": "input", "width": 32, "height": 32, "channels": 3},
    {"type": "conv", "filters": 16, "kernel": 5, "padding": 2},
    {"type": "relu"},
    {"type": "max_pool", "size": 2},
    {"type": "fully_connected"},
    {"type": "softmax"},
]

Visit = Callable[[Page, Running], None]


def projects(page: Page, system: Running) -> None:
    """Show all projects."""
    page.goto(system.master)
    expect(page.get_by_test_id("project-card").nth(1)).to_be_visible()
    page.wait_for_load_state("networkidle")


def new_project(page: Page, system: Running) -> None:
    """Show the form for a project."""
    projects(page, system)
    page.get_by_test_id("new-project").click()
    page.get_by_test_id("project-name").fill("Handwriting")
    page.get_by_test_id("preset").select_option("mnist")


def wrong_layers(page: Page, system: Running) -> None:
    """Show what the server says about layers that do not fit."""
    new_project(page, system)
    page.get_by_test_id("preset").select_option("own")
    text = page.get_by_test_id("layers-json")
    text.fill(text.input_value().replace('"kernel":5', '"kernel":50'))
    page.get_by_test_id("create").click()
    expect(text).to_have_attribute("aria-invalid", "true")


def training(page: Page, system: Running) -> None:
    """Show a project with two workers of this page."""
    page.goto(f"{system.master}/project/digits")
    for count in (1, 2):
        page.get_by_test_id("add-worker").click()
        expect(page.get_by_test_id("worker-row")).to_have_count(count)
    reached = system.iteration() + 4
    until(lambda: system.iteration() >= reached, "a few iterations")


def without_data(page: Page, system: Running) -> None:
    """Show a project that waits for its first pictures."""
    page.goto(f"{system.master}/project/leaves-of-the-botanic-garden")
    expect(page.get_by_text("Drop a zip of picture folders here")).to_be_visible()


def statistics(page: Page, system: Running) -> None:
    """Show how the newest network does on the test set."""
    page.goto(f"{system.master}/project/digits/statistics")
    expect(page.get_by_test_id("confusion")).to_be_visible()
    page.wait_for_load_state("networkidle")


def removing(page: Page, system: Running) -> None:
    """Show the question before a project is removed."""
    page.goto(f"{system.master}/project/digits")
    page.get_by_test_id("remove-project").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def joining(page: Page, system: Running) -> None:
    """Show the volunteer's page before the click."""
    page.goto(f"{system.master}/join/digits")
    expect(page.get_by_test_id("add-worker")).to_be_visible()
    page.wait_for_load_state("networkidle")


def lending(page: Page, system: Running) -> None:
    """Show the volunteer's page while the device computes."""
    joining(page, system)
    page.get_by_test_id("add-worker").click()
    expect(page.get_by_text("Thank you")).to_be_visible()


def data_sets(page: Page, system: Running) -> None:
    """Show all data sets."""
    page.goto(f"{system.master}/data")
    expect(page.get_by_test_id("dataset-card")).to_be_visible()
    page.wait_for_load_state("networkidle")


def data_set(page: Page, system: Running) -> None:
    """Show one data set, two labels of which are about to be merged."""
    data_sets(page, system)
    page.get_by_test_id("dataset-card").get_by_role("link").click()
    page.get_by_label("Name of the label 1", exact=True).fill("7")
    page.get_by_text("Cut again").click()
    page.wait_for_load_state("networkidle")


def classifying(page: Page, system: Running) -> None:
    """Show the classify page with its camera on and a look inside."""
    page.goto(f"{system.master}/project/digits/classify")
    page.get_by_test_id("camera").click()
    page.get_by_test_id("inside").locator("summary").click()
    page.get_by_test_id("batch").locator("summary").click()
    expect(page.get_by_test_id("activations")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")  # the header stays on top of what is scrolled


def settings_and_log(page: Page, system: Running) -> None:
    """Show what folds: network, log, settings with all that local steps and Adam bring."""
    page.goto(f"{system.master}/project/digits")
    page.get_by_test_id("log").locator("summary").click()
    expect(page.get_by_test_id("log-row").first).to_be_visible()
    for heading in ("Network", "Settings"):
        page.get_by_role("heading", name=heading, exact=True).click()
    page.get_by_test_id("setting-optimizer").select_option("adam")
    page.get_by_test_id("setting-local_steps").check()
    page.evaluate("scrollTo(0, 0)")


def not_found(page: Page, system: Running) -> None:
    """Show an unknown address."""
    page.goto(f"{system.master}/project/nowhere")


PAGES: dict[str, Visit] = {
    "projects": projects, "new-project": new_project, "wrong-layers": wrong_layers, "project": training,
    "project-statistics": statistics,
    "project-without-data": without_data, "remove": removing, "join": joining, "join-lending": lending,
    "project-classify": classifying, "project-settings": settings_and_log,
    "data-sets": data_sets, "data-set": data_set, "not-found": not_found,
}  # fmt: skip


@contextmanager
def window(browser: Browser, system: Running, size: str, theme: str) -> Iterator[Page]:
    """Open a window of a size and theme as the owner."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        device_scale_factor=2 if size == "phone" else 1,
    )
    page = context.new_page()
    page.goto(f"{system.master}/?token={system.token}")
    yield page
    context.close()


def train(browser: Browser, system: Running) -> None:
    """Train the demo until its curve has a shape."""
    with window(browser, system, "desktop", "light") as page:
        training(page, system)
        until(lambda: system.iteration() >= ITERATIONS, f"{ITERATIONS} iterations", 120)


def main() -> None:
    """Take all pictures, or those of the pages and sizes that are named."""
    named = set(sys.argv[1:])
    sizes = [size for size in SIZES if size in named or not named & set(SIZES)]
    pages = {name: visit for name, visit in PAGES.items() if name in named or not named & set(PAGES)}
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as system, sync_playwright() as playwright:
        wish = {"name": "Leaves of the botanic garden", "layers": LAYERS}
        system.owner.post("/api/projects", json=wish).raise_for_status()
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=[*FLAGS, *FAKE_CAMERA])
        train(browser, system)
        for size in sizes:
            for theme in THEMES:
                for name, visit in pages.items():
                    with window(browser, system, size, theme) as page:
                        visit(page, system)
                        page.screenshot(
                            path=OUT / f"{name}-{size}-{theme}.png", full_page="project" in name or "data" in name
                        )
        browser.close()
    print(f"{len(sizes) * len(THEMES) * len(pages)} pictures are in {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
