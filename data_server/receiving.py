"""An upload's bytes -> a file, counted, hashed and bounded, without waiting for the disk on the event loop."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from data_server.patience import uninterrupted
from data_server.refusal import Refusal
from data_server.settings import NO_ROOM, Limits

CHUNK_BYTES = 1_000_000  # gathered before a thread is asked to write them
FIRST_BYTES = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(slots=True)
class Receiver:
    """A file that grows as an upload comes in."""

    path: Path
    limits: Limits
    n_bytes: int = 0  # so far; more than none: this goes on with an upload
    most: int | None = None  # of which more are refused
    _hash: Any = field(default_factory=hashlib.sha256)

    async def receive(self, stream: AsyncIterator[bytes]) -> None:
        """Write a whole stream; raises Refusal when it is no zip, too large, or the disk is full."""
        with self.path.open("ab") as file:
            parts: list[bytes] = []
            held = 0
            try:
                async for part in self._timely(stream):
                    parts.append(part)
                    held += len(part)
                    if held >= CHUNK_BYTES:
                        data, parts, held = b"".join(parts), [], 0
                        await self._write(file, data)
            finally:
                await self._write(file, b"".join(parts))

    def source(self) -> dict[str, Any]:
        """Return what the data set's document says of this file."""
        return {"sha256": self._hash.hexdigest(), "bytes": self.n_bytes}

    async def _timely(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        iterator = aiter(stream)
        while True:
            try:
                part = await asyncio.wait_for(anext(iterator), self.limits.idle_seconds)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise Refusal(
                    408, f"nothing came for {self.limits.idle_seconds:g} s: the upload was given up"
                ) from error
            yield part

    async def _write(self, file: BinaryIO, data: bytes) -> None:
        if self.n_bytes == 0 and data and not data.startswith(FIRST_BYTES):
            raise Refusal(415, "this is not a zip file: upload a zip of folders, one folder per label")
        self.n_bytes += len(data)
        check_size(self.n_bytes, self.limits)
        if self.most is not None and self.n_bytes > self.most:
            raise Refusal(413, f"more bytes came than the {self.most:,} that were announced")
        try:
            await uninterrupted(self._write_now, file, data)
        except OSError as error:
            raise disk_refusal(error) from error

    def _write_now(self, file: BinaryIO, data: bytes) -> None:
        file.write(data)
        file.flush()
        self._hash.update(data)


def hash_file(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_size(n_bytes: int, limits: Limits) -> None:
    """Raise Refusal for an upload of more bytes than are taken."""
    if n_bytes > limits.upload_bytes:
        raise Refusal(413, f"this upload has more than {limits.upload_bytes:,} bytes, the most that is taken")


def disk_refusal(error: OSError) -> Exception:
    """Return what to raise for a failed write: a Refusal when the disk is full, else the error itself."""
    if error.errno in NO_ROOM:
        return Refusal(507, "the data server's disk is full")
    return error
