"""The same in Firefox: the unit tests, the same bits as in Chromium, and training with the real system."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.running import running, until

from .firefox import Firefox, firefox, installed
from .test_unit import FILES

pytestmark = pytest.mark.skipif(not installed(), reason="firefox-esr is missing: apt-get install firefox-esr")


@pytest.fixture(scope="module")
def fox() -> Iterator[Firefox]:
    """Start Firefox once for this file."""
    with firefox() as started:
        yield started


def outcome_of(fox: Firefox, address: str) -> dict[str, Any]:
    """Run a unit test file and return what it left."""
    fox.open(address)
    found: str = until(lambda: fox.evaluate("document.getElementById('outcome')?.textContent"), "the outcome", 120)
    outcome: dict[str, Any] = json.loads(found)
    return outcome


@pytest.mark.parametrize("file", FILES)
def test_unit(fox: Firefox, site: str, file: str) -> None:
    outcome = outcome_of(fox, f"{site}/unit/run.html?file={file}")
    assert outcome["failed"] == []
    assert outcome["passed"]


def test_pixels_and_gradient_have_the_bits_of_chromium(fox: Firefox, page: Page, site: str) -> None:
    address = f"{site}/unit/run.html?file=bits.test.js"
    page.goto(address)
    chromium = json.loads(page.locator("#outcome").inner_text(timeout=60_000))
    assert len(chromium["facts"]) == 2
    assert outcome_of(fox, address)["facts"] == chromium["facts"]


def test_it_trains(fox: Firefox, tmp_path: Path) -> None:
    with running(tmp_path / "data") as system:
        fox.open(f"{system.master}/project/digits")
        button = "document.querySelector('[data-testid=add-worker]')"
        until(lambda: fox.evaluate(f"Boolean({button}) && !{button}.disabled"), "the button is there")
        fox.evaluate(f"{button}.click()")
        begun = time.monotonic()
        until(lambda: system.iteration() >= 5, "five iterations", 60)
        assert system.project()["status"]["vectors"] > 0
        assert time.monotonic() - begun < 30
        fox.open("about:blank")
