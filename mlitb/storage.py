"""What survives a restart: projects, history, audit and checkpoints of one master.

Rules of this file:
- Every call here may wait for a disk: the runtime makes them in the storage thread, never on the event loop.
- The newest KEEP checkpoints and the best one are kept. The best has the smallest error on the test set, or without one
  the smallest training loss, measured with exactly its parameters, among those with as many labels as the newest.
- History keeps every iteration that is young and ever fewer of the old (THINNING); the audit is never thinned.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlitb.checkpoints import Checkpoint, Checkpoints
from mlitb.database import AUTO, COPY, Damaged, StorageError, copy_database, open_database, row_hash

KEEP = 3
"""Checkpoints kept for each project, besides the best."""

THINNING = ((5_000, 10), (50_000, 100), (500_000, 1_000))
"""(age in iterations, which ones stay): with T = 4 s all of five hours, then one in 40 s, in 7 min after two days."""

THIN_EVERY = 500
"""Iterations between two thinnings."""

COPY_EVERY_S = 600.0
"""The database's copy is at most so much older than its history; records of projects are copied at once."""

NUMBERS = 100_000
"""Client numbers are reserved in blocks, so that none comes back after a restart."""


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
    about: dict[str, str] = field(default_factory=dict)  # model.ABOUT, and "resize" of the model that it began with
    test: dict[str, Any] = field(default_factory=lambda: json.loads(AUTO))  # "part" and "manifest", as in HeldBack


@dataclass(frozen=True, slots=True)
class Action:
    """One control action for the audit: who did what."""

    who: str  # "owner", "visitor" or "command line"
    address: str
    project: str
    action: str
    detail: dict[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)


Figures = tuple[str, Mapping[str, Any], Mapping[str, Any] | None]
"""Project, an iteration's figures, its work log; without a log they are those of a test."""


class Storage:
    """The master's folder. Use from one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []  # what could not be read, for the operator
        self.checkpoints = Checkpoints(folder / "checkpoints", self.problems)
        self._copied_at = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = open_database(folder, self.problems)
            self.checkpoints.sweep()
            self.reserved = self.reserve_numbers()  # the last client number of the run before; also: can we write?
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"the folder {folder} cannot be used ({error})") from error

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def keep_copy(self) -> None:
        """Write the copy that stands in when the database is found damaged."""
        copy_database(self._db, self.folder / COPY)
        self._copied_at = time.monotonic()

    def reserve_numbers(self, upto: int = 0) -> int:
        """Reserve client numbers up to `upto`, or the next block; return the last number reserved before."""
        row = self._db.execute("SELECT value FROM counter WHERE name = 'client'").fetchone()
        before = int(row[0]) if row else 0
        after = max(before, upto) if upto else before + NUMBERS
        self._db.execute("INSERT OR REPLACE INTO counter VALUES ('client', ?)", (after,))
        return before

    # ------------------------------------------------------------------------------------------------ projects
    def put_project(self, project: Project) -> None:
        """Write a project's record, new or changed."""
        row = (
            project.id, project.name, json.dumps(project.layers), json.dumps(project.settings), project.seed,
            int(project.running), json.dumps(project.manifests), project.created, json.dumps(project.test),
        )  # fmt: skip
        self._db.execute(
            "INSERT INTO project (id, name, layers, settings, seed, running, manifests, created, test, hash) "
            "VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET name=excluded.name, "
            "layers=excluded.layers, settings=excluded.settings, seed=excluded.seed, running=excluded.running, "
            "manifests=excluded.manifests, created=excluded.created, test=excluded.test, hash=excluded.hash",
            (*row, row_hash(row)),
        )
        self._db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (project.id, json.dumps(project.about)))

    def projects(self) -> list[Project]:
        """Return all projects, oldest first."""
        rows = self._db.execute(
            "SELECT id, name, layers, settings, seed, running, manifests, created, test, coalesce(about, '{}') "
            "FROM project LEFT JOIN about ON about.project = id ORDER BY created, id"
        )
        return [
            Project(
                row[0], row[1], tuple(json.loads(row[2])), json.loads(row[3]), row[4], bool(row[5]),
                tuple(json.loads(row[6])), row[7], about=json.loads(row[9]),
                test=json.loads(row[8]),
            )
            for row in rows
        ]  # fmt: skip

    def remove_project(self, project: str) -> None:
        """Delete a project with its history and checkpoints."""
        self._db.execute("DELETE FROM project WHERE id = ?", (project,))
        self.checkpoints.remove(project)

    # ------------------------------------------------------------------------------------------------- history
    def add_history(self, rows: Iterable[Figures]) -> None:
        """Keep iterations' figures and work logs, all or none (of a project removed meanwhile: nothing)."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for project, figures, work in rows:
                if work is None:
                    self._add_test(project, figures)
                else:
                    self._add_figures(project, figures, work)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have ended it already
                self._db.execute("ROLLBACK")
            raise
        if time.monotonic() - self._copied_at > COPY_EVERY_S:
            self.keep_copy()

    def _add_figures(self, project: str, figures: Mapping[str, Any], work: Mapping[str, Any]) -> None:
        iteration = figures["iteration"]
        self._db.execute(
            "INSERT OR REPLACE INTO history SELECT id, ?, ?, ?, ? FROM project WHERE id = ?",
            (iteration, figures["time"], json.dumps(figures), json.dumps(work), project),
        )
        if figures.get("vectors"):
            self._db.execute(
                "UPDATE checkpoint SET loss = ?, error = ? WHERE project = ? AND iteration = ?",
                (figures["loss"], figures["error"], project, iteration),
            )
        if iteration % THIN_EVERY == 0:
            for age, every in THINNING:
                self._db.execute(
                    "DELETE FROM history WHERE project = ? AND iteration < ? AND iteration % ? != 0",
                    (project, iteration - age, every),
                )
                self._thin_tests(project, iteration - age, every)

    def _add_test(self, project: str, figures: Mapping[str, Any]) -> None:
        iteration, test_set = figures["iteration"], figures["identity"]
        self._db.execute(
            "INSERT OR REPLACE INTO test SELECT id, ?, ?, ?, ?, ? FROM project WHERE id = ?",
            (test_set, iteration, figures["time"], figures["error"], json.dumps(figures), project),
        )
        self._db.execute(
            "UPDATE checkpoint SET test_set = ?, test_error = ?, test_loss = ? WHERE project = ? AND iteration = ?",
            (test_set, figures["error"], figures["loss"], project, iteration),
        )

    def _thin_tests(self, project: str, before: int, every: int) -> None:
        """Keep one evaluation of so many iterations, and the best: evaluations come at any iteration."""
        self._db.execute(
            "DELETE FROM test WHERE project = ? AND iteration < ? AND (test_set, iteration) NOT IN "
            "(SELECT test_set, min(iteration) FROM test WHERE project = ? GROUP BY test_set, iteration / ?) "
            "AND iteration != (SELECT iteration FROM test AS best WHERE best.project = test.project "
            "AND best.test_set = test.test_set ORDER BY error, iteration LIMIT 1)",
            (project, before, project, every),
        )

    def history(self, project: str, after: int = -1, most: int = 2000) -> list[dict[str, Any]]:
        """Return the figures of up to `most` iterations after one, evenly thinned, the newest always among them."""
        return self._thinned("history WHERE project = ? AND iteration > ?", (project, after), most)

    def tests(self, project: str, test_set: str, most: int = 2000) -> list[dict[str, Any]]:
        """Return the figures of up to `most` evaluations on one test set, as `history` does those of iterations."""
        return self._thinned("test WHERE project = ? AND test_set = ?", (project, test_set), most)

    def _thinned(self, chosen: str, values: tuple[str | int, ...], most: int) -> list[dict[str, Any]]:
        total, last = self._db.execute(f"SELECT count(*), max(iteration) FROM {chosen}", values).fetchone()
        every = max(1, -(-int(total) // most))
        rows = self._db.execute(
            "SELECT figures FROM (SELECT figures, iteration, row_number() OVER (ORDER BY iteration) AS place "
            f"FROM {chosen}) WHERE place % ? = 0 OR iteration = ? ORDER BY iteration",
            (*values, every, last),
        )
        return [json.loads(row[0]) for row in rows]

    def forget_history(self, project: str) -> None:
        """Delete a project's history and checkpoints (it starts again from its seed)."""
        self._db.execute("DELETE FROM history WHERE project = ?", (project,))
        self._db.execute("DELETE FROM test WHERE project = ?", (project,))
        self._db.execute("DELETE FROM checkpoint WHERE project = ?", (project,))
        self.checkpoints.remove(project, but_base=True)

    def forget_after(self, project: str, iteration: int) -> int:
        """Delete the figures of iterations whose steps no checkpoint holds; return how many."""
        self._db.execute("DELETE FROM test WHERE project = ? AND iteration > ?", (project, iteration))
        return self._db.execute(
            "DELETE FROM history WHERE project = ? AND iteration >= ?", (project, iteration)
        ).rowcount

    def copy_history(self, project: str, to: str, before: int) -> None:
        """Give a branch the history that led to it."""
        self._db.execute(
            "INSERT INTO history SELECT ?, iteration, time, figures, work FROM history "
            "WHERE project = ? AND iteration < ?",
            (to, project, before),
        )
        self._db.execute(
            "INSERT INTO test SELECT ?, test_set, iteration, time, error, figures FROM test "
            "WHERE project = ? AND iteration <= ?",
            (to, project, before),
        )

    # --------------------------------------------------------------------------------------------------- audit
    def add_action(self, action: Action) -> None:
        """Note a control action."""
        self._db.execute(
            "INSERT INTO audit (time, who, address, project, action, detail) VALUES (?,?,?,?,?,?)",
            (action.time, action.who, action.address, action.project, action.action, json.dumps(action.detail)),
        )

    def actions(self, project: str = "", most: int = 1000) -> list[dict[str, Any]]:
        """Return the newest control actions, of one project or of all, newest first."""
        rows = self._db.execute(
            "SELECT time, who, address, project, action, detail FROM audit WHERE ? IN ('', project) "
            "ORDER BY id DESC LIMIT ?",
            (project, most),
        )
        keys = ("time", "who", "address", "project", "action")
        return [{**dict(zip(keys, row, strict=False)), "detail": json.loads(row[5])} for row in rows]

    # --------------------------------------------------------------------------------------------- checkpoints
    def save(self, project: str, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint durably and drop those that are not to be kept; return its path."""
        path = self.checkpoints.write(project, checkpoint)
        self._db.execute(
            "INSERT OR REPLACE INTO checkpoint SELECT id, ?, ?, ?, ?, ?, ?, ?, ? FROM project WHERE id = ?",
            (checkpoint.iteration, time.time(), len(checkpoint.labels), *self._known(project, checkpoint), project),
        )
        best = self._best(project, len(checkpoint.labels))
        for iteration in self.checkpoints.iterations(project)[:-KEEP]:
            if iteration != best:
                self.checkpoints.drop(project, iteration)
                self._db.execute("DELETE FROM checkpoint WHERE project = ? AND iteration = ?", (project, iteration))
        return path

    def _known(self, project: str, checkpoint: Checkpoint) -> tuple[Any, ...]:
        """Find what was measured with a checkpoint's parameters before it was saved: loss, error, and of a test."""
        key = (project, checkpoint.iteration)
        training = self._db.execute("SELECT figures FROM history WHERE project = ? AND iteration = ?", key).fetchone()
        tested = self._db.execute(
            "SELECT figures FROM test WHERE project = ? AND iteration = ? ORDER BY time DESC LIMIT 1", key
        ).fetchone()
        own, test = (json.loads(row[0]) if row else {} for row in (training, tested))
        own = own if own.get("vectors") else {}
        return own.get("loss"), own.get("error"), test.get("identity"), test.get("error"), test.get("loss")

    def _best(self, project: str, labels: int) -> int | None:
        """Find the checkpoint with the smallest error on the newest test set, or else the smallest training loss."""
        row = self._db.execute(
            "SELECT iteration FROM checkpoint WHERE project = ? AND labels = ? AND test_set = "
            "(SELECT test_set FROM test WHERE project = checkpoint.project ORDER BY time DESC LIMIT 1) "
            "ORDER BY test_error, test_loss, iteration LIMIT 1",
            (project, labels),
        ).fetchone() or self._db.execute(
            "SELECT iteration FROM checkpoint WHERE project = ? AND labels = ? AND loss IS NOT NULL "
            "ORDER BY loss LIMIT 1",
            (project, labels),
        ).fetchone()  # fmt: skip
        return int(row[0]) if row else None

    def list_checkpoints(self, project: str) -> list[dict[str, Any]]:
        """Describe a project's kept checkpoints, newest first, with what was measured with it."""
        rows = self._db.execute(
            "SELECT iteration, saved, labels, loss, error, test_error, test_loss FROM checkpoint WHERE project = ?",
            (project,),
        )
        known = {row[0]: row for row in rows}
        iterations = self.checkpoints.iterations(project)
        newest = known.get(iterations[-1]) if iterations else None
        best = self._best(project, newest[2]) if newest else None
        found = []
        for iteration in reversed(iterations):
            stat = self.checkpoints.path(project, iteration).stat()
            row = known.get(iteration, (iteration, stat.st_mtime, *[None] * 5))
            keys = ("iteration", "saved", "labels", "loss", "error", "test_error", "test_loss")
            shown = dict(zip(keys, row, strict=True))
            found.append({**shown, "bytes": stat.st_size, "best": iteration == best})
        return found

    def load(self, project: str) -> Checkpoint | None:
        """Return the newest checkpoint that can be read, or None; what cannot be read is added to `problems`."""
        return self.checkpoints.newest(project)

    def load_at(self, project: str, iteration: int) -> Checkpoint:
        """Return one checkpoint; raise Damaged or FileNotFoundError."""
        return self.checkpoints.read(project, iteration)


__all__ = ["KEEP", "Action", "Checkpoint", "Damaged", "Project", "Storage", "StorageError"]
