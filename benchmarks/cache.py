"""Shards in a browser: how soon the first is in a trainer, how soon all are, and what a second visit transfers.

    .venv/bin/python benchmarks/cache.py --data cifar10-train.zip

A real data server and a real Chromium with boss, trainer and data worker; only the master's end of the connection is
played (cache_page.js), so that the moment of the assignment is known. Without --data it takes scikit-learn's digits,
and says so. Each round is a fresh profile; its second visit is another page of the same profile.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import Report  # noqa: E402 - run as a file, the checkout is not on the path
from mlitb.datasets import digits_zip  # noqa: E402
from tests.browser.chromium import launch  # noqa: E402
from tests.running import Running, running  # noqa: E402

VECTORS = 10_000
ROUNDS = 5
FIRST_BOUND_MS, ALL_BOUND_S = 300, 10
SETTLE_MS = 1000
"""Until the browser has written what it keeps: nobody waits for that while it works."""

LOAD = "given => import('/bench/cache_page.js').then(page => page.load(given))"


def prepare(system: Running, archive: Path, shape: dict[str, str]) -> dict[str, Any]:
    """Upload the zip and return what a trainer is to hold: at most VECTORS vectors of it."""
    report = system.upload(archive.read_bytes(), **shape)
    report.raise_for_status()
    cut = report.json()["cuts"][0]["id"]
    manifest = httpx.get(f"{system.data_server}/cuts/{cut}/manifest.json", trust_env=False).json()
    labels, shards, vectors = manifest["labels"], [], 0
    for shard in manifest["shards"]:
        if vectors >= VECTORS:
            break
        vectors += shard["count"]
        rest = {"cut": cut, "labels": list(range(len(labels))), "offset": 0, "step": 1}
        shards.append({"hash": shard["hash"], "count": shard["count"], "bytes": shard["bytes"], **rest})
    size = {name: manifest[name] for name in ("width", "height", "channels")}
    layers = [{"type": "input", **size}, {"type": "fully_connected"}, {"type": "softmax"}]
    config = system.visitor.get("/api/config").json()
    places = {"data": config["data_url"], "engine": config["engine_url"]}
    return {**places, "layers": layers, "labels": labels, "shards": shards}


def visit(browser: BrowserContext, system: Running, given: dict[str, Any]) -> tuple[dict[str, float], int]:
    """Load all shards in a new page; return its times and how many shards crossed the network."""
    page = browser.new_page()
    script = (ROOT / "benchmarks/cache_page.js").read_text()
    page.route("**/bench/cache_page.js", lambda route: route.fulfill(body=script, content_type="text/javascript"))
    asked: list[str] = []
    browser.on("request", lambda request: asked.append(request.url) if "/shards/" in request.url else None)
    page.goto(f"{system.master}/")
    times: dict[str, float] = page.evaluate(LOAD, given)
    page.wait_for_timeout(SETTLE_MS)
    page.close()
    return times, len(asked)


def measure(system: Running, given: dict[str, Any], number: int) -> dict[str, Any]:
    """Visit twice with a fresh profile."""
    with sync_playwright() as playwright, launch(playwright.chromium) as browser:
        fresh, fetched = visit(browser, system, given)
        again, more = visit(browser, system, given)
    assert fetched == len(given["shards"]), f"{fetched} requests were seen for {len(given['shards'])} shards"
    return {
        "round": number, "shards": len(given["shards"]), "vectors": sum(shard["count"] for shard in given["shards"]),
        "first, ms": fresh["first"], "all, s": fresh["all"] / 1000, "again: held": again["held"],
        "again: fetched": more, "again: all, s": again["all"] / 1000,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="ZIP", help="label folders of colour pictures, 32 x 32")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="one round instead of five")
    given = parser.parse_args()
    report = Report("Shards in a browser, loopback")
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data", demo=False) as system:
        archive, shape = given.data, {"width": "32", "height": "32", "channels": "3"}
        if archive is None:
            archive, shape = Path(folder) / "digits.zip", {}
            digits_zip(archive)
            report.notes.append("without --data: scikit-learn's digits")
        wanted = prepare(system, archive, shape)
        report.rows = [measure(system, wanted, number) for number in range(1, 2 if given.quick else ROUNDS + 1)]
    first = statistics.median(row["first, ms"] for row in report.rows)
    report.at_most("first shard in a trainer after its assignment, median, ms", first, FIRST_BOUND_MS)
    everything = statistics.median(row["all, s"] for row in report.rows)
    report.at_most("all in one browser, median, s", everything, ALL_BOUND_S)
    report.at_most("shards that a second visit transfers", max(row["again: fetched"] for row in report.rows), 0)
    report.print(given.json)


if __name__ == "__main__":
    main()
