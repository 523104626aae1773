"""Everything that the pages can show to an owner when nothing fails, one state after the other."""

from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.running import Running

from .pages import PATHS


def states(page: Page, system: Running, name: str, model: Path) -> Iterator[str]:
    """Lead a page through everything that it can show to its owner when nothing fails."""
    for path in PATHS:
        page.goto(f"{system.master}{path}")
        page.wait_for_load_state("networkidle")
        unfold(page)
        yield path
    page.goto(f"{system.master}/project/{name}")
    page.get_by_test_id("add-worker").click()
    row = page.get_by_test_id("worker-row")
    row.get_by_test_id("pause-worker").wait_for()
    unfold(page)
    page.get_by_test_id("restore").first.wait_for()
    page.get_by_test_id("rate-conv1").wait_for()
    yield "a project that trains"
    row.get_by_test_id("pause-worker").click()
    row.get_by_test_id("resume-worker").wait_for()
    yield "a paused worker"
    for opener, closer in (("branch", "close"), ("restore", "cancel"), ("reboot", "cancel"), ("model-forms", "close")):
        page.get_by_test_id(opener).first.click()
        page.get_by_test_id(closer).wait_for()
        page.wait_for_load_state("networkidle")
        unfold(page)
        yield f"the dialog of {opener}"
        page.get_by_test_id(closer).click()
    page.goto(system.master)
    page.get_by_test_id("new-project").click()
    expect(page.get_by_test_id("project-name")).to_be_focused()
    unfold(page)
    yield "a new project"
    page.get_by_test_id("begin-model").check(force=True)
    page.get_by_test_id("model-file").set_input_files(model)
    page.get_by_test_id("how-transfer").check(force=True)
    unfold(page)
    yield "a new project from a model"
    page.goto(f"{system.master}/data/d1")
    page.get_by_test_id("label-name").first.fill("another")
    page.get_by_test_id("save-labels").wait_for()
    yield "changed labels"
    page.get_by_test_id("rename-data").click()
    yield "a new name"


def unfold(page: Page) -> None:
    """Open all that is folded, also what that brings, in the dialog or on the page."""
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    page.wait_for_load_state("networkidle")
