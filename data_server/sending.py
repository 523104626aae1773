"""A shard on its way to a socket: by the kernel (sendfile), from its memory, without the bytes passing Python.

Rules of this file:
- The event loop's transport owns the socket. This writes past it, and only while the transport has nothing to write.
- What the socket does not take at once goes as it takes more. The loop watches a duplicate of the descriptor for that,
  since it lets nobody watch one that a transport owns.
- Whatever else happens meanwhile (another request, an end, no descriptor left), the rest is handed to the transport,
  which copies it and keeps the order.
"""

import asyncio
import os
import socket
from collections.abc import Callable

from data_server.serving import OpenShard

PATIENCE_SECONDS = 60.0  # for a client that takes nothing; as long as for one that sends nothing


class Sending:
    """What one connection sends by the kernel: nothing, or the rest of one shard."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, ended: Callable[[], None]
    ) -> None:
        self._loop, self._transport, self._ended = loop, transport, ended
        owned = transport.get_extra_info("socket")
        self._fileno, self._family = owned.fileno(), owned.family
        self._shard: OpenShard | None = None
        self._sent = 0
        self._watched: int | None = None
        self._patience: asyncio.TimerHandle | None = None

    def begin(self, head: bytes, shard: OpenShard) -> None:
        """Send a head and a shard; `ended` is called when the rest, if any, is for kernel or transport to deliver."""
        assert self._shard is None, "one answer after the other"
        self._shard, self._sent = shard, 0
        try:
            n_bytes = self._send_head(head)
        except OSError:
            self._break_off()
            return
        if n_bytes < len(head):
            self.hand_over(head[n_bytes:])
        else:
            self._go_on()

    def hand_over(self, head: bytes = b"") -> None:
        """Leave what is not sent yet to the transport; nothing happens when all is."""
        if self._shard is None:
            return
        rest = self._shard.read(self._sent)
        self.stop()
        self._transport.writelines((head, rest))
        self._ended()

    def stop(self) -> None:
        """Send no more."""
        self._shard = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._watched is not None:
            self._loop.remove_writer(self._watched)
            os.close(self._watched)
            self._watched = None

    def _send_head(self, head: bytes) -> int:
        lent = socket.socket(self._family, socket.SOCK_STREAM, 0, fileno=self._fileno)
        try:
            return lent.send(head, socket.MSG_MORE)  # it waits for the shard's first bytes and shares their packet
        except BlockingIOError:
            return 0
        finally:
            lent.detach()

    def _go_on(self) -> None:
        shard = self._shard
        assert shard is not None, "nobody is told when nothing is under way"
        out = self._fileno if self._watched is None else self._watched
        try:
            while left := shard.size - self._sent:
                self._sent += os.sendfile(out, shard.fileno, self._sent, left)
        except BlockingIOError:
            self._wait()
        except OSError:
            self._break_off()
        else:
            self.stop()
            self._ended()

    def _wait(self) -> None:
        if self._watched is None:
            try:
                self._watched = os.dup(self._fileno)
            except OSError:  # too many are open
                self.hand_over()
                return
            self._loop.add_writer(self._watched, self._go_on)
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self._loop.call_later(PATIENCE_SECONDS, self._break_off)

    def _break_off(self) -> None:
        """Hang up: the client has left, or takes nothing."""
        self.stop()
        self._transport.abort()
