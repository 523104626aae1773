"""Shards to browsers: immutable files, by hash, with ETag and ranges."""

import asyncio
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from data_server.refusal import Refusal

HASH = re.compile(r"[0-9a-f]{64}")


async def shard_response(folder: Path, name: str, request: Request) -> Response:
    """Answer a request for a shard: the file, a range of it, or 304 when the browser has it."""
    path = folder / f"{name}.zip"
    if not HASH.fullmatch(name) or not await asyncio.to_thread(path.is_file):
        raise Refusal(404, f"there is no shard {name[:80]!r}")
    headers = {"etag": f'"{name}"', "cache-control": "public, max-age=31536000, immutable"}
    if name in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return FileResponse(path, media_type="application/zip", headers=headers)
