"""What the data server knows: data sets, cuts and uses, in SQLite or in Redis, behind one small interface.

Rules of this file:
- An index holds JSON documents by id and answers what is asked; the pictures and shards are files beside it.
- Every change is one transaction: after a crash it is there or it is not.
- tests/data_server/test_index.py runs one suite over both.

Redis keys: mlitb:identity (the data folder it belongs to), mlitb:datasets and mlitb:cuts (hashes, id -> JSON),
mlitb:uses:ID (a set of project ids).
"""

import errno
import json
import sqlite3
from pathlib import Path
from typing import Any, Protocol

import redis

Document = dict[str, Any]


class InUse(ValueError):
    """A data set cannot be removed: projects use it."""

    def __init__(self, projects: list[str]) -> None:
        super().__init__(f"used by {', '.join(projects)}")
        self.projects = projects


class IndexUnavailable(RuntimeError):
    """The index cannot be reached or does not belong to this data folder."""


class Index(Protocol):
    """Documents of data sets and cuts, and which projects use which data set."""

    def owner(self) -> str:
        """Return the identity of the data folder that this index belongs to; empty when it is new."""

    def claim(self, identity: str) -> None:
        """Say which data folder this index belongs to."""

    def save(self, dataset: Document, cuts: list[Document]) -> None:
        """Keep a data set's document (by its `id`) and cuts' (by their `cut`), all or nothing."""

    def datasets(self) -> list[Document]:
        """Return all data sets."""

    def dataset(self, name: str) -> Document | None:
        """Return one data set."""

    def cut(self, name: str) -> Document | None:
        """Return one cut's manifest."""

    def cuts(self) -> list[Document]:
        """Return all cuts' manifests."""

    def remove(self, dataset: str) -> None:
        """Forget a data set and its cuts; raises InUse while a project uses it."""

    def use(self, dataset: str, project: str) -> None:
        """Note that a project uses a data set."""

    def unuse(self, dataset: str, project: str) -> None:
        """Note that it no longer does."""

    def uses(self, dataset: str) -> list[str]:
        """Return the projects that use a data set."""

    def close(self) -> None:
        """Let go of it."""


class SqliteIndex:
    """The default: one file in the data folder."""

    SCHEMA = """
        CREATE TABLE IF NOT EXISTS identity (name TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS datasets (id TEXT PRIMARY KEY, document TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS cuts (id TEXT PRIMARY KEY, dataset TEXT NOT NULL, document TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS uses (dataset TEXT, project TEXT, PRIMARY KEY (dataset, project));
    """

    def __init__(self, path: Path) -> None:
        # The store serialises all calls with a lock; they come from different threads.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(self.SCHEMA)

    def owner(self) -> str:
        row = self._db.execute("SELECT name FROM identity").fetchone()
        return str(row[0]) if row else ""

    def claim(self, identity: str) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM identity")
            self._db.execute("INSERT INTO identity VALUES (?)", (identity,))

    def save(self, dataset: Document, cuts: list[Document]) -> None:
        rows = [(cut["cut"], cut["dataset"], json.dumps(cut)) for cut in cuts]
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute("INSERT OR REPLACE INTO datasets VALUES (?, ?)", (dataset["id"], json.dumps(dataset)))
                self._db.executemany("INSERT OR REPLACE INTO cuts VALUES (?, ?, ?)", rows)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, "the disk is full") from error
            raise

    def datasets(self) -> list[Document]:
        return [json.loads(row[0]) for row in self._db.execute("SELECT document FROM datasets")]

    def dataset(self, name: str) -> Document | None:
        return self._one("SELECT document FROM datasets WHERE id = ?", name)

    def cut(self, name: str) -> Document | None:
        return self._one("SELECT document FROM cuts WHERE id = ?", name)

    def cuts(self) -> list[Document]:
        return [json.loads(row[0]) for row in self._db.execute("SELECT document FROM cuts")]

    def remove(self, dataset: str) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if projects := self.uses(dataset):
                raise InUse(projects)
            self._db.execute("DELETE FROM cuts WHERE dataset = ?", (dataset,))
            self._db.execute("DELETE FROM datasets WHERE id = ?", (dataset,))

    def use(self, dataset: str, project: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO uses VALUES (?, ?)", (dataset, project))

    def unuse(self, dataset: str, project: str) -> None:
        self._db.execute("DELETE FROM uses WHERE dataset = ? AND project = ?", (dataset, project))

    def uses(self, dataset: str) -> list[str]:
        rows = self._db.execute("SELECT project FROM uses WHERE dataset = ? ORDER BY project", (dataset,))
        return [str(row[0]) for row in rows]

    def close(self) -> None:
        self._db.close()

    def _one(self, query: str, name: str) -> Document | None:
        row = self._db.execute(query, (name,)).fetchone()
        return json.loads(row[0]) if row else None


class RedisIndex:
    """The same in Redis: for those who run one anyway and want it to hold the index."""

    DATASETS, CUTS, IDENTITY = "mlitb:datasets", "mlitb:cuts", "mlitb:identity"

    def __init__(self, url: str) -> None:
        try:
            self._redis = redis.Redis.from_url(url, decode_responses=True)
            self._redis.ping()
        except (redis.RedisError, ValueError) as error:
            raise IndexUnavailable(f"Redis at {url} cannot be reached: {error}") from error

    def owner(self) -> str:
        return str(self._redis.get(self.IDENTITY) or "")

    def claim(self, identity: str) -> None:
        self._redis.set(self.IDENTITY, identity)

    def save(self, dataset: Document, cuts: list[Document]) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self.DATASETS, dataset["id"], json.dumps(dataset))
            for cut in cuts:
                pipe.hset(self.CUTS, cut["cut"], json.dumps(cut))
            pipe.execute()

    def datasets(self) -> list[Document]:
        return [json.loads(text) for text in self._redis.hvals(self.DATASETS)]

    def dataset(self, name: str) -> Document | None:
        return self._one(self.DATASETS, name)

    def cut(self, name: str) -> Document | None:
        return self._one(self.CUTS, name)

    def cuts(self) -> list[Document]:
        return [json.loads(text) for text in self._redis.hvals(self.CUTS)]

    def remove(self, dataset: str) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.watch(self._uses(dataset))  # type: ignore[no-untyped-call]
            if projects := self.uses(dataset):
                raise InUse(projects)
            mine = [cut["cut"] for cut in self.cuts() if cut["dataset"] == dataset]
            pipe.multi()
            pipe.hdel(self.DATASETS, dataset)
            if mine:
                pipe.hdel(self.CUTS, *mine)
            pipe.execute()

    def use(self, dataset: str, project: str) -> None:
        self._redis.sadd(self._uses(dataset), project)

    def unuse(self, dataset: str, project: str) -> None:
        self._redis.srem(self._uses(dataset), project)

    def uses(self, dataset: str) -> list[str]:
        return sorted(str(project) for project in self._redis.smembers(self._uses(dataset)))

    def close(self) -> None:
        self._redis.close()

    def _one(self, key: str, name: str) -> Document | None:
        text = self._redis.hget(key, name)
        return json.loads(text) if text else None

    def _uses(self, dataset: str) -> str:
        return f"mlitb:uses:{dataset}"
