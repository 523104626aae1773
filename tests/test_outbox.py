"""What waits to be sent to one client."""

import asyncio
from collections import Counter

import pytest

from mlitb import outbox as module
from mlitb.outbox import MAX_WAITING, Outbox


class Peer:
    """Receives frames, and remembers how it ended."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.ended: tuple[int, str] | None = None

        self.reads = asyncio.Event()
        self.reads.set()
        self.waited = asyncio.Event()

    def full(self) -> bool:
        return not self.reads.is_set()

    async def drained(self) -> None:
        self.waited.set()
        await self.reads.wait()

    def push(self, frames: list[bytes]) -> None:
        self.frames += frames

    async def close(self, code: int, reason: str) -> None:
        self.ended = (code, reason)


async def drained(outbox: Outbox) -> Peer:
    peer = Peer()
    outbox.close(1000, "done")
    await outbox.run(peer, peer.close)
    return peer


def test_frames_go_out_in_order() -> None:
    async def scene() -> Peer:
        outbox = Outbox()
        for frame in (b"a", b"b", b"c"):
            assert outbox.put(frame)
        return await drained(outbox)

    peer = asyncio.run(scene())
    assert peer.frames == [b"a", b"b", b"c"]
    assert peer.ended == (1000, "done")


def test_the_latest_snapshot_wins_and_goes_behind_what_it_follows() -> None:
    async def scene() -> Peer:
        outbox = Outbox()
        outbox.put(b"parameters 1", "parameters p")
        outbox.put(b"orders 1", "orders p")
        outbox.put(b"message")
        outbox.put(b"parameters 2", "parameters p")
        outbox.put(b"orders 2", "orders p")
        return await drained(outbox)

    assert asyncio.run(scene()).frames == [b"message", b"parameters 2", b"orders 2"]


def test_a_client_that_reads_nothing_is_told_apart() -> None:
    async def scene() -> list[bool]:
        outbox = Outbox()
        return [outbox.put(b"x") for _ in range(MAX_WAITING + 1)]

    kept = asyncio.run(scene())
    assert all(kept[:-1])
    assert not kept[-1]


def test_dropping_closes_at_once_and_takes_nothing_more() -> None:
    async def scene() -> Peer:
        outbox = Outbox()
        outbox.put(b"never sent")
        outbox.close(1008, "reason " * 40, drop=True)
        outbox.put(b"too late")
        return await drained(outbox)

    peer = asyncio.run(scene())
    assert peer.frames == []
    assert peer.ended is not None
    assert peer.ended[0] == 1008
    assert len(peer.ended[1].encode()) <= 123


def test_a_frame_that_takes_too_long_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SEND_S", 0.01)

    async def scene() -> Peer:
        peer = Peer()
        peer.reads.clear()
        outbox = Outbox()
        outbox.put(b"x")
        await outbox.run(peer, peer.close)
        return peer

    peer = asyncio.run(scene())
    assert peer.ended is not None
    assert peer.ended[0] == 1013


def test_dropping_does_not_wait_for_a_frame_that_nobody_reads() -> None:
    async def scene() -> Peer:
        outbox, peer = Outbox(), Peer()
        peer.reads.clear()
        outbox.put(b"never read")
        running = asyncio.create_task(outbox.run(peer, peer.close))
        await peer.waited.wait()
        outbox.put(b"nor this")
        outbox.close(1013, "gone", drop=True)
        async with asyncio.timeout(5):
            await running
        return peer

    assert asyncio.run(scene()).ended == (1013, "gone")


def test_the_latest_wins_as_long_as_the_socket_is_full() -> None:
    async def scene() -> Peer:
        outbox, peer = Outbox(), Peer()
        peer.reads.clear()
        outbox.put(b"parameters 1", "parameters p")
        running = asyncio.create_task(outbox.run(peer, peer.close))
        await peer.waited.wait()
        outbox.put(b"parameters 2", "parameters p")
        outbox.close(1000, "done")
        peer.reads.set()
        await running
        return peer

    assert asyncio.run(scene()).frames == [b"parameters 2"]


def test_bytes_count_on_their_account_when_they_left() -> None:
    async def scene() -> Counter[str]:
        sent: Counter[str] = Counter()
        outbox = Outbox(sent)
        outbox.put(b"old", "parameters p", "p")
        outbox.put(b"newer", "parameters p", "p")
        outbox.put(b"q", "", "q")
        assert not sent
        await drained(outbox)
        return sent

    assert asyncio.run(scene()) == {"p": 5, "q": 1}, "what was replaced never left"
