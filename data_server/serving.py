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
KEPT_BYTES = 64_000_000  # about two hundred shards of CIFAR


class ShardCache:
    """Shards from the disk, the most wanted from memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0

    async def read(self, name: str) -> bytes | None:
        """Return a shard's bytes, None when there is no such shard (any more)."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        try:
            data = await asyncio.to_thread((self.folder / f"{name}.zip").read_bytes)
        except FileNotFoundError:
            return None
        self._keep(name, data)
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
        asked = scope["type"] == "http" and scope["path"].startswith("/shards/")
        if not asked or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        response = await self._response(scope["path"], Headers(scope=scope))
        await response(scope, receive, send)

    async def _response(self, path: str, headers: Headers) -> Response:
        match = PATH.fullmatch(path)
        data = await self._cache.read(match[1]) if match else None
        if match is None or data is None:
            return JSONResponse({"detail": f"there is no shard {path[8:88]!r}"}, 404)
        answer = {"etag": f'"{match[1]}"', "cache-control": "public, max-age=31536000, immutable"}
        if match[1] in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=answer)
        if "range" in headers:
            return FileResponse(self._cache.folder / f"{match[1]}.zip", 200, answer, "application/zip")
        return Response(data, 200, {**answer, "accept-ranges": "bytes"}, "application/zip")
