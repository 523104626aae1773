"""What a hidden tab still computes: another tab in front for six minutes, in a real window.

    .venv/bin/python benchmarks/hidden.py

Headless browsers keep hidden tabs awake, and so do Playwright's flags (--disable-background-timer-throttling,
--disable-backgrounding-occluded-windows, --disable-renderer-backgrounding) and its emulation of focus, under which a
tab never learns that it is hidden: with them this could not fail. So Chromium is started here as a person starts it,
with a window (under Xvfb), and clicked by the DevTools protocol alone. After five minutes Chromium throttles a hidden
tab's timers to one a minute; hence six.
"""

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import Report  # noqa: E402 - run as a file, the checkout is not on the path
from tests.browser.chromium import EXECUTABLE, FLAGS  # noqa: E402
from tests.browser.webkit import screen  # noqa: E402
from tests.running import Running, free_port, running, until  # noqa: E402

SHARE_BOUND = 0.9
"""Of the vectors a second of the visible tab: what a hidden one must still give in its last minute."""

SHOWS = "document.visibilityState"


class Chromium:
    """A Chromium with a window, spoken to only when something is asked."""

    def __init__(self, port: int) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        self._ids = itertools.count(1)

    def tabs(self) -> list[dict[str, Any]]:
        """List the open tabs, newest first."""
        return [tab for tab in self.http.get("/json/list").json() if tab["type"] == "page"]

    def open(self, address: str) -> None:
        """Open a tab in front."""
        self.http.put(f"/json/new?{address}").raise_for_status()

    def evaluate(self, tab: dict[str, Any], expression: str) -> Any:
        """Evaluate an expression in a tab."""
        with connect(tab["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            wish = {"id": next(self._ids), "method": "Runtime.evaluate", "params": {"expression": expression}}
            socket.send(json.dumps(wish))
            return json.loads(socket.recv())["result"]["result"].get("value")


@contextlib.contextmanager
def window(address: str) -> Iterator[Chromium]:
    """Open Chromium in a window on a page."""
    port = free_port()
    with screen() as display, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        own = [f"--user-data-dir={profile}", f"--remote-debugging-port={port}", address]
        environment = {**os.environ, "DISPLAY": display}
        with subprocess.Popen([EXECUTABLE, *FLAGS, *own], env=environment, stderr=subprocess.DEVNULL) as process:
            try:
                chromium = Chromium(port)
                until(lambda: answers(chromium), "Chromium answers")
                yield chromium
            finally:
                process.terminate()


def answers(chromium: Chromium) -> bool:
    """Tell whether Chromium has a tab to speak to."""
    try:
        return bool(chromium.tabs())
    except httpx.TransportError:
        return False  # it still starts


def spell(system: Running, name: str, seconds: float) -> dict[str, Any]:
    """Let it train for so long; tell what the server's history has of it."""
    begun, at = time.time(), system.iteration()
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, "the spell is over", seconds + 60)
    took = time.time() - begun
    rows = system.visitor.get(f"/api/projects/digits/history?after={at - 1}").json()
    [worker] = system.visitor.get("/api/projects/digits/workers").json()["rows"]
    vectors = sum(row["vectors"] for row in rows)
    return {
        "tab": name, "seconds": took, "iterations": len(rows), "missed": sum(not row["vectors"] for row in rows),
        "vectors/s": vectors / took, "power while it computes": worker["power"], "latency, ms": worker["latency_ms"],
    }  # fmt: skip


def measure(system: Running, visible_s: float, hidden_s: float) -> list[dict[str, Any]]:
    """Train in a visible tab, then put another in front of it."""
    with window(f"{system.master}/project/digits") as chromium:
        [tab] = chromium.tabs()
        add = "document.querySelector('[data-testid=add-worker]') !== null"
        until(lambda: chromium.evaluate(tab, add), "the page is there")
        chromium.evaluate(tab, "document.querySelector('[data-testid=add-worker]').click()")
        until(lambda: system.iteration() >= 3, "three iterations")
        assert chromium.evaluate(tab, SHOWS) == "visible"
        rows = [spell(system, "visible", visible_s)]
        chromium.open("about:blank")
        until(lambda: chromium.evaluate(tab, SHOWS) == "hidden", "the tab is hidden")
        rows.append(spell(system, "hidden", hidden_s - visible_s))
        rows.append(spell(system, "hidden, at the end", visible_s))
        assert chromium.evaluate(tab, SHOWS) == "hidden"
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="ten seconds hidden: whether it runs, not what it finds")
    given = parser.parse_args()
    report = Report("Another tab in front of a tab that trains; Chromium with a window")
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as system:
        report.rows = measure(system, 3.0 if given.quick else 60.0, 6.0 if given.quick else 360.0)
    visible, last = report.rows[0], report.rows[-1]
    report.at_least("hidden / visible, vectors a second", last["vectors/s"] / visible["vectors/s"], SHARE_BOUND)
    report.print(given.json)


if __name__ == "__main__":
    main()
