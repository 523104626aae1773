"""A small site for browser tests: folders of the checkout under fixed names, with the policy that the master sends.

Rules of this file:
- Only what a test page may load: /static, /vendor (mocha, chai), /golden, /unit, and what a test adds: by a route in
  Python, or from the page by PUT (DELETE takes it back); GET /asked/PATH tells how often PATH was asked for.
- The Content-Security-Policy is the master's, so a test fails where the real page would.
"""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

FOLDERS = {
    "/static/": ROOT / "static",
    "/vendor/": HERE / "vendor",
    "/golden/": ROOT / "tests/golden",
    "/unit/": HERE / "unit",
}
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".html": "text/html; charset=utf-8",
}
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src *"

Answer = tuple[int, dict[str, str], bytes]
Route = Callable[["Request"], Answer]


class Request(BaseHTTPRequestHandler):
    """Answer GET from the site's routes, then from the folders."""

    protocol_version = "HTTP/1.1"
    routes: dict[str, Route]
    kept: dict[str, bytes]
    asked: Counter[str]

    @property
    def place(self) -> str:
        """The path of the address, decoded."""
        return unquote(urlsplit(self.path).path)

    def do_GET(self) -> None:
        self.asked[self.place] += 1
        route = next((made for start, made in self.routes.items() if self.place.startswith(start)), found)
        self.answer(*route(self))

    def do_PUT(self) -> None:
        self.kept[self.place] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(204, {}, b"")

    def do_DELETE(self) -> None:
        self.kept.pop(self.place, None)
        self.answer(204, {}, b"")

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Send an answer with the master's policy."""
        self.send_response(status)
        for name, value in {"Content-Security-Policy": POLICY, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: the tests say what matters."""


def found(request: Request) -> Answer:
    """Answer with what was put there, or the file that the path names, or 404."""
    path = request.place
    if path in request.kept:
        return 200, {"Content-Type": "application/octet-stream"}, request.kept[path]
    if path.startswith("/asked/"):
        return 200, {"Content-Type": "text/plain"}, str(request.asked[path.removeprefix("/asked")]).encode()
    for start, folder in FOLDERS.items():
        file = (folder / path[len(start) :]).resolve()
        if path.startswith(start) and file.is_file() and file.is_relative_to(folder):
            return 200, {"Content-Type": TYPES.get(file.suffix, "application/octet-stream")}, file.read_bytes()
    return 404, {"Content-Type": "text/plain"}, f"{path} is not on this test site".encode()


class Server(ThreadingHTTPServer):
    """Serves each request on a thread of its own; a browser may go away in the middle of an answer."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(routes: dict[str, Route] | None = None) -> Iterator[str]:
    """Serve the site on a free loopback port while the block runs; give its address without a final slash."""
    handler = type("Handler", (Request,), {"routes": routes or {}, "kept": {}, "asked": Counter()})
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
