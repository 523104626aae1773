"""By keyboard alone: Tab reaches every control of every page and of the largest form, and one always sees where."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.running import Running

from .pages import PATHS

MOST = 400
"""Controls of a page that are tried: no page has so many."""

CONTROLS = "a[href], button, input, select, textarea, summary"

STOP = """() => {
  const one = document.activeElement;
  if (!one || one === document.body || one.matches("dialog")) return "outside";
  if (one.dataset.tabbed) return "again";
  one.dataset.tabbed = "yes";
  const ringed = (element, part = null) => {
    const {outlineStyle, outlineWidth, outlineColor} = getComputedStyle(element, part);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 1 && !/, 0\\)$/.test(outlineColor);
  };
  const shows = [one, one.nextElementSibling].some(element => {
    if (!element) return false;
    const {width, height, top, bottom} = element.getBoundingClientRect();
    const seen = width > 4 && height > 4 && bottom > 0 && top < innerHeight;
    return seen && (ringed(element) || ringed(element, "::after"));
  });
  return shows ? "" : one.outerHTML.slice(0, 200);
}"""

MISSED = """controls => {
  const shown = document.querySelector("dialog[open]") ?? document;
  const tabbed = name => shown.querySelector(`input[name="${name}"][data-tabbed]`);
  const group = one => one.matches("input[type=radio]") && tabbed(one.name);
  return [...shown.querySelectorAll(controls)]
    .filter(one => one.checkVisibility() && !one.disabled && one.tabIndex >= 0 && !one.dataset.tabbed && !group(one))
    .map(one => one.outerHTML.slice(0, 200));
}"""


def tabbed(page: Page) -> tuple[list[str], list[Any]]:
    """Press Tab until all was seen; name what shows no focus, and what was not reached."""
    unseen: list[str] = []
    outside = 0
    for _ in range(MOST):
        page.keyboard.press("Tab")
        found = page.evaluate(STOP)
        outside += found == "outside"
        if found == "again" or outside > 1:
            break
        unseen += [found] if found and found != "outside" else []
    return unseen, page.evaluate(MISSED, CONTROLS)


@pytest.mark.parametrize("path", PATHS)
def test_tab_reaches_every_control_and_is_seen_there(path: str, owner: Page, system: Running) -> None:
    owner.goto(f"{system.master}{path}")
    owner.wait_for_load_state("networkidle")
    for summary in owner.locator("summary:visible").all():
        summary.click()
    owner.wait_for_load_state("networkidle")
    owner.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
    assert tabbed(owner) == ([], [])


@pytest.mark.usefixtures("at_projects")
def test_tab_reaches_all_of_the_form_for_a_project(owner: Page) -> None:
    owner.get_by_test_id("new-project").click()
    expect(owner.get_by_test_id("project-name")).to_be_focused()
    for summary in owner.get_by_role("dialog").locator("summary").all():
        summary.click()
    owner.get_by_role("button", name="Close").focus()
    assert tabbed(owner) == ([], [])
