"""A link to a server on this machine that takes as long as a test says: what goes to the server arrives later."""

import asyncio
import threading
from collections.abc import Callable
from typing import Self, cast


class SlowLink:
    """Passes TCP connections on; `delay_s` may change while they are open, and the order of bytes never does."""

    def __init__(self, to_port: int) -> None:
        self.delay_s = 0.0
        self.port = 0
        self.ends: set[End] = set()
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: End(self, lambda: self.delay_s), "127.0.0.1", 0)

    async def pass_on(self, near: "End") -> None:
        """Connect to the server for who connected here."""
        try:
            await self._loop.create_connection(lambda: End(self, lambda: 0.0, near), "127.0.0.1", self._to_port)
        except OSError:  # the server is gone: so is the link to it
            near.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        for end in list(self.ends):
            end.transport.abort()
        while self.ends:
            await asyncio.sleep(0)


class End(asyncio.Protocol):
    """One end of a connection that is passed on; what comes here goes to the other end."""

    def __init__(self, link: SlowLink, delay_s: Callable[[], float], other: "End | None" = None) -> None:
        self._link, self._delay_s, self._other = link, delay_s, other
        self._before: list[bytes] = []  # what came before there was another end
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self.transport = cast(asyncio.Transport, transport)
        self._link.ends.add(self)
        if self._other is None:
            self._connecting = self._loop.create_task(self._link.pass_on(self))
        else:
            self._other.meet(self)

    def meet(self, other: "End") -> None:
        """Hand over what came so far."""
        self._other, before, self._before = other, self._before, []
        for data in before:
            self.data_received(data)

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._before.append(data)
        else:
            self._later(self._other.transport.write, data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._link.ends.discard(self)
        if self._other is not None:
            self._later(self._other.transport.close)

    def _later(self, call: Callable[..., None], *arguments: bytes) -> None:
        self._due = max(self._due + 1e-6, self._loop.time() + self._delay_s())  # at equal times any order would do
        self._loop.call_at(self._due, call, *arguments)
