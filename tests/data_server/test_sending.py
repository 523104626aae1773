"""What the kernel sends past Python arrives whole and in order, whatever the client does meanwhile."""

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from data_server import sending
from tests.data_server.conftest import Served, Shard, all_of, get, shard_of, until
from tests.data_server.zips import make_zip, picture

FEW_BYTES = 4_096  # that a socket takes at once


@pytest.fixture
def shard(serve: Callable[..., Served]) -> Shard:
    """Give a shard that is more than the server's sockets take at once."""
    files = {f"{n % 2}/{n}.png": picture(n, 64, 64, 3) for n in range(16)}
    return shard_of(serve(send_buffer=FEW_BYTES), make_zip(files), width=64, height=64, channels=3)


@contextmanager
def unread(shard: Shard) -> Iterator[socket.socket]:
    """Ask for the shard on a socket that takes little, and wait until the server waits for it."""
    before = waiting()
    with shard.connect(FEW_BYTES) as client:
        client.sendall(get(shard.path).encode())
        until(lambda: waiting() > before)
        yield client


def waiting() -> int:
    """Return for how many sockets the server in this process waits: their descriptors are there twice."""
    names: Counter[str] = Counter()
    for path in Path("/proc/self/fd").iterdir():
        try:
            names[str(path.readlink())] += 1
        except FileNotFoundError:
            continue  # closed meanwhile
    return sum(count - 1 for name, count in names.items() if name.startswith("socket:"))


def test_a_slow_client_gets_it_whole(shard: Shard) -> None:
    with unread(shard) as client:
        received = b""
        while not received.endswith(shard.data):
            received += client.recv(1 << 16)
        until(lambda: not waiting())
        client.sendall(get(shard.path, "Connection: close").encode())
        assert all_of(client).endswith(shard.data), "the connection goes on"


def test_requests_that_come_meanwhile_are_answered_in_order(shard: Shard) -> None:
    with unread(shard) as client:
        client.sendall(get("/healthz").encode() + get(shard.path).encode() + get("/nothing").encode())
        client.sendall(get(shard.path, "Connection: close").encode())
        answer = all_of(client)
    assert answer.count(shard.data) == 3
    assert answer.count(b"HTTP/1.1 ") == 5
    places = [answer.index(words) for words in (shard.data, b'{"ok"', b"404 Not Found")]
    assert places == sorted(places)


def test_nonsense_that_comes_meanwhile_is_answered_behind_it(shard: Shard) -> None:
    with unread(shard) as client:
        client.sendall(b"\0\0 nonsense\r\n\r\n")
        answer = all_of(client)
    head, _, rest = answer.partition(shard.data)
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert rest.startswith(b"HTTP/1.1 400 ")


def test_a_client_that_has_no_more_to_say_gets_it_whole(shard: Shard) -> None:
    with unread(shard) as client:
        client.shutdown(socket.SHUT_WR)
        assert all_of(client).endswith(shard.data)
    until(lambda: not waiting())


def test_a_client_that_leaves_is_forgotten(shard: Shard) -> None:
    with unread(shard), unread(shard) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closing says so at once
    until(lambda: not waiting())
    assert shard.served.client.get("/healthz").is_success


def test_a_client_that_takes_nothing_is_cut_off(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PATIENCE_SECONDS", 0.2)
    with unread(shard):
        until(lambda: not waiting())
    assert shard.served.client.get(shard.path).content == shard.data


def test_a_stop_lets_it_arrive(shard: Shard) -> None:
    with unread(shard) as client:
        shard.served.server.should_exit = True
        until(lambda: not waiting())
        assert all_of(client).endswith(shard.data)
