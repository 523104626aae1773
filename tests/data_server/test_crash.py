"""Crashes: whatever a kill -9 interrupts, the next start finds whole data sets and a clean disk."""

import random
import signal
import threading
import time
from functools import partial
from pathlib import Path

import httpx

from data_server.store import shards_of
from tests.data_server.conftest import Process, alive, bearer, children_of, until
from tests.data_server.zips import labelled, make_zip

KILLS = 10


def test_kill_at_ten_random_points_of_an_upload(process: Process) -> None:
    chance = random.Random(2015)
    first, *zips = [make_zip(labelled(2, 400, seed=100_000 * number)) for number in range(KILLS + 1)]
    begun = time.monotonic()
    ids = [process.upload(first).json()["id"]]
    seconds = time.monotonic() - begun  # that an upload takes here, now
    for data in zips:
        uploading = threading.Thread(target=_upload_until_killed, args=(process, data))
        uploading.start()
        time.sleep(seconds * chance.uniform(0, 1.1))  # the point of the crash, not a wait for something
        family = _family(process.process.pid)
        process.end(9)
        uploading.join()
        until(partial(_all_ended, family))
        process.start()
        ids = _assert_whole(process, ids)
    answer = process.upload(make_zip(labelled(2, 8)))
    assert answer.status_code == 201
    assert int(answer.json()["id"][1:]) > max([0, *(int(name[1:]) for name in ids)])


def test_what_a_crash_left_is_swept(process: Process) -> None:
    report = process.upload(make_zip(labelled())).json()
    process.end(9)
    data = process.root / "data"
    stray = [data / "zips" / f"{'0' * 64}.zip", data / "shards" / f"{'1' * 64}.zip", data / "work" / "left"]
    for path in stray:
        path.write_bytes(b"half a file")
    process.start()
    assert not any(path.exists() for path in stray)
    assert _assert_whole(process, []) == [report["id"]]


def test_ids_never_come_back_after_a_restart(process: Process) -> None:
    data = make_zip(labelled())
    for expected in ("d1", "d2", "d3"):
        assert process.upload(data).json()["id"] == expected
        assert httpx.delete(f"{process.url}/datasets/{expected}", headers=bearer("delete")).is_success
        process.end()
        process.start()


def _upload_until_killed(process: Process, data: bytes) -> None:
    try:
        process.upload(data)
    except httpx.TransportError:
        return  # the server was killed under it


def _all_ended(pids: list[int]) -> bool:
    return not any(alive(pid) for pid in pids)


def _family(pid: int) -> list[int]:
    children = children_of(pid)
    return [*children, *(grandchild for child in children for grandchild in _family(child))]


def _assert_whole(process: Process, before: list[str]) -> list[str]:
    """Assert that every data set is complete and nothing else lies on the disk; return the data sets' ids."""
    reports = httpx.get(f"{process.url}/datasets").json()
    named: set[str] = set()
    for report in reports:
        manifest = httpx.get(f"{process.url}/cuts/{report['cuts'][0]['id']}/manifest.json").json()
        assert manifest["vectors"] == report["images"]
        named |= set(shards_of(manifest))
    root = Path(process.root) / "data"
    assert {path.stem for path in (root / "shards").iterdir()} == named
    assert len(list((root / "zips").iterdir())) == len(reports)
    assert not list((root / "work").iterdir())
    ids = [report["id"] for report in reports]
    assert set(before) <= set(ids), "what was acknowledged stays"
    return ids


def test_a_stop_in_the_middle_of_an_upload_is_clean(process: Process) -> None:
    uploading = threading.Thread(target=_upload_until_killed, args=(process, make_zip(labelled(1, 6000))))
    uploading.start()
    until(lambda: list((process.root / "data").glob("work/*/records.0")))
    family = _family(process.process.pid)
    process.process.send_signal(signal.SIGTERM)
    _, said = process.process.communicate(timeout=20)
    uploading.join()
    assert (process.process.returncode, b"Traceback" in said) == (0, False), said.decode()
    until(partial(_all_ended, family))
    assert not list((process.root / "data" / "work").iterdir())
    process.start()
