"""Data sets back out: a zip of label folders, and thumbnails."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from data_server import archive, cut, folders
from data_server.index import Document
from data_server.ingest import Source
from data_server.refusal import Refusal
from data_server.settings import Limits
from data_server.store import Store, current_cuts

THUMBNAILS = 8  # in a label's strip
CHUNK_BYTES = 256_000


class _Sink(io.RawIOBase):
    """What zipfile writes to: bytes wait here until they are taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.held = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        self.held += len(part)
        return len(part)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken, self._parts, self.held = b"".join(self._parts), [], 0
        return taken


def as_zip(sources: list[Source], limits: Limits) -> Iterator[bytes]:
    """Yield a zip of [set/]label/file, with the pictures' own bytes, under today's labels."""
    sink, used = _Sink(), set[str]()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as out:
        for source in sources:
            with Path(source.path).open("rb") as file:
                for name, data in _pictures(file, source, limits):
                    out.writestr(zipfile.ZipInfo(_unused(name, used), cut.ZIP_DATE), data)
                    if sink.held > CHUNK_BYTES:
                        yield sink.take()
    yield sink.take()


def _pictures(file: BinaryIO, source: Source, limits: Limits) -> Iterator[tuple[str, bytes]]:
    listed: list[tuple[archive.Entry, str]] = []
    for entry in archive.entries(file, limits):
        try:
            if folder := folders.folder_of(entry, limits):
                listed.append((entry, folder))
        except archive.Skipped:
            continue  # the report has told of it
    known = list(dict.fromkeys(folder for _, folder in listed))
    places = dict(zip(known, folders.places(known, limits)[0], strict=True))
    with_sets = len({place.split for place in places.values()}) > 1
    for entry, folder in listed:
        try:
            data = archive.read(file, entry.offset, entry.packed, entry.size, entry.crc, entry.method)
        except archive.Skipped:
            continue  # as above
        label = source.names.get(places[folder].label, places[folder].label)
        yield f"{places[folder].split}/" * with_sets + f"{label}/{folders.file_name(entry)}", data


def _unused(name: str, used: set[str]) -> str:
    stem, dot, suffix = name.rpartition(".")
    number, candidate = 1, name
    while candidate in used:
        number += 1
        candidate = f"{stem}-{number}{dot}{suffix}" if stem else f"{name}-{number}"
    used.add(candidate)
    return candidate


def thumbnails(store: Store, document: Document, label: int) -> bytes:
    """Return a PNG with up to eight of a label's training pictures, side by side; raises Refusal."""
    if not 0 <= label < len(document["labels"]):
        raise Refusal(404, f"there is no label number {label} in the data set {document['id']}")
    manifest = store.cut(current_cuts(document)[0]["id"])
    pngs: list[bytes] = []
    for shard in manifest["shards"]:
        if len(pngs) < THUMBNAILS and shard["labels"][label]:
            head, files = cut.read_shard(store.shard_path(shard["hash"]).read_bytes())
            pngs += [png for png, index in zip(files, head["labels"], strict=True) if index == label]
    mode = "L" if manifest["channels"] == 1 else "RGB"
    strip = Image.new(mode, (manifest["width"] * THUMBNAILS, manifest["height"]), 255 if mode == "L" else "white")
    for place, png in enumerate(pngs[:THUMBNAILS]):
        strip.paste(Image.open(io.BytesIO(png)), (place * manifest["width"], 0))
    out = io.BytesIO()
    strip.save(out, "PNG")
    return out.getvalue()
