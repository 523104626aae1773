"""The short way to a shard answers as the ordinary one does, and takes nothing that is not its own."""

import hashlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.data_server.conftest import Served, Shard, all_of, bearer, get, shard_of
from tests.data_server.zips import labelled, make_zip

ORIGINS = [None, "http://localhost:8000", "http://evil.example:8000"]


@pytest.fixture
def shard(served: Served) -> Shard:
    """Give a shard on a server of the usual kind."""
    return shard_of(served, make_zip(labelled()))


@pytest.mark.parametrize("origin", ORIGINS)
def test_both_ways_give_the_same_answer(shard: Shard, origin: str | None) -> None:
    headers = {"origin": origin} if origin else {}
    with httpx.Client(base_url=shard.served.client.base_url, headers=headers) as client:
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
    with shard.connect() as client:
        for byte in get(shard.path, "Connection: close").encode():
            client.sendall(bytes([byte]))
        assert all_of(client).endswith(shard.data)


def test_an_idle_connection_is_closed_after_a_while_and_a_stop_does_not_wait_for_it(shard: Shard) -> None:
    with shard.connect() as client:
        client.sendall(get(shard.path).encode())
        received = b""
        while not received.endswith(shard.data):
            received += client.recv(1 << 20)
        shard.served.server.should_exit = True
        assert client.recv(10) == b""


def test_requests_are_counted_and_a_deleted_shard_is_gone(shard: Shard) -> None:
    with httpx.Client(base_url=shard.served.client.base_url) as client:
        before = client.get("/healthz").json()["counters"]["requests"]
        for _ in range(3):
            assert client.get(shard.path).is_success
        assert client.get("/healthz").json()["counters"]["requests"] == before + 4
        client.delete("/datasets/d1", headers=bearer("delete"))
        assert client.get(shard.path).status_code == 404


def test_encrypted_answers_are_the_same(serve: Callable[..., Served], tmp_path: Path) -> None:
    both = tmp_path / "certificate.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    command = ["openssl", "req", "-x509", *kind, "-days", "2", *names, "-keyout", str(both), "-out", "-"]
    certificate = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    both.write_text(both.read_text() + certificate)
    shard = shard_of(serve(certificate=both), make_zip(labelled()))
    ordinary = shard.served.client.get(shard.path, headers={"if-none-match": '"something else"'})
    assert [shard.served.client.get(shard.path).content for _ in range(3)] == [ordinary.content] * 3
    assert hashlib.sha256(ordinary.content).hexdigest() == shard.path[8:72]
