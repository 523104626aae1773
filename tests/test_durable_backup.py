"""Backups taken and put back while everything runs; checkpoints to go back to and to branch from."""

import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mlitb.backup import MANIFEST, PREPARED, BackupFailed, backup, finish_restore, prepare_restore
from mlitb.storage import Storage
from tests.running import Running, command, running, until
from tests.test_durable_stop import training


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("backup") / "data", "--checkpoint", "iteration") as started:
        yield started


def folder_of(system: Running) -> Path:
    """Return the data folder of a running system."""
    arguments = Path(f"/proc/{system.process.pid}/cmdline").read_bytes().decode().split("\0")
    return Path(arguments[arguments.index("--data-dir") + 1])


def mlitb(*arguments: str) -> str:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept(system: Running) -> list[int]:
    rows = system.visitor.get("/api/projects/digits/checkpoints").json()
    return [row["iteration"] for row in rows]


def train(system: Running, iterations: int) -> None:
    with training(system, delay_s=0.0) as trainer:
        trainer.run(iterations)
        last = trainer.answered[-1]
        until(lambda: system.iteration() > last, "the last answer is taken")
    until(lambda: kept(system)[0] > last, "it is saved")


def test_a_backup_of_a_running_server_comes_back_on_another_folder(system: Running, tmp_path: Path) -> None:
    train(system, 2)
    with training(system, delay_s=0.0) as trainer:
        trainer.run(1)
        said = mlitb("backup", str(tmp_path / "b.zip"), "--data-dir", str(folder_of(system)))
    assert "1 projects with their pictures" in said
    assert (tmp_path / "b.zip").stat().st_mode & 0o777 == 0o600
    mlitb("restore", str(tmp_path / "b.zip"), "--data-dir", str(tmp_path / "other"))
    with running(tmp_path / "other", demo=False) as other:
        mine, theirs = system.project(), other.project()
        for key in ("layers", "labels", "settings", "datasets", "seed"):
            assert mine[key] == theirs[key]
        assert other.iteration() >= 2
        assert other.token == system.token
        train(other, 2)


def test_a_restore_into_a_running_server_restarts_it(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running(data_dir, "--checkpoint", "iteration") as system:
        train(system, 2)
        mlitb("backup", str(tmp_path / "b.zip"), "--data-dir", str(data_dir))
        body = {"name": "later", "layers": system.project()["layers"]}
        assert system.owner.post("/api/projects", json=body).status_code == 201
        at = system.iteration()
        train(system, 2)
        said = mlitb("restore", str(tmp_path / "b.zip"), "--data-dir", str(data_dir))
        assert "starts again" in said

        def back() -> bool:
            try:
                return [view["id"] for view in system.visitor.get("/api/projects").json()] == ["digits"]
            except httpx.TransportError:
                return False

        until(back, "the server is back with what the backup holds", 60)
        assert system.iteration() <= at + 1
        train(system, 2)
    assert "later" in str([path.read_bytes() for path in data_dir.glob(".before-restore-*/master/*.sqlite*")])


def test_a_backup_never_overwrites_and_names_what_is_no_data_folder(system: Running, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(b"mine")
    with pytest.raises(BackupFailed, match="never overwrites"):
        backup(folder_of(system), tmp_path / "b.zip")
    with pytest.raises(BackupFailed, match="no data folder"):
        backup(tmp_path, tmp_path / "c.zip")


@pytest.mark.parametrize("damage", ["flip", "no manifest", "no zip", "escape"])
def test_a_damaged_backup_changes_nothing(system: Running, tmp_path: Path, damage: str) -> None:
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    backup(folder_of(system), good, with_data=False)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == MANIFEST and damage == "no manifest":
                continue
            if name == MANIFEST and damage == "escape":
                data = json.dumps({**json.loads(data), "files": {"master/../../evil": "0"}}).encode()
            if name == "master/master.sqlite" and damage == "flip":
                data = data[:-1] + bytes([data[-1] ^ 1])
            target.writestr(name, data)
    if damage == "no zip":
        bad.write_bytes(b"nothing")
    folder = tmp_path / "data"
    (folder / "master").mkdir(parents=True)
    (folder / "master" / "mine").touch()
    with pytest.raises(BackupFailed, match=r"bad\.zip|damaged"):
        prepare_restore(folder, bad)
    assert finish_restore(folder) is None
    assert sorted(path.name for path in folder.rglob("*")) == ["master", "mine"]


def test_a_restore_that_was_killed_half_way_is_finished_by_the_next_start(system: Running, tmp_path: Path) -> None:
    backup(folder_of(system), tmp_path / "b.zip", with_data=False)
    folder = tmp_path / "data"
    prepare_restore(folder, tmp_path / "b.zip")
    (folder / PREPARED / "master").rename(folder / "master")  # killed here
    assert finish_restore(folder) is not None
    assert not (folder / PREPARED).exists()
    assert (folder / "owner-token").read_text().strip() == system.token
    storage = Storage(folder / "master")
    assert [project.id for project in storage.projects()] == ["digits"]
    storage.close()


# ----------------------------------------------------------------------------------------------- checkpoints
def test_a_project_goes_back_to_a_checkpoint_and_on_from_there(system: Running) -> None:
    train(system, 4)
    rows = system.visitor.get("/api/projects/digits/checkpoints").json()
    assert [row["iteration"] for row in rows] == sorted((row["iteration"] for row in rows), reverse=True)
    old = rows[-1]["iteration"]
    bits = system.visitor.get(f"/api/projects/digits/checkpoints/{old}.safetensors")
    assert bits.status_code == 200
    at = system.iteration()
    said = mlitb("checkpoints", "restore", "digits", str(old), "--data-dir", str(folder_of(system)))
    assert f"iteration {old}" in said
    assert system.iteration() > at, "an iteration number is never used twice"
    until(lambda: kept(system)[0] > at, "it is saved")
    storage_bits = system.visitor.get(f"/api/projects/digits/checkpoints/{kept(system)[0]}.safetensors")
    assert storage_bits.content[-1000:] == bits.content[-1000:], "the same parameters"
    train(system, 2)
    actions = system.owner.get("/api/audit", params={"project": "digits"}).json()
    assert actions[0]["action"] == "restore"
    assert actions[0]["detail"] == {"iteration": str(old)}
    assert actions[0]["address"] == "127.0.0.1"


def test_a_branch_goes_on_from_a_checkpoint_with_data_and_history(system: Running) -> None:
    train(system, 2)
    data_dir = str(folder_of(system))
    listed = mlitb("checkpoints", "list", "digits", "--data-dir", data_dir)
    old = kept(system)[0]
    assert str(old) in listed
    mlitb("checkpoints", "branch", "digits", str(old), "Another way", "--data-dir", data_dir)
    view = system.project("another-way")
    assert (view["name"], view["status"]["state"], view["status"]["iteration"]) == ("Another way", "paused", old)
    assert view["datasets"] == system.project()["datasets"]
    assert view["status"]["data_vectors"] == 1437
    rows = system.visitor.get("/api/projects/another-way/history").json()
    assert rows
    assert all(row["iteration"] < old for row in rows)
    assert system.owner.delete("/api/projects/another-way").is_success
    assert [view["id"] for view in system.visitor.get("/api/projects").json()] == ["digits"]


@pytest.mark.parametrize("path", ["restore", "branch"])
def test_who_is_not_the_owner_may_not(system: Running, path: str) -> None:
    answer = system.visitor.post(f"/api/projects/digits/checkpoints/1/{path}", json={"name": "x"})
    assert answer.status_code == 403
    assert system.visitor.get("/api/audit").status_code == 403
    assert system.visitor.post("/api/restart").status_code == 403


def test_a_checkpoint_that_is_not_there_is_named(system: Running) -> None:
    answer = system.owner.post("/api/projects/digits/checkpoints/999999/restore")
    assert answer.status_code == 404
    assert "999999" in answer.json()["detail"]


def test_the_audit_says_who_changed_what(system: Running) -> None:
    before = system.project()["settings"]["learning_rate"]
    assert system.owner.patch("/api/projects/digits", json={"learning_rate": 0.02}).is_success
    assert system.visitor.patch("/api/projects/digits", json={"learning_rate": 0.9}).status_code == 403
    assert system.owner.patch("/api/projects/digits", json={"learning_rate": -1}).status_code == 422

    def changed() -> bool:
        action = system.owner.get("/api/audit").json()[0]
        wanted = {"learning_rate": {"from": before, "to": 0.02}}
        return bool(action["action"] == "set" and action["detail"] == wanted and action["who"] == "owner")

    until(changed, "the change is in the audit, and nothing that was refused")
