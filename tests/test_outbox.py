"""What waits to be sent to one client."""

import asyncio
from collections import Counter

import pytest

from mlitb import outbox as module
from mlitb.outbox import MAX_WAITING, Outbox


class Peer:
    """Receives frames, and remembers how it ended."""

    def __init__(self, reads: bool = True) -> None:
        self.frames: list[bytes] = []
        self.ended = asyncio.Event()
        self.end: tuple[int, str] | None = None
        self.reads = reads

    def full(self) -> bool:
        return not self.reads

    def push(self, frames: list[bytes]) -> None:
        assert self.end is None
        self.frames += frames

    def close(self, code: int, reason: str) -> None:
        assert self.end is None, "closed twice"
        self.end = (code, reason)
        self.ended.set()


def drained(outbox: Outbox) -> Peer:
    peer = Peer()
    outbox.close(1000, "done")
    outbox.open(peer)
    return peer


def test_frames_go_out_in_order() -> None:
    outbox = Outbox()
    for frame in (b"a", b"b", b"c"):
        assert outbox.put(frame)
    peer = drained(outbox)
    assert peer.frames == [b"a", b"b", b"c"]
    assert peer.end == (1000, "done")


def test_what_was_put_leaves_at_the_flush_together() -> None:
    outbox, peer = Outbox(), Peer()
    outbox.open(peer)
    outbox.put(b"a")
    outbox.put(b"b")
    assert peer.frames == []
    outbox.flush()
    assert peer.frames == [b"a", b"b"]
    assert len(outbox) == 0


def test_the_latest_snapshot_wins_and_goes_behind_what_it_follows() -> None:
    outbox = Outbox()
    outbox.put(b"parameters 1", "parameters p")
    outbox.put(b"orders 1", "orders p")
    outbox.put(b"message")
    outbox.put(b"parameters 2", "parameters p")
    outbox.put(b"orders 2", "orders p")
    assert drained(outbox).frames == [b"message", b"parameters 2", b"orders 2"]


def test_the_same_snapshot_again_stays_before_the_orders_that_follow_it() -> None:
    outbox, parameters = Outbox(), b"parameters 1"
    outbox.put(parameters, "parameters p")
    outbox.put(b"orders 1", "orders p")
    outbox.put(parameters, "parameters p")
    assert drained(outbox).frames == [parameters, b"orders 1"]


def test_a_client_that_reads_nothing_is_told_apart() -> None:
    outbox = Outbox()
    kept = [outbox.put(b"x") for _ in range(MAX_WAITING + 1)]
    assert all(kept[:-1])
    assert not kept[-1]


def test_dropping_closes_at_once_and_takes_nothing_more() -> None:
    outbox = Outbox()
    outbox.put(b"never sent")
    outbox.close(1008, "reason " * 40, drop=True)
    outbox.put(b"too late")
    peer = drained(outbox)
    assert peer.frames == []
    assert peer.end is not None
    assert peer.end[0] == 1008
    assert len(peer.end[1].encode()) <= 123


def test_a_frame_that_takes_too_long_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SEND_S", 0.01)

    async def scene() -> Peer:
        peer, outbox = Peer(reads=False), Outbox()
        outbox.put(b"x")
        outbox.open(peer)
        async with asyncio.timeout(5):
            await peer.ended.wait()
        return peer

    peer = asyncio.run(scene())
    assert peer.end is not None
    assert peer.end[0] == 1013


def test_a_peer_that_reads_again_in_time_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SEND_S", 0.01)

    async def scene() -> Peer:
        peer, outbox = Peer(reads=False), Outbox()
        outbox.put(b"x")
        outbox.open(peer)
        peer.reads = True
        outbox.flush()
        later = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(module.MAX_SEND_S, later.set_result, None)  # after the patience was over
        await later
        return peer

    peer = asyncio.run(scene())
    assert peer.frames == [b"x"]
    assert peer.end is None


def test_dropping_does_not_wait_for_a_frame_that_nobody_reads() -> None:
    async def scene() -> Peer:
        outbox, peer = Outbox(), Peer(reads=False)
        outbox.put(b"never read")
        outbox.open(peer)
        outbox.put(b"nor this")
        outbox.close(1013, "gone", drop=True)
        return peer

    peer = asyncio.run(scene())
    assert peer.end == (1013, "gone")
    assert peer.frames == []


def test_the_latest_wins_as_long_as_the_socket_is_full() -> None:
    async def scene() -> Peer:
        outbox, peer = Outbox(), Peer(reads=False)
        outbox.put(b"parameters 1", "parameters p")
        outbox.open(peer)
        outbox.put(b"parameters 2", "parameters p")
        outbox.close(1000, "done")
        assert peer.end is None, "what waits goes first"
        peer.reads = True
        outbox.flush()
        return peer

    peer = asyncio.run(scene())
    assert peer.frames == [b"parameters 2"]
    assert peer.end == (1000, "done")


def test_one_that_is_gone_is_forgotten() -> None:
    async def scene() -> Peer:
        outbox, peer = Outbox(), Peer(reads=False)
        outbox.put(b"x")
        outbox.open(peer)
        outbox.forget()
        peer.reads = True
        outbox.put(b"y")
        outbox.flush()
        outbox.close(1000, "done")
        assert len(outbox) == 0
        return peer

    peer = asyncio.run(scene())
    assert peer.frames == []
    assert peer.end is None


def test_bytes_count_on_their_account_when_they_left() -> None:
    sent: Counter[str] = Counter()
    outbox = Outbox(sent)
    outbox.put(b"old", "parameters p", "p")
    outbox.put(b"newer", "parameters p", "p")
    outbox.put(b"q", "", "q")
    assert not sent
    drained(outbox)
    assert sent == {"p": 5, "q": 1}, "what was replaced never left"
