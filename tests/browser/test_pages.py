"""What every page keeps to: width, theme, keyboard, weight, policy; and what it says when something goes wrong."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, Request, expect

from tests.running import Running, running, until

from .chromium import launch
from .pages import PATHS, THEMES, WIDTHS, findings, fits, opened, project, quiet
from .walk import unfold

STATIC = Path(__file__).resolve().parents[2] / "static"
VERSION = "^/static/[0-9a-f]{16}/"


def test_unknown_addresses_get_a_page_that_leads_on(visitor: Page, system: Running) -> None:
    for path in ("/project/nowhere", "/join/nowhere", "/nothing/here"):
        answer = visitor.goto(f"{system.master}{path}")
        assert answer is not None
        assert answer.status == 404
        expect(visitor.get_by_role("heading", name="Not found")).to_be_visible()
        visitor.get_by_role("link", name="See all projects").click()
        expect(visitor.get_by_role("heading", name="Projects", exact=True)).to_be_visible()


def test_a_project_removed_by_its_owner_says_so(visitor: Page, system: Running) -> None:
    name = project(system, "removed")
    visitor.goto(f"{system.master}/project/{name}")
    expect(visitor.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    system.owner.delete(f"/api/projects/{name}").raise_for_status()
    expect(visitor.get_by_text("This project was removed by its owner")).to_be_visible()


def test_a_lost_connection_is_told_in_words(tmp_path: Path, chromium: BrowserType) -> None:
    with running(tmp_path / "data") as own, launch(chromium) as context:
        page = context.new_page()
        page.goto(f"{own.master}/project/digits")
        connection = page.get_by_test_id("connection")
        expect(connection).to_have_text("Connected")
        own.stop()
        expect(connection).to_have_attribute("data-state", "lost")
        expect(connection).to_have_text(re.compile("Connection lost, retrying"))


@pytest.fixture(params=THEMES)
def themed(request: pytest.FixtureRequest, warm: BrowserContext) -> Iterator[Page]:
    """Open a page in each theme."""
    with opened(warm, 1280, 720, color_scheme=request.param, reduced_motion="reduce") as page:
        yield page


def test_axe_finds_nothing_serious_for_a_visitor(themed: Page, axe: str, system: Running) -> None:
    for path in PATHS:
        themed.goto(f"{system.master}{path}")
        themed.wait_for_load_state("networkidle")
        unfold(themed)
        assert findings(themed, axe) == [], path
    themed.goto(f"{system.master}/join/digits")
    themed.get_by_test_id("add-worker").click()
    expect(themed.get_by_text("Thank you")).to_be_visible()
    assert findings(themed, axe) == [], "a device that is lent"


@pytest.mark.parametrize("path", PATHS)
def test_a_page_loads_without_a_jump_or_an_error_and_fits_every_window(
    path: str, browser: Browser, system: Running
) -> None:
    """In a browser that has nothing of it yet: there what comes late would push what is there already."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = quiet(context)
    page.add_init_script(
        """window.shifts = 0; new PerformanceObserver(list => {
        for (const entry of list.getEntries()) window.shifts += entry.value;
        }).observe({type: "layout-shift", buffered: true});"""
    )
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto(f"{system.master}{path}?token={system.token}")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.shifts") <= 0.1
    assert len(said) == (path == "/nothing"), said  # no file is missing, and the policy forbids nothing
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        # a chart follows its column one frame later, hence the wait
        until(lambda: fits(page), f"{path} fits into {width} px", 5)
    context.close()


def test_everything_works_by_keyboard(visitor: Page, system: Running) -> None:
    visitor.goto(f"{system.master}/project/digits")
    expect(visitor.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    visitor.keyboard.press("Tab")
    expect(visitor.get_by_role("link", name="Skip to the content")).to_be_focused()
    visitor.get_by_test_id("add-worker").focus()
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_test_id("worker-row")).to_have_count(1)
    visitor.get_by_test_id("remove-worker").focus()
    visitor.keyboard.press("Space")
    expect(visitor.get_by_test_id("worker-row")).to_have_count(0)


def test_the_page_weighs_at_most_300_kb_up_to_the_first_gradient(browser: Browser, system: Running) -> None:
    name = project(system, "weight")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    context = browser.new_context()
    page = context.new_page()
    finished: list[Request] = []
    context.on("requestfinished", lambda request: finished.append(request))
    page.goto(f"{system.master}/project/{name}")
    page.get_by_test_id("add-worker").click()
    expect(page.get_by_test_id("stat-iteration")).to_have_text(re.compile("[1-9]"))
    sizes = {asked.url: asked.sizes()["responseBodySize"] for asked in list(finished) if "/shards/" not in asked.url}
    assert any(url.endswith(".wasm") for url in sizes), "the engine counts too"
    assert sum(sizes.values()) <= 300_000, sorted(sizes.items(), key=lambda item: -item[1])[:8]
    context.close()


def test_who_wishes_no_motion_sees_none(browser: Browser, system: Running) -> None:
    name = project(system, "still")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()

    def moves(motion: Literal["reduce", "no-preference"]) -> set[str]:
        context = browser.new_context(reduced_motion=motion)
        page = quiet(context)
        page.goto(f"{system.master}/?token={system.token}")
        page.evaluate(
            """window.moved = new Set();
            setInterval(() => document.getAnimations().forEach(one => moved.add(one.effect.target.className)), 5)"""
        )
        page.get_by_role("link", name="still", exact=True).click()
        page.get_by_test_id("add-worker").click()
        expect(page.get_by_test_id("worker-total")).to_have_text(re.compile("^[1-9]"))
        page.get_by_test_id("reboot").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        at = system.iteration(name)
        until(lambda: system.iteration(name) >= at + 3, "it trains")
        width = page.locator(".countdown span").evaluate("bar => bar.style.transform")
        assert re.fullmatch(r"scaleX\([\d.]+\)", width)
        moved = set(page.evaluate("[...moved]"))
        context.close()
        return moved

    assert "fills" in moves("no-preference"), "or nothing would be seen here"
    assert moves("reduce") == set()


def test_what_a_page_is_made_of_is_never_asked_for_again(owner: Page, system: Running) -> None:
    for path in ("/project/digits", "/"):
        owner.goto(f"{system.master}{path}")
        expect(owner.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    sent: list[tuple[str, int]] = owner.evaluate(
        """performance.getEntriesByType("resource").map(({name, transferSize}) => [name, transferSize])"""
    )
    files = {name: size for name, size in sent if "/static/" in name}
    assert len(files) > 50
    assert {name for name, size in files.items() if size} == set()


LACKS = {
    "JavaScript modules": "delete HTMLScriptElement.prototype.noModule",
    "Web Workers": "delete window.Worker",
    "WebAssembly": "delete window.WebAssembly",
    "WebAssembly SIMD": "WebAssembly.validate = () => false",
    "module workers": "window.Worker = class {}",  # as one that does not look at the type
}


@pytest.mark.parametrize("lacking", LACKS)
def test_an_old_browser_is_told_what_it_lacks_before_any_download(lacking: str, visitor: Page, system: Running) -> None:
    asked: list[str] = []
    visitor.on("request", lambda request: asked.append(request.url.removeprefix(system.master)))
    visitor.add_init_script(LACKS[lacking])
    visitor.goto(f"{system.master}/join/digits")
    expect(visitor.locator("#lacking")).to_have_text(
        f"This browser lacks {lacking}, which training needs: "
        "use Chrome or Edge 91, Firefox 114, Safari 16.4, or newer."
    )
    visitor.wait_for_load_state("networkidle")
    assert {re.sub(VERSION, "", path) for path in asked if path.endswith((".js", ".wasm"))} == {"js/entry/baseline.js"}


@pytest.mark.parametrize(
    ("path", "entries"),
    [("/", ["page"]), ("/project/digits/classify", ["page", "classify"]), ("/data", ["page", "datasets"])],
    ids=["all", "classify", "data"],
)
def test_every_module_of_the_page_is_fetched_at_once(
    path: str, entries: list[str], visitor: Page, system: Running
) -> None:
    def reached(path: Path, found: set[Path]) -> set[Path]:
        found.add(path)
        for target in re.findall(r"(?m)^(?:import|export)\b[^;]*?from\s*\"(\.[^\"]+)\"", path.read_text()):
            inner = (path.parent / target).resolve()
            if inner not in found:
                reached(inner, found)
        return found

    visitor.goto(f"{system.master}{path}")
    links = visitor.locator("link[rel=modulepreload]").evaluate_all("links => links.map(link => link.href)")
    preloaded = {STATIC / re.sub(VERSION, "", link.removeprefix(system.master)) for link in links}
    wanted: set[Path] = set()
    for entry in entries:
        reached(STATIC / f"js/entry/{entry}.js", wanted)
    assert preloaded == wanted
