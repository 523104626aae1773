"""A data set's life: downloaded, renamed, merged, added to, used, deleted."""

import io
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from data_server.cut import read_shard
from data_server.store import shards_of
from mlitb import pixels
from tests.data_server.conftest import SHAPE, Served, bearer
from tests.data_server.zips import labelled, make_zip, picture


def _contents(served: Served, manifest: dict[str, Any]) -> Counter[tuple[str, bytes]]:
    """Return every training vector of a cut with its label's name."""
    found: Counter[tuple[str, bytes]] = Counter()
    for shard in manifest["shards"]:
        head, pngs = read_shard(served.client.get(f"/shards/{shard['hash']}.zip").content)
        assert np.bincount(head["labels"], minlength=len(manifest["labels"])).tolist() == shard["labels"]
        for label, png in zip(head["labels"], pngs, strict=True):
            found[manifest["labels"][label], pixels.decode(png, 8, 8, 1).tobytes()] += 1
    assert found.total() == manifest["vectors"]
    return found


def _expected(files: dict[str, bytes], names: dict[str, str]) -> Counter[tuple[str, bytes]]:
    labels = ((name.split("/")[0], data) for name, data in files.items())
    return Counter((names.get(label, label), pixels.decode(data, 8, 8, 1).tobytes()) for label, data in labels)


def _change(served: Served, **changes: Any) -> httpx.Response:
    return served.client.patch("/datasets/d1", json=changes, headers=bearer("edit"))


def _add(served: Served, label: str, data: bytes) -> httpx.Response:
    return served.client.post("/datasets/d1/images", params={"label": label}, content=data, headers=bearer("edit"))


def _add_zip(served: Served, files: dict[str, bytes]) -> httpx.Response:
    headers = bearer("edit") | {"content-type": "application/zip"}
    return served.client.post("/datasets/d1/images", content=make_zip(files), headers=headers)


def _unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_download_is_what_was_uploaded(served: Served) -> None:
    files = labelled(3, 5)
    served.made(make_zip({**{f"top/{name}": data for name, data in files.items()}, "top/read.me": b"not a picture"}))
    answer = served.client.get("/datasets/d1/archive.zip")
    assert _unzipped(answer.content) == files


def test_a_download_keeps_sets_and_gives_no_name_twice(served: Served) -> None:
    files = {**labelled(1, 4, "a/train/", 1), **labelled(1, 4, "b/train/", 2), **labelled(1, 2, "a/test/", 3)}
    report = served.made(make_zip(files))
    found = _unzipped(served.client.get("/datasets/d1/archive.zip").content)
    assert Counter(found.values()) == Counter(files.values())
    assert Counter(name.split("/")[0] for name in found) == {"train": 8, "test": 2}
    again = served.made(served.client.get("/datasets/d1/archive.zip").content)
    assert again["labels"] == report["labels"]


def test_renaming_a_label_makes_a_version_with_the_same_shards(served: Served) -> None:
    files = labelled(3, 20)
    before = served.made(make_zip(files))
    report = _change(served, labels={"1": "one"}, name="digits").json()
    assert ([label["name"] for label in report["labels"]], report["name"], report["version"]) == (
        ["0", "one", "2"], "digits", 2,
    )  # fmt: skip
    old, new = served.manifest(before), served.manifest(report)
    assert (old["labels"], new["labels"], new["version"]) == (["0", "1", "2"], ["0", "one", "2"], 2)
    assert list(shards_of(old)) == list(shards_of(new))
    assert old["cut"] != new["cut"]
    assert _contents(served, new) == _expected(files, {"1": "one"})
    served.assert_clean()


def test_labels_can_trade_names_and_a_later_cut_knows(served: Served) -> None:
    files = labelled(3, 8)
    served.made(make_zip(files))
    _change(served, labels={"0": "1", "1": "0"})
    report = _change(served, labels={"0": "zero"}).json()
    assert [label["name"] for label in report["labels"]] == ["1", "zero", "2"]
    report = served.client.post("/datasets/d1/cuts", params={**SHAPE, "seed": 5}, headers=bearer("upload")).json()
    assert _contents(served, served.manifest(report)) == _expected(files, {"0": "1", "1": "zero"})


def test_merging_labels_moves_their_vectors(served: Served) -> None:
    files = {**labelled(4, 20, "train/"), **labelled(4, 5, "test/", 7)}
    served.made(make_zip(files))
    report = _change(served, labels={"1": "odd", "3": "odd"}).json()
    assert [(label["name"], label["train"], label["test"]) for label in report["labels"]] == [
        ("0", 20, 5), ("odd", 40, 10), ("2", 20, 5),
    ]  # fmt: skip
    manifest = served.manifest(report)
    train = {name[6:]: data for name, data in files.items() if name.startswith("train")}
    assert _contents(served, manifest) == _expected(train, {"1": "odd", "3": "odd"})
    assert sum(sum(shard["labels"]) for shard in manifest["test"]["shards"]) == 20
    served.assert_clean()


def test_a_wrong_rename_changes_nothing(served: Served) -> None:
    before = served.made(make_zip(labelled()))
    for labels, words in (({"9": "x"}, "has no label '9'"), ({"0": " "}, "cannot be"), ({"0": "a/b"}, "cannot be")):
        answer = _change(served, labels=labels)
        assert (answer.status_code, words in answer.json()["detail"]) == (422, True)
    assert served.client.get("/datasets/d1").json()["version"] == before["version"]
    served.assert_clean()


def test_added_pictures_come_in_small_shards_that_are_merged(served: Served) -> None:
    files = labelled(2, 16)
    served.made(make_zip(files))
    for number in range(17):  # the sixteenth completes a shard
        label = "new" if number % 2 else "0"
        files[f"{label}/added{number}"] = picture(5000 + number, 9, 8)
        answer = _add(served, label, files[f"{label}/added{number}"])
        assert (answer.status_code, answer.json()["images"]) == (201, 33 + number), answer.text
    report = answer.json()
    assert report["version"] == 18
    assert [(label["name"], label["train"]) for label in report["labels"]] == [("0", 25), ("1", 16), ("new", 8)]
    manifest = served.manifest(report)
    assert [shard["count"] for shard in manifest["shards"]] == [16, 16, 16, 1]
    assert _contents(served, manifest) == _expected(files, {})
    stack = np.stack([pixels.decode(data, 8, 8, 1) for data in files.values()]) / 255
    assert manifest["mean"] == pytest.approx([stack.mean()], abs=1e-9)
    assert manifest["std"] == pytest.approx([stack.std()], abs=1e-9)
    served.assert_clean()
    answer = served.client.post("/datasets/d1/cuts", params={**SHAPE, "seed": 1}, headers=bearer("upload"))
    assert _contents(served, served.manifest(answer.json())) == _expected(files, {})


def test_a_zip_of_pictures_is_one_more_version(served: Served) -> None:
    files = labelled(2, 16)
    served.made(make_zip(files))
    more = {f"new/{number}": picture(7000 + number) for number in range(19)} | {"0/more": picture(6999)}
    report = _add_zip(served, {**more, "new/broken.png": b"no picture"}).json()
    assert (report["version"], report["added"], report["images"]) == (2, 20, 52)
    assert [left["name"] for left in report["left_out"]] == ["new/broken.png"]
    manifest = served.manifest(report)
    assert [shard["count"] for shard in manifest["shards"]] == [16, 16, 20]
    assert _contents(served, manifest) == _expected({**files, **more}, {})
    again = _add_zip(served, {**more, "new/broken.png": b"no picture"}).json()
    assert (again["known"], again["added"], again["version"]) == (True, 0, 2)
    held = _add_zip(served, {"train/0/a": picture(1), "test/0/b": picture(2)})
    assert (held.status_code, "leave out folders named test" in held.json()["detail"]) == (422, True)
    served.assert_clean()


def test_pictures_added_at_once_all_arrive(served: Served) -> None:
    served.made(make_zip(labelled(2, 8)))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: _add(served, "0", picture(9000 + number)), range(4)))
    assert [answer.status_code for answer in answers] == [201] * 4
    assert served.client.get("/datasets/d1").json()["images"] == 20
    served.assert_clean()


def test_a_picture_that_is_none_changes_nothing(served: Served) -> None:
    served.made(make_zip(labelled()))
    for data in (b"", b"no picture", picture(1)[:50]):
        assert _add(served, "0", data).status_code == 422
    assert _add(served, "0", picture(4)).status_code == 201
    assert _add(served, "0", picture(4)).json()["known"], "the same picture again is recognised"
    assert served.client.get("/datasets/d1").json()["version"] == 2
    served.assert_clean()


def test_a_used_data_set_is_not_deleted(served: Served) -> None:
    served.made(make_zip(labelled()))
    for project in ("p1", "p2"):
        assert served.client.put(f"/datasets/d1/uses/{project}", headers=bearer("use")).is_success
    answer = served.client.delete("/datasets/d1", headers=bearer("delete"))
    assert (answer.status_code, "p1, p2" in answer.json()["detail"]) == (409, True)
    assert served.client.get("/datasets/d1").json()["uses"] == ["p1", "p2"]
    for project in ("p1", "p2", "p2"):
        assert served.client.delete(f"/datasets/d1/uses/{project}", headers=bearer("use")).is_success
    assert served.client.delete("/datasets/d1", headers=bearer("delete")).is_success
    assert served.client.get("/datasets/d1").status_code == 404
    served.assert_clean()
    assert served.client.put("/datasets/d1/uses/p1", headers=bearer("use")).status_code == 404


def test_deleting_leaves_what_others_share(served: Served) -> None:
    """Two data sets of equal pictures in different zips may share shards only if their cuts are the same: none do."""
    first, second = labelled(2, 8), {f"top/{name}": data for name, data in labelled(2, 8).items()}
    served.made(make_zip(first))
    kept = served.made(make_zip(second))
    assert served.client.delete("/datasets/d1", headers=bearer("delete")).is_success
    assert _contents(served, served.manifest(kept)) == _expected(first, {})
    served.assert_clean()


def test_thumbnails_show_a_label(served: Served, tmp_path: Path) -> None:
    files = {f"{label}/{n}.png": pixels.encode_png(np.full((8, 8, 3), 40 * label + n, np.uint8))
             for label in (0, 1) for n in range(12)}  # fmt: skip
    served.made(make_zip(files), channels=3)
    answer = served.client.get("/datasets/d1/thumbnails/1.png")
    (tmp_path / "strip.png").write_bytes(answer.content)
    with Image.open(tmp_path / "strip.png") as strip:
        assert strip.size == (64, 8)
        assert all(40 <= strip.getpixel((8 * n, 0))[0] < 52 for n in range(8))  # type: ignore[index]
    assert served.client.get("/datasets/d1/thumbnails/2.png").status_code == 404
    assert served.client.get("/datasets/d9/thumbnails/0.png").status_code == 404


def test_changes_that_are_none_are_refused(served: Served) -> None:
    served.made(make_zip(labelled()))
    bodies = {b"": 422, b"{": 422, b'{"colour": "red"}': 422, b'{"labels": ["0"]}': 422, b" " * 1_000_001: 413}
    for body, status in bodies.items():
        answer = served.client.patch("/datasets/d1", content=body, headers=bearer("edit"))
        assert (answer.status_code, isinstance(answer.json()["detail"], str)) == (status, True), answer.text
