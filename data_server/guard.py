"""What every request passes first: its Host, its Origin, the counters, and the CORS headers.

Rules of this file:
- Plain ASGI: a shard's way through here is a few dictionary look-ups.
- A refusal is counted and answered with a sentence; nothing behind this file sees the request.
"""

import asyncio
import logging
from collections import Counter
from functools import lru_cache

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data_server.hosts import host_allowed, origin_allowed
from data_server.settings import Settings

log = logging.getLogger(__name__)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
TUS_REQUEST = ("Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Defer-Length")
TUS_RESPONSE = ("Location", "Upload-Offset", "Upload-Length", "Tus-Version", "Tus-Resumable", "Tus-Max-Size")
EXPOSED = ("Content-Length", "Content-Range", "ETag", *TUS_RESPONSE)
CHECKED = (b"host", b"origin")
REMEMBERED = 1_000
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Cors(CORSMiddleware):
    """CORS for the master's origins, which depend on the name by which a browser reached it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        super().__init__(
            app,
            allow_methods=METHODS,
            allow_headers=("Authorization", "Content-Type", "Range", "If-None-Match", "If-Range", *TUS_REQUEST),
            expose_headers=EXPOSED,
            max_age=3600,
        )
        self._settings = settings

    def is_allowed_origin(self, origin: str) -> bool:
        return origin_allowed(origin, self._settings)


class Guard:
    """Checks Host and Origin, and counts requests by outcome."""

    def __init__(self, app: ASGIApp, settings: Settings, counters: Counter[str]) -> None:
        self._app, self._counters = app, counters
        # The same few names come with every request; strangers' names push each other out.
        self._host_allowed = lru_cache(REMEMBERED)(lambda host: host_allowed(host, settings))
        self._origin_allowed = lru_cache(REMEMBERED)(lambda origin: origin_allowed(origin, settings))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        counters = self._counters
        counters["requests"] += 1

        begun = False

        async def counted(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start" and message["status"] >= 400:
                counters[f"status {message['status']}"] += 1
            await send(message)

        try:
            await (self._refusal(scope) or self._app)(scope, receive, counted)
        except asyncio.CancelledError:
            # Only uvicorn cancels a request: when it is told to stop and this one takes longer than the grace.
            if not begun:
                await JSONResponse({"detail": "the data server was stopped: try again"}, 503)(scope, receive, counted)
        except Exception:
            # Answered here and not further out, where uvicorn would break the connection off as well.
            if begun:
                raise
            log.exception("a fault of the data server, at %s %s", scope["method"], scope["path"])
            sentence = "a fault of the data server: its log says more"
            await JSONResponse({"detail": sentence}, 500)(scope, receive, counted)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = {name: value for name, value in scope["headers"] if name in CHECKED}
        host, origin = headers.get(b"host", b"").decode("latin-1"), headers.get(b"origin", b"").decode("latin-1")
        if not self._host_allowed(host):
            self._counters["refused host"] += 1
            why = f"this server does not answer to the name {host[:200]!r}: start it with --lan or --allow-host"
            return JSONResponse({"detail": why}, 400)
        if origin and scope["method"] not in SAFE and not self._origin_allowed(origin):
            self._counters["refused origin"] += 1
            return JSONResponse({"detail": f"pages of {origin[:200]!r} may not change anything here"}, 403)
        return None
