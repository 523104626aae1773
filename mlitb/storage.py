"""What survives a restart: projects and history in SQLite, parameters and optimizer state as safetensors.

Rules of this file:
- Every call here may wait for a disk: the runtime makes them in the storage thread, never on the event loop.
- A checkpoint is written beside, fsynced and renamed; the newest KEEP are kept; one that cannot be read is named,
  and the one before it used.
- A database of a newer version is refused, an older one is brought up to date by MIGRATIONS, in order.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

KEEP = 3
"""Checkpoints kept for each project."""

MIGRATIONS = (
    """
    CREATE TABLE project (
      id TEXT PRIMARY KEY, name TEXT NOT NULL, layers TEXT NOT NULL, settings TEXT NOT NULL, seed INTEGER NOT NULL,
      running INTEGER NOT NULL, manifests TEXT NOT NULL, created REAL NOT NULL
    );
    CREATE TABLE history (
      project TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE, iteration INTEGER NOT NULL, time REAL NOT NULL,
      figures TEXT NOT NULL, work TEXT NOT NULL, PRIMARY KEY (project, iteration)
    ) WITHOUT ROWID;
    """,
)
"""The schema's versions: entry i brings a database of version i to version i + 1."""


class StorageError(RuntimeError):
    """The data folder cannot be used; the message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One project between two iterations, bit for bit."""

    iteration: int
    learning_rate: float | None
    labels: tuple[str, ...]
    arrays: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]  # "parameters" and the optimizer's state, flat


@dataclass(frozen=True, slots=True)
class Project:
    """What is kept of a project besides its checkpoints and history."""

    id: str
    name: str
    layers: tuple[dict[str, Any], ...]
    settings: dict[str, Any]
    seed: int
    running: bool = False
    manifests: tuple[dict[str, Any], ...] = ()
    created: float = field(default_factory=time.time)


class Storage:
    """The master's folder. Use from one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []  # what could not be read, for the operator
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(folder / "master.sqlite", check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(
                "PRAGMA synchronous=NORMAL"
            )  # a kill -9 loses nothing, a power cut at most the last figures
            self._db.execute("PRAGMA foreign_keys=ON")
            self._migrate()
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{folder / 'master.sqlite'} is not a database that can be used ({error})") from error

    def _migrate(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise StorageError(
                f"{self.folder / 'master.sqlite'} was written by a newer MLitB (version {version}, this one knows "
                f"{len(MIGRATIONS)}): install that version, or choose another --data-dir"
            )
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            self._db.executescript(f"BEGIN; {script} PRAGMA user_version={number}; COMMIT;")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    # ------------------------------------------------------------------------------------------------ projects
    def put_project(self, project: Project) -> None:
        """Write a project's record, new or changed."""
        self._db.execute(
            "INSERT INTO project VALUES (?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET name=excluded.name, "
            "layers=excluded.layers, settings=excluded.settings, seed=excluded.seed, running=excluded.running, "
            "manifests=excluded.manifests",
            (
                project.id, project.name, json.dumps(project.layers), json.dumps(project.settings), project.seed,
                int(project.running), json.dumps(project.manifests), project.created,
            ),
        )  # fmt: skip

    def projects(self) -> list[Project]:
        """Return all projects, oldest first."""
        rows = self._db.execute(
            "SELECT id, name, layers, settings, seed, running, manifests, created FROM project ORDER BY created, id"
        )
        return [
            Project(
                row[0], row[1], tuple(json.loads(row[2])), json.loads(row[3]), row[4], bool(row[5]),
                tuple(json.loads(row[6])), row[7],
            )
            for row in rows
        ]  # fmt: skip

    def remove_project(self, project: str) -> None:
        """Delete a project with its history and checkpoints."""
        self._db.execute("DELETE FROM project WHERE id = ?", (project,))
        for path in self._checkpoint_files(project):
            path.unlink()
        folder = self._checkpoint_folder(project)
        if folder.is_dir():
            folder.rmdir()

    # ------------------------------------------------------------------------------------------------- history
    def add_history(self, project: str, figures: Mapping[str, Any], work: Mapping[str, Any]) -> None:
        """Keep one iteration's figures and its work log (of a project removed meanwhile: nothing)."""
        self._db.execute(
            "INSERT OR REPLACE INTO history SELECT id, ?, ?, ?, ? FROM project WHERE id = ?",
            (figures["iteration"], figures["time"], json.dumps(figures), json.dumps(work), project),
        )

    def history(self, project: str, most: int = 2000) -> list[dict[str, Any]]:
        """Return the figures of up to `most` iterations, evenly thinned, the newest always among them."""
        total, last = self._db.execute(
            "SELECT count(*), max(iteration) FROM history WHERE project = ?", (project,)
        ).fetchone()
        every = max(1, -(-int(total) // most))
        rows = self._db.execute(
            "SELECT figures FROM history WHERE project = ? AND (iteration % ? = 0 OR iteration = ?) ORDER BY iteration",
            (project, every, last),
        )
        return [json.loads(row[0]) for row in rows]

    def forget_history(self, project: str) -> None:
        """Delete a project's history and checkpoints (it starts again from its seed)."""
        self._db.execute("DELETE FROM history WHERE project = ?", (project,))
        for path in self._checkpoint_files(project):
            path.unlink()

    # --------------------------------------------------------------------------------------------- checkpoints
    def _checkpoint_folder(self, project: str) -> Path:
        return self.folder / "checkpoints" / project

    def _checkpoint_files(self, project: str) -> list[Path]:
        return sorted(self._checkpoint_folder(project).glob("*.safetensors"))

    def save(self, project: str, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint durably and drop the oldest beyond KEEP; return its path."""
        arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in checkpoint.arrays.items()}
        meta = {
            "iteration": checkpoint.iteration, "learning_rate": checkpoint.learning_rate, "labels": checkpoint.labels,
            "hash": content_hash(arrays),
        }  # fmt: skip
        data = save(arrays, {"mlitb": json.dumps(meta)})
        path = self._checkpoint_folder(project) / f"{checkpoint.iteration:010d}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, data)
        for old in self._checkpoint_files(project)[:-KEEP]:
            old.unlink()
        return path

    def load(self, project: str) -> Checkpoint | None:
        """Return the newest checkpoint that can be read, or None; what cannot be read is added to `problems`."""
        for path in reversed(self._checkpoint_files(project)):
            try:
                return read_checkpoint(path)
            except (SafetensorError, OSError, ValueError, KeyError) as error:
                self.problems.append(f"the checkpoint {path} cannot be used ({error}); the one before it is tried")
        return None


def content_hash(arrays: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Hash the names and bytes of arrays."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(name.encode() + b"\0")
        total.update(arrays[name].tobytes())
    return total.hexdigest()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; raise ValueError when its bytes are not those that were written."""
    with safe_open(path, "np") as file:
        meta = json.loads((file.metadata() or {})["mlitb"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    if content_hash(arrays) != meta["hash"]:
        raise ValueError("its content does not match its hash")
    return Checkpoint(meta["iteration"], meta["learning_rate"], tuple(meta["labels"]), arrays)


def write_durably(path: Path, data: bytes) -> None:
    """Write beside, fsync, rename, fsync the folder: after a crash there is the old file or the new one."""
    beside = path.with_suffix(path.suffix + ".part")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
