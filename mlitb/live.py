"""The WebSocket endpoint: frames in, events to the runtime, frames out.

Rules of this file:
- A boring adapter: decode, count, feed. What a message means is decided in the core.
- A frame that cannot be read closes the connection with a reason; the counter says how often.
- Limits: clients per address, messages per second, bytes per frame (uvicorn's ws_max_size).
"""

from collections import Counter
from collections.abc import Callable

from starlette.websockets import WebSocket

from mlitb import wire
from mlitb.connection import EXTENSION, Connection, Gone
from mlitb.core.messages import Control
from mlitb.core.reduction import usable
from mlitb.outbox import TOO_SLOW
from mlitb.runtime import Runtime
from mlitb.settings import Settings

BURST_S = 4.0
"""A client may save up so many seconds' worth of messages (it joins many workers at once)."""


class Rate:
    """A token bucket: at most `rate` messages a second on average, with bursts of BURST_S seconds' worth."""

    __slots__ = ("last", "left", "rate")

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
        """Take a connection over: from now on it is a Talk, and lives without this call."""
        address = socket.client.host if socket.client else "unknown"
        await socket.accept()
        if self._per_address[address] >= self.settings.max_clients_per_address:
            self.refused["clients per address"] += 1
            await socket.close(1013, f"more than {self.settings.max_clients_per_address} clients from one address")
            return
        self._per_address[address] += 1
        Talk(self, socket.scope["extensions"][EXTENSION], address, owner)

    def leave(self, address: str) -> None:
        """Count a connection less."""
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]

    def control(self, client: int, control: Control, address: str) -> None:
        """Pass an owner's wish on, and tell who keeps the audit if it was done."""
        refused = self._refusals()
        self.runtime.receive(client, control, None, True)
        if self._refusals() == refused:
            self.on_control(control, address)

    def _refusals(self) -> int:
        counters = self.runtime.master.counters
        return sum(count for reason, count in counters.items() if reason.startswith("Control "))


class Talk:
    """One connection: what it hears goes to the runtime, what the runtime says goes to it."""

    __slots__ = ("address", "client", "connection", "live", "outbox", "rate")

    def __init__(self, live: Live, connection: Connection, address: str, owner: bool) -> None:
        self.live = live
        self.connection = connection
        self.address = address
        self.rate = Rate(live.settings.max_messages_per_second, live.runtime.clock())
        self.client, self.outbox = live.runtime.connect(owner)
        self.outbox.open(self)
        connection.adopt(self)

    # ------------------------------------------------------------------------------------------- from the socket
    def heard(self, data: bytes | None) -> None:
        """Take a frame; one that cannot be read ends the connection, and the rest is unread."""
        if self.outbox.ended:
            return
        try:
            self._take(data)
        except wire.Malformed as error:
            self.live.refused[f"malformed {error.close_code}"] += 1
            self.outbox.close(error.close_code, str(error), drop=True)
            self.live.runtime.disconnect(self.client)

    def _take(self, data: bytes | None) -> None:
        live = self.live
        if not self.rate.take(live.runtime.clock()):
            raise wire.Malformed("more messages a second than this server reads", 1008)
        if data is None:
            raise wire.Malformed("text is not understood here: frames are binary", 1003)
        head, vector = wire.decode_client(data)
        finite = vector is None or usable(vector)
        if isinstance(head, Control):
            live.control(self.client, head, self.address)
        else:
            live.runtime.receive(self.client, head, vector, finite, len(data))

    def drained(self) -> None:
        """Send what waited."""
        self.outbox.flush()

    def lost(self) -> None:
        """Forget the client."""
        self.outbox.forget()
        self.live.leave(self.address)
        self.live.runtime.disconnect(self.client)

    # --------------------------------------------------------------------------------------------- to the socket
    def full(self) -> bool:
        """Tell whether the socket takes no more at the moment."""
        return self.connection.full()

    def push(self, frames: list[bytes]) -> None:
        """Send frames; that the client is gone shows in `lost`, too."""
        try:
            self.connection.push(frames)
        except Gone:
            self.live.refused["gone while sending"] += 1

    def close(self, code: int, reason: str) -> None:
        """End the connection."""
        if code == TOO_SLOW:
            self.live.refused["too slow"] += 1
        self.connection.close(code, reason)
