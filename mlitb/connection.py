"""One WebSocket connection: uvicorn's, with a short way for frames, and an end for who does not read.

Rules of this file:
- Nothing of the messages: bytes and sockets only. Handshake, pings and closing are uvicorn's and websockets'.
- Whole binary frames, which carry everything that browsers say, are taken out of the stream here: joined and unmasked
  once, where the general parser copies them five times. Every other frame goes to that parser as it came.
- Once adopted, a connection is an object that is called: no task, no queue and no ASGI scope live as long as it does.
  With thousands of idle browsers these were most of the master's memory, and with busy ones much of its time.
- A frame that came is heard at once, and frames that leave go to the kernel in one call (docs/benchmarks.md).
- A frame that goes to many is never copied: its header and the same bytes are written to each.
- A close frame waits behind what was sent before it. A peer that reads nothing would never get it and keep a socket and
  its buffers for ever: it is cut off instead.
"""

import contextlib
from struct import Struct, pack
from typing import Protocol

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State
from websockets.speedups import apply_mask

EXTENSION = "mlitb.connection"
"""Where an application finds the connection in its ASGI scope's extensions."""


WHOLE_BINARY = 0x82
"""The first byte of a frame that is a binary message by itself (RFC 6455, 5.2)."""

MASKED = 0x80
LENGTHS = {126: Struct("!H"), 127: Struct("!Q")}
"""What the second byte's length stands for, beyond 125."""


class Gone(Exception):
    """The other side is not there any more."""


class Listener(Protocol):
    """Who adopted a connection, and is called from then on."""

    def heard(self, data: bytes | None) -> None:
        """Take a binary message, or None for a text."""

    def drained(self) -> None:
        """Hear that the peer has read, so that more can be pushed."""

    def lost(self) -> None:
        """Hear that the connection is no more; the last call."""


class Nowhere:
    """Takes the place of a queue that nobody reads any more."""

    def put_nowait(self, message: object) -> None:
        """Forget it."""


NOWHERE = Nowhere()


class Connection(WebSocketsSansIOProtocol):
    """What `mlitb up` gives to uvicorn as its WebSocket implementation."""

    listener: Listener | None = None
    _head = b""  # of a frame, not all of it here yet
    _missing = 0  # bytes of the frame that has begun
    _mask = b""  # its mask; empty: it goes to the parser
    _failed = False  # all that comes goes to the parser

    async def run_asgi(self) -> None:
        """Run the application, which finds this connection in its scope; one that it adopted outlives it."""
        self.scope["extensions"][EXTENSION] = self  # type: ignore[assignment]
        try:
            with contextlib.suppress(ClientDisconnected):  # its own business
                await self.app(self.scope, self.receive, self.send)
        except BaseException:
            self.logger.exception("a fault in the application")
            self.send_500_response()
        if self.listener is None and self.close_timer is None:
            self.transport.close()
        elif self.listener is not None:
            del self.scope, self.request, self.response

    def adopt(self, listener: Listener) -> None:
        """Call this listener from now on, first with what came already; the application may return."""
        self.listener = listener
        while self.listener is not None and not self.queue.empty():
            message = self.queue.get_nowait()
            if message["type"] == "websocket.receive":
                listener.heard(message.get("bytes"))
            elif message["type"] == "websocket.disconnect":
                self._lost()
        self.queue = NOWHERE  # type: ignore[assignment]
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    # ----------------------------------------------------------------------------------------------- receiving
    def data_received(self, data: bytes) -> None:
        """Take what came: parts of frames, or several."""
        if self.listener is None or self._failed:
            super().data_received(data)
            return
        rest = memoryview(data)
        while len(rest):
            if not self._missing:
                head = self._head + rest if self._head else rest
                size, length = frame_of(head)
                if not size:
                    self._head = bytes(head)
                    return
                self._head = b""
                if length > self.config.ws_max_size:
                    self._failed = True  # the parser says so, and ends the connection
                    super().data_received(bytes(head))
                    return
                rest = self._begin(memoryview(head), size, length)
            part, rest = rest[: self._missing], rest[self._missing :]
            self._parts.append(part)
            self._missing -= len(part)
            if not self._missing:
                self._whole()

    def _begin(self, head: memoryview, size: int, length: int) -> memoryview:
        """Begin a frame; return what is not of its header."""
        whole = head[0] == WHOLE_BINARY and head[1] & MASKED and self.conn.current_size is None
        self._mask = bytes(head[size - 4 : size]) if whole else b""
        self._parts: list[memoryview] = [] if whole else [head[:size]]
        self._missing = length
        return head[size:]

    def _whole(self) -> None:
        parts, self._parts = self._parts, []
        if not self._mask:
            super().data_received(b"".join(parts))
        elif self.listener is not None and not self.close_sent:
            self.listener.heard(apply_mask(parts[0] if len(parts) == 1 else b"".join(parts), self._mask))

    def send_receive_event_to_app(self) -> None:
        """Hand a message over."""
        if self.listener is None:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if not self.close_sent:
            self.listener.heard(data if self.curr_msg_data_type == "bytes" else None)

    def resume_writing(self) -> None:
        """Note that the peer has read."""
        super().resume_writing()
        if self.listener is not None:
            self.listener.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is over."""
        super().connection_lost(exc)
        self._lost()

    def _lost(self) -> None:
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.lost()

    # ------------------------------------------------------------------------------------------------- sending
    def full(self) -> bool:
        """Tell whether what was pushed before still waits for the peer to read."""
        return not self.writable.is_set()

    def push(self, frames: list[bytes]) -> None:
        """Send binary messages, in one call of the kernel; raises Gone."""
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            raise Gone
        self.transport.writelines([part for frame in frames for part in (header(len(frame)), frame)])

    def close(self, code: int, reason: str) -> None:
        """End it with a reason: politely, unless the peer does not read."""
        if self.full():
            self.transport.abort()
        elif not (self.disconnected or self.close_sent or self.transport.is_closing()):
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    def keepalive_timeout(self) -> None:
        """End a connection that did not answer a ping, whatever still waits to be sent to it."""
        super().keepalive_timeout()
        self.transport.abort()


def frame_of(head: memoryview | bytes) -> tuple[int, int]:
    """Read how long a frame's header is and how long the rest; (0, 0) as long as not all of the header is here."""
    if len(head) < 2:
        return 0, 0
    length = head[1] & 0x7F
    number = LENGTHS.get(length)
    size = 2 + (number.size if number else 0) + (4 if head[1] & MASKED else 0)
    if len(head) < size:
        return 0, 0
    return size, number.unpack_from(head, 2)[0] if number else length


def header(length: int) -> bytes:
    """Give the header of a server's unfragmented binary frame (RFC 6455, 5.2)."""
    if length < 126:
        return pack("!BB", 0x82, length)
    return pack("!BBH", 0x82, 126, length) if length < 1 << 16 else pack("!BBQ", 0x82, 127, length)
