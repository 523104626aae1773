"""The same in Firefox and WebKit: the unit tests, the same bits as in Chromium, and training with the real system."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from playwright.sync_api import Page

from mlitb.pixels import decode
from tests.running import running, until

from . import firefox, webkit
from .test_classify import SEEN, photo
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
        classify(tab)
        tab.open("about:blank")


def classify(tab: Tab) -> None:
    """Go on to the classify page without leaving, and show the network a photo that its camera marked as turned."""
    tab.evaluate("document.querySelector('[data-testid=classify]').click()")
    until(
        lambda: tab.evaluate("document.querySelector('[data-testid=choose-pictures]')?.disabled === false"), "it opens"
    )
    data = base64.b64encode(photo(6)).decode()
    tab.evaluate(f"""(() => {{
      const bytes = Uint8Array.from(atob("{data}"), byte => byte.charCodeAt(0));
      const chosen = new DataTransfer();
      chosen.items.add(new File([bytes], "photo.jpg", {{type: "image/jpeg"}}));
      const input = document.querySelector("[data-testid=choose-pictures]");
      input.files = chosen.files;
      return input.dispatchEvent(new Event("change", {{bubbles: true}}));
    }})()""")
    until(lambda: tab.evaluate("document.querySelector('[data-testid=answer]')?.dataset.best"), "an answer", 60)
    shown = f"JSON.stringify(({SEEN})(document.querySelector('[data-testid=seen]')))"
    seen = np.array(json.loads(str(tab.evaluate(shown))), np.int64).reshape(8, 8, 4)[:, :, :1]
    assert np.abs(seen - decode(photo(6), 8, 8, 1)).max() <= 4, "upright, as training would see it"
