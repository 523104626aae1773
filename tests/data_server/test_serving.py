"""Shards over HTTP: immutable, conditional, in ranges, from a bounded number of open files."""

import asyncio
import errno
import hashlib
import os
from pathlib import Path

import pytest

from data_server import serving
from data_server.serving import ShardCache
from tests.data_server.conftest import Served, bearer
from tests.data_server.zips import labelled, make_zip


@pytest.fixture
def shard(served: Served) -> str:
    """Return the address of a shard."""
    manifest = served.manifest(served.made(make_zip(labelled())))
    return f"/shards/{manifest['shards'][0]['hash']}.zip"


def test_a_shard_is_immutable_and_named_by_its_hash(served: Served, shard: str) -> None:
    answer = served.client.get(shard)
    name = shard[8:72]
    assert hashlib.sha256(answer.content).hexdigest() == name
    assert answer.headers["etag"] == f'"{name}"'
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "application/zip"
    assert served.client.get(shard).content == answer.content


def test_head_tells_the_length_and_sends_nothing(served: Served, shard: str) -> None:
    answer = served.client.head(shard)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(served.client.get(shard).content)


@pytest.mark.parametrize("tag", ['"{}"', 'W/"{}"', '"other", "{}"'])
def test_who_has_it_is_told_so(served: Served, shard: str, tag: str) -> None:
    answer = served.client.get(shard, headers={"if-none-match": tag.format(shard[8:72])})
    assert (answer.status_code, answer.content) == (304, b"")
    assert served.client.get(shard, headers={"if-none-match": '"other"'}).status_code == 200


def test_ranges(served: Served, shard: str) -> None:
    whole = served.client.get(shard).content
    for asked, want in (("0-9", whole[:10]), ("100-", whole[100:]), ("-7", whole[-7:])):
        answer = served.client.get(shard, headers={"range": f"bytes={asked}"})
        assert (answer.status_code, answer.content) == (206, want), asked
    assert served.client.get(shard, headers={"range": f"bytes={len(whole)}-"}).status_code == 416


def test_a_deleted_shard_is_gone_from_memory_too(served: Served, shard: str) -> None:
    assert served.client.get(shard).is_success
    assert served.client.delete("/datasets/d1", headers=bearer("delete")).is_success
    assert served.client.get(shard).status_code == 404


@pytest.mark.parametrize("path", ["/shards/", "/shards/..%2findex.sqlite", "/shards/../lock", f"/shards/{'0' * 64}"])
def test_nothing_else_is_served(served: Served, path: str) -> None:
    assert served.client.get(path).status_code == 404
    assert served.client.post("/shards/x.zip").status_code in (404, 405)


def test_few_are_open_and_those_that_were_asked_for_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "OPEN_SHARDS", 2)
    for name in "abc":
        (tmp_path / f"{name}.zip").write_bytes(name.encode() * 100)

    async def read(*names: str) -> list[bytes | None]:
        return [await cache.read(name) for name in names]

    cache = ShardCache(tmp_path)
    assert asyncio.run(read("a", "b", "a", "c")) == [b"a" * 100, b"b" * 100, b"a" * 100, b"c" * 100]
    for path in tmp_path.iterdir():
        path.unlink()
    assert asyncio.run(read("a", "b", "c")) == [b"a" * 100, None, b"c" * 100]


def test_what_the_kernel_let_go_is_read_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(b"a" * 100)
    cache = ShardCache(tmp_path)
    assert cache.at_hand("a") is None
    assert asyncio.run(cache.read("a")) == b"a" * 100
    assert cache.at_hand("a") is not None

    def asked(error: OSError) -> None:
        monkeypatch.setattr(os, "preadv", lambda *_: (_ for _ in ()).throw(error))

    asked(BlockingIOError())
    assert cache.at_hand("a") is None
    assert asyncio.run(cache.read("a")) == b"a" * 100
    asked(OSError(errno.EOPNOTSUPP, "not on this file system"))
    assert cache.at_hand("a") is not None
    asked(OSError(errno.EIO, "a bad disk"))
    with pytest.raises(OSError, match="a bad disk"):
        cache.at_hand("a")
