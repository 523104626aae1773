"""What survives a restart."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from mlitb.storage import KEEP, Checkpoint, Project, Storage, StorageError

PROJECT = Project("digits", "Digits", ({"type": "input"},), {"period": 1.0}, 7, True, ({"cut": "c1"},), 1.5)


def checkpoint(iteration: int) -> Checkpoint:
    arrays = {"parameters": np.arange(5, dtype=np.float32) + iteration, "squares": np.ones(5, np.float32)}
    return Checkpoint(iteration, 0.25, ("a", "b"), arrays)


def test_projects_come_back_as_they_were(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    store.close()
    again = Storage(tmp_path)
    assert again.projects() == [PROJECT]
    again.close()


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.save("digits", checkpoint(3))
    found = store.load("digits")
    assert found is not None
    assert (found.iteration, found.learning_rate, found.labels) == (3, 0.25, ("a", "b"))
    assert found.arrays["parameters"].tobytes() == checkpoint(3).arrays["parameters"].tobytes()
    assert store.load("other") is None
    store.close()


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    paths = [store.save("digits", checkpoint(i)) for i in range(KEEP + 2)]
    assert [path.exists() for path in paths] == [False, False, True, True, True]
    store.close()


@pytest.mark.parametrize("damage", ["flip", "cut", "foreign"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path: Path, damage: str) -> None:
    store = Storage(tmp_path)
    store.save("digits", checkpoint(1))
    path = store.save("digits", checkpoint(2))
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-1] ^= 1
    path.write_bytes(bytes({"flip": data, "cut": data[:-7], "foreign": b"not a checkpoint"}[damage]))
    found = store.load("digits")
    assert found is not None
    assert found.iteration == 1
    assert len(store.problems) == 1
    assert str(path) in store.problems[0]
    store.close()


def test_history_is_thinned_evenly_and_keeps_the_newest(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    for i in range(1, 1002):
        store.add_history("digits", {"iteration": i, "time": float(i), "error": 0.5}, {})
    thinned = store.history("digits", most=100)
    assert len(thinned) <= 102
    assert thinned[-1]["iteration"] == 1001
    assert len(store.history("digits")) == 1001
    store.close()


def test_removing_a_project_leaves_nothing_of_it(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    store.add_history("digits", {"iteration": 1, "time": 1.0}, {})
    path = store.save("digits", checkpoint(1))
    store.remove_project("digits")
    assert store.projects() == []
    assert store.history("digits") == []
    assert not path.parent.exists()
    store.add_history("digits", {"iteration": 2, "time": 2.0}, {})  # figures that were on their way
    assert store.history("digits") == []
    store.close()


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Storage(tmp_path).close()
    with sqlite3.connect(tmp_path / "master.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StorageError, match="newer MLitB"):
        Storage(tmp_path)


def test_a_foreign_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "master.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match="not a database"):
        Storage(tmp_path)
