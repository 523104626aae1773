"""A zip file read as a stream of entries, with hostile ones in mind.

Rules of this file:
- Not the standard library's zipfile, for three reasons: it builds an object per entry (a million of them take a
  gigabyte), it does not see entries that overlap, and it believes the sizes that an entry claims while unpacking.
- Nothing is ever extracted under a name from the archive; names are only words to find labels in.
- What is wrong with the whole archive is a BadArchive, with an HTTP status; with one entry, a Skipped.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from data_server.settings import Limits

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
LOCATOR_64 = struct.Struct("<4sIQI")
END_64 = struct.Struct("<4sQ2H2I4Q")
MAX_COMMENT = 0xFFFF
UTF8_FLAG, ENCRYPTED_FLAG = 0x800, 0x1
STORED, DEFLATED = 0, 8
ZIP64_EXTRA, UNICODE_PATH_EXTRA = 0x0001, 0x7075
MAX_DIRECTORY_BYTES = 512_000_000


class BadArchive(ValueError):
    """A zip that is refused as a whole, with the HTTP status that says so."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Skipped(ValueError):
    """One entry that is left out: `reason` is one of a few, str() may add what is particular to this one."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a zip's central directory; `offset` is where its local header starts."""

    name: bytes
    text: str  # the name, decoded
    name_at: int  # where the name lies in the file
    offset: int
    packed: int
    size: int
    crc: int
    method: int
    flags: int
    mode: int  # Unix file mode, 0 where the zip does not tell


@dataclass(frozen=True, slots=True)
class Directory:
    """Where a zip's central directory lies and how many entries it claims."""

    offset: int
    bytes: int
    count: int


def find_directory(file: BinaryIO, limits: Limits) -> Directory:
    """Find a zip's central directory; raises BadArchive for what is no zip, is cut short or has too many entries."""
    size = file.seek(0, 2)
    file.seek(0)
    if size == 0:
        raise BadArchive(400, "nothing was uploaded: the body is empty")
    if file.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
        raise BadArchive(415, "this is not a zip file: upload a zip of folders, one folder per label")
    tail_start = max(0, size - END.size - MAX_COMMENT)
    file.seek(tail_start)
    tail = file.read()
    at = _end_record(tail)
    directory = _directory_64(file, tail_start + at) or _directory(tail[at : at + END.size])
    if directory.offset + directory.bytes > tail_start + at:
        raise BadArchive(422, "this zip file is damaged: its directory does not lie where it says")
    if directory.count > limits.entries or directory.bytes > MAX_DIRECTORY_BYTES:
        raise BadArchive(413, f"this zip file has {directory.count:,} entries; at most {limits.entries:,} are taken")
    return directory


def _end_record(tail: bytes) -> int:
    """Find the end record: the last whose comment fills the rest of the file (a comment may look like one)."""
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if len(tail) - at >= END.size and END.unpack_from(tail, at)[7] == len(tail) - at - END.size:
            return at
        at = tail.rfind(b"PK\x05\x06", 0, at)
    raise BadArchive(422, "this zip file is cut short or has something behind its end")


def _directory(end: bytes) -> Directory:
    _, _, _, _, count, n_bytes, offset, _ = END.unpack(end)
    return Directory(offset, n_bytes, count)


def _directory_64(file: BinaryIO, end_at: int) -> Directory | None:
    if end_at < LOCATOR_64.size:
        return None
    file.seek(end_at - LOCATOR_64.size)
    signature, _, at, _ = LOCATOR_64.unpack(file.read(LOCATOR_64.size))
    if signature != b"PK\x06\x07" or at > end_at - END_64.size:
        return None
    file.seek(at)
    fields = END_64.unpack(file.read(END_64.size))
    if fields[0] != b"PK\x06\x06":
        raise BadArchive(422, "this zip file is damaged: its zip64 end record is missing")
    return Directory(offset=fields[9], bytes=fields[8], count=fields[7])


def entries(file: BinaryIO, limits: Limits) -> Iterator[Entry]:
    """Yield the entries of a zip's central directory; raises BadArchive when it is damaged or lies."""
    directory = find_directory(file, limits)
    file.seek(directory.offset)
    left, count = directory.bytes, 0
    while left > 0:
        head = file.read(CENTRAL.size)
        if len(head) < CENTRAL.size or not head.startswith(b"PK\x01\x02"):
            raise BadArchive(422, f"this zip file's directory is damaged after {count:,} entries")
        fields = CENTRAL.unpack(head)
        rest = sum(fields[10:13])
        name_at = directory.offset + directory.bytes - left + CENTRAL.size
        left -= CENTRAL.size + rest
        count += 1
        if count > limits.entries:
            raise BadArchive(413, f"this zip file has more than {limits.entries:,} entries")
        yield _entry(fields, file.read(rest), name_at)
    # Old tools, and macOS above 65,535 entries, write the count's lower 16 bits only.
    if left < 0 or count % 0x10000 != directory.count % 0x10000:
        raise BadArchive(422, f"this zip file says that it has {directory.count:,} entries but lists {count:,}")


def _entry(fields: tuple[int, ...], rest: bytes, name_at: int) -> Entry:
    made_by, flags, method = fields[1], fields[3], fields[4]
    name, extra = rest[: fields[10]], _extra(rest[fields[10] : fields[10] + fields[11]])
    packed, size, offset = fields[8], fields[9], fields[16]
    wide = extra.get(ZIP64_EXTRA, b"")
    numbers = iter(struct.unpack(f"<{len(wide) // 8}Q", wide[: len(wide) // 8 * 8]))
    size = next(numbers, size) if size == 0xFFFFFFFF else size
    packed = next(numbers, packed) if packed == 0xFFFFFFFF else packed
    offset = next(numbers, offset) if offset == 0xFFFFFFFF else offset
    mode = fields[15] >> 16 if made_by >> 8 in (3, 19) else 0  # made on Unix or macOS
    return Entry(name, _text(name, flags, extra), name_at, offset, packed, size, fields[7], method, flags, mode)


def _extra(data: bytes) -> dict[int, bytes]:
    fields, at = {}, 0
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("<HH", data, at)
        fields[kind] = data[at + 4 : at + 4 + length]
        at += 4 + length
    return fields


def _text(name: bytes, flags: int, extra: dict[int, bytes]) -> str:
    """Decode a name: UTF-8 where the zip says so or where it is, else code page 437, the format's first."""
    unicode_path = extra.get(UNICODE_PATH_EXTRA, b"")
    if unicode_path[:1] == b"\x01" and unicode_path[1:5] == struct.pack("<I", zlib.crc32(name)):
        return unicode_path[5:].decode("utf-8", "replace")
    return name.decode("utf-8", "replace") if flags & UTF8_FLAG else plain_text(name)


def plain_text(name: bytes) -> str:
    """Decode a name whose encoding the zip does not tell."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp437")


def check_apart(offsets: list[int], ends: list[int], directory_offset: int) -> None:
    """Raise BadArchive when entries share bytes: so zip bombs are made, and nothing else is."""
    order = np.argsort(np.array(offsets, dtype=np.uint64), kind="stable")
    starts = np.append(np.array(offsets, dtype=np.uint64)[order], np.uint64(directory_offset))
    if (np.array(ends, dtype=np.uint64)[order] > starts[1:]).any():
        raise BadArchive(422, "this zip file's entries overlap: it is damaged or a zip bomb")


def least_end(entry: Entry) -> int:
    """Return the first byte that may belong to another entry."""
    return entry.offset + LOCAL.size + len(entry.name) + entry.packed


def read(file: BinaryIO, offset: int, packed: int, size: int, crc: int, method: int) -> bytes:
    """Unpack one entry's bytes; raises Skipped when they are not what the directory promised."""
    file.seek(offset)
    head = file.read(LOCAL.size)
    if len(head) < LOCAL.size or not head.startswith(b"PK\x03\x04"):
        raise Skipped("damaged in the zip", "its local header is missing")
    fields = LOCAL.unpack(head)
    file.seek(fields[9] + fields[10], 1)
    data = file.read(packed)
    if method == DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
        except zlib.error as error:
            raise Skipped("damaged in the zip", "it cannot be unpacked") from error
    if len(data) != size or zlib.crc32(data) != crc:
        raise Skipped("damaged in the zip", "its size or checksum is wrong")
    return data
