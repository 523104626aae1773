"""What survives a restart."""

import shutil
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from mlitb.database import COPY, NAME, row_hash
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
    assert store.projects()[0].test == {"part": "auto", "manifest": None}
    store.add_action(Action("owner", "::1", "old", "start"))
    store.close()
    Storage(tmp_path).close()


def test_a_database_from_before_test_sets_keeps_its_projects_whole(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    store.close()
    with sqlite3.connect(tmp_path / NAME) as db:  # back to what the release before wrote
        db.execute("ALTER TABLE project DROP COLUMN test")
        row = db.execute("SELECT id, name, layers, settings, seed, running, manifests, created FROM project").fetchone()
        db.execute("UPDATE project SET hash = ?", (row_hash(row),))
        db.execute("DROP TABLE test")
        for column in ("test_set", "test_error", "test_loss"):
            db.execute(f"ALTER TABLE checkpoint DROP COLUMN {column}")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'test_sets'")
        db.execute("PRAGMA user_version=2")
    db.close()
    for _ in range(2):
        again = Storage(tmp_path)
        assert again.projects() == [PROJECT]
        assert again.problems == []
        again.close()


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


def evaluation(iteration: int, error: float, test_set: str = "t") -> dict[str, object]:
    return {
        "iteration": iteration,
        "time": iteration + 1e3 * (test_set != "t"),
        "error": error,
        "loss": 2 * error,
        "identity": test_set,
    }


def test_the_best_checkpoint_is_that_of_the_smallest_test_error_where_there_is_one(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    errors = {0: 0.9, 1: 0.5, 2: 0.2, 3: 0.3, 6: 0.4}
    for iteration, loss in enumerate([3.0, 0.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]):
        store.save("digits", checkpoint(iteration))
        store.add_history([("digits", figures(iteration, loss), {})])
        if iteration in errors:
            store.add_history([("digits", evaluation(iteration, errors[iteration]), None)])
    rows = {row["iteration"]: row for row in store.list_checkpoints("digits")}
    assert list(rows) == [7, 6, 5, 2]
    assert [row["best"] for row in rows.values()] == [False, False, False, True]
    assert (rows[2]["test_error"], rows[2]["test_loss"], rows[7]["test_error"]) == (0.2, 0.4, None)
    store.add_history([("digits", evaluation(5, 0.8, "another set"), None)])
    assert [row["iteration"] for row in store.list_checkpoints("digits") if row["best"]] == [5], "not comparable"
    store.add_history([("digits", evaluation(7, 0.6, "another set"), None)])
    assert [row["iteration"] for row in store.list_checkpoints("digits") if row["best"]] == [7]
    store.close()


def test_a_checkpoint_that_is_saved_after_its_evaluation_knows_its_figures(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    for iteration in range(6, 9):
        store.save("digits", checkpoint(iteration))
    store.add_history([("digits", figures(3, 0.75), {}), ("digits", evaluation(3, 0.1), None)])
    store.save("digits", checkpoint(3))
    row = store.list_checkpoints("digits")[-1]
    assert (row["iteration"], row["best"], row["loss"], row["test_error"]) == (3, True, 0.75, 0.1)
    store.close()


def test_evaluations_come_back_thinned_by_test_set_and_go_with_what_they_measured(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    store.put_project(Project("branch", "Branch", (), {}, 1))
    store.add_history(("digits", evaluation(i, 0.5), None) for i in range(1001))
    store.add_history([("digits", evaluation(3, 0.4, "other"), None)])
    assert [row["iteration"] for row in store.tests("digits", "other")] == [3]
    assert len(store.tests("digits", "t")) == 1001
    thinned = store.tests("digits", "t", most=100)
    assert len(thinned) <= 100
    assert thinned[-1] == evaluation(1000, 0.5)
    store.copy_history("digits", "branch", 10)
    assert [row["iteration"] for row in store.tests("branch", "t")] == list(range(11))
    store.forget_after("digits", 20)
    assert store.tests("digits", "t")[-1]["iteration"] == 20, "that of the checkpoint itself still holds"
    store.forget_history("digits")
    assert store.tests("digits", "t") == []
    store.remove_project("branch")
    assert store.tests("branch", "t") == []
    store.close()


def test_evaluations_grow_thinner_with_age_but_never_lose_the_best(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_project(PROJECT)
    young, every = THINNING[0]
    odd = range(3, 2 * young, 5)  # a slow worker: iterations that no thinning by number would keep
    store.add_history(("digits", evaluation(i, 0.1 if i == 1008 else 0.5), None) for i in odd)
    store.add_history([("digits", figures(2 * young), {})])
    kept = [row["iteration"] for row in store.tests("digits", "t", most=10**6)]
    assert [i for i in kept if i >= young] == [i for i in odd if i >= young]
    assert [i for i in kept if i < young and i != 1008] == list(range(3, young, every))
    assert 1008 in kept
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
