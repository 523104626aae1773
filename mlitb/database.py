"""The master's database file: opening it, bringing it up to date, and the copy that stands in when it is damaged.

Rules of this file:
- A database of a newer version is refused, an older one is brought up to date by MIGRATIONS (sqlite-utils), in order,
  each in a transaction of its own. Entries are only ever added.
- A damaged database is moved aside, named, and the copy beside it used; never deleted, never repaired in place.
- WAL: a kill -9 loses nothing that was committed, a power cut at most the last moments.
"""

import contextlib
import hashlib
import os
import sqlite3
import time
from pathlib import Path

from sqlite_utils import Database, Migrations

NAME = "master.sqlite"
COPY = "master.sqlite.copy"
AUTO = '{"part": "auto", "manifest": null}'
"""A project's test set where nobody chose one."""

BUSY_S = 10.0
"""How long a backup from another process may keep us waiting."""


class StorageError(RuntimeError):
    """The data folder cannot be used; the message is one sentence for the operator."""


class Damaged(RuntimeError):
    """A file is not what was written; the message says in what way."""


MIGRATIONS = Migrations("mlitb-master")


@MIGRATIONS()
def projects_and_history(db: Database) -> None:
    """Projects and one row for each iteration (IF NOT EXISTS: the first release kept no list of migrations)."""
    db.execute(
        "CREATE TABLE IF NOT EXISTS project (id TEXT PRIMARY KEY, name TEXT NOT NULL, layers TEXT NOT NULL, "
        "settings TEXT NOT NULL, seed INTEGER NOT NULL, running INTEGER NOT NULL, manifests TEXT NOT NULL, "
        "created REAL NOT NULL)"
    )
    db.execute(
        "CREATE TABLE IF NOT EXISTS history (project TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE, "
        "iteration INTEGER NOT NULL, time REAL NOT NULL, figures TEXT NOT NULL, work TEXT NOT NULL, "
        "PRIMARY KEY (project, iteration)) WITHOUT ROWID"
    )


@MIGRATIONS()
def audit_and_checkpoints(db: Database) -> None:
    """Who did what; the figures of kept checkpoints; numbers that must never come back; a hash for each project."""
    db.execute("ALTER TABLE project ADD COLUMN hash TEXT NOT NULL DEFAULT ''")
    db.execute(
        "CREATE TABLE audit (id INTEGER PRIMARY KEY, time REAL NOT NULL, who TEXT NOT NULL, address TEXT NOT NULL, "
        "project TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL)"
    )
    db.execute("CREATE INDEX audit_project ON audit (project, id)")
    db.execute(
        "CREATE TABLE checkpoint (project TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE, "
        "iteration INTEGER NOT NULL, saved REAL NOT NULL, labels INTEGER NOT NULL, loss REAL, error REAL, "
        "PRIMARY KEY (project, iteration)) WITHOUT ROWID"
    )
    db.execute("CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID")


@MIGRATIONS()
def about_projects(db: Database) -> None:
    """What people say of a project: description, author, licence; how its pictures are resized before it has data."""
    db.execute(
        "CREATE TABLE about (project TEXT PRIMARY KEY REFERENCES project(id) ON DELETE CASCADE, about TEXT NOT NULL) "
        "WITHOUT ROWID"
    )


@MIGRATIONS()
def test_sets(db: Database) -> None:
    """What a project is tested on, how it did, and how its checkpoints did."""
    db.execute(f"ALTER TABLE project ADD COLUMN test TEXT NOT NULL DEFAULT '{AUTO}'")
    _hash_again(db)
    db.execute(
        "CREATE TABLE test (project TEXT NOT NULL REFERENCES project(id) ON DELETE CASCADE, test_set TEXT NOT NULL, "
        "iteration INTEGER NOT NULL, time REAL NOT NULL, error REAL NOT NULL, figures TEXT NOT NULL, "
        "PRIMARY KEY (project, test_set, iteration)) WITHOUT ROWID"
    )
    for column in ("test_set TEXT", "test_error REAL", "test_loss REAL"):
        db.execute(f"ALTER TABLE checkpoint ADD COLUMN {column}")


VERSION = 4
"""How many migrations there are: also kept in the database itself, so that an older release can refuse it."""


def open_database(folder: Path, problems: list[str]) -> sqlite3.Connection:
    """Open, check and update the database of a folder; raise StorageError. What was damaged is told in `problems`."""
    path = folder / NAME
    try:
        return _opened(path)
    except Damaged as error:
        return _from_copy(folder, error, problems)


def _opened(path: Path) -> sqlite3.Connection:
    db: sqlite3.Connection | None = None
    try:
        db = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False, isolation_level=None)
        _check(db)
        _update(db, path)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA foreign_keys=ON")
    except (sqlite3.Error, StorageError, Damaged) as error:
        if db is not None:
            db.close()
        if isinstance(error, sqlite3.OperationalError):
            raise StorageError(
                f"the database {path} cannot be used ({error}): is there room, may it be written?"
            ) from error
        if isinstance(error, sqlite3.Error):
            raise Damaged(f"{path} is not a database that can be used ({error})") from error
        raise
    return db


def _check(db: sqlite3.Connection) -> None:
    """Read the whole database; raise Damaged."""
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise Damaged(f"the database is damaged ({' '.join(str(found).split())})")
    if _has_column(db, "project", "hash"):
        for project, row, kept in _hashed(db):
            if kept and kept != row_hash(row):
                raise Damaged(f"the record of the project {project!r} in the database is damaged")


def _hashed(db: sqlite3.Connection) -> list[tuple[str, tuple[object, ...], str]]:
    """List each project's id, its row without the hash, and the hash."""
    found = db.execute("SELECT * FROM project")
    names = [column[0] for column in found.description]
    place = names.index("hash")
    return [(row[names.index("id")], (*row[:place], *row[place + 1 :]), row[place]) for row in found]


def _hash_again(db: Database) -> None:
    """Give projects their hashes again after a migration changed their columns."""
    for project, row, kept in _hashed(db.conn):
        if kept:
            db.execute("UPDATE project SET hash = ? WHERE id = ?", (row_hash(row), project))


def _has_column(db: sqlite3.Connection, table: str, column: str) -> bool:
    return any(row[1] == column for row in db.execute(f"PRAGMA table_info({table})"))


def row_hash(row: tuple[object, ...]) -> str:
    """Hash a project's row, so that damage inside a page, which SQLite cannot see, is seen."""
    return hashlib.sha256(repr(row).encode()).hexdigest()


def _update(db: sqlite3.Connection, path: Path) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise StorageError(
            f"{path} was written by a newer MLitB (version {version}, this one knows {VERSION}): install that version, "
            "or choose another --data-dir"
        )
    if version < VERSION:
        MIGRATIONS.apply(Database(db))
        db.execute(f"PRAGMA user_version={VERSION}")


def _from_copy(folder: Path, damage: Damaged, problems: list[str]) -> sqlite3.Connection:
    path, copy = folder / NAME, folder / COPY
    try:
        if not copy.exists():
            raise Damaged("there is none")
        _opened(copy).close()
    except (Damaged, StorageError) as error:
        raise StorageError(
            f"{damage}, and there is no copy of it that can be used: restore a backup (mlitb restore), move the file "
            "away, or choose another --data-dir"
        ) from error
    aside = folder / f"{NAME}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            (folder / (NAME + suffix)).rename(folder / (aside.name + suffix))
    for suffix in ("-wal", "-shm"):  # left by checking the copy; it is in one piece without them
        (folder / (COPY + suffix)).unlink(missing_ok=True)
    write_durably(path, copy.read_bytes())
    problems.append(f"{damage}: it was moved to {aside}, and its copy of {_age(copy)} is used; what came later is lost")
    return _opened(path)


def _age(path: Path) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(path.stat().st_mtime))


def copy_database(db: sqlite3.Connection, path: Path) -> None:
    """Write a consistent copy of an open database durably, replacing an earlier one."""
    beside = path.with_name(path.name + ".part")
    beside.unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(beside, isolation_level=None)) as target:
            db.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
        _sync(beside)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    beside.replace(path)
    _sync(path.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Write beside, fsync, rename, fsync the folder: after a crash there is the old file or the new one."""
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        beside.unlink(missing_ok=True)  # on a full disk its room is wanted back
        raise
    beside.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
