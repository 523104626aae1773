"""What waits to be sent to one client: bounded, and for snapshots the latest wins.

Rules of this file:
- A frame with a `topic` replaces the one of the same topic that still waits (parameters, orders, status, roster).
- All that waits goes at once, parameters and the orders behind them; while the socket is full it waits here.
- When more than MAX_WAITING frames wait, or the socket is full for longer than MAX_SEND_S, the client cannot keep up:
  it is cut off.
- It is called and has no task of its own. Knows nothing of messages; runtime.py decides the topics.
"""

import asyncio
from collections import Counter
from typing import Protocol

MAX_WAITING = 256
"""Frames; snapshots replace each other, so only a client that reads nothing gets there."""

TOO_SLOW = 1013
"""WebSocket's "try again later" (IANA registry): to who does not read what it is sent."""

MAX_SEND_S = 30.0
"""One frame of the largest network on a slow phone link (64 MB at 20 Mbit/s is 26 s)."""


class Wire(Protocol):
    """What carries frames away: live.py, or a test's."""

    def full(self) -> bool:
        """Tell whether what was pushed before has not left yet; `flush` is called when it has."""

    def push(self, frames: list[bytes]) -> None:
        """Send frames."""

    def close(self, code: int, reason: str) -> None:
        """End the connection."""


class Outbox:
    """The frames for one client, in order, with an end."""

    __slots__ = ("_end", "_frames", "_patience", "_sent", "_serial", "_wire")

    def __init__(self, sent: Counter[str] | None = None) -> None:
        """Count in `sent` the bytes that left, by account."""
        self._sent: Counter[str] = Counter() if sent is None else sent
        self._frames: dict[str, tuple[bytes, str]] = {}
        self._serial = 0
        self._wire: Wire | None = None
        self._end: tuple[int, str] | None = None
        self._patience: asyncio.TimerHandle | None = None  # with a socket that is full

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def ended(self) -> bool:
        """Tell whether the connection is being closed."""
        return self._end is not None

    def put(self, frame: bytes, topic: str = "", account: str = "") -> bool:
        """Let a frame wait for `flush`, to be counted on an account; return False when the client cannot keep up."""
        if self._end is not None:
            return True
        if not topic:
            self._serial += 1
            topic = f"#{self._serial}"
        before = self._frames.pop(topic, None)  # the newer one goes to the end: orders must follow their parameters
        if before is not None and before[0] is frame:
            self._frames = {topic: before, **self._frames}  # the very same: what followed it still does
        else:
            self._frames[topic] = (frame, account)
        return len(self._frames) <= MAX_WAITING

    def open(self, wire: Wire) -> None:
        """Send over this wire, from now on."""
        self._wire = wire
        self.flush()

    def flush(self) -> None:
        """Send what waits, unless the socket is full, and end the connection behind it if it is to end."""
        wire = self._wire
        if wire is None:
            return
        if self._frames and wire.full():
            if self._patience is None:
                self._patience = asyncio.get_running_loop().call_later(MAX_SEND_S, self._give_up)
            return
        self._calm()
        if self._frames:
            waiting, self._frames = self._frames, {}
            wire.push([frame for frame, _ in waiting.values()])
            for frame, account in waiting.values():
                self._sent[account] += len(frame)
        if self._end is not None:
            self._wire = None
            wire.close(*self._end)

    def close(self, code: int, reason: str, *, drop: bool = False) -> None:
        """Close the socket when what waits is sent (with `drop` at once, though a frame may be half sent)."""
        if self._end is None:
            self._end = (code, reason[:120])
        if drop:
            self._frames.clear()
        self.flush()

    def forget(self) -> None:
        """Drop everything: the connection is no more."""
        self._end = self._end or (1006, "")
        self._wire = None
        self._frames.clear()
        self._calm()

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        self.close(TOO_SLOW, "your connection is too slow for this project: one frame took over 30 s", drop=True)
