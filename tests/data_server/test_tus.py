"""Resumable uploads: with a client by other people, after breaks, and against clients that break the rules."""

import base64
import io
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tusclient.client import TusClient

from data_server.settings import Limits
from tests.data_server.conftest import Process, Served, bearer, until
from tests.data_server.zips import labelled, make_zip, picture

SHAPE = {"width": "8", "height": "8", "channels": "1", "name": "ünï"}
TUS = {"tus-resumable": "1.0.0"}


def _headers(**more: Any) -> dict[str, str]:
    return {**bearer("upload"), **TUS, **{key.replace("_", "-"): str(value) for key, value in more.items()}}


def _metadata(fields: Mapping[str, str]) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in fields.items())


def _begin(client: httpx.Client, length: int, **fields: str) -> str:
    headers = _headers(upload_length=length, upload_metadata=_metadata({**SHAPE, **fields}))
    answer = client.post("/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def _send(client: httpx.Client, url: str, offset: int, data: bytes) -> httpx.Response:
    headers = _headers(upload_offset=offset, content_type="application/offset+octet-stream")
    return client.patch(url, content=data, headers=headers)


def _outcome(client: httpx.Client, url: str) -> dict[str, Any]:
    def told() -> dict[str, Any]:
        found: dict[str, Any] = client.get(url, headers=bearer("upload")).json()
        return found

    until(lambda: told()["state"] in ("ready", "failed"))
    return told()


def _assert_nothing_left(served: Served) -> None:
    until(lambda: not any((served.settings.data_dir / "uploads").iterdir()))
    served.assert_clean()


def test_a_kept_client_uploads_in_pieces(served: Served) -> None:
    data = make_zip(labelled())
    client = TusClient(f"{served.client.base_url}/uploads", headers=bearer("upload"))
    uploader = client.uploader(file_stream=io.BytesIO(data), chunk_size=len(data) // 3, metadata=dict(SHAPE))
    uploader.upload()
    outcome = _outcome(served.client, str(uploader.url))
    assert (outcome["state"], outcome["received"]) == ("ready", len(data))
    assert (outcome["report"]["images"], outcome["report"]["name"]) == (60, "ünï")
    assert served.upload(data).json()["known"], "one path behind both"
    _assert_nothing_left(served)


def test_an_upload_goes_on_after_the_server_was_killed(process: Process) -> None:
    data = make_zip(labelled())
    with httpx.Client(base_url=process.url) as client:
        url = _begin(client, len(data))
        assert _send(client, url, 0, data[:5000]).headers["upload-offset"] == "5000"
        process.end(9)
        process.start()
        assert client.head(url, headers=_headers()).headers["upload-offset"] == "5000"
        assert _send(client, url, 5000, data[5000:]).status_code == 204
        assert _outcome(client, url)["report"]["images"] == 60


def test_a_whole_upload_is_read_after_the_server_was_killed(process: Process) -> None:
    data = make_zip(labelled(2, 1500))
    with httpx.Client(base_url=process.url) as client:
        url = _begin(client, len(data))
        _send(client, url, 0, data)
        until(lambda: client.get(url, headers=bearer("upload")).json()["entries"])
        process.end(9)
        process.start()
        assert _outcome(client, url)["report"]["images"] == 3000


def test_progress_is_told(served: Served) -> None:
    data = make_zip(labelled(1, 3000))
    url = _begin(served.client, len(data), width="64", height="64")
    _send(served.client, url, 0, data[:9000])
    told = served.client.get(url, headers=bearer("upload")).json()
    assert told == {"state": "receiving", "bytes": len(data), "received": 9000, "ahead": 0, "read": 0, "entries": 0}
    _send(served.client, url, 9000, data[9000:])
    seen: list[int] = []

    def half() -> bool:
        told = served.client.get(url, headers=bearer("upload")).json()
        seen.append(told["read"])
        return bool(told["entries"] == 3000 and 500 < told["read"] < 3000)

    until(half)
    assert seen == sorted(seen)
    assert served.client.delete(url, headers=_headers()).status_code == 204, "and it can be cancelled"
    assert served.client.get(url, headers=bearer("upload")).status_code == 404
    assert served.client.get("/datasets").json() == []
    _assert_nothing_left(served)


def test_the_place_of_a_cut_in_the_line_is_told(served: Served) -> None:
    known = served.made(make_zip(labelled(1, 3, seed=99_000)))
    for data in [make_zip(labelled(1, 1500, seed=10_000 * number)) for number in range(2)]:
        url = _begin(served.client, len(data), width="64", height="64")
        _send(served.client, url, 0, data)
    line = f"/datasets/{known['id']}/line"
    assert served.client.get(line).json() == {"ahead": 0}, "none was asked for"
    with ThreadPoolExecutor(1) as other:
        wish = {"width": "6", "height": "8", "channels": "1"}
        cut = other.submit(served.client.post, f"/datasets/{known['id']}/cuts", params=wish, headers=bearer("upload"))
        until(lambda: served.client.get(line).json() == {"ahead": 2})
        until(lambda: served.client.get(line).json() == {"ahead": 1})
        assert len(cut.result().json()["cuts"]) == 2
    assert served.client.get(line).json() == {"ahead": 0}


def test_the_place_in_the_line_is_told(served: Served) -> None:
    urls = []
    for data in [make_zip(labelled(1, 1500, seed=10_000 * number)) for number in range(3)]:
        urls.append(_begin(served.client, len(data), width="64", height="64"))
        _send(served.client, urls[-1], 0, data)

    def places() -> list[int]:
        return [served.client.get(url, headers=bearer("upload")).json()["ahead"] for url in urls]

    until(lambda: places() == [0, 1, 2])
    assert served.client.delete(urls[1], headers=_headers()).status_code == 204, "who waits can be cancelled"
    urls.pop(1)
    assert places() in ([0, 1], [0, 0])
    assert [_outcome(served.client, url)["report"]["images"] for url in urls] == [1500, 1500]
    assert places() == [0, 0]


def test_a_broken_connection_keeps_what_came(served: Served) -> None:
    data = make_zip({f"0/{number}.png": picture(number, 64, 64, 3) for number in range(160)})
    assert len(data) > 1_800_000
    url = _begin(served.client, len(data))
    path = served.settings.data_dir / url.strip("/") / "upload.zip"

    def breaks() -> Any:
        yield data[:1_500_000]
        until(lambda: path.stat().st_size)
        raise RuntimeError("the cable is pulled")

    headers = _headers(upload_offset=0, content_type="application/offset+octet-stream")
    with pytest.raises(RuntimeError, match="cable"):
        served.client.patch(url, content=breaks(), headers=headers)
    offset = int(served.client.head(url, headers=_headers()).headers["upload-offset"])
    assert 1_000_000 <= offset <= 1_500_000
    until(lambda: _goes_on(served, url, data))
    assert _outcome(served.client, url)["report"]["images"] == 160


def _goes_on(served: Served, url: str, data: bytes) -> bool:
    """Send the rest; False while the server has not noticed the break."""
    offset = int(served.client.head(url, headers=_headers()).headers["upload-offset"])
    return _send(served.client, url, offset, data[offset:]).status_code == 204


def test_a_bad_zip_is_told_when_it_is_read(served: Served) -> None:
    data = make_zip({"a.png": b"x"})
    url = _begin(served.client, len(data))
    _send(served.client, url, 0, data)
    outcome = _outcome(served.client, url)
    assert (outcome["state"], outcome["status"], "not in a label folder" in outcome["detail"]) == ("failed", 422, True)
    _assert_nothing_left(served)


def test_what_is_no_zip_ends_with_its_first_bytes(served: Served) -> None:
    url = _begin(served.client, 1000)
    answer = _send(served.client, url, 0, b"hello")
    assert (answer.status_code, "not a zip" in answer.json()["detail"]) == (415, True)
    assert served.client.head(url, headers=_headers()).status_code == 404
    _assert_nothing_left(served)


def test_offsets_lengths_and_versions_are_checked(served: Served) -> None:
    data = make_zip(labelled())
    url = _begin(served.client, len(data))
    assert _send(served.client, url, 7, data).status_code == 409
    assert _send(served.client, url, 0, b"").headers["upload-offset"] == "0"
    assert served.client.patch(url, content=data, headers=_headers(upload_offset=0)).status_code == 415
    assert served.client.head(url, headers=bearer("upload")).status_code == 412
    assert served.client.post("/uploads", headers=_headers(upload_length="many")).status_code in (400, 422)
    for length, status in ((0, 400), (10**16, 413), (10**20, 400), ("-1", 400), ("", 400)):
        headers = _headers(upload_length=length, upload_metadata=_metadata(SHAPE))
        assert served.client.post("/uploads", headers=headers).status_code == status, length
    assert _send(served.client, url, 0, data + b"more").status_code == 413
    _assert_nothing_left(served)


@pytest.mark.parametrize(
    ("header", "status", "words"),
    [
        ("", 422, "width"),
        ("width !!!", 400, "base64"),
        (_metadata({**SHAPE, "mode": "melt"}), 422, "mode"),
        (_metadata({**SHAPE, "shoe": "size"}), 422, "shoe"),
    ],
)
def test_metadata_says_what_the_upload_becomes(served: Served, header: str, status: int, words: str) -> None:
    answer = served.client.post("/uploads", headers=_headers(upload_length=10, upload_metadata=header))
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


def test_unfinished_uploads_are_bounded_and_expire(serve: Callable[..., Served]) -> None:
    served = serve(Limits(uploads=1))
    _begin(served.client, 1000)
    headers = _headers(upload_length=10, upload_metadata=_metadata(SHAPE))
    assert served.client.post("/uploads", headers=headers).status_code == 503
    (upload,) = (served.settings.data_dir / "uploads").iterdir()
    os.utime(upload / "upload.zip", (time.time() - 25 * 3600,) * 2)
    assert served.client.post("/uploads", headers=headers).status_code == 201
    assert len(list((served.settings.data_dir / "uploads").iterdir())) == 1


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE", "GET"])
def test_every_request_needs_the_ticket(served: Served, method: str) -> None:
    url = "/uploads" if method == "POST" else _begin(served.client, 1000)
    for headers in (TUS, {**TUS, **bearer("delete")}):
        assert served.client.request(method, url, headers=headers).status_code == 403


def test_a_name_that_is_none_is_not_a_path(served: Served) -> None:
    for name in ("..", "%2e%2e%2fwork", "a" * 32, "x"):
        assert served.client.head(f"/uploads/{name}", headers=_headers()).status_code == 404


def test_options_tell_what_is_spoken(served: Served) -> None:
    answer = served.client.options("/uploads")
    assert (answer.status_code, answer.headers["tus-version"]) == (204, "1.0.0")
    assert "creation" in answer.headers["tus-extension"]


def test_what_a_crash_left_of_a_beginning_is_swept(process: Process) -> None:
    process.end()
    (Path(process.root) / "data" / "uploads" / ("0" * 32)).mkdir()
    process.start()
    assert not any((Path(process.root) / "data" / "uploads").iterdir())
