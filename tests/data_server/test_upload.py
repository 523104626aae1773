"""Uploads: what comes in, what comes out, and what people are told."""

import io
import unicodedata
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from data_server.cut import read_shard
from data_server.settings import Limits
from data_server.store import shards_of
from mlitb import pixels
from tests.data_server.conftest import Served, bearer
from tests.data_server.zips import labelled, make_zip, picture


def test_an_upload_becomes_a_cut_whose_shards_hold_its_pictures(served: Served) -> None:
    files = labelled(3, 20)
    report = served.made(make_zip(files), name="  my   pictures ")
    assert (report["id"], report["name"], report["images"], report["known"]) == ("d1", "my pictures", 60, False)
    assert report["labels"] == [{"name": str(n), "train": 20, "validation": 0, "test": 0} for n in range(3)]
    manifest = served.manifest(report)
    assert (manifest["vectors"], manifest["labels"], manifest["version"]) == (60, ["0", "1", "2"], 1)
    found: set[tuple[int, bytes]] = set()
    for shard in manifest["shards"]:
        data = served.client.get(f"/shards/{shard['hash']}.zip").content
        head, pngs = read_shard(data)
        assert (len(data), len(pngs)) == (shard["bytes"], shard["count"])
        assert head == {**{k: manifest[k] for k in ("cut", "width", "height", "channels")}, "labels": head["labels"]}
        assert np.bincount(head["labels"], minlength=3).tolist() == shard["labels"]
        found |= {(label, _pixels(png)) for label, png in zip(head["labels"], pngs, strict=True)}
    assert found == {(int(name[0]), _pixels(data)) for name, data in files.items()}
    served.assert_clean()


def test_mean_and_deviation_are_those_of_the_training_pixels(served: Served) -> None:
    files = {f"{split}/{label}/{n}.png": picture(n + 99 * label + len(split), channels=3)
             for split in ("train", "test") for label in (0, 1) for n in range(17)}  # fmt: skip
    manifest = served.manifest(served.made(make_zip(files), channels=3))
    train = np.stack([pixels.decode(data, 8, 8, 3) for name, data in files.items() if name.startswith("train")])
    assert manifest["mean"] == pytest.approx((train / 255).mean(axis=(0, 1, 2)).tolist(), abs=1e-12)
    assert manifest["std"] == pytest.approx((train / 255).std(axis=(0, 1, 2)).tolist(), abs=1e-9)
    assert (manifest["vectors"], manifest["test"]["vectors"], manifest["validation"]["vectors"]) == (34, 34, 0)


def test_equal_uploads_make_equal_shards(served: Served) -> None:
    data = make_zip(labelled())
    first = served.made(data)
    again = served.made(data)
    assert (again["known"], again["id"], len(again["cuts"])) == (True, first["id"], 1)
    before = list(shards_of(served.manifest(first)))
    assert served.client.delete("/datasets/d1", headers=bearer("delete")).is_success
    served.assert_clean()
    assert not list((served.settings.data_dir / "shards").iterdir())
    second = served.made(data)
    assert second["id"] == "d2", "a data set's id never comes back"
    assert list(shards_of(served.manifest(second))) == before


def test_same_bytes_with_another_shape_get_another_cut(served: Served) -> None:
    data = make_zip(labelled())
    served.made(data)
    report = served.made(data, width=4, height=6, mode="fit")
    assert report["known"]
    assert [(cut["width"], cut["height"], cut["mode"]) for cut in report["cuts"]] == [(8, 8, "crop"), (4, 6, "fit")]
    answer = served.client.post("/datasets/d1/cuts?width=5&height=5&channels=3", headers=bearer("upload"))
    assert (answer.status_code, len(answer.json()["cuts"])) == (201, 3)
    served.assert_clean()


def test_folders_for_sets_are_recognised(served: Served) -> None:
    files = {**labelled(2, 16, "top/Train/", 1), **labelled(2, 4, "top/val/", 2), **labelled(2, 3, "top/TEST/", 3)}
    report = served.made(make_zip(files))
    assert report["labels"][0] == {"name": "0", "train": 16, "validation": 4, "test": 3}
    assert "only train is trained on" in report["notes"][0]
    manifest = served.manifest(report)
    assert [manifest["vectors"], manifest["validation"]["vectors"], manifest["test"]["vectors"]] == [32, 8, 6]


@pytest.mark.parametrize("labelled_tests", [True, False])
def test_unlabelled_pictures_beside_the_label_folders_are_left_out_and_named(
    served: Served, labelled_tests: bool
) -> None:
    files = {**labelled(2, 16, "train/", 1), "test/a.png": picture(501), "train/b.png": picture(502)}
    if labelled_tests:
        files |= labelled(2, 3, "test/", 3)
    report = served.made(make_zip(files))
    assert [label["name"] for label in report["labels"]] == ["0", "1"], "neither train nor test is a label"
    assert report["labels"][0] == {"name": "0", "train": 16, "validation": 0, "test": 3 * labelled_tests}
    left_out = {file["name"]: file["reason"] for file in report["skipped"]["files"]}
    assert left_out == dict.fromkeys(("test/a.png", "train/b.png"), "not in a label folder")
    assert (report["skipped"]["total"], report["images"]) == (2, 32 + 6 * labelled_tests)


def test_a_validation_share_is_held_back_by_label(served: Served) -> None:
    report = served.made(make_zip(labelled(3, 20)), validation=0.3)
    assert report["labels"] == [{"name": str(n), "train": 14, "validation": 6, "test": 0} for n in range(3)]
    manifest = served.manifest(report)
    train = {shard["hash"] for shard in manifest["shards"]}
    assert manifest["validation"]["vectors"] == 18
    assert not train & {shard["hash"] for shard in manifest["validation"]["shards"]}


@pytest.mark.parametrize(("duplicates", "images"), [("keep", 41), ("drop", 40)])
def test_duplicates_are_counted_and_dropped_when_asked(served: Served, duplicates: str, images: int) -> None:
    files = labelled(2, 20)
    report = served.made(make_zip({**files, "0/again.png": files["0/000.png"]}), duplicates=duplicates)
    assert (report["duplicates"], report["images"]) == (1, images)


def test_odd_names_are_taken(served: Served) -> None:
    files = labelled(1, 4)
    odd = {
        "my data/some/deep/folder/0/IMG 0001.PNG": picture(1),
        "ラベル/ü é.png": picture(2),
        unicodedata.normalize("NFD", "café") + "/1.png": picture(3),
        unicodedata.normalize("NFC", "café") + "/2.png": picture(4),
        " spaces /x.png": picture(5),
        "windows\\3.png": picture(6),
        "noending/0001": picture(7),
        "./dot/./8.png": picture(8),
    }
    names = {label["name"]: label["train"] for label in served.made(make_zip({**files, **odd}))["labels"]}
    assert names == {"0": 5, "ラベル": 1, "café": 2, "spaces": 1, "windows": 1, "noending": 1, "dot": 1}


def test_labels_are_in_natural_order(served: Served) -> None:
    files = {f"{name}/{n}.png": picture(n + 10 * i) for i, name in enumerate(["10", "2", "b", "a"]) for n in range(5)}
    assert served.manifest(served.made(make_zip(files)))["labels"] == ["2", "10", "a", "b"]


def test_what_is_no_picture_is_skipped_with_a_reason(served: Served) -> None:
    odd = {
        "__MACOSX/0/._1.png": b"resource",
        "0/.DS_Store": b"x",
        "0/Thumbs.db": b"x",
        "0/readme.txt": b"hello",
        "0/more.zip": make_zip(labelled(1, 1)),
        "0/drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "0/page.png": b"<!doctype html><script>alert(1)</script>",
        "0/cut.png": picture(1)[:60],
        "0/empty.png": b"",
        "top.png": picture(3),
    }
    report = served.made(make_zip({**labelled(2, 8), **odd}))
    assert (report["images"], report["skipped"]["total"]) == (16, len(odd))
    reasons = {file["name"]: file["reason"] for file in report["skipped"]["files"]}
    assert reasons.keys() == odd.keys()
    assert reasons["0/drawing.svg"] == "SVG: a drawing, not pixels"
    assert reasons["0/page.png"].startswith("not a picture that can be read")
    assert reasons["0/cut.png"].startswith("cut short or damaged")
    assert reasons["top.png"] == "not in a label folder"
    assert report["skipped"]["reasons"]["system file"] == 3
    served.assert_clean()


def test_all_formats_become_pixels(served: Served) -> None:
    files = labelled(1, 3)
    for form in ("JPEG", "PNG", "GIF", "WEBP", "BMP"):
        out = io.BytesIO()
        Image.new("RGB", (16, 16), (200, 100, 50)).save(out, form)
        files[f"x/a.{form.lower()}"] = out.getvalue()
    report = served.made(make_zip(files))
    assert (report["images"], report["skipped"]["total"]) == (8, 0)


def test_zip64_and_deflated_zips_are_read(served: Served) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in labelled(2, 8).items():
            with archive.open(name, "w", force_zip64=True) as entry:
                entry.write(data)
    assert served.made(out.getvalue())["images"] == 16


def test_a_zip_with_a_comment_and_data_descriptors_is_read(served: Served) -> None:
    class Pipe(io.RawIOBase):
        """A stream that cannot seek: zipfile then writes sizes behind the data."""

        def __init__(self) -> None:
            self.parts: list[bytes] = []

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.parts.append(bytes(data))  # type: ignore[call-overload]
            return len(self.parts[-1])

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"PK\x05\x06 is not the end"
        for name, data in labelled(2, 8).items():
            archive.writestr(name, data)
    assert served.made(b"".join(pipe.parts))["images"] == 16


BAD = {
    "nothing": (b"", 400, "empty"),
    "no zip": (b"hello, this is not a zip", 415, "not a zip"),
    "empty zip": (make_zip({}), 422, "no files"),
    "no label folder": (make_zip({"a.png": picture(1), "b.png": picture(2)}), 422, "not in a label folder"),
    "only a truncated picture": (make_zip({"0/a.png": picture(1)[:50]}), 422, "cut short or damaged"),
    "sets without labels": (make_zip({"train/a.png": picture(1), "test/b.png": picture(2)}), 422, "one folder per"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_uploads_get_a_sentence_and_change_nothing(served: Served, case: str) -> None:
    data, status, words = BAD[case]
    answer = served.upload(data)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert served.client.get("/datasets").json() == []
    assert served.client.get("/healthz").json()["counters"][f"status {status}"] == 1
    served.assert_clean()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"width": 0}, "width"),
        ({"height": 513}, "height"),
        ({"channels": 2}, "2 channels"),
        ({"mode": "melt"}, "mode"),
        ({"validation": 1.5}, "validation"),
        ({"duplicates": "eat"}, "duplicates"),
        ({"colour": "red"}, "colour"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_cut_that_cannot_be_is_refused_before_a_byte_is_read(served: Served, query: dict, words: str) -> None:  # type: ignore[type-arg]
    answer = served.upload(make_zip(labelled()), **query)
    assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.text


def test_a_form_is_refused_with_the_remedy(served: Served) -> None:
    answer = served.client.post("/datasets?width=8&height=8", files={"file": b"PK"}, headers=bearer("upload"))
    assert (answer.status_code, "--data-binary" in answer.json()["detail"]) == (415, True)


def test_a_large_upload_is_refused_by_its_length_and_by_its_bytes(serve: Callable[..., Served]) -> None:
    served = serve(Limits(upload_bytes=2_000))
    assert served.upload(make_zip(labelled())).status_code == 413
    parts = iter([make_zip(labelled())])
    answer = served.client.post("/datasets?width=8&height=8&channels=1", content=parts, headers=bearer("upload"))
    assert (answer.status_code, "2,000 bytes" in answer.json()["detail"]) == (413, True)
    served.assert_clean()


def _pixels(png: bytes) -> bytes:
    return pixels.decode(png, 8, 8, 1).tobytes()
