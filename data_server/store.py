"""The data folder: what is kept where, and the order in which things become true.

Rules of this file:
- A file is written beside, flushed to the disk and renamed; the index comes last. So what the index names exists,
  and what it does not name is swept at the next start.
- zips/SHA256.zip are what was uploaded, shards/SHA256.zip shards, work/ is for what is not finished, uploads/ for
  what is not wholly received; number is the last data
  set's number, so that ids never repeat whatever happens to the index; identity ties an index to this folder.
- One process owns the folder (a lock file says so); all changes happen under one lock.
"""

import errno
import fcntl
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_server.index import Document, Index, IndexUnavailable, RedisIndex, SqliteIndex
from data_server.ingest import Source
from data_server.settings import Settings

NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)  # file systems without hard links
SETS = ("validation", "test")


class StoreUnavailable(RuntimeError):
    """The data folder cannot be used; the sentence says why."""


class Unknown(LookupError):
    """There is no data set or cut of this name."""


class Stale(RuntimeError):
    """A data set changed between reading and writing it."""


class Store:
    """Data sets, cuts and shards on disk, and the index that says what they are."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.data_dir
        self.zips, self.shards, self.work = self.root / "zips", self.root / "shards", self.root / "work"
        self.uploads = self.root / "uploads"
        self._lock = threading.RLock()
        self._owned = self._own()
        self.index: Index = RedisIndex(settings.redis) if settings.redis else SqliteIndex(self.root / "index.sqlite")
        self._claim()
        self._sweep()

    def _own(self) -> int:
        """Make the folders and lock them for this process."""
        try:
            for folder in (self.zips, self.shards, self.work, self.uploads):
                folder.mkdir(parents=True, exist_ok=True)
            owned = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"the data folder {self.root} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(owned)
            raise StoreUnavailable(f"the data folder {self.root} is in use by another data server") from error
        return owned

    def _claim(self) -> None:
        """Make sure that index and folder belong together: sweeping by another's index would delete everything."""
        path = self.root / "identity"
        mine, theirs = path.read_text() if path.exists() else "", self.index.owner()
        if mine == theirs and mine:
            return
        if theirs or any(self.zips.iterdir()):
            raise IndexUnavailable(f"the index does not belong to the data folder {self.root}, or it was lost")
        identity = mine or secrets.token_hex(16)
        write_durably(path, identity.encode())
        self.index.claim(identity)

    def _sweep(self) -> None:
        """Remove what a crash left."""
        shutil.rmtree(self.work)
        self.work.mkdir()
        with self._lock:
            self._sweep_files()

    def _sweep_files(self) -> None:
        """Remove the files that no index entry names."""
        zips = {source["sha256"] for dataset in self.index.datasets() for source in dataset["sources"]}
        self._keep_only(self.zips, zips)
        self._keep_only(self.shards, {name for cut in self.index.cuts() for name in shards_of(cut)})

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Hold the lock for a change; when it fails, remove the files that it placed."""
        with self._lock:
            try:
                yield
            except Exception:
                self._sweep_files()
                raise

    @staticmethod
    def _keep_only(folder: Path, names: set[str]) -> None:
        for path in folder.iterdir():
            if path.stem not in names or path.suffix != ".zip":
                path.unlink()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Lend a folder for unfinished work; it is gone afterwards, whatever happens."""
        folder = self.work / secrets.token_hex(8)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # what stays behind is swept at the next start

    def known(self, sha256: str) -> Document | None:
        """Find the data set that was made of an upload with these bytes."""
        with self._lock:
            return next((d for d in self.index.datasets() if d["sources"][0]["sha256"] == sha256), None)

    def dataset(self, name: str) -> Document:
        """Return a data set's document; raises Unknown."""
        with self._lock:
            if document := self.index.dataset(name):
                return document
        raise Unknown(f"there is no data set {name!r}")

    def sources(self, document: Document) -> list[Source]:
        """Return a data set's zips as a job needs them."""
        return [
            Source(str((self.zips / f"{source['sha256']}.zip").absolute()), source["sha256"], source.get("names", {}))
            for source in document["sources"]
        ]

    def shard_path(self, name: str) -> Path:
        """Return where a shard lies, or would."""
        return self.shards / f"{name}.zip"

    def cut(self, name: str) -> Document:
        """Return a cut's manifest; raises Unknown."""
        with self._lock:
            if document := self.index.cut(name):
                return document
        raise Unknown(f"there is no cut {name!r}")

    def datasets(self) -> list[Document]:
        """Return all data sets, oldest first."""
        with self._lock:
            return sorted(self.index.datasets(), key=lambda document: int(document["id"][1:]))

    def add(
        self, name: str, upload: Path, source: Document, result: Document, spec: Document, work: Path
    ) -> Document | None:
        """Make a data set of an upload and its first cut; None when one with equal bytes was quicker."""
        with self._change():
            if self.known(source["sha256"]):
                return None
            self._place_shards(work)
            self._keep_zip(upload, source["sha256"])
            number = self._next_number()
            document = {
                "id": f"d{number}",
                "name": name or f"data set {number}",
                "created": time.time(),
                "version": 1,
                "sources": [source],
                "cuts": [],
                **result["report"],
            }
            return self._save(document, result["manifest"], spec)

    def add_cut(self, document: Document, result: Document, spec: Document, work: Path) -> Document:
        """Add a cut to a data set, made of the document given; refuse a stale one."""
        with self._change():
            made_of, document = document, self.dataset(document["id"])
            if made_of["version"] != document["version"]:
                raise Stale(f"the data set {document['id']} was changed at the same time: try again")
            if any(cut["id"] == result["manifest"]["cut"] for cut in document["cuts"]):
                return document
            self._place_shards(work)
            return self._save(document, result["manifest"], spec)

    def _save(self, document: Document, manifest: Document, spec: Document) -> Document:
        manifest = {"dataset": document["id"], "version": document["version"], **manifest}
        line = {"id": manifest["cut"], **spec, "vectors": manifest["vectors"], "version": document["version"]}
        document = {**document, "cuts": [*document["cuts"], line]}
        self.index.save(document, [manifest])
        return document

    def edit(self, document: Document, manifests: list[Document], work: Path, upload: Path | None = None) -> Document:
        """Make a new version of a data set, with its cuts, from shards that lie in work; refuse a stale one."""
        with self._change():
            if self.dataset(document["id"])["version"] != document["version"] - 1:
                raise Stale(f"the data set {document['id']} was changed at the same time: try again")
            if upload:
                self._keep_zip(upload, document["sources"][-1]["sha256"])
            self._place_shards(work)
            self.index.save(document, manifests)
            return document

    def rename(self, dataset: str, name: str) -> Document:
        """Give a data set another name."""
        with self._lock:
            document = {**self.dataset(dataset), "name": name}
            self.index.save(document, [])
            return document

    def remove(self, dataset: str) -> None:
        """Delete a data set; raises Unknown, or InUse while a project uses it."""
        with self._lock:
            document = self.dataset(dataset)
            mine = {name for cut in self.index.cuts() if cut["dataset"] == dataset for name in shards_of(cut)}
            self.index.remove(dataset)
            mine -= {name for cut in self.index.cuts() for name in shards_of(cut)}
            kept = {source["sha256"] for other in self.index.datasets() for source in other["sources"]}
            for name in mine:
                (self.shards / f"{name}.zip").unlink(missing_ok=True)
            for name in {source["sha256"] for source in document["sources"]} - kept:
                (self.zips / f"{name}.zip").unlink(missing_ok=True)

    def use(self, dataset: str, project: str, used: bool) -> None:
        """Note that a project uses a data set, or no longer does; raises Unknown."""
        with self._lock:
            self.dataset(dataset)
            (self.index.use if used else self.index.unuse)(dataset, project)

    def uses(self, dataset: str) -> list[str]:
        """Return the projects that use a data set."""
        with self._lock:
            return self.index.uses(dataset)

    def free_bytes(self) -> int:
        """Return the room on the data folder's disk."""
        return shutil.disk_usage(self.root).free

    def close(self) -> None:
        """Let go of index and folder."""
        self.index.close()
        os.close(self._owned)

    def _keep_zip(self, upload: Path, sha256: str) -> None:
        """Give an upload a second name; the first goes with its folder, once the index knows the second."""
        beside = upload.with_suffix(".linked")
        try:
            os.link(upload, beside)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            shutil.copyfile(upload, beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        place(beside, self.zips / f"{sha256}.zip")

    def _place_shards(self, work: Path) -> None:
        for path in (work / "shards").glob("*.zip"):
            path.replace(self.shards / path.name)
        sync_folder(self.shards)

    def _number(self) -> int:
        path = self.root / "number"
        return int(path.read_text()) if path.exists() else 0

    def _next_number(self) -> int:
        number = self._number() + 1
        write_durably(self.root / "number", str(number).encode())
        return number


def shards_of(manifest: Document) -> Iterator[str]:
    """Yield the hashes of all shards that a manifest names."""
    for part in (manifest, *(manifest[name] for name in SETS)):
        for shard in part["shards"]:
            yield shard["hash"]


def current_cuts(document: Document) -> list[Document]:
    """Return the cuts of a data set's newest version; those before are for projects that began with them."""
    return [line for line in document["cuts"] if line["version"] == document["version"]]


def report(document: Document, known: bool = False, uses: list[str] | None = None) -> dict[str, Any]:
    """Return what people are told about a data set; see docs/architecture.md."""
    told = {key: value for key, value in document.items() if key != "sources"}
    told["cuts"] = current_cuts(document)
    total = sum(source["bytes"] for source in document["sources"])
    return {**told, "bytes": total, "known": known, "uses": uses or []}


def write_durably(path: Path, data: bytes) -> None:
    """Write a small file so that after a crash it is the old one or the new one."""
    beside = path.with_suffix(".new")
    with beside.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    place(beside, path)


def place(source: Path, target: Path) -> None:
    """Rename a finished file to its place and make that durable."""
    source.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make renames within a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
