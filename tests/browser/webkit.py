"""WebKit for tests: Debian's WebKitGTK through its own WebDriver, on a screen that nobody sees.

Rules of this file:
- Only what the tests use: open a page, evaluate an expression in it, with the same names as firefox.py.
"""

import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.running import free_port, until

DRIVER, SCREEN = "WebKitWebDriver", "Xvfb"
LANGUAGE = {"LANG": "en_US.UTF-8", "LANGUAGE": "en_US", "LC_ALL": "en_US.UTF-8"}
ANSWER_S = 60.0
START_S = 20.0


def installed() -> bool:
    """Tell whether Debian's WebKit, its driver and a screen are here."""
    return all(map(shutil.which, (DRIVER, SCREEN))) and _browser() is not None


def _browser() -> str | None:
    found = sorted(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))
    return str(found[-1]) if found else None


class WebKit:
    """One tab of a running WebKit."""

    def __init__(self, driver: httpx.Client) -> None:
        self.driver = driver
        options = {"binary": _browser(), "args": ["--automation"]}
        wanted = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
        self.session = self.call("POST", "/session", wanted)["sessionId"]

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a WebDriver command and return its value; raise RuntimeError with the browser's words when it fails."""
        answer = self.driver.request(method, path, json=body)
        value = answer.json()["value"]
        if answer.is_error:
            raise RuntimeError(f"{path}: {value['message']}")
        return value

    def open(self, address: str) -> None:
        """Open a page and wait until it has loaded."""
        self.call("POST", f"/session/{self.session}/url", {"url": address})

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression to a plain value."""
        script = {"script": f"return {expression}", "args": []}
        return self.call("POST", f"/session/{self.session}/execute/sync", script)

    def close(self) -> None:
        """End the browser."""
        self.call("DELETE", f"/session/{self.session}")


@contextmanager
def screen() -> Iterator[str]:
    """Run an X server without a screen until the block ends; give its display."""
    told, tell = os.pipe()
    command = [SCREEN, "-displayfd", str(tell), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[tell], stderr=subprocess.DEVNULL)
    os.close(tell)
    try:
        ready, _, _ = select.select([told], [], [], START_S)
        assert ready, f"{SCREEN} told no display within {START_S} s"
        yield f":{os.read(told, 16).decode().strip()}"
    finally:
        os.close(told)
        process.terminate()
        process.wait(20)


@contextmanager
def webkit() -> Iterator[WebKit]:
    """Run WebKit until the block ends."""
    port = free_port()
    with screen() as display:
        # Its sandbox needs what containers do not give; nothing but our own pages is opened.
        # Without a language it tells pages "C", which is no language tag and makes Intl refuse.
        environment = {**os.environ, "DISPLAY": display, "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1", **LANGUAGE}
        process = subprocess.Popen(
            [DRIVER, f"--port={port}"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        address = f"http://127.0.0.1:{port}"
        try:
            with httpx.Client(base_url=address, trust_env=False, timeout=ANSWER_S) as driver:
                until(lambda: _answers(driver), "the driver answers", START_S)
                tab = WebKit(driver)
                yield tab
                tab.close()
        finally:
            process.terminate()
            process.wait(20)


def _answers(driver: httpx.Client) -> bool:
    try:
        return driver.get("/status").is_success
    except httpx.TransportError:
        return False  # it still starts
