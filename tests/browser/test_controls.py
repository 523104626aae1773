"""Every control of every page, on a desktop and on a phone: it can be seen, named, hit, and some test uses it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.running import Running

from .pages import DIGITS_LAYERS, PATHS, project, quiet

UI = Path(__file__).resolve().parents[2] / "static/js/ui"
TESTS = Path(__file__).resolve().parent
SIZES = {"desktop": (1440, 900), "phone": (360, 740)}
SMALLEST = 24
"""CSS pixels of a target's side (WCAG 2.2, 2.5.8); a checkbox counts with its label, a link in a sentence not."""
ELSEWHERE = {"camera-next"}
"""Needs two cameras, which the machine that tests does not have."""

CONTROLS = """smallest => {
  const shown = document.querySelector("dialog[open]") ?? document;
  const wrong = [];
  for (const one of shown.querySelectorAll("a[href], button, input, select, textarea, summary")) {
    if (!one.checkVisibility() || one.disabled || one.closest(".skip")) continue;
    const ofLabel = one.matches("input[type=radio], input[type=checkbox], input[type=file]");
    const target = ofLabel ? (one.closest("label") ?? one.labels?.[0] ?? one) : one;
    target.scrollIntoView({block: "center", inline: "center"});
    const {left, top, width, height} = target.getBoundingClientRect();
    const hit = document.elementFromPoint(left + width / 2, top + height / 2);
    const said = one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent ?? one.title;
    const name = said.trim();
    const inText = one.tagName === "A" && getComputedStyle(one).display === "inline";
    if (!name) wrong.push(["without a name", one.outerHTML.slice(0, 120)]);
    if (!inText && (width < smallest || height < smallest)) wrong.push([`${width}×${height}`, name]);
    if (left < 0 || left + width > innerWidth + 1) wrong.push(["outside of the window", name]);
    if (!hit || !(target.contains(hit) || hit.contains(target))) wrong.push([`covered by ${hit?.className}`, name]);
  }
  return wrong;
}"""


@pytest.fixture(params=SIZES)
def sized(request: pytest.FixtureRequest, browser: Browser, system: Running) -> Iterator[Page]:
    """Open the projects as the owner, in a window of each size."""
    width, height = SIZES[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    context.set_default_timeout(20_000)
    page = quiet(context)
    page.goto(f"{system.master}/?token={system.token}")
    yield page
    context.close()


def wrong(page: Page) -> list[Any]:
    """Name the controls of a page that cannot be seen, named or hit."""
    found: list[Any] = page.evaluate(CONTROLS, SMALLEST)
    return found


def test_every_control_can_be_seen_named_and_hit(sized: Page, system: Running) -> None:
    for path in PATHS:
        sized.goto(f"{system.master}{path}")
        sized.wait_for_load_state("networkidle")
        for summary in sized.locator("summary:visible").all():
            summary.click()
        assert wrong(sized) == [], path
    sized.goto(system.master)
    sized.get_by_test_id("new-project").click()
    expect(sized.get_by_test_id("project-name")).to_be_focused()
    for summary in sized.get_by_role("dialog").locator("summary").all():
        summary.click()
    assert wrong(sized) == [], "new project"


def test_a_form_is_left_by_its_buttons_and_takes_a_size(sized: Page, system: Running, request: Any) -> None:
    for leave in ("Cancel", "Close"):
        sized.get_by_test_id("new-project").click()
        sized.get_by_role("dialog").get_by_role("button", name=leave, exact=True).click()
        expect(sized.get_by_role("dialog")).to_be_hidden()
    name = f"Size {request.node.callspec.params['sized']}"
    sized.get_by_test_id("new-project").click()
    sized.get_by_test_id("project-name").fill(name)
    for field, value in (("Width", "12"), ("Height", "10")):
        sized.get_by_label(field, exact=True).fill(value)
        sized.get_by_label(field, exact=True).press("Tab")
    sized.get_by_label("Colour", exact=True).select_option("3")
    sized.get_by_test_id("create").click()
    sized.wait_for_url("**/project/size-*")
    made = system.project(sized.url.rpartition("/")[2])
    assert made["input"] == {"width": 12, "height": 10, "channels": 3}


def test_what_could_not_be_fetched_is_tried_again(sized: Page, system: Running) -> None:
    sized.route("**/ui/log.js", lambda route: route.abort())
    sized.goto(f"{system.master}/project/digits")
    log = sized.get_by_test_id("log")
    log.locator("summary").click()
    expect(log.get_by_role("alert")).to_be_visible()
    sized.unroute("**/ui/log.js")
    log.get_by_role("button", name="Try again").click()
    expect(log.get_by_test_id("log-row").first).to_be_visible()


def test_a_refusal_is_told_and_dismissed(sized: Page, system: Running) -> None:
    name = project(system, "refuses")
    sized.goto(f"{system.master}/project/{name}")
    sized.get_by_test_id("start").click()
    sized.get_by_test_id("pause").wait_for()
    sized.route(f"**/api/projects/{name}/pause", lambda route: route.fulfill(status=409, json={"detail": "not now"}))
    sized.get_by_test_id("pause").click()
    expect(sized.get_by_role("alert")).to_contain_text("Not now.")
    sized.get_by_role("alert").get_by_role("button", name="Dismiss").click()
    expect(sized.get_by_role("alert")).to_have_count(0)


def test_how_pictures_are_made_to_fit_is_chosen(owner: Page, system: Running) -> None:
    made = system.owner.post("/api/projects", json={"name": "fitting", "layers": DIGITS_LAYERS}).json()
    owner.goto(f"{system.master}/project/{made['id']}")
    mode = owner.get_by_label("How they are made to fit")
    for choice in ("fit", "stretch", "crop"):
        mode.select_option(choice)
        expect(mode).to_have_value(choice)


def handles() -> set[str]:
    """Return the plain data-testids of buttons and fields."""
    sources = (path.read_text() for path in UI.rglob("*.js"))
    control = r'<(?:button|input|select|textarea)\b[^`]*?data-testid="([\w-]+)"'
    return {found for source in sources for found in re.findall(control, source)}


def test_every_control_is_used_by_a_test() -> None:
    used = "\n".join(path.read_text() for path in TESTS.glob("*.py"))
    assert {handle for handle in handles() - ELSEWHERE if not re.search(rf"[\"=]{handle}[\"\]]", used)} == set()
