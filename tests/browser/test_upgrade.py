"""After an upgrade of the server an old tab loads itself again and goes on lending, without a click."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from playwright.sync_api import BrowserType, expect

from tests.browser.chromium import launch
from tests.browser.test_e2e import add_workers, reach
from tests.running import free_port, running, until

ROOT = Path(__file__).resolve().parents[2]
ANOTHER = b"\0\x05\x04mlit"
"""An empty custom section: the same engine with another hash."""


def upgraded(folder: Path) -> Path:
    """Copy the program with another engine."""
    for name in ("mlitb", "data_server", "templates", "static"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "static" / "engine.wasm").open("ab") as engine:
        engine.write(ANOTHER)
    return folder


def test_an_old_tab_loads_itself_again_and_goes_on_lending(tmp_path: Path, chromium: BrowserType) -> None:
    ports, data_dir, newer = (free_port(), free_port()), tmp_path / "data", upgraded(tmp_path / "newer")
    with launch(chromium) as browser:
        page = browser.new_page()
        with running(data_dir, ports=ports) as system:
            page.goto(f"{system.master}/project/digits")
            expect(page.get_by_test_id("add-worker")).to_be_enabled()
            add_workers(page, 2)
            reach(system, 3)
            page.evaluate("window.before = true")
        arguments = ["up", "--port", str(ports[0]), "--data-port", str(ports[1]), "--data-dir", str(data_dir)]
        process = subprocess.Popen(
            [sys.executable, "-c", "from mlitb.cli import main; main()", *arguments],
            cwd=newer, env={**os.environ, "PYTHONPATH": str(newer)}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            with httpx.Client(base_url=system.master, trust_env=False) as http:
                until(lambda: trainers(http) == 2, "both workers are back", 90)
            assert page.evaluate("window.before") is None, "it was loaded again"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def trainers(http: httpx.Client) -> int:
    try:
        return int(http.get("/api/projects/digits").json()["status"]["trainers"])
    except httpx.TransportError:
        return 0
