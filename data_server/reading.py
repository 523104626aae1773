"""The entries of an upload -> validated PNG files of the cut's size, in a scratch folder.

Rules of this file:
- It runs in processes of its own, each with a share of the entries and a bound on its memory, because the bytes are
  hostile and the work is heavy: what dies here takes nothing with it.
- What is written: pngs.K (the images, one after the other), records.K (one fixed-size record per entry) and, at the
  end, skipped.K. The size of records.K is the progress.
"""

import hashlib
import json
import resource
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from data_server.archive import Skipped, plain_text, read
from data_server.cut import Spec
from mlitb import pixels

ENTRY = np.dtype(
    [
        ("offset", "<u8"),
        ("packed", "<u8"),
        ("size", "<u8"),
        ("name_at", "<u8"),  # where its name lies in the zip
        ("crc", "<u4"),
        ("folder", "<u4"),
        ("name_length", "<u2"),
        ("method", "<u2"),
        ("source", "<u2"),
    ]
)
RECORD = np.dtype(
    [
        ("entry", "<u4"),
        ("length", "<u4"),  # of the PNG; 0: skipped
        ("offset", "<u8"),
        ("sum", "<u8", 3),  # of the pixels, per channel
        ("squares", "<u8", 3),
        ("digest", "S16"),  # of the file's bytes, to find duplicates
    ]
)
STRIPE = 64  # neighbouring entries go to one process: they lie side by side in the zip
LISTED = 1_000  # skipped files listed by name; all are counted


@dataclass(slots=True)
class Skips:
    """What was left out, counted by reason; the first thousand by name."""

    reasons: Counter[str] = field(default_factory=Counter)
    files: list[dict[str, str]] = field(default_factory=list)

    def add(self, name: str, reason: str, told: str) -> None:
        """Count one file and list it if there is room."""
        self.reasons[reason] += 1
        if len(self.files) < LISTED:
            self.files.append({"name": name[:200], "reason": told})

    def merge(self, other: "Skips") -> None:
        """Take in what another process skipped."""
        self.reasons.update(other.reasons)
        self.files = (self.files + other.files)[:LISTED]

    def report(self) -> dict[str, Any]:
        """Return it as the report has it."""
        return {"total": self.reasons.total(), "reasons": dict(self.reasons.most_common()), "files": self.files}


def limit_memory(n_bytes: int) -> None:
    """Bound this process's address space: a picture that needs more is skipped, not the machine swapped out."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes if hard < 0 else min(n_bytes, hard), hard))


def read_share(folder: Path, sources: list[str], spec: Spec, share: int, shares: int) -> Skips:
    """Read every entry of this process's share of the folder's entries.bin; write pngs, records and skips."""
    table = np.fromfile(folder / "entries.bin", dtype=ENTRY)
    mine = np.flatnonzero((np.arange(len(table)) // STRIPE) % shares == share)
    skips = Skips()
    with ExitStack() as stack:
        files: list[BinaryIO] = [stack.enter_context(Path(source).open("rb")) for source in sources]
        pngs = stack.enter_context((folder / f"pngs.{share}").open("wb"))
        records = stack.enter_context((folder / f"records.{share}").open("wb"))
        for number in mine.tolist():
            records.write(_read_one(files, table[number], number, spec, pngs, skips).tobytes())
    (folder / f"skipped.{share}").write_text(json.dumps([skips.reasons, skips.files]))
    return skips


def skips_of(folder: Path, shares: int) -> Skips:
    """Read what the processes skipped."""
    total = Skips()
    for share in range(shares):
        reasons, files = json.loads((folder / f"skipped.{share}").read_text())
        total.merge(Skips(Counter(reasons), files))
    return total


def name_of(files: list[BinaryIO], entry: Any) -> str:
    """Read an entry's name from its zip again: a million of them are not kept."""
    file = files[entry["source"]]
    file.seek(int(entry["name_at"]))
    return plain_text(file.read(int(entry["name_length"])))


def _read_one(
    files: list[BinaryIO], entry: Any, number: int, spec: Spec, pngs: BinaryIO, skips: Skips
) -> NDArray[np.void]:
    record = np.zeros((), dtype=RECORD)
    record["entry"] = number
    packed, size, crc = int(entry["packed"]), int(entry["size"]), int(entry["crc"])
    try:
        data = read(files[entry["source"]], int(entry["offset"]), packed, size, crc, int(entry["method"]))
        image = pixels.decode(data, spec.width, spec.height, spec.channels, spec.mode)  # type: ignore[arg-type]
    except (Skipped, pixels.BadImage) as error:
        skips.add(name_of(files, entry), error.reason, str(error))
        return record
    png = pixels.encode_png(image)
    flat = image.reshape(-1, spec.channels).astype(np.uint64)
    record["length"], record["offset"] = len(png), pngs.tell()
    record["sum"][: spec.channels] = flat.sum(axis=0)
    record["squares"][: spec.channels] = (flat * flat).sum(axis=0)
    record["digest"] = hashlib.blake2b(data, digest_size=16).digest()
    pngs.write(png)
    return record
