"""Shards to browsers: immutable files, by hash, with ETag and ranges.

Rules of this file:
- Plain ASGI, before the router: this is what a thousand browsers ask for, and the rest of the server is not.
- uvicorn cannot send a file without its bytes passing Python, so those that many browsers want at once are kept in
  memory, a bounded lot, and handed to the socket as they are; the disk is read in a thread.
"""

import asyncio
import re
from collections import OrderedDict
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = re.compile(r"/shards/([0-9a-f]{64})\.zip")
READS = ("GET", "HEAD")
CONDITIONS = (b"range", b"if-none-match")
FOREVER = b"public, max-age=31536000, immutable"
KEPT_BYTES = 128_000_000  # about four hundred shards of CIFAR


class ShardCache:
    """Shards from the disk, the most wanted from memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0

    async def read(self, name: str) -> bytes | None:
        """Return a shard's bytes, None when there is no such shard (any more)."""
        if (data := self.kept(name)) is not None:
            return data
        try:
            data = await asyncio.to_thread((self.folder / f"{name}.zip").read_bytes)
        except FileNotFoundError:
            return None
        self._keep(name, data)
        return data

    def kept(self, name: str) -> bytes | None:
        """Return a shard's bytes if they are in memory."""
        data = self._kept.get(name)
        if data is not None:
            self._kept.move_to_end(name)
        return data

    def clear(self) -> None:
        """Forget what is kept: something was deleted."""
        self._kept.clear()
        self._kept_bytes = 0

    def _keep(self, name: str, data: bytes) -> None:
        if name not in self._kept:
            self._kept_bytes += len(data)
        self._kept[name] = data
        while self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])


class Shards:
    """Answers GET and HEAD for /shards/HASH.zip and passes on everything else."""

    def __init__(self, app: ASGIApp, cache: ShardCache) -> None:
        self._app, self._cache = app, cache

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/shards/") or scope["method"] not in READS:
            await self._app(scope, receive, send)
            return
        match = PATH.fullmatch(scope["path"])
        data = await self._cache.read(match[1]) if match else None
        if match is None or data is None:
            refused = JSONResponse({"detail": f"there is no shard {scope['path'][8:88]!r}"}, 404)
            await refused(scope, receive, send)
        elif any(name in CONDITIONS for name, _ in scope["headers"]):
            await self._conditional(match[1], scope)(scope, receive, send)
        else:
            await _whole(match[1].encode(), data, send)

    def _conditional(self, name: str, scope: Scope) -> Response:
        """Answer with 304, a range, or the whole after all."""
        answer = {"etag": f'"{name}"', "cache-control": FOREVER.decode()}
        if name in Headers(scope=scope).get("if-none-match", ""):
            return Response(status_code=304, headers=answer)
        return FileResponse(self._cache.folder / f"{name}.zip", 200, answer, "application/zip")


async def _whole(name: bytes, data: bytes, send: Send) -> None:
    headers = [
        (b"content-type", b"application/zip"),
        (b"content-length", b"%d" % len(data)),
        (b"etag", b'"%s"' % name),
        (b"cache-control", FOREVER),
        (b"accept-ranges", b"bytes"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data})  # the server leaves it out of an answer to HEAD
