"""Take a picture of every page, light and dark, desktop and phone: `make screenshots` fills test-results/screenshots.

With names of pages and sizes only those; with `docs` those that the documents show, into docs/images. All of them show
the whole page, in true colour. The system is the real one, with the demo project trained for a while by two workers,
so that the curves show something.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.browser.chromium import EXECUTABLE, FAKE_CAMERA, FLAGS  # noqa: E402 - the checkout's own
from tests.running import Running, running, until  # noqa: E402

OUT = ROOT / "test-results/screenshots"
IMAGES = ROOT / "docs/images"
ABOUT = "Handwritten digits of 43 people. How few of them does a network need?"
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
    expect(page.locator(".join-figures dd").first).to_have_text(re.compile(r"^\d+,\d+"), timeout=60_000)


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


def settings_and_log(page: Page, system: Running) -> None:
    """Show what folds: network, log, settings with all that local steps and Adam bring."""
    page.goto(f"{system.master}/project/digits")
    page.get_by_test_id("log").locator("summary").click()
    expect(page.get_by_test_id("log-row").first).to_be_visible()
    for heading in ("Network", "Settings"):
        page.get_by_role("heading", name=heading, exact=True).click()
    page.get_by_test_id("setting-optimizer").select_option("adam")
    page.get_by_test_id("setting-local_steps").check()


def checkpoints(page: Page, system: Running) -> None:
    """Show the checkpoints that are kept."""
    page.goto(f"{system.master}/project/digits")
    page.get_by_test_id("checkpoints").locator("summary").click()
    expect(page.get_by_test_id("checkpoint-row").first).to_be_visible()


def branching(page: Page, system: Running) -> None:
    """Show how a new project begins with a checkpoint."""
    checkpoints(page, system)
    page.get_by_test_id("branch").first.click()
    expect(page.get_by_test_id("branch-name")).to_be_visible()


def model(page: Page, system: Running) -> None:
    """Show the forms of a model, what its owner says of it, and how it is taught other labels."""
    page.goto(f"{system.master}/project/digits")
    page.get_by_test_id("model-forms").click()
    expect(page.get_by_test_id("form-onnx")).to_be_visible()


def watching(page: Page, system: Running) -> None:
    """Show a project to who does not own it."""
    page.goto(f"{system.master}/project/digits")
    expect(page.get_by_test_id("chart-error")).not_to_have_attribute("data-points", "0")
    page.wait_for_load_state("networkidle")


def nothing_yet(page: Page, system: Running) -> None:
    """Show a server without any project."""
    page.goto(system.master)
    expect(page.locator(".empty")).to_be_visible()


def not_found(page: Page, system: Running) -> None:
    """Show an unknown address."""
    page.goto(f"{system.master}/project/nowhere")


PAGES: dict[str, Visit] = {
    "projects": projects, "new-project": new_project, "wrong-layers": wrong_layers, "project": training,
    "statistics": statistics, "without-data": without_data, "remove": removing, "join": joining,
    "join-lending": lending, "classify": classifying, "settings": settings_and_log, "checkpoints": checkpoints,
    "branch": branching, "model": model, "data-sets": data_sets, "data-set": data_set, "not-found": not_found,
}  # fmt: skip
VISITORS: dict[str, Visit] = {"visitor-projects": projects, "visitor-project": watching, "visitor-join": lending}
EMPTY: dict[str, Visit] = {"empty": nothing_yet, "visitor-empty": nothing_yet}
TALL = 1800
"""CSS pixels of the window behind a dialog, which then shows all that is in it."""
DOCS: dict[str, tuple[str, int, int, str, int]] = {
    "project": ("project", 1200, 971, "light", 1), "project-dark": ("project", 1200, 971, "dark", 1),
    "join": ("visitor-join", 1200, 750, "light", 1), "join-phone": ("visitor-join", 390, 844, "dark", 2),
    "project-phone": ("visitor-project", 390, 844, "light", 2),
}  # fmt: skip
"""What the documents show: the page, the window, the theme and the scale."""


PICTURES = """() => Promise.allSettled([...document.querySelectorAll("img[loading=lazy]")].map(picture => {
    picture.loading = "eager";
    return picture.decode();
}))"""
"""Fetches what a page would fetch when somebody scrolls to it, and waits for it."""


@contextmanager
def window(
    browser: Browser, system: Running, width: int, height: int, theme: str, *, scale: int = 1, owner: bool = True
) -> Iterator[Page]:
    """Open a window of a size and theme."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        device_scale_factor=scale,
    )
    page = context.new_page()
    if owner:
        page.goto(f"{system.master}/?token={system.token}")
    yield page
    context.close()


def train(browser: Browser, system: Running) -> None:
    """Train the demo until its curve has a shape."""
    with window(browser, system, *SIZES["desktop"], "light") as page:
        training(page, system)
        until(lambda: system.iteration() >= ITERATIONS, f"{ITERATIONS} iterations", 120)


def prepare(browser: Browser, system: Running) -> None:
    """Make what the pictures show: a project that has learned, with a description, and one that waits for data."""
    wish = {"name": "Leaves of the botanic garden", "layers": LAYERS}
    system.owner.post("/api/projects", json=wish).raise_for_status()
    system.owner.put("/api/projects/digits/about", json={"description": ABOUT}).raise_for_status()
    train(browser, system)


def take(browser: Browser, system: Running, pages: dict[str, Visit], sizes: list[str]) -> int:
    """Take the pictures of these pages in each size and theme; return how many."""
    for size in sizes:
        for theme in THEMES:
            for name, visit in pages.items():
                scale = 2 if size == "phone" else 1
                owner = not name.startswith("visitor")
                with window(browser, system, *SIZES[size], theme, scale=scale, owner=owner) as page:
                    visit(page, system)
                    page.evaluate(PICTURES)
                    page.evaluate("scrollTo(0, 0)")  # the header stays on top of what is scrolled
                    dialog = page.locator("dialog[open]").count() > 0
                    if dialog:
                        page.set_viewport_size({"width": SIZES[size][0], "height": TALL})
                    page.screenshot(path=OUT / f"{name}-{size}-{theme}.png", full_page=not dialog)
    return len(sizes) * len(THEMES) * len(pages)


def illustrate(browser: Browser, system: Running) -> None:
    """Take the pictures of the documents."""
    for name, (shown, width, height, theme, scale) in DOCS.items():
        owner = not shown.startswith("visitor")
        with window(browser, system, width, height, theme, scale=scale, owner=owner) as page:
            {**PAGES, **VISITORS}[shown](page, system)
            page.evaluate("scrollTo(0, 0)")
            data = page.screenshot(full_page="join" in name)
        Image.open(BytesIO(data)).convert("RGB").save(IMAGES / f"{name}.png", optimize=True)  # never a palette


def main() -> None:
    """Take all pictures, those of the pages and sizes that are named, or those of the documents."""
    named = set(sys.argv[1:])
    sizes = [size for size in SIZES if size in named or not named & set(SIZES)]
    every = {**PAGES, **VISITORS, **EMPTY}
    pages = {name: visit for name, visit in every.items() if name in named or not named & set(every)}
    OUT.mkdir(parents=True, exist_ok=True)
    taken = 0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=[*FLAGS, *FAKE_CAMERA])
        if "docs" not in named and EMPTY.keys() & pages.keys():
            with running(Path(folder) / "empty", demo=False) as system:
                taken += take(browser, system, {name: pages[name] for name in EMPTY if name in pages}, sizes)
        with running(Path(folder) / "demo") as system:
            prepare(browser, system)
            if "docs" in named:
                illustrate(browser, system)
            else:
                taken += take(browser, system, {name: pages[name] for name in pages if name not in EMPTY}, sizes)
        browser.close()
    where, count = (IMAGES, len(DOCS)) if "docs" in named else (OUT, taken)
    print(f"{count} pictures are in {where.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
