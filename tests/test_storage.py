"""What survives a restart."""

import shutil
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from mlitb.database import COPY, NAME
from mlitb.storage import KEEP, NUMBERS, THINNING, Action, Checkpoint, Project, Storage, StorageError

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
        store.add_history([("digits", {"iteration": i, "time": float(i), "error": 0.5}, {})])
    thinned = store.history("digits", most=100)
    assert len(thinned) <= 102
    assert thinned[-1]["iteration"] == 1001
    assert len(store.history("digits")) == 1001
    assert [row["iteration"] for row in store.history("digits", after=999)] == [1000, 1001]
    store.close()


def test_removing_a_project_leaves_nothing_of_it(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    store.add_history([("digits", {"iteration": 1, "time": 1.0}, {})])
    path = store.save("digits", checkpoint(1))
    store.remove_project("digits")
    assert store.projects() == []
    assert store.history("digits") == []
    assert not path.parent.exists()
    store.add_history([("digits", {"iteration": 2, "time": 2.0}, {})])  # figures that were on their way
    assert store.history("digits") == []
    store.close()


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Storage(tmp_path).close()
    with sqlite3.connect(tmp_path / "master.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StorageError, match="newer MLitB"):
        Storage(tmp_path)


def test_a_first_release_database_is_brought_up_to_date(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute(
            "CREATE TABLE project (id TEXT PRIMARY KEY, name TEXT NOT NULL, layers TEXT NOT NULL, "
            "settings TEXT NOT NULL, seed INTEGER NOT NULL, "
            "running INTEGER NOT NULL, manifests TEXT NOT NULL, created REAL NOT NULL)"
        )
        db.execute("INSERT INTO project VALUES ('old', 'Old', '[]', '{}', 1, 1, '[]', 2.5)")
        db.execute("PRAGMA user_version=1")
    db.close()
    store = Storage(tmp_path)
    assert store.projects() == [Project("old", "Old", (), {}, 1, True, (), 2.5)]
    store.add_action(Action("owner", "::1", "old", "start"))
    store.close()
    Storage(tmp_path).close()


def test_a_foreign_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "master.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match="not a database"):
        Storage(tmp_path)


@pytest.mark.parametrize("damage", ["foreign", "truncated", "row"])
def test_a_damaged_database_is_moved_aside_and_its_copy_used(tmp_path: Path, damage: str) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    store.keep_copy()
    store.put_project(Project("later", "Later", (), {}, 1))
    store.close()
    path = tmp_path / NAME
    if damage == "row":
        with sqlite3.connect(path) as db:  # as a flipped bit would: the page is well-formed
            db.execute("UPDATE project SET settings = '{\"period\": 2.0}' WHERE id = 'digits'")
        db.close()
    else:
        path.write_bytes({"foreign": b"x" * 5000, "truncated": path.read_bytes()[:9000]}[damage])
    again = Storage(tmp_path)
    assert again.projects() == [PROJECT]
    assert len(again.problems) == 1
    assert "its copy of" in again.problems[0]
    assert len(list(tmp_path.glob(f"{NAME}.damaged-*"))) == 1
    again.close()


def test_a_damaged_database_without_a_good_copy_is_refused(tmp_path: Path) -> None:
    Storage(tmp_path).close()
    (tmp_path / NAME).write_bytes(b"x" * 5000)
    (tmp_path / COPY).write_bytes(b"y" * 5000)
    with pytest.raises(StorageError, match="restore a backup"):
        Storage(tmp_path)
    assert (tmp_path / NAME).read_bytes() == b"x" * 5000


def test_what_a_crash_left_half_written_is_swept_and_foreign_files_are_named(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    path = store.save("digits", checkpoint(1))
    store.close()
    half = path.with_name(path.name + ".part")
    shutil.copy(path, half)
    foreign = path.with_name("holiday.jpg")
    foreign.write_bytes(b"")
    again = Storage(tmp_path)
    assert not half.exists()
    assert foreign.exists()
    assert [str(foreign) in problem for problem in again.problems] == [True]
    assert [row["iteration"] for row in again.list_checkpoints("digits")] == [1]
    again.close()


def figures(iteration: int, loss: float = 1.0) -> dict[str, float]:
    return {"iteration": iteration, "time": 1.0, "vectors": 5, "loss": loss, "error": loss / 2}


def test_the_best_checkpoint_is_kept_beside_the_newest(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    for iteration, loss in enumerate([3.0, 0.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]):
        store.save("digits", checkpoint(iteration))
        store.add_history([("digits", figures(iteration, loss), {})])
    rows = store.list_checkpoints("digits")
    assert [row["iteration"] for row in rows] == [7, 6, 5, 1]
    assert [row["best"] for row in rows] == [False, False, False, True]
    assert rows[-1]["loss"] == 0.5
    assert rows[-1]["bytes"] > 0
    assert store.load_at("digits", 1).iteration == 1
    store.close()


def test_history_grows_thinner_with_age(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    young, every = THINNING[0]
    store.add_history(("digits", figures(i), {}) for i in range(1, 2 * young + 1))
    kept = [row["iteration"] for row in store.history("digits", most=10**6)]
    assert kept[-young:] == list(range(young + 1, 2 * young + 1))
    assert kept[:-young] == list(range(every, young + 1, every))
    store.close()


def test_history_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    with pytest.raises(KeyError):
        store.add_history([("digits", figures(1), {}), ("digits", {"iteration": 2}, {})])
    assert store.history("digits") == []
    store.add_history([("digits", figures(1), {})])
    store.close()


def test_the_audit_says_who_did_what_newest_first(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.add_action(Action("owner", "10.0.0.1", "digits", "set", {"period": 2.0}))
    store.add_action(Action("owner", "10.0.0.2", "other", "pause"))
    assert [(row["address"], row["action"]) for row in store.actions()] == [("10.0.0.2", "pause"), ("10.0.0.1", "set")]
    assert [row["detail"] for row in store.actions("digits")] == [{"period": 2.0}]
    assert abs(store.actions()[0]["time"] - time.time()) < 60
    store.close()


def test_client_numbers_never_come_back(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    assert store.reserved == 0
    store.reserve_numbers(NUMBERS + 700)
    store.close()
    again = Storage(tmp_path)
    assert again.reserved == NUMBERS + 700
    again.close()
