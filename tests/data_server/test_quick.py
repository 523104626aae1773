"""The short way to a shard answers as the ordinary one does, and takes nothing that is not its own."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.data_server.conftest import Process, bearer
from tests.data_server.zips import labelled, make_zip

ORIGINS = [None, "http://localhost:8000", "http://evil.example:8000"]


@dataclass
class Shard:
    """A shard on a running server."""

    process: Process
    path: str
    data: bytes

    def raw(self, *requests: str) -> bytes:
        """Send requests at once on one connection, the last of which closes it; return all that comes."""
        with socket.create_connection(("127.0.0.1", self.process.port)) as client:
            client.sendall("".join(requests).encode())
            return b"".join(iter(lambda: client.recv(1 << 20), b""))


@pytest.fixture
def shard(process: Process) -> Iterator[Shard]:
    """Upload a data set and give one of its shards."""
    report = process.upload(make_zip(labelled())).json()
    with httpx.Client(base_url=process.url) as client:
        manifest = client.get(f"/cuts/{report['cuts'][0]['id']}/manifest.json").json()
        path = f"/shards/{manifest['shards'][0]['hash']}.zip"
        yield Shard(process, path, client.get(path).content)


def get(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> str:
    """Write a request."""
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: localhost", *headers, "", ""])


@pytest.mark.parametrize("origin", ORIGINS)
def test_both_ways_give_the_same_answer(shard: Shard, origin: str | None) -> None:
    headers = {"origin": origin} if origin else {}
    with httpx.Client(base_url=shard.process.url, headers=headers) as client:
        quick = client.get(shard.path)
        ordinary = client.get(shard.path, headers={"if-none-match": '"something else"'})
    assert (quick.status_code, quick.content) == (200, shard.data)
    assert ordinary.content == shard.data
    ordinary_headers = {key: value for key, value in ordinary.headers.items() if key not in ("date", "last-modified")}
    assert {key: value for key, value in quick.headers.items() if key != "date"} == ordinary_headers


def test_requests_on_one_connection_are_answered_in_order(shard: Shard) -> None:
    answer = shard.raw(
        get(shard.path), get("/healthz"), get(shard.path), get(shard.path, "Range: bytes=0-4"), get(shard.path),
        get("/nothing"), get(shard.path, "Connection: close"),
    )  # fmt: skip
    assert answer.count(shard.data) == 4
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answer)
    assert statuses == [b"200", b"200", b"200", b"206", b"200", b"404", b"200"]
    assert answer.index(b'{"ok"') < answer.index(b"206 Partial") < answer.index(b"404 Not Found")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/shards/" + "0" * 64 + ".zip", "Connection: close"), b"404"),
        (get("/shards/" + "é" * 32 + ".zip", "Connection: close"), b"400"),
        ("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b"400"),
        ("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n", b"200"),
        (get("{path}", "Connection: close", method="HEAD"), b"200"),
        (get("{path}", "Connection: close", method="DELETE"), b"404"),
        (get("{path}?x=1", "Connection: close"), b"200"),
        (get("{path}", "Connection: close", "Range: bytes=99999999-"), b"416"),
    ],
)
def test_everything_else_goes_the_ordinary_way(shard: Shard, request_: str, status: bytes) -> None:
    answer = shard.raw(request_.replace("{path}", shard.path))
    assert answer.split()[1] in (status, b"405" if status == b"404" else status), answer[:300]


def test_a_body_that_looks_like_a_request_is_a_body(shard: Shard) -> None:
    inner = get(shard.path)
    first = get(shard.path, f"Content-Length: {len(inner)}") + inner
    answer = shard.raw(first, get("/healthz", "Connection: close"))
    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.count(shard.data) == 1


def test_a_request_in_pieces_is_one(shard: Shard) -> None:
    with socket.create_connection(("127.0.0.1", shard.process.port)) as client:
        for byte in get(shard.path, "Connection: close").encode():
            client.sendall(bytes([byte]))
        assert b"".join(iter(lambda: client.recv(1 << 20), b"")).endswith(shard.data)


def test_an_idle_connection_is_closed_after_a_while_and_a_stop_does_not_wait_for_it(shard: Shard) -> None:
    with socket.create_connection(("127.0.0.1", shard.process.port)) as client:
        client.sendall(get(shard.path).encode())
        received = b""
        while not received.endswith(shard.data):
            received += client.recv(1 << 20)
        assert shard.process.end() == 0
        assert client.recv(10) == b""


def test_requests_are_counted_and_a_deleted_shard_is_gone(shard: Shard) -> None:
    with httpx.Client(base_url=shard.process.url) as client:
        before = client.get("/healthz").json()["counters"]["requests"]
        for _ in range(3):
            assert client.get(shard.path).is_success
        assert client.get("/healthz").json()["counters"]["requests"] == before + 4
        client.delete("/datasets/d1", headers=bearer("delete"))
        assert client.get(shard.path).status_code == 404
