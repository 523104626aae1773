"""Ready-made data sets."""

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

from mlitb import pixels
from mlitb.datasets import DatasetFailed, digits_zip


def test_digits_are_all_there_once_with_a_fifth_held_back(tmp_path: Path) -> None:
    with zipfile.ZipFile(digits_zip(tmp_path / "digits.zip")) as archive:
        files = {name: pixels.decode(archive.read(name), 8, 8, 1) for name in archive.namelist()}
    splits = Counter(name.split("/")[0] for name in files)
    assert splits == {"train": 1437, "test": 360}
    test = Counter(name.split("/")[1] for name in files if name.startswith("test/"))
    assert set(test) == set("0123456789")
    assert min(test.values()) >= 34
    digits = load_digits()
    want = Counter(
        (int(label), np.rint(image * 255 / 16).astype(np.uint8).tobytes())
        for label, image in zip(digits.target, digits.images, strict=True)
    )
    assert Counter((int(name.split("/")[1]), image.tobytes()) for name, image in files.items()) == want


def test_digits_have_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = digits_zip(tmp_path / "1.zip"), digits_zip(tmp_path / "2.zip")
    assert first.read_bytes() == second.read_bytes()


def test_without_scikit_learn_the_digits_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(DatasetFailed, match=r"pip install 'mlitb\[demo\]'"):
        digits_zip(tmp_path / "digits.zip")
