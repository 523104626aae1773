"""The checkpoints on a project's page: back to one, and a new project from one."""

import re
from pathlib import Path

from playwright.sync_api import BrowserType, expect
from safetensors.numpy import load_file

from tests.browser.chromium import launch
from tests.browser.test_e2e import add_workers, reach
from tests.running import running, until

DIGITS_PARAMETERS = 2730


def test_an_owner_goes_back_to_a_checkpoint_and_branches_one(tmp_path: Path, chromium: BrowserType) -> None:
    with running(tmp_path / "data", "--checkpoint", "iteration") as system, launch(chromium) as browser:
        page = browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(system.link)
        expect(page.get_by_test_id("add-worker")).to_be_enabled()
        add_workers(page, 1)
        reach(system, 5)
        page.get_by_test_id("pause").click()
        until(lambda: system.project()["status"]["state"] == "paused", "the project is paused")
        at = system.iteration()
        panel = page.get_by_test_id("checkpoints")
        panel.locator("summary").click()
        rows = panel.get_by_test_id("checkpoint-row")
        expect(rows.nth(2)).to_be_visible()
        with page.expect_download() as download:
            rows.nth(1).get_by_test_id("checkpoint-file").click()
        assert download.value.suggested_filename.endswith(".safetensors")
        assert load_file(download.value.path())["parameters"].size == DIGITS_PARAMETERS
        rows.nth(2).get_by_test_id("restore").click()
        page.get_by_test_id("confirm").click()
        until(lambda: system.iteration() == at + 1, "it stands at the checkpoint, under the next number")
        expect(rows.first.locator("td").first).to_have_text(re.compile(rf"^{at + 1}\b"))
        rows.first.get_by_test_id("branch").click()
        expect(page.get_by_test_id("branch-name")).to_have_value(f"digits from {at + 1}")
        page.get_by_test_id("branch-name").fill("Another way")
        page.get_by_test_id("confirm-branch").click()
        expect(page.get_by_test_id("project-title")).to_have_text("Another way")
        assert system.project("another-way")["status"]["iteration"] == at + 1
        assert problems == []
        visitor = browser.new_page()
        browser.clear_cookies()
        visitor.goto(f"{system.master}/project/digits")
        expect(visitor.get_by_test_id("add-worker")).to_be_enabled()
        expect(visitor.get_by_test_id("checkpoints")).to_have_count(0)
