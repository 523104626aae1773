"""What waits to be sent to one client: bounded, and for snapshots the latest wins.

Rules of this file:
- A frame with a `topic` replaces the one of the same topic that still waits (parameters, orders, status, roster).
- All that waits goes at once, parameters and the orders behind them; while the socket is full it waits here.
- When more than MAX_WAITING frames wait, or the socket is full for longer than MAX_SEND_S, the client cannot keep up:
  it is cut off.
- Knows nothing of messages; runtime.py decides the topics.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol

MAX_WAITING = 256
"""Frames; snapshots replace each other, so only a client that reads nothing gets there."""

TOO_SLOW = 1013
"""WebSocket's "try again later" (IANA registry): to who does not read what it is sent."""

MAX_SEND_S = 30.0
"""One frame of the largest network on a slow phone link (64 MB at 20 Mbit/s is 26 s)."""

CloseSocket = Callable[[int, str], Awaitable[None]]


class Wire(Protocol):
    """What carries frames away: connection.py, or a test's."""

    def full(self) -> bool:
        """Tell whether what was pushed before has not left yet."""

    async def drained(self) -> None:
        """Wait until it has."""

    def push(self, frames: list[bytes]) -> None:
        """Send frames."""


class Outbox:
    """The frames for one client, in order, with an end."""

    def __init__(self, sent: Counter[str] | None = None) -> None:
        """Count in `sent` the bytes that left, by account."""
        self._sent: Counter[str] = Counter() if sent is None else sent
        self._frames: OrderedDict[str, tuple[bytes, str]] = OrderedDict()
        self._serial = 0
        self._wake = asyncio.Event()
        self._end: tuple[int, str] | None = None
        self._patience: asyncio.Timeout | None = None  # with the frame that is being sent

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def ended(self) -> bool:
        """Tell whether the connection is being closed."""
        return self._end is not None

    def put(self, frame: bytes, topic: str = "", account: str = "") -> bool:
        """Queue a frame, to be counted on an account; return False when the client cannot keep up."""
        if self._end is not None:
            return True
        if not topic:
            self._serial += 1
            topic = f"#{self._serial}"
        self._frames.pop(topic, None)  # the newer one goes to the end: orders must follow their parameters
        self._frames[topic] = (frame, account)
        self._wake.set()
        return len(self._frames) <= MAX_WAITING

    def close(self, code: int, reason: str, *, drop: bool = False) -> None:
        """Close the socket when what waits is sent (with `drop` at once, though a frame may be half sent)."""
        if self._end is None:
            self._end = (code, reason[:120])
        if drop:
            self._frames.clear()
            if self._patience is not None and not self._patience.expired():
                self._patience.reschedule(0)
        self._wake.set()

    async def run(self, wire: Wire, close: CloseSocket) -> None:
        """Send what is put until the end; return when the socket is closed or cannot keep up."""
        while True:
            while self._frames:
                if wire.full():
                    await self._drained(wire)
                else:
                    self._push(wire)
            if self._end is not None:
                await close(*self._end)
                return
            self._wake.clear()
            await self._wake.wait()

    def _push(self, wire: Wire) -> None:
        waiting, self._frames = self._frames, OrderedDict()
        wire.push([frame for frame, _ in waiting.values()])
        for frame, account in waiting.values():
            self._sent[account] += len(frame)

    async def _drained(self, wire: Wire) -> None:
        try:
            async with asyncio.timeout(MAX_SEND_S) as self._patience:
                await wire.drained()
        except TimeoutError:
            self.close(TOO_SLOW, "your connection is too slow for this project: one frame took over 30 s")
            self._frames.clear()
        finally:
            self._patience = None
