"""One WebSocket connection: uvicorn's, with a short way for frames, and an end for who does not read.

Rules of this file:
- Nothing of the messages: bytes and sockets only. Handshake, parsing, pings and closing are uvicorn's and websockets'.
- A frame that came is heard at once, and frames that leave go to the kernel in one call: the queue, the task and the
  layers in between cost more than the rest (docs/benchmarks.md).
- A frame that goes to many is never copied: its header and the same bytes are written to each.
- A close frame waits behind what was sent before it. A peer that reads nothing would never get it and keep a socket and
  its buffers for ever: it is cut off instead.
"""

from collections.abc import Callable
from struct import pack

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

EXTENSION = "mlitb.connection"
"""Where an application finds the connection in its ASGI scope's extensions."""


class Gone(Exception):
    """The other side is not there any more."""


class Connection(WebSocketsSansIOProtocol):
    """What `mlitb up` gives to uvicorn as its WebSocket implementation."""

    heard: Callable[[bytes], None] | None = None
    """Takes binary frames as they come; without it they wait for the application to receive them."""

    async def run_asgi(self) -> None:
        """Run the application, which finds this connection in its scope."""
        self.scope["extensions"][EXTENSION] = self  # type: ignore[assignment]
        await super().run_asgi()

    def send_receive_event_to_app(self) -> None:
        """Hand a message over."""
        if self.heard is None or self.curr_msg_data_type != "bytes" or self.close_sent:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        self.heard(data)

    # ------------------------------------------------------------------------------------------------- sending
    def full(self) -> bool:
        """Tell whether what was pushed before still waits for the peer to read."""
        return not self.writable.is_set()

    async def drained(self) -> None:
        """Wait until it does not any more."""
        await self.writable.wait()

    def push(self, frames: list[bytes]) -> None:
        """Send binary messages, in one call of the kernel; raises Gone."""
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            raise Gone
        self.transport.writelines([part for frame in frames for part in (header(len(frame)), frame)])

    async def send(self, message: ASGISendEvent) -> None:
        """Send an ASGI message; a close aborts a connection that is not being read."""
        if message["type"] == "websocket.close" and not self.writable.is_set():
            self._abort()
        await super().send(message)

    def keepalive_timeout(self) -> None:
        """End a connection that did not answer a ping, whatever still waits to be sent to it."""
        super().keepalive_timeout()
        self._abort()

    def _abort(self) -> None:
        self.transport.abort()


def header(length: int) -> bytes:
    """Give the header of a server's unfragmented binary frame (RFC 6455, 5.2)."""
    if length < 126:
        return pack("!BB", 0x82, length)
    return pack("!BBH", 0x82, 126, length) if length < 1 << 16 else pack("!BBQ", 0x82, 127, length)
