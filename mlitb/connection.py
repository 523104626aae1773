"""One WebSocket connection: uvicorn's, except for who does not read what it is sent.

Rules of this file:
- Nothing of the messages: bytes and sockets only.
- A close frame waits behind what was sent before it. A peer that reads nothing would never get it and keep a socket and
  its buffers for ever: it is cut off instead.
"""

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class Connection(WebSocketsSansIOProtocol):
    """What `mlitb up` gives to uvicorn as its WebSocket implementation."""

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
