"""The files of the pages: held in memory, each compressed once, under addresses that name the content of all of them.

Rules of this file:
- Under /static/<version>/ a browser keeps a file for good and never asks again; under /static/ alone it asks each time.
- The version is a hash of all files: an upgrade, or an edit, gives other addresses to pages, which nobody keeps.
- What is served is what was hashed. A page of an older version gets what there is now, to be asked for again.
"""

import gzip
import hashlib
import logging
import os
import re
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

log = logging.getLogger(__name__)

ADDRESS = "/static"
FOR_GOOD, EACH_TIME = "public, max-age=31536000, immutable", "no-cache"
LOOK_S = 1.0
"""How long an edited file may go unnoticed."""

WORTH_BYTES = 1000
"""Shorter ones are sent as they are: within one packet there is nothing to save."""

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
"""Here, not from the machine's table: a module with another type is not run."""

Stamps = dict[str, tuple[int, int]]
"""Time of change (ns) and size of each file."""

VERSIONED = re.compile(r"([0-9a-f]{16})/(.+)")


@dataclass(frozen=True)
class File:
    """A file's content and what is said of it."""

    content: bytes
    type: str

    @cached_property
    def etag(self) -> str:
        """Name the content."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'

    @cached_property
    def packed(self) -> bytes | None:
        """Give the content with gzip, where that is worth it."""
        return gzip.compress(self.content, 9, mtime=0) if len(self.content) >= WORTH_BYTES else None


class Files:
    """An ASGI application that serves a folder, to be mounted at ADDRESS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamps: Stamps = {}
        self._files: dict[str, File] = {}
        self._version = ""
        self._looked = float("-inf")

    def address(self) -> str:
        """Return what a page's addresses of files begin with, without the last slash."""
        self._look()
        return f"{ADDRESS}/{self._version}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file; no WebSocket."""
        answer: ASGIApp = WebSocketClose() if scope["type"] == "websocket" else self._answer(Request(scope))
        await answer(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise HTTPException(405, "files are only read", {"allow": "GET, HEAD"})
        self._look()
        root = request.scope.get("root_path", "")
        path = request.scope["path"].removeprefix(root).lstrip("/")
        kept = EACH_TIME
        if versioned := VERSIONED.fullmatch(path):
            kept = FOR_GOOD if versioned[1] == self._version else EACH_TIME
            path = versioned[2]
        file = self._files.get(path)
        if file is None:
            raise HTTPException(404)
        headers = {"cache-control": kept, "etag": file.etag, "vary": "accept-encoding"}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(None, 304, headers)
        content = file.content
        if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["content-encoding"] = file.packed, "gzip"
        return Response(content, 200, {**headers, "content-type": file.type})

    def _look(self) -> None:
        """Read the files again where one was changed, and hash them."""
        if time.monotonic() < self._looked + LOOK_S:
            return
        try:
            stamps = dict(_stamps(self.folder, ""))
            if stamps != self._stamps:
                self._read(stamps)
        except OSError:
            if not self._version:
                raise
            log.warning(
                "the files of the pages are being replaced: until all are there, what was read before is served"
            )
        self._looked = time.monotonic()

    def _read(self, stamps: Stamps) -> None:
        files = {name: (self.folder / name).read_bytes() for name in sorted(stamps)}
        whole = hashlib.sha256()
        for name, content in files.items():
            whole.update(f"{name}\0{len(content)}\0".encode() + content)
        octets = "application/octet-stream"
        self._files = {name: File(content, TYPES.get(Path(name).suffix, octets)) for name, content in files.items()}
        self._version = whole.hexdigest()[:16]
        self._stamps = stamps


def _stamps(folder: Path, prefix: str) -> Stamps:
    """Find a folder's files by their path in it."""
    found: Stamps = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                found |= _stamps(Path(entry.path), f"{prefix}{entry.name}/")
            elif not entry.name.startswith("."):
                stat = entry.stat()
                found[prefix + entry.name] = (stat.st_mtime_ns, stat.st_size)
    return found
