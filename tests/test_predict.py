"""`mlitb predict` and `mlitb evaluate` on real pictures, against scikit-learn, and on what is no picture."""

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mlitb.cli import main
from tests import models

sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle here")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with model.json, digits.zip, the test pictures in pictures/ and one that is none."""
    place = tmp_path_factory.mktemp("predict")
    models.write(place / "model.json", models.trained())
    models.digits_archive(place / "digits.zip")
    with zipfile.ZipFile(place / "digits.zip") as file:
        for name in [name for name in file.namelist() if name.startswith("test/")]:
            path = place / "pictures" / Path(name).relative_to("test")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read(name))
    (place / "bad.png").write_bytes(b"no picture")
    return place


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_table_has_a_row_for_each_picture_and_equals_the_engine(folder: Path) -> None:
    done = run("predict", folder / "model.json", folder / "pictures", "--csv")
    assert done.exit_code == 0, done.stderr
    table = rows(done.stdout)
    assert len(table) == 360
    assert list(table[0]) == ["picture", "label", "probability", *models.LABELS]
    right = sum(row["label"] == Path(row["picture"]).parent.name for row in table)
    assert right > 300
    for row in table:
        shares = [float(row[label]) for label in models.LABELS]
        assert sum(shares) == pytest.approx(1, abs=1e-4)
        assert row["label"] == models.LABELS[int(np.argmax(shares))]
        assert float(row["probability"]) == max(shares)


def test_a_zip_and_single_files_give_what_the_folder_gives(folder: Path) -> None:
    one, two = (min((folder / "pictures" / label).iterdir()) for label in ("3", "7"))
    single = rows(run("predict", folder / "model.json", one, two, "--csv").stdout)
    assert [row["picture"] for row in single] == [str(one), str(two)]
    whole = {
        row["picture"]: row
        for row in rows(run("predict", folder / "model.json", folder / "digits.zip", "--csv").stdout)
    }
    assert len(whole) == 1797
    for row, name in zip(single, [f"test/3/{one.name}", f"test/7/{two.name}"], strict=True):
        assert {**whole[name], "picture": ""} == {**row, "picture": ""}


def test_the_five_likeliest_labels_are_printed(folder: Path) -> None:
    done = run("predict", "--top", "2", folder / "model.json", folder / "pictures/0/0001.png")
    assert done.exit_code == 0
    first, best, second = done.stdout.splitlines()
    assert first.endswith("0001.png:")
    assert float(best.split("%")[0]) >= float(second.split("%")[0])


def test_what_is_no_picture_is_named_and_stops_nothing(folder: Path) -> None:
    good = folder / "pictures/0/0001.png"
    done = run("predict", folder / "model.json", folder / "bad.png", good, folder / "missing.png", "--csv")
    assert done.exit_code == 1
    assert [row["picture"] for row in rows(done.stdout)] == [str(good)]
    assert "bad.png: not a picture that can be read" in done.stderr
    assert "missing.png cannot be read (No such file or directory)" in done.stderr


def test_a_zip_that_is_none_is_refused(folder: Path) -> None:
    broken = folder / "broken.zip"
    broken.write_bytes(b"PK no")
    for command in (["predict", folder / "model.json", broken], ["evaluate", folder / "model.json", broken]):
        done = run(*command)
        assert done.exit_code == 1
        assert "broken.zip cannot be read as a zip" in done.stderr


def test_an_evaluation_equals_scikit_learns_on_the_same_predictions(folder: Path) -> None:
    found = json.loads(run("evaluate", folder / "model.json", folder / "digits.zip", "--json").stdout)
    table = rows(run("predict", folder / "model.json", folder / "pictures", "--csv").stdout)
    true = [Path(row["picture"]).parent.name for row in table]
    predicted = [row["label"] for row in table]
    shares = np.array([[float(row[label]) for label in models.LABELS] for row in table])
    assert found["vectors"] == len(table)
    assert found["error"] == pytest.approx(1 - sklearn.accuracy_score(true, predicted))
    normed = shares / shares.sum(1, keepdims=True)  # six digits are written
    assert found["loss"] == pytest.approx(sklearn.log_loss(true, normed, labels=models.LABELS), rel=1e-3)
    assert found["confusion"] == sklearn.confusion_matrix(true, predicted, labels=models.LABELS).tolist()
    want = sklearn.precision_recall_fscore_support(true, predicted, labels=models.LABELS, zero_division=0)
    mine = [[row[key] for row in found["labels"]] for key in ("precision", "recall", "f1", "support")]
    np.testing.assert_allclose(mine, want)
    top = [sklearn.top_k_accuracy_score(true, shares, k=k, labels=models.LABELS) for k in range(1, 6)]
    assert found["top"] == pytest.approx(top)


def test_an_evaluation_prints_tables_and_names_what_it_skipped(folder: Path) -> None:
    archive = models.digits_archive(folder / "more.zip", {"test/0/no.png": b"none", "test/cat/a.png": b"x"})
    done = run("evaluate", folder / "model.json", archive)
    assert done.exit_code == 1
    assert "pictures 360  skipped 2" in done.stdout
    assert "top-1" in done.stdout
    assert "precision" in done.stdout
    assert "test/0/no.png: not a picture that can be read" in done.stderr
    assert "test/cat/a.png: the model does not know the label 'cat'" in done.stderr


def test_an_archive_without_any_known_label_is_refused(folder: Path) -> None:
    path = folder / "cats.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("cat/a.png", models.png(np.zeros((8, 8))))
    done = run("evaluate", folder / "model.json", path)
    assert done.exit_code == 1
    assert "cats.zip holds no picture of a label that the model knows" in done.stderr
    assert "'cat'" in done.stderr
