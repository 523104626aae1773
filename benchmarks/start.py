"""How soon a volunteer helps: page weight, and Add worker → first micro-batch, on loopback with an idle project.

    .venv/bin/python benchmarks/start.py

The page is loaded in a fresh Chromium (nothing cached) from a fresh `mlitb up --demo`. Weight is what crossed the
network, as Chromium counts it, for everything up to the first micro-batch but the data itself. Time is from the click
to the moment at which the page shows that its worker computes, which is after the first micro-batch began.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request, Response, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import Report  # noqa: E402 - run as a file, the checkout is not on the path
from tests.browser.chromium import launch  # noqa: E402
from tests.running import Running, running  # noqa: E402

START_BOUND_S = 1.5
WEIGHT_BOUND_KB = 300
CLICK_AND_WAIT = """async () => {
  const begun = performance.now();
  const row = "[data-testid=worker-state]";
  const works = () => ["working", "saturated"].includes(document.querySelector(row)?.dataset.state ?? "");
  document.querySelector("[data-testid=add-worker]").click();
  while (!works()) await new Promise(done => requestAnimationFrame(done));
  return performance.now() - begun;
}"""


class Weigher:
    """Adds up what crosses the network for a page and its workers."""

    def __init__(self, page: Page) -> None:
        self.sizes: dict[str, int] = {}
        page.context.on("response", self._answered)
        page.context.on("requestfinished", self._finished)

    def _answered(self, response: Response) -> None:
        self.sizes.setdefault(response.url, 0)

    def _finished(self, request: Request) -> None:
        size = request.sizes()
        self.sizes[request.url] = size["responseBodySize"] + size["responseHeadersSize"]

    def kilobytes(self, leave_out: str) -> float:
        """Return the sum without addresses that contain `leave_out`."""
        return sum(size for url, size in self.sizes.items() if leave_out not in url) / 1000


def visit(system: Running, profile: int) -> dict[str, Any]:
    """Load the page in a fresh browser, click Add worker, wait until it computes."""
    with sync_playwright() as playwright, launch(playwright.chromium) as browser:
        page = browser.new_page()
        weigher = Weigher(page)
        page.goto(f"{system.master}/project/digits")
        expect(page.get_by_test_id("add-worker")).to_be_enabled()
        page.wait_for_load_state("networkidle")
        ms = page.evaluate(CLICK_AND_WAIT)
        page.wait_for_load_state("networkidle")
        assert any(".wasm" in url for url in weigher.sizes), "the engine, which a worker fetches, was weighed"
        return {"visit": profile, "add worker, ms": ms, "weight, KB": weigher.kilobytes("/shards/")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="one visit instead of five")
    given = parser.parse_args()
    report = Report("Add worker, fresh browser, loopback")
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as system:
        report.rows = [visit(system, number) for number in range(1, 2 if given.quick else 6)]
    median = statistics.median(row["add worker, ms"] for row in report.rows) / 1000
    report.at_most("Add worker to first micro-batch, median, s", median, START_BOUND_S)
    report.at_most("page weight, KB", max(row["weight, KB"] for row in report.rows), WEIGHT_BOUND_KB)
    report.print(given.json)


if __name__ == "__main__":
    main()
