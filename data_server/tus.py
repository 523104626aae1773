"""Resumable uploads by the tus protocol 1.0 (core, creation, termination, expiration): https://tus.io/protocols

Rules of this file:
- Written here, not taken from tuspyserver (4.4), which takes bytes before it asks who sends them, writes on the
  event loop, and takes a full disk for the end of a request. The tests speak to it with a kept client, tuspy.
- An upload is a folder in uploads/: what came so far and what it is to become. The file's length is the offset, so
  it survives a restart. When all is there the same path is taken as for a raw upload.
- It is named by 128 random bits, and every request needs the ticket all the same.
"""

import asyncio
import base64
import binascii
import json
import logging
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from data_server.cut import Spec
from data_server.jobs import progress
from data_server.receiving import Receiver, check_size, hash_file
from data_server.refusal import Refusal
from data_server.settings import Limits
from data_server.store import Store, write_durably
from data_server.uploads import Uploads, Wanted

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration"
LIFETIME_SECONDS = 24 * 3600  # of an upload that nobody goes on with
REMEMBERED = 100  # finished uploads whose outcome can still be asked for
log = logging.getLogger(__name__)
NAME = re.compile(r"[0-9a-f]{32}")

State = Literal["receiving", "reading", "ready", "failed"]


@dataclass(slots=True)
class Upload:
    """One resumable upload and what became of it."""

    folder: Path
    length: int
    wanted: Wanted
    state: State = "receiving"
    busy: bool = False
    report: dict[str, Any] | None = None
    status: int = 0
    detail: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """Where its bytes lie."""
        return self.folder / "upload.zip"

    @property
    def offset(self) -> int:
        """How many bytes have come."""
        return self.path.stat().st_size if self.path.exists() else self.length

    def told(self, ahead: int) -> dict[str, Any]:
        """Return what its sender may know: how far it is, how many are read before it, or what became of it."""
        done, total = progress(self.folder)
        told = {"state": self.state, "bytes": self.length, "received": self.offset}
        told |= {"ahead": ahead, "read": done, "entries": total}
        if self.state == "failed":
            return {**told, "status": self.status, "detail": self.detail}
        return {**told, "report": self.report} if self.report else told


class Resumable:
    """All resumable uploads."""

    def __init__(self, store: Store, uploads: Uploads, limits: Limits) -> None:
        self._store, self._uploads, self._limits = store, uploads, limits
        self._all: dict[str, Upload] = {}

    async def restore(self) -> None:
        """Take up what an earlier run of the server left: unfinished uploads wait, whole ones are read."""
        for folder in sorted(self._store.uploads.iterdir()):
            try:
                told = json.loads((folder / "upload.json").read_text())
            except (OSError, ValueError):
                shutil.rmtree(folder)  # a crash came before its description: nobody was told of it
                continue
            await asyncio.to_thread(_remove_work, folder)
            upload = Upload(folder, told["length"], Wanted(told["name"], Spec(**told["spec"])))
            self._all[folder.name] = upload
            self._read_if_whole(upload)

    async def stop(self) -> None:
        """Stop reading; at the next start it is begun again."""
        tasks = [upload.task for upload in self._all.values() if upload.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def create(self, length: int, wanted: Wanted) -> str:
        """Begin an upload of this many bytes; returns its name. Raises Refusal."""
        self._expire()
        check_size(length, self._limits)
        self._uploads.check_room(length)
        if length <= 0:
            raise Refusal(400, "nothing to upload: Upload-Length is 0")
        if sum(upload.state == "receiving" for upload in self._all.values()) >= self._limits.uploads:
            raise Refusal(503, f"{self._limits.uploads} uploads are unfinished, the most that are kept: try later")
        name = secrets.token_hex(16)
        folder = self._store.uploads / name
        folder.mkdir()
        (folder / "upload.zip").touch()
        told = {"length": length, "name": wanted.name, "spec": asdict(wanted.spec)}
        write_durably(folder / "upload.json", json.dumps(told).encode())
        self._all[name] = Upload(folder, length, wanted)
        return name

    def find(self, name: str) -> Upload:
        """Return an upload; raises Refusal."""
        if NAME.fullmatch(name) and name in self._all:
            return self._all[name]
        raise Refusal(404, "there is no such upload: it was never begun, was deleted, or is older than a day")

    def told(self, name: str) -> dict[str, Any]:
        """Return how far an upload is; raises Refusal."""
        upload = self.find(name)
        return upload.told(self._uploads.ahead(upload.folder))

    async def append(self, name: str, offset: int, stream: AsyncIterator[bytes]) -> Upload:
        """Append a stream's bytes at an offset; raises Refusal. What came before a break stays."""
        upload = self.find(name)
        if upload.busy:
            raise Refusal(423, "another request is sending this upload's bytes")
        if offset != upload.offset or upload.state != "receiving":
            raise Refusal(409, f"this upload goes on at {upload.offset}, not at {offset}")
        upload.busy = True
        try:
            receiver = Receiver(upload.path, self._limits, n_bytes=offset, most=upload.length)
            await receiver.receive(stream)
        except Refusal as refusal:
            if refusal.status in (413, 415):
                await self.remove(name)
            raise
        finally:
            upload.busy = False
        self._read_if_whole(upload)
        return upload

    async def remove(self, name: str) -> None:
        """Cancel an upload, whatever it is doing, and forget it; raises Refusal."""
        upload = self.find(name)
        if upload.task:
            upload.task.cancel()
            await asyncio.gather(upload.task, return_exceptions=True)
        del self._all[name]
        await asyncio.to_thread(shutil.rmtree, upload.folder, ignore_errors=True)

    def _read_if_whole(self, upload: Upload) -> None:
        if upload.offset == upload.length:
            upload.state = "reading"
            upload.task = asyncio.create_task(self._read(upload))

    async def _read(self, upload: Upload) -> None:
        try:
            source = {"sha256": await asyncio.to_thread(hash_file, upload.path), "bytes": upload.length}
            upload.report = await self._uploads.make(upload.folder, upload.path, source, upload.wanted)
            upload.state = "ready"
        except Refusal as refusal:
            upload.state, upload.status, upload.detail = "failed", refusal.status, str(refusal)
        except Exception as error:  # a bug, or a disk that fails: nobody waits for this task but who asks for its state
            log.exception("reading an upload failed")
            upload.state, upload.status, upload.detail = "failed", 500, f"reading it failed: {error}"
        await asyncio.to_thread(shutil.rmtree, upload.folder, ignore_errors=True)

    def _expire(self) -> None:
        """Forget what nobody went on with for a day, and all but the newest outcomes."""
        now = time.time()
        ended = [name for name, upload in self._all.items() if upload.state in ("ready", "failed")]
        for name in ended[:-REMEMBERED]:
            del self._all[name]
        for name, upload in list(self._all.items()):
            waits = upload.state == "receiving" and not upload.busy
            if waits and now - upload.path.stat().st_mtime > LIFETIME_SECONDS:
                del self._all[name]
                shutil.rmtree(upload.folder, ignore_errors=True)


def _remove_work(folder: Path) -> None:
    """Remove what reading an upload left, but not the upload."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in ("upload.zip", "upload.json"):
            path.unlink()


def metadata(header: str) -> dict[str, str]:
    """Decode an Upload-Metadata header: keys and base64 values; raises Refusal."""
    pairs = {}
    for item in filter(None, (part.strip() for part in header.split(","))):
        key, _, value = item.partition(" ")
        try:
            pairs[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Refusal(400, f"Upload-Metadata: the value of {key[:40]!r} is not base64 of UTF-8") from error
    return pairs
