"""One suite over both indexes, and the data server over Redis."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from data_server.index import Index, IndexUnavailable, InUse, RedisIndex, SqliteIndex
from data_server.settings import Settings
from data_server.store import Store
from tests.data_server.conftest import SECRET, Served, bearer
from tests.data_server.zips import labelled, make_zip

Opener = Callable[[], Index]


@pytest.fixture(params=["sqlite", "redis"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Return what opens the same index again and again."""
    if request.param == "sqlite":
        return lambda: SqliteIndex(tmp_path / "index.sqlite")
    url: str = request.getfixturevalue("redis_url")
    return lambda: RedisIndex(url)


@pytest.fixture
def index(opener: Opener) -> Iterator[Index]:
    """Open an index."""
    opened = opener()
    yield opened
    opened.close()


def _dataset(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "labels": [{"name": "é", "train": 3}], **more}


def _cut(name: str, dataset: str) -> dict[str, Any]:
    return {"cut": name, "dataset": dataset, "mean": [0.1 + 0.2], "shards": []}


def test_documents_come_back_as_they_were(index: Index) -> None:
    index.save(_dataset("d1"), [_cut("c1", "d1"), _cut("c2", "d1")])
    index.save(_dataset("d2"), [])
    assert index.dataset("d1") == _dataset("d1")
    assert index.cut("c2") == _cut("c2", "d1")
    assert sorted(d["id"] for d in index.datasets()) == ["d1", "d2"]
    assert sorted(c["cut"] for c in index.cuts()) == ["c1", "c2"]
    assert (index.dataset("d3"), index.cut("d1")) == (None, None)


def test_saving_again_replaces_the_data_set_and_adds_cuts(index: Index) -> None:
    index.save(_dataset("d1"), [_cut("c1", "d1")])
    index.save(_dataset("d1", version=2), [_cut("c2", "d1")])
    assert index.datasets() == [_dataset("d1", version=2)]
    assert sorted(c["cut"] for c in index.cuts()) == ["c1", "c2"]


def test_it_remembers(opener: Opener) -> None:
    first = opener()
    first.claim("me")
    first.save(_dataset("d1"), [_cut("c1", "d1")])
    first.use("d1", "p")
    first.close()
    second = opener()
    assert (second.owner(), second.dataset("d1"), second.uses("d1")) == ("me", _dataset("d1"), ["p"])
    second.close()


def test_removing_takes_the_cuts_along_and_nothing_else(index: Index) -> None:
    index.save(_dataset("d1"), [_cut("c1", "d1")])
    index.save(_dataset("d10"), [_cut("c2", "d10")])
    index.remove("d1")
    assert (index.dataset("d1"), index.cut("c1")) == (None, None)
    assert (index.dataset("d10"), index.cut("c2")) == (_dataset("d10"), _cut("c2", "d10"))


def test_what_is_used_is_not_removed(index: Index) -> None:
    index.save(_dataset("d1"), [_cut("c1", "d1")])
    for project in ("p2", "p1", "p2"):
        index.use("d1", project)
    with pytest.raises(InUse, match="p1, p2") as caught:
        index.remove("d1")
    assert caught.value.projects == ["p1", "p2"]
    assert index.cut("c1") == _cut("c1", "d1")
    index.unuse("d1", "p1")
    index.unuse("d1", "p2")
    index.unuse("d1", "never")
    index.remove("d1")
    assert index.datasets() == []


def test_an_index_belongs_to_one_folder(index: Index) -> None:
    assert index.owner() == ""
    index.claim("one")
    index.claim("two")
    assert index.owner() == "two"


def test_the_data_server_runs_over_redis(serve: Callable[..., Served], redis_url: str) -> None:
    served = serve(redis=redis_url)
    report = served.made(make_zip(labelled()))
    assert served.manifest(report)["vectors"] == 60
    assert served.client.put("/datasets/d1/uses/p", headers=bearer("use")).is_success
    assert served.client.delete("/datasets/d1", headers=bearer("delete")).status_code == 409
    served.assert_clean()
    with redis.Redis.from_url(redis_url) as client:
        assert sorted(client.keys()) == [b"mlitb:cuts", b"mlitb:datasets", b"mlitb:identity", b"mlitb:uses:d1"]


def test_a_redis_that_forgot_does_not_empty_the_folder(tmp_path: Path, redis_url: str) -> None:
    settings = Settings(tmp_path / "data", SECRET, redis=redis_url)
    store = Store(settings)
    (store.zips / f"{'0' * 64}.zip").write_bytes(b"the only copy")
    store.index.save({"id": "d1", "sources": [{"sha256": "0" * 64}]}, [])
    store.close()
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    with pytest.raises(IndexUnavailable, match="does not belong"):
        Store(settings)
    assert (tmp_path / "data" / "zips" / f"{'0' * 64}.zip").exists()


def test_two_folders_cannot_share_an_index(tmp_path: Path, redis_url: str) -> None:
    Store(Settings(tmp_path / "one", SECRET, redis=redis_url)).close()
    with pytest.raises(IndexUnavailable, match="does not belong"):
        Store(Settings(tmp_path / "two", SECRET, redis=redis_url))


def test_a_redis_that_went_away_is_said_and_shards_go_on(serve: Callable[..., Served], redis_url: str) -> None:
    served = serve(redis=redis_url)
    manifest = served.manifest(served.made(make_zip(labelled())))
    with redis.Redis.from_url(redis_url) as client:
        client.shutdown(nosave=True)
    answer = served.client.get("/datasets")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the data server's Redis does not answer")
    assert served.client.get(f"/shards/{manifest['shards'][0]['hash']}.zip").is_success
    assert served.upload(make_zip(labelled(2, 8))).status_code == 503
    assert not list((served.settings.data_dir / "work").iterdir())


def test_a_fault_of_ours_is_json_too(served: Served) -> None:
    (served.settings.data_dir / "number").write_text("no number")
    answer = served.upload(make_zip(labelled()))
    assert (answer.status_code, answer.json()["detail"]) == (500, "a fault of the data server: its log says more")
    served.assert_clean()
    (served.settings.data_dir / "number").write_text("7")
    assert served.made(make_zip(labelled()))["id"] == "d8"
