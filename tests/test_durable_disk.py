"""A full disk: training goes on, it is said what to do, nothing is corrupted, saving resumes when there is room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlitb.storage import Storage
from tests.running import Running, running, until
from tests.test_durable_folders import refused as refused_start
from tests.test_durable_stop import training

SIZE = "400m"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small disk that this fills")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until not one byte more fits."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue


def health(system: Running, path: str = "/healthz") -> dict[str, Any]:
    answer = system.visitor.get(path)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_training_goes_on_through_a_full_disk_and_saving_resumes(small: Path) -> None:
    data_dir, ballast = small / "data", small / ".ballast"
    with running(data_dir, "--checkpoint", "iteration") as system, training(system, delay_s=0.0) as trainer:
        trainer.run(2)
        assert health(system) == {"ok": True, "trouble": "", "version": health(system)["version"]}
        fill(ballast)
        trainer.run(4)
        trouble = until(lambda: health(system)["trouble"], "the trouble is told")
        assert "make room" in trouble
        assert health(system, "/api/health")["trouble"] == trouble
        refused = system.owner.patch("/api/projects/digits", json={"learning_rate": 0.031})
        assert refused.status_code == 507
        assert "make room" in refused.json()["detail"]
        trainer.run(7)
        assert system.iteration() >= trainer.answered[-1], "training goes on"
        ballast.unlink()
        trainer.run(9)
        until(lambda: health(system)["ok"], "saving resumes")
        last = trainer.answered[-1]
        until(lambda: system.iteration() > last, "the last answer is taken")
    assert "saving fails" in system.errors
    assert "saving works again" in system.errors
    assert "Traceback" not in system.errors
    storage = Storage(data_dir / "master")
    assert storage.problems == []
    kept = storage.load("digits")
    assert kept is not None
    assert kept.iteration > last
    trained = [row["iteration"] for row in storage.history("digits") if row["vectors"]]
    assert trained == trainer.answered, "not even the figures of those iterations are missing"
    assert storage.projects()[0].settings["learning_rate"] == 0.031, "what could not be stored at once was, later"
    storage.close()


def test_a_start_on_a_full_disk_is_refused_with_a_sentence(small: Path) -> None:
    fill(small / ".ballast")
    sentence = refused_start(small / "data")
    assert "room" in sentence or "No space left" in sentence
