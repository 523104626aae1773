"""Checkpoints: one project between two iterations, bit for bit, as safetensors files.

Rules of this file:
- A file is named by its iteration, written beside, fsynced and renamed, and carries the hash of its content.
- One that is not what was written is named, put aside as *.damaged, and the one before it used.
- Which files are kept is decided by who saves (storage.py): here is only how.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mlitb.database import Damaged, write_durably

FORMAT = 1
SUFFIX = ".safetensors"
BASE = f"base{SUFFIX}"
"""What a project begins with in place of initial values, when it was made from another model: blocks by name."""


Arrays = Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One project between two iterations, bit for bit."""

    iteration: int
    learning_rate: float | None
    labels: tuple[str, ...]
    arrays: Arrays  # "parameters" and the optimizer's state, flat
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)  # those by which the learning rate decayed so far


class Checkpoints:
    """The checkpoint files of all projects of one folder."""

    def __init__(self, folder: Path, problems: list[str]) -> None:
        self.folder = folder
        self.problems = problems

    def of(self, project: str) -> Path:
        """Return the folder of a project's checkpoints."""
        return self.folder / project

    def sweep(self) -> None:
        """Delete what a crash left half written; name what does not belong here."""
        for path in sorted(self.folder.glob("*/*")):
            if path.name.endswith(".part"):
                path.unlink()
            elif not _is_checkpoint(path) and path.name != BASE and not path.name.endswith(".damaged"):
                self.problems.append(f"{path} is no checkpoint of ours: it is left alone; move it elsewhere")

    def iterations(self, project: str) -> list[int]:
        """List the iterations of which there is a file, oldest first."""
        return sorted(int(path.stem) for path in self.of(project).glob(f"*{SUFFIX}") if _is_checkpoint(path))

    def path(self, project: str, iteration: int) -> Path:
        """Name the file of an iteration."""
        return self.of(project) / f"{iteration:010d}{SUFFIX}"

    def write(self, project: str, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint durably; return its path."""
        path = self.path(project, checkpoint.iteration)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, to_bytes(checkpoint))
        return path

    def read(self, project: str, iteration: int) -> Checkpoint:
        """Read one checkpoint; raise Damaged or FileNotFoundError."""
        return read_checkpoint(self.path(project, iteration))

    def newest(self, project: str) -> Checkpoint | None:
        """Return the newest checkpoint that is what was written, or None; others are put aside and named."""
        for iteration in reversed(self.iterations(project)):
            try:
                return self.read(project, iteration)
            except Damaged as error:
                path = self.path(project, iteration)
                path.rename(path.with_name(path.name + ".damaged"))
                self.problems.append(f"{error}: it was put aside as {path.name}.damaged, and the one before it is used")
        return None

    def drop(self, project: str, iteration: int) -> None:
        """Delete one checkpoint."""
        self.path(project, iteration).unlink(missing_ok=True)

    def write_base(self, project: str, arrays: Arrays) -> None:
        """Write what a project begins with, durably."""
        path = self.of(project) / BASE
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, to_bytes(Checkpoint(0, None, (), arrays)))

    def base(self, project: str) -> Arrays:
        """Return what a project begins with, nothing when with initial values; one that is damaged is named."""
        path = self.of(project) / BASE
        try:
            return read_checkpoint(path).arrays if path.exists() else {}
        except Damaged as error:
            path.rename(path.with_name(path.name + ".damaged"))
            self.problems.append(f"{error}: it was put aside, and {project} would begin with initial values")
            return {}

    def remove(self, project: str, *, but_base: bool = False) -> None:
        """Delete all checkpoints of a project, and what it began with unless that is to stay."""
        folder = self.of(project)
        for path in folder.glob(f"*{SUFFIX}*"):
            if not (but_base and path.name == BASE):
                path.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _is_checkpoint(path: Path) -> bool:
    return path.suffix == SUFFIX and path.stem.isdecimal()


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """Make the bytes of a checkpoint file."""
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in checkpoint.arrays.items()}
    meta: dict[str, Any] = {
        "format": FORMAT, "iteration": checkpoint.iteration, "learning_rate": checkpoint.learning_rate,
        "labels": checkpoint.labels, "seed": checkpoint.seed, "settings": checkpoint.settings,
    }  # fmt: skip
    meta["hash"] = content_hash(arrays, meta)
    return save(arrays, {"mlitb": json.dumps(meta)})


def content_hash(arrays: Mapping[str, np.ndarray[Any, Any]], meta: Mapping[str, Any]) -> str:
    """Hash the names and bytes of arrays, and what is said of them."""
    total = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name in sorted(arrays):
        total.update(name.encode() + b"\0")
        total.update(arrays[name].tobytes())
    return total.hexdigest()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; raise Damaged when its bytes are not those that were written."""
    try:
        with safe_open(path, "np") as file:
            meta = json.loads((file.metadata() or {})["mlitb"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if meta.pop("hash") != content_hash(arrays, meta):
            raise ValueError("its content does not match its hash")
        return Checkpoint(
            meta["iteration"], meta["learning_rate"], tuple(meta["labels"]), arrays, meta["seed"], meta["settings"]
        )
    except FileNotFoundError:
        raise
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        raise Damaged(f"the checkpoint {path} cannot be used ({error})") from error
