"""The same in Firefox and WebKit: the unit tests, the same bits as in Chromium, and training with the real system."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Page

from tests.running import running, until

from . import firefox, webkit
from .test_unit import FILES

BROWSERS = [
    pytest.param("firefox", marks=pytest.mark.skipif(not firefox.installed(), reason="apt-get install firefox-esr")),
    pytest.param(
        "webkit", marks=pytest.mark.skipif(not webkit.installed(), reason="apt-get install webkit2gtk-driver xvfb")
    ),
]


class Tab(Protocol):
    """What both browsers can do."""

    def open(self, address: str) -> None:
        """Open a page."""

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression in it."""


@pytest.fixture(scope="module", params=BROWSERS)
def tab(request: pytest.FixtureRequest) -> Iterator[Tab]:
    """Start each browser once for this file."""
    with firefox.firefox() if request.param == "firefox" else webkit.webkit() as started:
        yield started


def outcome_of(tab: Tab, address: str) -> dict[str, Any]:
    """Run a unit test file and return what it left."""
    tab.open(address)
    found: str = until(lambda: tab.evaluate("document.getElementById('outcome')?.textContent"), "the outcome", 120)
    outcome: dict[str, Any] = json.loads(found)
    return outcome


@pytest.mark.parametrize("file", FILES)
def test_unit(tab: Tab, site: str, file: str) -> None:
    outcome = outcome_of(tab, f"{site}/unit/run.html?file={file}")
    assert outcome["failed"] == []
    assert outcome["passed"]


def test_pixels_and_gradient_have_the_bits_of_chromium(tab: Tab, page: Page, site: str) -> None:
    address = f"{site}/unit/run.html?file=bits.test.js"
    page.goto(address)
    chromium = json.loads(page.locator("#outcome").inner_text(timeout=60_000))
    assert len(chromium["facts"]) == 2
    assert outcome_of(tab, address)["facts"] == chromium["facts"]


def test_it_trains(tab: Tab, tmp_path: Path) -> None:
    with running(tmp_path / "data") as system:
        tab.open(f"{system.master}/project/digits")
        button = "document.querySelector('[data-testid=add-worker]')"
        until(lambda: tab.evaluate(f"Boolean({button}) && !{button}.disabled"), "the button is there")
        tab.evaluate(f"{button}.click()")
        try:
            until(lambda: system.iteration() >= 5, "five iterations", 60)
        except AssertionError as error:
            error.add_note(f"The page: {tab.evaluate('document.body.innerText')}\nThe project: {system.project()}")
            error.add_note(system.logged())
            raise
        assert system.project()["status"]["vectors"] > 0
        tab.open("about:blank")
