"""The WebSocket endpoint: frames in, events to the runtime, frames out.

Rules of this file:
- A boring adapter: decode, count, feed. What a message means is decided in the core.
- A frame that cannot be read closes the connection with a reason; the counter says how often.
- Limits: clients per address, messages per second, bytes per frame (uvicorn's ws_max_size).
"""

import asyncio
from collections import Counter
from collections.abc import Callable

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from mlitb import wire
from mlitb.connection import EXTENSION, Connection, Gone
from mlitb.core.messages import Control
from mlitb.core.reduction import usable
from mlitb.outbox import TOO_SLOW, Outbox
from mlitb.runtime import Runtime
from mlitb.settings import Settings

BURST_S = 4.0
"""A client may save up so many seconds' worth of messages (it joins many workers at once)."""


class Rate:
    """A token bucket: at most `rate` messages a second on average, with bursts of BURST_S seconds' worth."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self.left = rate * BURST_S
        self.last = now

    def take(self, now: float) -> bool:
        """Take one message's worth; False when there is none."""
        self.left = min(self.rate * BURST_S, self.left + (now - self.last) * self.rate)
        self.last = now
        self.left -= 1
        return self.left >= 0


class Live:
    """All connections of one master."""

    def __init__(self, runtime: Runtime, settings: Settings) -> None:
        self.runtime = runtime
        self.settings = settings
        self.refused: Counter[str] = Counter()
        self.on_control: Callable[[Control, str], None] = lambda _control, _address: None  # it was done
        self._per_address: Counter[str] = Counter()

    async def serve(self, socket: WebSocket, owner: bool) -> None:
        """Serve one connection until it ends, for whatever reason."""
        address = socket.client.host if socket.client else "unknown"
        if self._per_address[address] >= self.settings.max_clients_per_address:
            self.refused["clients per address"] += 1
            await socket.accept()
            await socket.close(1013, f"more than {self.settings.max_clients_per_address} clients from one address")
            return
        self._per_address[address] += 1
        try:
            await socket.accept()
            await self._converse(socket, owner)
        finally:
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]

    async def _converse(self, socket: WebSocket, owner: bool) -> None:
        connection: Connection = socket.scope["extensions"][EXTENSION]
        client, outbox = self.runtime.connect(owner)
        take = self._taking(client, outbox, socket)
        connection.heard = take

        async def close(code: int, reason: str) -> None:
            if code == TOO_SLOW:
                self.refused["too slow"] += 1
            if socket.application_state is WebSocketState.CONNECTED:
                await socket.close(code, reason)

        async def send() -> None:
            # a client that is gone shows in receive(), too: the reading side tells the runtime
            try:
                await outbox.run(connection, close)
            except (Gone, WebSocketDisconnect, RuntimeError):
                self.refused["gone while sending"] += 1

        sending = asyncio.create_task(send())
        try:
            while (message := await socket.receive())["type"] == "websocket.receive":
                take(message.get("bytes"))  # text, or what came before this connection was heard
                del message  # thousands of idle clients would each keep one
        finally:
            connection.heard = None
            outbox.close(1000, "gone", drop=True)
            self.runtime.disconnect(client)
            await sending

    def _taking(self, client: int, outbox: Outbox, socket: WebSocket) -> Callable[[bytes | None], None]:
        """Make what takes a client's frames; one that cannot be read ends the connection, and the rest is unread."""
        rate = Rate(self.settings.max_messages_per_second, self.runtime.clock())
        address = socket.client.host if socket.client else "unknown"

        def take(data: bytes | None) -> None:
            if outbox.ended:
                return
            try:
                self._take(client, data, rate, address)
            except wire.Malformed as error:
                self.refused[f"malformed {error.close_code}"] += 1
                outbox.close(error.close_code, str(error), drop=True)
                self.runtime.disconnect(client)

        return take

    def _take(self, client: int, data: bytes | None, rate: Rate, address: str) -> None:
        if not rate.take(self.runtime.clock()):
            raise wire.Malformed("more messages a second than this server reads", 1008)
        if data is None:
            raise wire.Malformed("text is not understood here: frames are binary", 1003)
        head, vector = wire.decode_client(data)
        finite = vector is None or usable(vector)
        if isinstance(head, Control):
            self._control(client, head, address)
        else:
            self.runtime.receive(client, head, vector, finite, len(data))

    def _control(self, client: int, control: Control, address: str) -> None:
        refused = self._refusals()
        self.runtime.receive(client, control, None, True)
        if self._refusals() == refused:
            self.on_control(control, address)

    def _refusals(self) -> int:
        counters = self.runtime.master.counters
        return sum(count for reason, count in counters.items() if reason.startswith("Control "))
