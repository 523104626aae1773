"""What the tests of the pages share: a project to change, figures as people read them, a page that throws nothing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.running import Running

PATHS = (
    "/",
    "/project/digits",
    "/join/digits",
    "/project/digits/classify",
    "/project/digits/statistics",
    "/data",
    "/data/d1",
    "/nothing",
)
WIDTHS = (360, 390, 768, 1440, 2560)
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
SIZES = {"desktop": (1440, 900), "phone": (360, 740)}

DIGITS_LAYERS: list[dict[str, Any]] = [
    {"type": "input", "width": 8, "height": 8, "channels": 1},
    {"type": "conv", "filters": 8, "kernel": 3, "padding": 1},
    {"type": "relu"},
    {"type": "fully_connected"},
    {"type": "softmax"},
]


def quiet(context: BrowserContext) -> Page:
    """Open a page that fails the test when its console shows an error."""
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page threw {error}"))
    return page


KEPT = "cookies,local_storage,indexeddb,cache_storage,service_workers,file_systems,storage_buckets,shared_storage"
"""What a page keeps, in the words of Chromium; not what the browser itself keeps of what it fetched and compiled."""


@contextmanager
def opened(warm: BrowserContext, width: int, height: int, **media: Any) -> Iterator[Page]:
    """Open a page of somebody who was never here; close at the end what a test opened beside it.

    One at a time: two would be the same person's.
    """
    assert len(warm.pages) == 1
    page = quiet(warm)
    warm.new_cdp_session(page).send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": KEPT})
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(**media)
    try:
        yield page
    finally:
        for each in warm.pages[1:]:  # without the first the browser would end
            each.close()
        warm.clear_permissions()


def sign_in(page: Page, system: Running) -> None:
    """Make a page's browser the owner's, as the printed link does, without loading where that leads."""
    answer = page.context.request.get(f"{system.master}/?token={system.token}", max_redirects=0)
    assert answer.status == 303


def project(system: Running, name: str, layers: list[dict[str, Any]] = DIGITS_LAYERS) -> str:
    """Make a project with the digits as its data, and return its id."""
    made = system.owner.post("/api/projects", json={"name": name, "layers": layers, "settings": {"period": 0.5}}).json()
    dataset = system.project("digits")["datasets"][0]["dataset"]
    system.owner.post(f"/api/projects/{made['id']}/data", json={"dataset": dataset}).raise_for_status()
    return str(made["id"])


def figure(page: Page, name: str) -> float:
    """Read a figure of the status strip; NaN while there is none."""
    found = re.search(r"[\d.]+", page.get_by_test_id(f"stat-{name}").inner_text().replace(",", ""))
    return float(found.group()) if found else float("nan")


def fits(page: Page) -> bool:
    """Tell whether nothing makes the page scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def findings(page: Page, axe: str) -> list[Any]:
    """Run axe-core on a page; return what it finds serious or critical."""
    page.evaluate(axe)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (found["id"], [node["html"] for node in found["nodes"]])
        for found in result["violations"]
        if found["impact"] in ("serious", "critical")
    ]
