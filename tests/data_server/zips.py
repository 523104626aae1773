"""Zips for tests: ordinary, odd and hostile ones, made of bytes."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from mlitb import pixels

CENTRAL_HEAD = 46


def picture(seed: int, width: int = 8, height: int = 8, channels: int = 1) -> bytes:
    """Return a PNG of random pixels: every seed another."""
    rng = np.random.default_rng(seed)
    return pixels.encode_png(rng.integers(0, 256, (height, width, channels), dtype=np.uint8))


def make_zip(files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a plain zip of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return out.getvalue()


def labelled(n_labels: int = 3, each: int = 20, prefix: str = "", seed: int = 0) -> dict[str, bytes]:
    """Return files for `each` random pictures in each of the folders 0, 1, …"""
    return {
        f"{prefix}{label}/{number:03}.png": picture(seed + label * 1000 + number)
        for label in range(n_labels)
        for number in range(each)
    }


def directory_of(data: bytes) -> tuple[int, int, int]:
    """Return (where the end record is, number of entries, where the central directory starts)."""
    end = data.rindex(b"PK\x05\x06")
    count, _, offset = struct.unpack_from("<HII", data, end + 10)
    return end, count, offset


def patched(data: bytes, at: int, value: bytes) -> bytes:
    """Return the bytes with some replaced."""
    return data[:at] + value + data[at + len(value) :]


def lying_count(data: bytes, count: int) -> bytes:
    """Let a zip say that it has another number of entries."""
    end, _, _ = directory_of(data)
    return patched(data, end + 8, struct.pack("<HH", count, count))


def encrypted(data: bytes) -> bytes:
    """Set the encryption flag of every entry of a zip, in the central directory."""
    end, _, at = directory_of(data)
    while at < end:
        data = patched(data, at + 8, b"\x01\x00")
        at += CENTRAL_HEAD + sum(struct.unpack_from("<HHH", data, at + 28))
    return data


def overlapping(n_entries: int = 50) -> bytes:
    """Return a zip whose entries all share one kernel of data, as the better zip bombs do."""
    kernel = zlib.compress(bytes(1_000_000), 9)[2:-4]
    crc = zlib.crc32(bytes(1_000_000))
    name = b"0/a.png"
    sizes = struct.pack("<III", crc, len(kernel), 1_000_000)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 33) + sizes + struct.pack("<HH", len(name), 0) + name
    body = local + kernel
    central = b"".join(
        b"PK\x01\x02"
        + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 33)
        + sizes
        + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0)
        + name
        for _ in range(n_entries)
    )
    end = struct.pack("<HHHHIIH", 0, 0, n_entries, n_entries, len(central), len(body), 0)
    return body + central + b"PK\x05\x06" + end


def many_entries(n_entries: int) -> bytes:
    """Return a zip64 file with this many empty entries, without spending a minute in zipfile."""
    local = b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, 0, 0, 0, 1, 0) + b"a"
    central = (
        b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    ) * n_entries
    at = len(local) + len(central)
    end64 = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, n_entries, n_entries, len(central), len(local))
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, at, 1)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return local + central + end64 + locator + end


def with_symlink(files: Mapping[str, bytes], name: str, target: bytes) -> bytes:
    """Return a zip with one more entry, a symbolic link."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for file, data in files.items():
            archive.writestr(file, data)
        link = zipfile.ZipInfo(name)
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, target)
    return out.getvalue()
