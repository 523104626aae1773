"""Data folders that cannot be used, or only in part: a sentence each."""

import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from mlitb.database import COPY, NAME
from tests.running import command, free_port, running, until
from tests.test_up import failed_start


def refused(data_dir: Path) -> str:
    """Start on a folder that cannot be used; return the sentence."""
    return failed_start("up", "--port", str(free_port()), "--data-port", str(free_port()), "--data-dir", str(data_dir))


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a data folder in which the demo project was made."""
    data_dir = tmp_path_factory.mktemp("used") / "data"
    with running(data_dir):
        pass
    return data_dir


@pytest.fixture
def folder(used: Path, tmp_path: Path) -> Path:
    """Give a copy of it."""
    return Path(shutil.copytree(used, tmp_path / "data"))


def test_a_second_master_on_a_folder_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "data", demo=False) as first:
        sentence = refused(tmp_path / "data")
        assert f"process {first.process.pid}" in sentence
        assert first.master in sentence
        assert first.visitor.get("/readyz").status_code == 200
        said = json.loads((tmp_path / "data" / "lock").read_text())
        assert said["pid"] == first.process.pid


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    sentence = refused(tmp_path)
    assert "photo.jpg" in sentence
    assert "--data-dir" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_foreign_file_among_ours_is_named_and_left_alone(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    with running(folder, demo=False) as system:
        assert system.visitor.get("/readyz").status_code == 200
    errors = system.errors
    assert "notes.txt" in errors
    assert "left alone" in errors
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:  # nothing is read-only to root but a mount
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)], capture_output=True)
        if mounted.returncode:
            pytest.skip("root may write everywhere, and mounting a read-only tmpfs is not allowed here")
        try:
            sentence = refused(tmp_path)
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)
    else:
        tmp_path.chmod(0o500)
        sentence = refused(tmp_path)
    assert "cannot be written" in sentence
    assert str(tmp_path) in sentence


def test_a_database_of_a_newer_version_is_refused(folder: Path) -> None:
    with sqlite3.connect(folder / "master" / NAME) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    sentence = refused(folder)
    assert "newer MLitB" in sentence
    assert "99" in sentence


def test_a_corrupt_database_without_a_copy_is_refused(folder: Path) -> None:
    (folder / "master" / NAME).write_bytes(b"no database" * 1000)
    (folder / "master" / COPY).unlink()
    sentence = refused(folder)
    assert "not a database" in sentence
    assert "mlitb restore" in sentence


def test_a_corrupt_database_is_named_and_its_copy_used(folder: Path) -> None:
    (folder / "master" / NAME).write_bytes(b"no database" * 1000)
    with running(folder, demo=False) as system:
        assert system.project()["labels"] == [str(digit) for digit in range(10)]
    assert "its copy of" in system.errors
    assert len(list((folder / "master").glob("*.damaged-*"))) == 1


def test_corrupt_checkpoints_are_named_and_the_project_waits_at_its_seed(folder: Path) -> None:
    paths = list((folder / "master" / "checkpoints" / "digits").glob("*.safetensors"))
    assert paths
    for path in paths:
        path.write_bytes(path.read_bytes()[:-1])
    with running(folder, demo=False) as system:
        assert system.project()["status"]["state"] == "paused"
        assert system.iteration() == 0
    for path in paths:
        assert str(path) in system.errors
        assert path.with_name(path.name + ".damaged").exists()


def test_the_doctor_finds_what_is_wrong(folder: Path) -> None:
    def doctor() -> tuple[int, str]:
        ports = ["--port", str(free_port()), "--data-port", str(free_port())]
        done = subprocess.run(command("doctor", "--data-dir", str(folder), *ports), capture_output=True, text=True)
        return done.returncode, done.stdout

    status, well = doctor()
    assert status == 0, well
    for part in ("versions", "engine", "port", "disk", "database", "checkpoints"):
        assert part in well
    (folder / "owner-token").chmod(0o644)
    (folder / "notes.txt").touch()
    checkpoint = next((folder / "master" / "checkpoints" / "digits").glob("*.safetensors"))
    checkpoint.write_bytes(b"x")
    status, ill = doctor()
    assert status == 1
    problems = [line for line in ill.splitlines() if line.startswith("PROBLEM")]
    assert len(problems) == 3, ill
    assert str(checkpoint) in ill
    assert "chmod 600" in ill


def test_the_doctor_sees_a_running_server(tmp_path: Path) -> None:
    with running(tmp_path / "data", demo=False) as system:
        done = subprocess.run(command("doctor", "--data-dir", str(tmp_path / "data")), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert f"process {system.process.pid} runs" in done.stdout


def test_a_second_start_after_a_kill_waits_for_what_the_first_left(tmp_path: Path) -> None:
    ports = (free_port(), free_port())
    with running(tmp_path / "data", demo=False, ports=ports) as first:
        first.process.kill()
        first.process.wait(10)
        with running(tmp_path / "data", demo=False, ports=ports) as second:
            until(lambda: second.visitor.get("/readyz").status_code == 200, "it is ready")
    assert "did not end in order" in second.errors
