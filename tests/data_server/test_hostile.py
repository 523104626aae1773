"""Hostile input: every one gets an answer, the server lives, and the disk is clean."""

import io
import os
import resource
import socket
import struct
import subprocess
import threading
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from data_server.settings import Limits
from data_server.tickets import Action, issue
from tests.data_server.conftest import SHAPE, Process, Served, bearer, until
from tests.data_server.zips import (
    encrypted,
    labelled,
    lying_count,
    make_zip,
    many_entries,
    overlapping,
    patched,
    picture,
    with_symlink,
)


def _skipped(served: Served, data: bytes) -> dict[str, str]:
    """Upload a zip of which something must be left out and 16 pictures stay; return the reasons."""
    report = served.made(data)
    assert report["images"] == 16
    served.assert_clean()
    return {file["name"]: file["reason"] for file in report["skipped"]["files"]}


def test_a_gigabyte_of_zeros_is_never_unpacked(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in labelled(2, 8).items():
            archive.writestr(name, data)
        with archive.open("0/zeros.png", "w", force_zip64=True) as entry:
            for _ in range(1000):
                entry.write(bytes(1_000_000))
        archive.writestr("0/small bomb.bmp", bytes(50_000_000))
    reasons = _skipped(served, path.read_bytes())
    assert reasons == {
        "0/zeros.png": "unpacks to more than 64 MB",
        "0/small bomb.bmp": "unpacks to more than 200 times its size",
    }


def test_a_lie_about_the_unpacked_size_is_not_believed(served: Served) -> None:
    files = {**labelled(2, 8), "1/zz.png": zlib.compress(bytes(10_000_000))}
    data = make_zip(files, zipfile.ZIP_DEFLATED)
    at = data.rindex(b"1/zz.png") - 46 + 24
    assert _skipped(served, patched(data, at, struct.pack("<I", 100))) == {
        "1/zz.png": "damaged in the zip (its size or checksum is wrong)"
    }


def test_a_nested_zip_is_left_alone(served: Served) -> None:
    inner = make_zip({"0/a.png": bytes(1_000_000)}, zipfile.ZIP_DEFLATED)
    assert _skipped(served, make_zip({**labelled(2, 8), "0/inner.zip": inner, "0/inner.png": inner})) == {
        "0/inner.zip": "an archive within the zip",
        "0/inner.png": "not a picture that can be read (JPEG, PNG, GIF, WebP or BMP)",
    }


def test_names_that_mean_harm_are_skipped(served: Served) -> None:
    reasons = {
        "../../../../etc/cron.d/0/x.png": "name that leaves its folder",
        "0/../../x.png": "name that leaves its folder",
        "..\\..\\x.png": "name that leaves its folder",
        "/etc/0/x.png": "absolute name",
        "C:\\0\\x.png": "absolute name",
        "0/" + "n" * 5000 + ".png": "name longer than 1,024 bytes",
        "0/" + "é" * 2500: "name longer than 1,024 bytes",
    }
    data = make_zip({**labelled(2, 8), **{name: picture(9) for name in reasons}})
    assert _skipped(served, data) == {name[:200]: reason for name, reason in reasons.items()}


def test_a_nul_in_a_name_is_seen(served: Served) -> None:
    data = make_zip({**labelled(2, 8), "0/x_y.png": picture(9)})
    assert _skipped(served, data.replace(b"0/x_y.png", b"0/x\0y.png")) == {"0/x\0y.png": "name with a NUL byte"}


def test_a_symbolic_link_is_skipped(served: Served) -> None:
    data = with_symlink(labelled(2, 8), "0/link.png", b"/etc/passwd")
    assert _skipped(served, data) == {"0/link.png": "symbolic link"}


def test_two_million_entries_are_refused_at_once(served: Served) -> None:
    answer = served.upload(many_entries(2_000_000))
    assert (answer.status_code, "2,000,000 entries" in answer.json()["detail"]) == (413, True)
    served.assert_clean()


def test_more_entries_than_the_zip_admits_are_noticed(serve: Callable[..., Served]) -> None:
    served = serve(Limits(entries=1_000))
    plain = make_zip({f"0/{number}.png": b"" for number in range(1_500)})
    for data in (plain, lying_count(plain, 15)):
        answer = served.upload(data)
        assert (answer.status_code, "1,000" in answer.json()["detail"]) == (413, True), answer.text
    served.assert_clean()


def test_an_entry_count_that_lies_is_refused(served: Served) -> None:
    for count in (1, 17):
        answer = served.upload(lying_count(make_zip(labelled(2, 8)), count))
        assert (answer.status_code, "lists 16" in answer.json()["detail"]) == (422, True), answer.text
    served.assert_clean()


def test_overlapping_entries_are_refused(served: Served) -> None:
    answer = served.upload(overlapping())
    assert (answer.status_code, "overlap" in answer.json()["detail"]) == (422, True)
    served.assert_clean()


def test_a_truncated_zip_is_refused(served: Served) -> None:
    data = make_zip(labelled(2, 8))
    for share in (0.01, 0.5, 0.99):
        answer = served.upload(data[: int(len(data) * share)])
        assert (answer.status_code, "cut short" in answer.json()["detail"]) == (422, True)
    served.assert_clean()


def test_damaged_bytes_anywhere_never_break_the_server(served: Served) -> None:
    data = make_zip(labelled(2, 8), zipfile.ZIP_DEFLATED)
    for at in range(0, len(data), len(data) // 8):
        answer = served.upload(patched(data, at, b"\xff\x00\xff\x00\xff\x00"))
        assert answer.status_code in (201, 413, 415, 422), answer.text
    served.assert_clean()


def test_an_encrypted_zip_is_refused_and_says_why(served: Served) -> None:
    answer = served.upload(encrypted(make_zip(labelled(2, 8))))
    assert (answer.status_code, "16 x encrypted" in answer.json()["detail"]) == (422, True)
    served.assert_clean()


def test_a_png_of_ten_thousand_megapixels_is_not_decoded(served: Served) -> None:
    chunk = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    huge = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", chunk) + _chunk(b"IDAT", zlib.compress(bytes(100_000)))
    reasons = _skipped(served, make_zip({**labelled(2, 8), "0/huge.png": huge + _chunk(b"IEND", b"")}))
    assert reasons["0/huge.png"].startswith("more than 64,000,000 pixels")


def test_a_jpeg_cut_in_half_is_skipped(served: Served) -> None:
    out = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(out, "JPEG")
    half = out.getvalue()[: len(out.getvalue()) // 2]
    reasons = _skipped(served, make_zip({**labelled(2, 8), "0/half.jpg": half}))
    assert reasons["0/half.jpg"].startswith("cut short or damaged")


def test_a_client_that_stops_mid_upload_leaves_nothing(serve: Callable[..., Served]) -> None:
    served = serve(Limits(idle_seconds=0.3))
    with _half_an_upload(served) as stopped:
        assert b"408" in stopped.recv(1000).split(b"\r\n")[0]
    served.assert_clean()


def test_a_client_that_goes_away_mid_upload_leaves_nothing(served: Served) -> None:
    with _half_an_upload(served):
        until(lambda: any((served.settings.data_dir / "work").iterdir()))
    until(lambda: not any((served.settings.data_dir / "work").iterdir()))
    served.assert_clean()


def _half_an_upload(served: Served) -> socket.socket:
    url = served.client.base_url
    client = socket.create_connection((url.host, url.port or 80))
    head = f"POST /datasets?width=8&height=8&channels=1 HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 5000000\r\n"
    client.sendall(f"{head}Authorization: {bearer('upload')['authorization']}\r\n\r\n".encode())
    client.sendall(b"PK\x03\x04" + bytes(2_000_000))
    return client


def test_a_client_that_goes_away_while_its_pictures_are_read_stops_the_work(served: Served) -> None:
    data = make_zip(labelled(1, 4000))
    url = served.client.base_url
    with socket.create_connection((url.host, url.port or 80)) as client:
        head = f"POST /datasets?width=64&height=64 HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: {len(data)}\r\n"
        client.sendall(f"{head}Authorization: {bearer('upload')['authorization']}\r\n\r\n".encode() + data)
        until(lambda: list(served.settings.data_dir.glob("work/*/records.0")))
    until(lambda: not any((served.settings.data_dir / "work").iterdir()))
    assert served.client.get("/datasets").json() == []
    served.assert_clean()


def test_ten_uploads_at_once_all_arrive(served: Served) -> None:
    zips = [make_zip(labelled(2, 8, seed=50_000 * (number // 2))) for number in range(10)]  # five, each twice
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(served.upload, zips))
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["id"] for answer in answers) == sorted(["d1", "d2", "d3", "d4", "d5"] * 2)
    assert sum(answer.json()["known"] for answer in answers) == 5
    served.assert_clean()


def test_too_many_uploads_at_once_are_told_to_come_back(serve: Callable[..., Served]) -> None:
    served = serve(Limits(uploads=1))
    with _half_an_upload(served):
        until(lambda: any((served.settings.data_dir / "work").iterdir()))
        assert served.upload(make_zip(labelled())).status_code == 503
    until(lambda: served.upload(make_zip(labelled())).status_code == 201)


def test_too_little_memory_skips_the_picture_that_needs_it(serve: Callable[..., Served]) -> None:
    served = serve(Limits(memory_bytes=400_000_000))
    big = io.BytesIO()
    Image.new("RGB", (7900, 7900)).save(big, "PNG")
    reasons = _skipped(served, make_zip({**labelled(2, 8), "0/big.png": big.getvalue()}))
    assert reasons.keys() == {"0/big.png"}


def test_no_room_for_the_announced_size_is_said_at_once(serve: Callable[..., Served]) -> None:
    served = serve(Limits(reserve_bytes=2**62))
    answer = served.upload(make_zip(labelled()))
    assert (answer.status_code, "has room for 0 bytes" in answer.json()["detail"]) == (507, True)
    served.assert_clean()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small tmpfs")
@pytest.mark.parametrize("megabytes", [1, 4])
def test_a_full_disk_is_said_and_nothing_is_left(serve: Callable[..., Served], tmp_path: Path, megabytes: int) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", small], check=False)
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        served = serve(Limits(reserve_bytes=-(10**9)), folder=small)
        answer = served.upload(make_zip(labelled(2, 3000)))
        assert (answer.status_code, "disk is full" in answer.json()["detail"]) == (507, True), answer.text
        served.assert_clean()
        served.made(make_zip(labelled(2, 8)))
        served.assert_clean()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_files_that_may_not_grow_are_a_full_disk(tmp_path: Path) -> None:
    """As a full disk, but for those who may not mount one: the server's files may have 300 KB."""
    few = (300_000, resource.RLIM_INFINITY)
    server = Process(tmp_path, limits={resource.RLIMIT_FSIZE: few})
    big, small = make_zip(labelled(2, 1500)), make_zip(labelled(2, 8))
    grows = make_zip({f"0/{number}.png": picture(number, 64, 64, 3) for number in range(8)})
    assert max(len(small), len(grows)) < few[0] < len(big)
    try:
        for answer in (server.upload(big), server.upload(grows, width=256, height=256, channels=3)):
            assert (answer.status_code, "disk is full" in answer.json()["detail"]) == (507, True), answer.text
        assert httpx.get(f"{server.url}/datasets").json() == []
        assert not [path for name in ("work", "zips", "shards") for path in (tmp_path / "data" / name).iterdir()]
        assert server.upload(small).status_code == 201
    finally:
        server.end()


WRITES: list[tuple[str, str, Action]] = [
    ("POST", "/datasets?width=8&height=8&channels=1", "upload"),
    ("POST", "/datasets/d1/cuts?width=8&height=8&channels=1", "upload"),
    ("DELETE", "/datasets/d1", "delete"),
    ("PUT", "/datasets/d1/uses/p1", "use"),
    ("DELETE", "/datasets/d1/uses/p1", "use"),
    ("PATCH", "/datasets/d1", "edit"),
    ("POST", "/datasets/d1/images?label=0", "edit"),
]


def test_without_the_right_ticket_nothing_is_written(served: Served) -> None:
    served.made(make_zip(labelled()))
    before = served.client.get("/datasets").json()
    for method, path, action in WRITES:
        other: Action = "use" if action != "use" else "upload"
        forged = {"authorization": f"Bearer {issue('another secret than the server has', action)}"}
        for headers in (
            {},
            {"authorization": "Bearer nonsense"},
            {"authorization": "Basic eDp5"},
            forged,
            bearer(other),
        ):
            answer = served.client.request(method, path, headers=headers, content=make_zip(labelled(4, 5)))
            assert (answer.status_code, bool(answer.json()["detail"])) == (403, True), (path, headers)
    assert served.client.get("/datasets").json() == before
    served.assert_clean()


def test_a_ticket_lives_an_hour(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = bearer("upload")
    monkeypatch.setattr("data_server.tickets.LIFETIME_SECONDS", -1)
    answer = served.client.post("/datasets?width=8&height=8", content=b"", headers=headers)
    assert (answer.status_code, "older than an hour" in answer.json()["detail"]) == (403, True)


def test_many_readers_do_not_wait_for_an_upload(served: Served) -> None:
    """While pictures are read the event loop answers: 50 requests finish before the upload does."""
    data = make_zip(labelled(1, 3000))
    done = threading.Event()

    def upload() -> None:
        url = f"{served.client.base_url}/datasets"
        httpx.post(url, params={**SHAPE, "width": 64}, content=data, headers=bearer("upload"), timeout=60)
        done.set()

    thread = threading.Thread(target=upload)
    thread.start()
    until(lambda: list(served.settings.data_dir.glob("work/*/records.0")))
    for _ in range(50):
        assert served.client.get("/healthz").is_success
    assert not done.is_set()
    thread.join()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
