"""Run tests/browser/unit/*.test.js with mocha in a real Chromium: one test here per file there."""

import json

import pytest
from playwright.sync_api import Page

from .site import HERE

FILES = sorted(path.name for path in (HERE / "unit").glob("*.test.js"))


@pytest.mark.parametrize("file", FILES)
def test_unit(page: Page, site: str, file: str) -> None:
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{site}/unit/run.html?file={file}")
    outcome = json.loads(page.locator("#outcome").inner_text(timeout=120_000))
    failed = "\n".join(outcome["failed"])
    assert not failed, f"{len(outcome['failed'])} of {file} failed:\n{failed}"
    assert outcome["passed"], f"{file} holds no test"
    assert not complaints, f"{file} left errors: {complaints}"
