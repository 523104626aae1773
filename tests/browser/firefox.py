"""Firefox for tests, driven by WebDriver BiDi, which it speaks itself: no driver of anybody's is needed.

Rules of this file:
- Only what the tests use: open a page, evaluate an expression in it. Messages that nobody asked for are passed over.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from websockets.sync.client import ClientConnection, connect

EXECUTABLE = "firefox-esr"
ANSWER_S = 60.0


def installed() -> bool:
    """Tell whether Debian's Firefox is here."""
    return shutil.which(EXECUTABLE) is not None


class Firefox:
    """One tab of a running Firefox."""

    def __init__(self, line: ClientConnection) -> None:
        self.line = line
        self.asked = 0
        self.call("session.new", capabilities={})
        self.tab = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; raise RuntimeError with the browser's words when it fails."""
        self.asked += 1
        self.line.send(json.dumps({"id": self.asked, "method": method, "params": parameters}))
        while True:
            said = json.loads(self.line.recv(timeout=ANSWER_S))
            if said.get("id") != self.asked:
                continue
            if said["type"] == "error":
                raise RuntimeError(f"{method}: {said['message']}")
            result: dict[str, Any] = said["result"]
            return result

    def open(self, address: str) -> None:
        """Open a page and wait until it has loaded."""
        self.call("browsingContext.navigate", context=self.tab, url=address, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression (a promise is awaited) to a string, number, boolean or None."""
        said = self.call("script.evaluate", expression=expression, target={"context": self.tab}, awaitPromise=True)
        if said["type"] == "exception":
            raise RuntimeError(f"{expression}: {said['exceptionDetails']['text']}")
        return said["result"].get("value")


@contextmanager
def firefox() -> Iterator[Firefox]:
    """Run a headless Firefox with a fresh profile until the block ends."""
    with tempfile.TemporaryDirectory(prefix="mlitb-firefox-", ignore_cleanup_errors=True) as home:
        process = subprocess.Popen(
            [EXECUTABLE, "--headless", "--remote-debugging-port", "0", "--profile", home, "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "HOME": home},
        )  # fmt: skip
        assert process.stderr is not None
        address = _address(process.stderr)
        reader = threading.Thread(target=process.stderr.read, daemon=True)  # so that it never blocks
        reader.start()
        try:
            with connect(f"{address}/session", max_size=None, proxy=None) as line:
                yield Firefox(line)
        finally:
            process.terminate()
            process.wait(20)
            reader.join(20)
            process.stderr.close()


def _address(said: IO[str]) -> str:
    """Read the address of its BiDi server from what it prints."""
    for line in said:
        if found := re.search(r"listening on (ws://\S+)", line):
            return found[1]
    raise RuntimeError("Firefox ended before it told its address")
