"""`mlitb backup` and `mlitb restore`: a whole data folder in one zip, taken while everything runs.

Rules of this file:
- Databases are copied by SQLite's online backup, everything else is immutable files: nothing has to stand still.
- The manifest, the last entry, names every entry with its SHA-256; an archive without it was not finished.
- A restore is unpacked and checked beside (PREPARED) and put in place in one go while nobody runs on the folder; what
  lay there is moved aside, never deleted. Killed in between, it is finished at the next start.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlitb import __version__
from mlitb.checkpoints import read_checkpoint
from mlitb.database import NAME, Damaged, copy_database

FORMAT = 1
MANIFEST = "manifest.json"
PREPARED = ".restoring"
COMPLETE = "complete"
CHUNK = 1 << 20
PARTS = ("master", "data", "ticket-secret", "owner-token")
TRIES = 5
"""Rounds in which a checkpoint may be pruned under our hands before we give up."""


class BackupFailed(RuntimeError):
    """A backup or a restore was not done; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Report:
    """What is in an archive."""

    projects: int
    checkpoints: int
    datasets: bool
    bytes: int
    warning: str = ""


# --------------------------------------------------------------------------------------------------- backup
def backup(data_dir: Path, file: Path, *, with_data: bool = True) -> Report:
    """Write everything that a data folder keeps into a zip; raise BackupFailed."""
    if not (data_dir / "master" / NAME).exists():
        raise BackupFailed(f"{data_dir} is no data folder of MLitB: name the right one with --data-dir")
    if file.exists():
        raise BackupFailed(f"{file} exists already: a backup never overwrites anything")
    beside = file.with_name(file.name + ".part")
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
            report = _Writer(archive).write(data_dir, with_data)
        beside.chmod(0o600)  # it holds the owner token
        with beside.open("rb") as done:
            os.fsync(done.fileno())
        beside.rename(file)
    except (OSError, sqlite3.Error, Damaged) as error:
        raise BackupFailed(f"the backup {file} could not be made ({error})") from error
    finally:
        beside.unlink(missing_ok=True)
    return report


class _Writer:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.hashes: dict[str, str] = {}

    def write(self, data_dir: Path, with_data: bool) -> Report:
        for name in ("ticket-secret", "owner-token"):
            self.add(f"{name}", data_dir / name)
        projects = self.database("master/" + NAME, data_dir / "master" / NAME)
        checkpoints = self.checkpoints(data_dir / "master" / "checkpoints", projects)
        warning = self.data(data_dir / "data") if with_data else ""
        manifest = {"format": FORMAT, "version": __version__, "made": time.time(), "files": self.hashes}
        self.archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
        size = sum(entry.file_size for entry in self.archive.infolist())
        return Report(len(projects), checkpoints, with_data, size, warning)

    def add(self, name: str, path: Path) -> None:
        total = hashlib.sha256()
        with path.open("rb") as source, self.archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as target:
            while chunk := source.read(CHUNK):
                total.update(chunk)
                target.write(chunk)
        self.hashes[name] = total.hexdigest()

    def database(self, name: str, path: Path) -> list[str]:
        """Add a consistent copy of a database; return the ids of the projects in it, if it is the master's."""
        with tempfile.TemporaryDirectory(prefix="mlitb-backup-", dir=self._room()) as folder:
            copy = Path(folder) / "copy"
            with contextlib.closing(sqlite3.connect(path, timeout=30)) as db:
                copy_database(db, copy)
            self.add(name, copy)
            with contextlib.closing(sqlite3.connect(copy)) as db:
                if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'project'").fetchone():
                    return []
                return [str(row[0]) for row in db.execute("SELECT id FROM project ORDER BY id")]

    def _room(self) -> Path:
        assert self.archive.filename is not None
        return Path(self.archive.filename).absolute().parent

    def checkpoints(self, folder: Path, projects: list[str]) -> int:
        return sum(self.checkpoints_of(folder / project) for project in projects)

    def checkpoints_of(self, folder: Path) -> int:
        """Add a project's checkpoints; if all are pruned meanwhile there are newer ones."""
        for _ in range(TRIES):
            names = sorted((path.name for path in folder.glob("*.safetensors")), reverse=True)
            added = sum(self.checkpoint(folder / name) for name in names)
            if added or not names:
                return added
        raise BackupFailed(f"no checkpoint in {folder} could be read: mlitb doctor says more")

    def checkpoint(self, path: Path) -> bool:
        try:
            read_checkpoint(path)
            self.add(f"master/checkpoints/{path.parent.name}/{path.name}", path)
        except FileNotFoundError:
            return False
        return True

    def data(self, folder: Path) -> str:
        """Add the data server's folder; return a sentence about what is not in it."""
        index = folder / "index.sqlite"
        if index.exists():
            self.database("data/index.sqlite", index)
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if path.is_file() and (parts[0] in ("zips", "shards") or path.name in ("number", "identity")):
                with contextlib.suppress(FileNotFoundError):  # a data set that was deleted meanwhile
                    self.add("/".join(("data", *parts)), path)
        if (folder / "identity").exists() and not index.exists():
            return "the data server's index is in Redis and not in this backup: save it there (BGSAVE)"
        return ""


# -------------------------------------------------------------------------------------------------- restore
def prepare_restore(data_dir: Path, file: Path) -> Report:
    """Unpack an archive beside what a data folder holds and check every byte; raise BackupFailed."""
    beside = data_dir / PREPARED
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(beside, ignore_errors=True)
        with zipfile.ZipFile(file) as archive:
            files = _manifest(archive, file)
            for name, digest in files.items():
                _unpack(archive, name, digest, beside)
        _check_unpacked(beside)
        (beside / COMPLETE).touch()
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, sqlite3.Error, Damaged) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise BackupFailed(f"{file} cannot be restored ({error}); nothing was changed") from error
    except BackupFailed:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    checkpoints = [name for name in files if name.startswith("master/checkpoints/")]
    projects = {name.split("/")[2] for name in checkpoints}
    size = sum(path.stat().st_size for path in beside.rglob("*") if path.is_file())
    return Report(len(projects), len(checkpoints), any(name.startswith("data/") for name in files), size)


def _manifest(archive: zipfile.ZipFile, file: Path) -> dict[str, str]:
    if MANIFEST not in archive.namelist():
        raise BackupFailed(f"{file} is no complete backup of MLitB: it has no {MANIFEST}")
    manifest = json.loads(archive.read(MANIFEST))
    if manifest["format"] > FORMAT:
        raise BackupFailed(f"{file} was made by a newer MLitB ({manifest['version']}): install that version")
    files: dict[str, str] = manifest["files"]
    for name in files:
        parts = name.split("/")
        if parts[0] not in PARTS or not all(parts) or ".." in parts or "\\" in name:
            raise BackupFailed(f"{file} names an entry {name[:80]!r}, which no backup of MLitB has")
    return files


def _unpack(archive: zipfile.ZipFile, name: str, digest: str, beside: Path) -> None:
    path = beside / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, path.open("wb") as target:
        if _copied(source, target) != digest:
            raise BackupFailed(f"the entry {name} of the backup is damaged; nothing was changed")
        os.fsync(target.fileno())
    if "/" not in name:
        path.chmod(0o600)


def _copied(source: IO[bytes], target: IO[bytes]) -> str:
    total = hashlib.sha256()
    while chunk := source.read(CHUNK):
        total.update(chunk)
        target.write(chunk)
    target.flush()
    return total.hexdigest()


def _check_unpacked(beside: Path) -> None:
    with contextlib.closing(sqlite3.connect(beside / "master" / NAME)) as db:
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise BackupFailed("the database in the backup is damaged; nothing was changed")
    for path in beside.glob("master/checkpoints/*/*.safetensors"):
        read_checkpoint(path)


def finish_restore(data_dir: Path) -> Path | None:
    """Put a prepared restore in place, nobody running on the folder; return where what lay there is now.

    Does nothing when none is prepared, and goes on where it was killed.
    """
    beside = data_dir / PREPARED
    if not (beside / COMPLETE).exists():
        shutil.rmtree(beside, ignore_errors=True)
        return None
    kept = data_dir / f".before-restore-{time.strftime('%Y%m%d-%H%M%S', time.localtime(_when(beside)))}"
    kept.mkdir(exist_ok=True)
    for path in _parts(beside):
        old = data_dir / path.name
        if old.exists():
            old.rename(kept / path.name)
        path.rename(old)
    shutil.rmtree(beside)
    return kept


def _when(beside: Path) -> float:
    return (beside / COMPLETE).stat().st_mtime


def _parts(beside: Path) -> Iterator[Path]:
    yield from sorted(path for path in beside.iterdir() if path.name in PARTS)
