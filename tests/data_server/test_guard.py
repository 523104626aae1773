"""Hosts, origins, CORS and the counters."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data_server.hosts import host_allowed, origin_allowed
from data_server.settings import Settings
from tests.data_server.conftest import Served, bearer
from tests.data_server.zips import labelled, make_zip

LOCAL = Settings(Path(), "", allow_hosts=("Data.Example",), public_url="https://mlitb.example")
LAN = Settings(Path(), "", lan=True)


@pytest.mark.parametrize(
    ("header", "local", "lan"),
    [
        ("localhost:8001", True, True),
        ("LOCALHOST", True, True),
        ("127.0.0.1:8001", True, True),
        ("127.0.0.2", True, True),
        ("[::1]:8001", True, True),
        ("data.example", True, False),
        ("mlitb.example", True, False),
        ("192.168.1.5:8001", False, True),
        ("[fe80::1]", False, True),
        ("laptop.local", False, True),
        ("evil.example", False, False),
        ("localhost.evil.example", False, False),
        ("evil.local.example", False, False),
        ("", False, False),
        ("[::1", False, False),
        ("a b", False, False),
    ],
)
def test_hosts(header: str, local: bool, lan: bool) -> None:
    assert (host_allowed(header, LOCAL), host_allowed(header, LAN)) == (local, lan)


@pytest.mark.parametrize(
    ("origin", "local", "lan"),
    [
        ("http://localhost:8000", True, True),
        ("https://127.0.0.1:8000", True, True),
        ("http://localhost:8001", False, False),
        ("http://localhost", False, False),
        ("http://192.168.1.5:8000", False, True),
        ("https://mlitb.example", True, False),
        ("http://evil.example:8000", False, False),
        ("null", False, False),
        ("file://", False, False),
        ("http://localhost:99999999", False, False),
    ],
)
def test_origins(origin: str, local: bool, lan: bool) -> None:
    assert (origin_allowed(origin, LOCAL), origin_allowed(origin, LAN)) == (local, lan)


def test_a_foreign_host_is_refused_and_counted(served: Served) -> None:
    answer = served.client.get("/healthz", headers={"host": "evil.example"})
    assert (answer.status_code, "'evil.example'" in answer.json()["detail"]) == (400, True)
    counters = served.client.get("/healthz").json()["counters"]
    assert (counters["refused host"], counters["status 400"]) == (1, 1)


def test_only_the_masters_pages_may_read(served: Served) -> None:
    ours = served.client.get("/healthz", headers={"origin": "http://localhost:8000"})
    assert ours.headers["access-control-allow-origin"] == "http://localhost:8000"
    assert "origin" in ours.headers["vary"].lower()
    assert "etag" in ours.headers["access-control-expose-headers"].lower()
    theirs = served.client.get("/healthz", headers={"origin": "http://evil.example:8000"})
    assert "access-control-allow-origin" not in theirs.headers


def test_only_the_masters_pages_may_write(served: Served) -> None:
    headers = {**bearer("upload"), "origin": "http://evil.example:8000"}
    answer = served.client.post("/datasets?width=8&height=8", content=make_zip(labelled()), headers=headers)
    assert (answer.status_code, served.client.get("/datasets").json()) == (403, [])


def test_preflights_are_answered(serve: Callable[..., Served]) -> None:
    served = serve(master_port=9000)
    wish = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,range,content-type",
    }
    ours = served.client.options("/datasets", headers={"origin": "http://127.0.0.1:9000", **wish})
    assert ours.status_code == 200
    assert ours.headers["access-control-allow-origin"] == "http://127.0.0.1:9000"
    allowed = ours.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("authorization", "range", "content-type"))
    assert served.client.options("/datasets", headers={"origin": "http://evil.example", **wish}).status_code == 400


def test_an_unknown_address_is_a_sentence(served: Served) -> None:
    for path in ("/nothing", "/datasets/d9", "/cuts/c9/manifest.json", "/shards/abc.zip", f"/shards/{'0' * 64}.zip"):
        answer = served.client.get(path)
        assert (answer.status_code, answer.json()["detail"].startswith("there is no")) == (404, True), path
    assert served.client.put("/healthz").status_code == 405
