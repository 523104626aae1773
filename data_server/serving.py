"""Shards to browsers: immutable files, by hash, with ETag and ranges.

Rules of this file:
- Plain ASGI, before the router: this is what a thousand browsers ask for, and the rest of the server is not.
- The disk is read in a thread. What was asked for lately stays open: the kernel keeps it in its memory, and quick.py
  lets it send from there, so that no copy of the data set grows in this process.
"""

import asyncio
import errno
import os
import re
import resource
from collections import OrderedDict
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = re.compile(r"/shards/([0-9a-f]{64})\.zip")
READS = ("GET", "HEAD")
CONDITIONS = (b"range", b"if-none-match")
FOREVER = b"public, max-age=31536000, immutable"
PROBE = (bytearray(1),)
CAN_TELL = hasattr(os, "RWF_NOWAIT")  # Linux; elsewhere every shard is read in a thread each time
OPEN_SHARDS = 4_096  # at once, a gigabyte or so; fewer where few files may be open, which connections need, too


class OpenShard:
    """A shard's open file, for as long as something refers to it."""

    def __init__(self, path: Path) -> None:
        self.fileno = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self.fileno).st_size

    def read(self, begin: int = 0) -> bytes:
        """Return its bytes from one on."""
        return os.pread(self.fileno, self.size - begin, begin)

    def in_memory(self) -> bool:
        """Tell whether it can be read without waiting for the disk, by its end: memory lets a file go as a whole."""
        try:
            os.preadv(self.fileno, PROBE, self.size - 1, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            # tmpfs, which is memory, does not know the question
        return True

    def __del__(self) -> None:
        if hasattr(self, "fileno"):
            os.close(self.fileno)


class ShardCache:
    """Shards from the disk. Those asked for last stay open, so that the kernel sends them from its memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: OrderedDict[str, OpenShard] = OrderedDict()
        self._most = min(OPEN_SHARDS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)

    async def read(self, name: str) -> bytes | None:
        """Return a shard's bytes, None when there is no such shard (any more)."""
        if (at_hand := self.at_hand(name)) is not None:
            return at_hand.read()
        try:
            self._open[name], data = await asyncio.to_thread(self._read, name)
        except FileNotFoundError:
            return None
        if len(self._open) > self._most:
            self._open.popitem(last=False)
        return data

    def at_hand(self, name: str) -> OpenShard | None:
        """Return a shard if it is open and need not be waited for."""
        shard = self._open.get(name)
        if shard is None or not CAN_TELL or not shard.in_memory():
            return None
        self._open.move_to_end(name)
        return shard

    def clear(self) -> None:
        """Forget what is open: something was deleted."""
        self._open.clear()

    def _read(self, name: str) -> tuple[OpenShard, bytes]:
        shard = OpenShard(self.folder / f"{name}.zip")
        return shard, shard.read()


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
