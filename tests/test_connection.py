"""The stream of a WebSocket, cut anywhere: frames are heard as they were sent. The rest is tested over real sockets."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from mlitb.connection import EXTENSION, Connection, frame_of, header

LARGEST = 70_000
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 127_144])
def test_a_header_and_its_bytes_are_the_frame_that_websockets_makes(length: int) -> None:
    data = bytes(length)
    assert header(length) + data == Frame(Opcode.BINARY, data).serialize(mask=False, extensions=[])


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 127_144])
def test_the_beginning_of_a_frame_is_read_when_it_is_all_there(length: int, mask: bool) -> None:
    frame = Frame(Opcode.BINARY, bytes(length)).serialize(mask=mask, extensions=[])
    size = len(frame) - length
    assert frame_of(frame) == frame_of(frame[:size]) == (size, length)
    assert all(frame_of(frame[:short]) == (0, 0) for short in range(size))


class Socket(asyncio.Transport):
    """Keeps what is written, and what became of the connection."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        raise AssertionError("an adopted connection reads on")


class Ear:
    """Listens."""

    def __init__(self) -> None:
        self.heard_: list[bytes | None] = []
        self.ended = 0

    def heard(self, data: bytes | None) -> None:
        self.heard_.append(data)

    def drained(self) -> None:
        """Nothing waits here."""

    def lost(self) -> None:
        self.ended += 1


@dataclass
class Line:
    """A connection that was adopted."""

    connection: Connection
    socket: Socket
    ear: Ear

    def feed(self, data: bytes, cuts: Iterator[int]) -> None:
        """Let bytes come in pieces."""
        at = 0
        while at < len(data):
            size = next(cuts)
            self.connection.data_received(data[at : at + size])
            at += size


async def adopted() -> Line:
    ear, socket = Ear(), Socket()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        scope["extensions"][EXTENSION].adopt(ear)

    config = Config(app, ws=Connection, ws_max_size=LARGEST, ws_per_message_deflate=False, log_config=None)
    config.load()
    connection = Connection(config, ServerState(), {})
    connection.connection_made(socket)
    connection.data_received(HANDSHAKE)
    await asyncio.gather(*connection.tasks)
    assert socket.written.startswith(b"HTTP/1.1 101")
    socket.written = b""
    return Line(connection, socket, ear)


def frame(opcode: Opcode, data: bytes, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True, extensions=[])


@dataclass
class Sent:
    """A message on its way: its frames, what is to be heard of it, and the pings between its fragments."""

    raw: bytes
    heard: bytes | None
    pings: int = 0


def fragments(parts: list[bytes]) -> Sent:
    last = len(parts) - 1
    frames = [frame(Opcode.CONT if i else Opcode.BINARY, part, fin=i == last) for i, part in enumerate(parts)]
    return Sent(frame(Opcode.PING, b"in between").join(frames), b"".join(parts), last)


payloads = st.binary(max_size=300) | st.integers(60_000, LARGEST).map(lambda size: bytes([size % 251]) * size)
messages = (
    payloads.map(lambda data: Sent(frame(Opcode.BINARY, data), data))
    | st.lists(st.binary(max_size=200), min_size=2, max_size=4).map(fragments)
    | st.text(max_size=50).map(lambda text: Sent(frame(Opcode.TEXT, text.encode()), None))
)


@settings(deadline=None)  # a connection is made for each
@given(st.lists(messages, max_size=8), st.lists(st.integers(1, 90_000), min_size=1), st.booleans())
def test_frames_are_heard_as_they_were_sent_however_the_stream_is_cut(
    sent: list[Sent], sizes: list[int], finely: bool
) -> None:
    stream = b"".join(message.raw for message in sent)
    if finely and len(stream) < 2000:
        sizes = [1 + size % 9 for size in sizes]

    async def scene() -> Line:
        line = await adopted()
        line.feed(stream, itertools.cycle([max(size, len(stream) // 5000) for size in sizes]))
        return line

    line = asyncio.run(scene())
    assert line.ear.heard_ == [message.heard for message in sent]
    assert line.socket.written.count(b"in between") == sum(message.pings for message in sent)
    assert not line.socket.closed


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame(Opcode.BINARY, bytes(LARGEST + 1)), 1009),
        (b"\x82\xff" + (1 << 62).to_bytes(8, "big") + b"mask", 1009),
        (Frame(Opcode.BINARY, b"unmasked").serialize(mask=False, extensions=[]), 1002),
        (b"\xc2\x80\0\0\0\0", 1002),
        (frame(Opcode.BINARY, b"begun", fin=False) + frame(Opcode.BINARY, b"another"), 1002),
        (frame(Opcode.CONT, b"of nothing"), 1002),
    ],
    ids=["too large", "beyond all measure", "not masked", "reserved bit", "in the middle of another", "no beginning"],
)
@pytest.mark.parametrize("size", [3, 100_000])
def test_what_breaks_the_protocol_ends_the_connection_with_its_code(raw: bytes, code: int, size: int) -> None:
    async def scene() -> Line:
        line = await adopted()
        line.feed(frame(Opcode.BINARY, b"first") + raw, iter([size] * 40_000))
        return line

    line = asyncio.run(scene())
    assert line.ear.heard_ == [b"first"]
    assert line.socket.closed
    assert line.socket.written[2:4] == code.to_bytes(2, "big")


def test_after_a_close_nothing_is_heard_and_its_answer_ends_the_connection() -> None:
    async def scene() -> Line:
        line = await adopted()
        line.connection.data_received(frame(Opcode.BINARY, b"before") + frame(Opcode.BINARY, b"cut")[:5])
        line.connection.close(1000, "enough")
        line.connection.data_received(frame(Opcode.BINARY, b"cut")[5:] + frame(Opcode.BINARY, b"after"))
        assert not line.socket.closed
        line.connection.data_received(frame(Opcode.CLOSE, (1000).to_bytes(2, "big")))
        line.connection.connection_lost(None)
        return line

    line = asyncio.run(scene())
    assert line.ear.heard_ == [b"before"]
    assert line.socket.closed
    assert line.ear.ended == 1
