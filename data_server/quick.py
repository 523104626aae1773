"""A short way from the socket to a shard that is in memory, past ASGI.

Rules of this file:
- Why: a thousand browsers ask for the same shards, and ASGI's way (a task, a scope, five layers of calls) costs as much
  CPU as copying 300 KB to the kernel, and that copy half as much again: here the kernel sends from its own memory
  (sending.py). benchmarks/data.py measures it beside nginx.
- Only a plain GET of a shard that is in memory goes this way, and is answered as serving.py would; ranges, conditions,
  refusals, anything odd and anything while another answer is under way take the ordinary way.
- Requests are parsed by uvicorn's own parser: this is its protocol class with some of its callbacks overridden.
  tests/data_server/test_quick.py holds both ways together, so that a new uvicorn cannot part them unseen.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from data_server.guard import EXPOSED, REMEMBERED
from data_server.hosts import host_allowed, origin_allowed
from data_server.sending import Sending
from data_server.serving import FOREVER, OpenShard, ShardCache
from data_server.settings import Settings

PREFIX, SUFFIX = b"/shards/", b".zip"
URL_LENGTH = len(PREFIX) + 64 + len(SUFFIX)
ODD = frozenset(
    {b"range", b"if-range", b"if-none-match", b"content-length", b"transfer-encoding", b"upgrade", b"expect"}
)

Allowed = Callable[[bytes, bytes], bytes | None]  # Host and Origin -> the CORS header lines; None: not this way


def quick_protocol(cache: ShardCache, settings: Settings, counters: Counter[str]) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol class with the short way to the shards of this cache."""
    allowed = lru_cache(REMEMBERED)(lambda host, origin: _cors_lines(host, origin, settings))
    return type(
        "QuickShards", (_QuickShards,), {"cache": cache, "counters": counters, "allowed": staticmethod(allowed)}
    )


def _cors_lines(host: bytes, origin: bytes, settings: Settings) -> bytes | None:
    """Return the header lines that CORS adds for an origin; None when the host is refused."""
    if not host_allowed(host.decode("latin-1"), settings):
        return None
    if not origin:
        return b"vary: Origin\r\n"
    lines = b"access-control-expose-headers: " + ", ".join(EXPOSED).encode() + b"\r\nvary: Origin\r\n"
    if origin_allowed(origin.decode("latin-1"), settings):
        lines += b"access-control-allow-origin: " + origin + b"\r\n"
    return lines


class _QuickShards(HttpToolsProtocol):
    """Answers plain requests for shards at once."""

    cache: ShardCache
    counters: Counter[str]
    allowed: Allowed
    _answer: tuple[bytes, OpenShard] | None = None
    _sending: Sending | None = None  # none where the bytes must be encrypted

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.scheme == "http":
            self._sending = Sending(self.loop, transport, self._ended)

    def on_headers_complete(self) -> None:
        if self._sending is not None:
            self._sending.hand_over()  # of the answer before
        self._answer = self._quick_answer() if self._may_be_quick() else None
        if self._answer is None:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._answer is None:
            super().on_message_complete()
            return
        self.counters["requests"] += 1
        (head, shard), self._answer = self._answer, None
        if self._sending is not None:
            self._sending.begin(head, shard)
        else:
            self.transport.writelines((head, shard.read()))
            self._ended()

    def send_400_response(self, msg: str) -> None:
        if self._sending is not None:
            self._sending.hand_over()
        super().send_400_response(msg)

    def eof_received(self) -> None:
        if self._sending is not None:
            self._sending.hand_over()
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._sending is not None:
            self._sending.stop()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self._sending is not None:
            self._sending.hand_over()
        super().shutdown()

    def _ended(self) -> None:
        """Wait for the next request, but not for ever."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _may_be_quick(self) -> bool:
        """Tell whether this is a plain GET of a shard and nothing else is under way on this connection."""
        return (
            len(self.url) == URL_LENGTH
            and self.url.startswith(PREFIX)
            and self.url.endswith(SUFFIX)
            and self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and self.transport.get_write_buffer_size() == 0
            and not self.transport.is_closing()
        )

    def _quick_answer(self) -> tuple[bytes, OpenShard] | None:
        name = self.url[len(PREFIX) : -len(SUFFIX)]
        shard = self.cache.at_hand(name.decode("ascii", "replace"))
        headers = dict(self.headers)
        if shard is None or not ODD.isdisjoint(headers):
            return None
        cors = self.allowed(headers.get(b"host", b""), headers.get(b"origin", b""))
        if cors is None:
            return None
        lines = [b"HTTP/1.1 200 OK\r\n"]
        lines += [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
        lines.append(b'content-type: application/zip\r\ncontent-length: %d\r\netag: "%s"\r\n' % (shard.size, name))
        lines.append(b"cache-control: %s\r\naccept-ranges: bytes\r\n%s\r\n" % (FOREVER, cors))
        return b"".join(lines), shard
