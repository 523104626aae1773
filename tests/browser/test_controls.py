"""Every page and control, on a light desktop and a dark phone: accessible, named, in reach, and used by some test."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.running import Running

from . import controls
from .pages import DIGITS_LAYERS, SIZES, Theme, findings, opened, project, sign_in
from .walk import states

LOOKS: dict[str, Theme] = {"desktop": "light", "phone": "dark"}

SMALLEST = 24
"""CSS pixels of a target's side (WCAG 2.2, 2.5.8); a checkbox counts with its label, a link in a sentence not."""
PER_NAME = ("rate-", "decay-", "frozen-", "freeze-", "form-")
"""One for each layer or form that there is: that one of them works is tested."""
LAYER = re.compile(r"[A-Z]\w*(?:[ -][a-z]\w*)* \d+")
"""The name of a layer in the name of its controls: *Move Fully connected 4 up*."""

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


def wrong(page: Page) -> list[Any]:
    """Name the controls of a page that cannot be seen, named or hit."""
    found: list[Any] = page.evaluate(CONTROLS, SMALLEST)
    return found


def test_a_form_is_left_by_its_buttons_and_takes_a_size(sized: Page, system: Running, request: Any) -> None:
    sized.goto(system.master)
    for leave in ("cancel", "close"):
        sized.get_by_test_id("new-project").click()
        sized.get_by_role("dialog").get_by_test_id(leave).click()
        expect(sized.get_by_role("dialog")).to_be_hidden()
    name = f"Size {request.node.callspec.params['sized']}"
    sized.get_by_test_id("new-project").click()
    sized.get_by_test_id("begin-model").check(force=True)
    expect(sized.get_by_test_id("project-name")).to_have_count(0)
    sized.get_by_test_id("begin-network").check(force=True)
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
    log.get_by_test_id("fold-again").click()
    expect(log.get_by_test_id("log-row").first).to_be_visible()


def test_a_refusal_is_told_and_dismissed(sized: Page, system: Running) -> None:
    name = project(system, "refuses")
    sized.goto(f"{system.master}/project/{name}")
    sized.get_by_test_id("start").click()
    sized.get_by_test_id("pause").wait_for()
    sized.route(f"**/api/projects/{name}/pause", lambda route: route.fulfill(status=409, json={"detail": "not now"}))
    sized.get_by_test_id("pause").click()
    expect(sized.get_by_role("alert")).to_contain_text("Not now.")
    sized.get_by_test_id("trouble-dismiss").click()
    expect(sized.get_by_role("alert")).to_have_count(0)


def test_how_pictures_are_made_to_fit_is_chosen(owner: Page, system: Running) -> None:
    made = system.owner.post("/api/projects", json={"name": "fitting", "layers": DIGITS_LAYERS}).json()
    owner.goto(f"{system.master}/project/{made['id']}")
    mode = owner.get_by_label("How they are made to fit")
    for choice in ("fit", "stretch", "crop"):
        mode.select_option(choice)
        expect(mode).to_have_value(choice)


def test_every_button_and_field_has_a_handle() -> None:
    for module, found in controls.written().items():
        without = [tag for tag in found if not re.search(r"data-testid|aria-label|\.{3}\$|^<\$", tag)]
        assert without == [], module


def kind(handle: str, said: str) -> str:
    """Name what controls have in common of which there is one for each layer or form: one of them is used by a test."""
    if handle:
        return next((start for start in PER_NAME if handle.startswith(start)), handle)
    return LAYER.sub("…", said)


@pytest.fixture(params=LOOKS)
def looked_at(request: pytest.FixtureRequest, warm: BrowserContext) -> Iterator[Page]:
    """Open a window of each size, each in a theme of its own."""
    with opened(warm, *SIZES[request.param], color_scheme=LOOKS[request.param], reduced_motion="reduce") as page:
        yield page


def test_everything_that_an_owner_sees_is_accessible_in_reach_and_used_by_a_test(
    looked_at: Page, axe: str, system: Running, model: Path
) -> None:
    """In one walk, because it is long: axe-core, each control's name and place, and that a test uses it."""
    name = project(system, "walked through")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    sign_in(looked_at, system)
    seen: dict[tuple[str, str], str] = {}
    for state in states(looked_at, system, name, model):
        assert findings(looked_at, axe) == [], state
        assert wrong(looked_at) == [], state
        for control in controls.on(looked_at):
            seen.setdefault(control, state)
    unseen = {start for start in controls.templates() if not any(handle.startswith(start) for handle, _ in seen)}
    assert unseen == set(), "no state that is walked through shows these"
    used = {kind(*control) for control in seen if controls.is_used(*control)}
    unused = {f"{handle or said} ({state})" for (handle, said), state in seen.items() if kind(handle, said) not in used}
    assert not unused, "\n".join(sorted(unused))


def test_every_control_that_only_a_failure_shows_is_used_by_a_test() -> None:
    unused = {handle for handle in controls.literal_handles() if not controls.is_used(handle, "")}
    assert not unused, "\n".join(sorted(unused))
