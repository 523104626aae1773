"""One upload becomes one cut: the program that the data server runs for it, in a process of its own.

Rules of this file:
- It reads job.json in the folder it is given and writes only there; it prints one JSON line: a result or an error.
- Its helpers run the same program with a share's number. Everybody ends when its standard input does: so nothing
  outlives a server that was killed.
- It takes no decision about what exists: the server moves the outcome into place, or throws it away.
"""

import errno
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from data_server import archive, cut, folders, reading
from data_server.archive import BadArchive
from data_server.cut import Indices, Spec
from data_server.settings import NO_ROOM, Limits

Folder = tuple[int, str]  # the source's number and the folder's name in it

FEW_ENTRIES = 1_000  # per process: for fewer a helper's start takes longer than its work
STD_FLOOR = 1 / 255  # for data of a single colour: nobody divides by zero


@dataclass(slots=True)
class Source:
    """One zip of a data set; those after the first are single pictures that were added."""

    path: str
    sha256: str
    names: dict[str, str] = field(default_factory=dict)  # renamed labels: the folder's name -> the label's


@dataclass(slots=True)
class Job:
    """What is to be done: zips in, one cut out."""

    sources: list[Source]
    spec: Spec
    labels: list[str] = field(default_factory=list)  # in this order, as far as they are settled
    processes: int = 2
    limits: Limits = field(default_factory=Limits)

    def paths(self) -> list[str]:
        """Return where the sources lie."""
        return [source.path for source in self.sources]

    def save(self, folder: Path) -> None:
        """Write it where the program reads it."""
        (folder / "job.json").write_text(json.dumps(asdict(self)))

    @staticmethod
    def load(folder: Path) -> "Job":
        """Read what `save` wrote."""
        told = json.loads((folder / "job.json").read_text())
        sources = [Source(**source) for source in told["sources"]]
        return Job(**{**told, "sources": sources, "spec": Spec(**told["spec"]), "limits": Limits(**told["limits"])})


@dataclass(slots=True)
class Vectors:
    """The images that were read, in the order of their entries: one row each, with label and set."""

    records: NDArray[np.void]
    shares: Indices  # which process wrote it
    labels: Indices
    splits: Indices  # an index into folders.SPLITS


def scan(job: Job, folder: Path) -> tuple[list[Folder], reading.Skips, int]:
    """List what looks like a picture in entries.bin; returns the folders, the skipped, the number listed."""
    known: dict[Folder, int] = {}
    skips, rows, total = reading.Skips(), 0, 0
    with (folder / "entries.bin").open("wb") as out:
        for source, zipped in enumerate(job.sources):
            starts: list[int] = []
            ends: list[int] = []
            with Path(zipped.path).open("rb") as file:
                for entry in archive.entries(file, job.limits):
                    starts.append(entry.offset)
                    ends.append(archive.least_end(entry))
                    row = _row(entry, source, known, job.limits, skips)
                    if row is not None:
                        out.write(row.tobytes())
                        rows, total = rows + 1, total + entry.size
                archive.check_apart(starts, ends, archive.find_directory(file, job.limits).offset)
    if total > job.limits.total_bytes:
        raise BadArchive(413, f"the pictures unpack to {total:,} bytes; at most {job.limits.total_bytes:,} are taken")
    return list(known), skips, rows


def places_of(job: Job, known: list[Folder]) -> tuple[list[folders.Place], list[str]]:
    """Give every folder its label, as renamed, and its set; each source by itself. Returns notes for people too."""
    places, notes = [folders.Place("", "train")] * len(known), []
    for source, zipped in enumerate(job.sources):
        mine = [number for number, folder in enumerate(known) if folder[0] == source]
        found, said = folders.places([known[number][1] for number in mine], job.limits)
        notes += said
        for number, place in zip(mine, found, strict=True):
            places[number] = folders.Place(zipped.names.get(place.label, place.label), place.split)
    return places, notes


def _row(
    entry: archive.Entry, source: int, known: dict[Folder, int], limits: Limits, skips: reading.Skips
) -> NDArray[np.void] | None:
    try:
        name = folders.folder_of(entry, limits)
    except archive.Skipped as error:
        skips.add(entry.text, error.reason, str(error))
        return None
    if not name:
        return None
    row = np.zeros((), dtype=reading.ENTRY)
    row["offset"], row["packed"], row["size"], row["crc"] = entry.offset, entry.packed, entry.size, entry.crc
    row["name_at"], row["name_length"] = entry.name_at, len(entry.name)
    row["folder"] = known.setdefault((source, name), len(known))
    row["method"], row["source"] = entry.method, source
    return row


def leave_out_loose(job: Job, folder: Path, places: list[folders.Place], skips: reading.Skips) -> int:
    """Take the pictures without a label out of entries.bin; returns the number of those that stay."""
    table = np.fromfile(folder / "entries.bin", dtype=reading.ENTRY)
    loose = np.array([place.label == folders.LOOSE for place in places])[table["folder"]]
    if loose.any():
        with ExitStack() as stack:
            files: list[BinaryIO] = [stack.enter_context(Path(path).open("rb")) for path in job.paths()]
            for entry in table[loose]:
                skips.add(reading.name_of(files, entry), folders.NO_LABEL, folders.NO_LABEL)
        table[~loose].tofile(folder / "entries.bin")
    return int((~loose).sum())


def read_all(job: Job, folder: Path, n_entries: int) -> int:
    """Read all entries, with helpers when there are many; returns the number of shares."""
    shares = max(1, min(job.processes, n_entries // FEW_ENTRIES))
    command = [sys.executable, "-P", "-m", "data_server.ingest", str(folder)]
    helpers = [
        subprocess.Popen([*command, str(share), str(shares)], stdin=subprocess.PIPE) for share in range(1, shares)
    ]
    reading.read_share(folder, job.paths(), job.spec, 0, shares)
    for helper in helpers:
        if (status := helper.wait()) == errno.ENOSPC:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if status:
            raise RuntimeError(f"a process that read pictures ended with status {status}")
    return shares


def gather(job: Job, folder: Path, shares: int, places: list[folders.Place]) -> tuple[Vectors, list[str], int]:
    """Put the processes' records together; returns the vectors, the labels and the number of duplicates."""
    parts = [np.fromfile(folder / f"records.{share}", dtype=reading.RECORD) for share in range(shares)]
    records = np.concatenate(parts)
    share_of = np.concatenate([np.full(len(part), share) for share, part in enumerate(parts)])
    order = np.argsort(records["entry"], kind="stable")
    order = order[records["length"][order] > 0]
    records, share_of = records[order], share_of[order]
    first = np.sort(np.unique(records["digest"], return_index=True)[1])
    duplicates = len(records) - len(first)
    if job.spec.duplicates == "drop":
        records, share_of = records[first], share_of[first]
    entry_folders = np.fromfile(folder / "entries.bin", dtype=reading.ENTRY)["folder"][records["entry"]]
    used = {places[number].label for number in np.unique(entry_folders).tolist()}
    labels = job.labels + sorted(used - set(job.labels), key=folders.natural)
    index = {name: number for number, name in enumerate(labels)}
    label_of = np.array([index.get(place.label, -1) for place in places], dtype=np.int64)
    split_of = np.array([folders.SPLITS.index(place.split) for place in places], dtype=np.int64)
    vectors = Vectors(records, share_of, label_of[entry_folders], split_of[entry_folders])
    return vectors, labels, duplicates


def choose_validation(job: Job, vectors: Vectors) -> list[str]:
    """Move a share of the training vectors to validation, if asked for; returns notes for people."""
    if not job.spec.validation:
        return []
    if (vectors.splits == 1).any():
        return ["the zip brings a validation set of its own, so none was split off"]
    train = np.flatnonzero(vectors.splits == 0)
    vectors.splits[train[cut.held_back(vectors.labels[train], job.spec.validation, job.spec.seed)]] = 1
    return []


def make_shards(job: Job, folder: Path, vectors: Vectors, labels: list[str]) -> dict[str, Any]:
    """Write the shards of all three sets into the folder; returns the manifest, without a data set's name."""
    names = [source.names for source in job.sources]
    name = cut.cut_id([source.sha256 for source in job.sources], names, labels, job.spec)
    (folder / "shards").mkdir()
    pngs = [os.open(folder / f"pngs.{share}", os.O_RDONLY) for share in range(int(vectors.shares.max()) + 1)]
    sets = [
        _write_set(job, folder, name, vectors, np.flatnonzero(vectors.splits == split), pngs, len(labels))
        for split in range(len(folders.SPLITS))
    ]
    for file in pngs:
        os.close(file)
    train, validation, test = (
        {"vectors": sum(s.count for s in set_), "shards": [s.line() for s in set_]} for set_ in sets
    )
    mean, std = statistics(vectors.records[vectors.splits == 0], job.spec)
    shape = {"width": job.spec.width, "height": job.spec.height, "channels": job.spec.channels}
    head = {"cut": name, **shape, "mode": job.spec.mode, "seed": job.spec.seed}
    return {**head, "labels": labels, "mean": mean, "std": std, **train, "validation": validation, "test": test}


def _write_set(
    job: Job, folder: Path, name: str, vectors: Vectors, members: Indices, pngs: list[int], n_labels: int
) -> list[cut.Shard]:
    order = members[cut.mixed_order(vectors.labels[members], job.spec.seed)]
    lengths = vectors.records["length"].astype(np.int64)
    shards = []
    for group in cut.groups(order, lengths):
        rows = zip(vectors.records[group], vectors.shares[group].tolist(), strict=True)
        files = (os.pread(pngs[share], int(row["length"]), int(row["offset"])) for row, share in rows)
        shard, data = cut.write_shard(name, job.spec, vectors.labels[group].tolist(), n_labels, files)
        with (folder / "shards" / f"{shard.hash}.zip").open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        shards.append(shard)
    return shards


def statistics(records: NDArray[np.void], spec: Spec) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation per channel of the images' pixels as 0...1, from exact integer sums."""
    pixels = max(1, len(records)) * spec.width * spec.height
    sums = records["sum"].astype(np.float64).sum(axis=0)[: spec.channels]
    squares = records["squares"].astype(np.float64).sum(axis=0)[: spec.channels]
    mean = sums / pixels
    deviation = np.sqrt(np.maximum(squares / pixels - mean * mean, 0))
    return (mean / 255).tolist(), np.maximum(deviation / 255, STD_FLOOR).tolist()


def run(folder: Path) -> dict[str, Any]:
    """Do the folder's job; returns manifest and report, or raises BadArchive."""
    job = Job.load(folder)
    known, skips, n_entries = scan(job, folder)
    if not n_entries:
        raise BadArchive(422, f"there is no picture in a label folder in this zip{_why(skips)}")
    places, notes = places_of(job, known)
    n_entries = leave_out_loose(job, folder, places, skips)
    skips.merge(reading.skips_of(folder, read_all(job, folder, n_entries)))
    shares = len(list(folder.glob("records.*")))
    vectors, labels, duplicates = gather(job, folder, shares, places)
    if not (vectors.splits == 0).any():
        raise BadArchive(422, f"no picture to train on in this zip can be read{_why(skips)}")
    notes += choose_validation(job, vectors)
    manifest = make_shards(job, folder, vectors, labels)
    report = {
        "labels": _label_counts(vectors, labels),
        "images": len(vectors.records),
        "skipped": skips.report(),
        "duplicates": duplicates,
        "notes": notes,
    }
    return {"manifest": manifest, "report": report}


def _label_counts(vectors: Vectors, labels: list[str]) -> list[dict[str, Any]]:
    counts = Counter(zip(vectors.labels.tolist(), vectors.splits.tolist(), strict=True))
    return [
        {"name": name, **{split: counts[index, number] for number, split in enumerate(folders.SPLITS)}}
        for index, name in enumerate(labels)
    ]


def _why(skips: reading.Skips) -> str:
    if not skips.files:
        return ": it holds no files"
    told = "; ".join(f"{n:,} x {reason}" for reason, n in skips.reasons.most_common(5))
    return f": {told} (the first is {skips.files[0]['name']!r})"


def _end_with_standard_input() -> None:
    def wait() -> None:
        while os.read(0, 1024):  # not sys.stdin: its lock would be held when the interpreter ends
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str]) -> int:
    """Run as `ingest FOLDER` (the whole job) or `ingest FOLDER SHARE SHARES` (a helper)."""
    folder = Path(arguments[0])
    job = Job.load(folder)
    _end_with_standard_input()
    reading.limit_memory(job.limits.memory_bytes)
    try:
        if len(arguments) == 3:
            reading.read_share(folder, job.paths(), job.spec, int(arguments[1]), int(arguments[2]))
            return 0
        answer = run(folder)
    except BadArchive as error:
        answer = {"error": {"status": error.status, "detail": str(error)}}
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        if len(arguments) == 3:
            return errno.ENOSPC
        answer = {"error": {"status": 507, "detail": "the data server's disk is full"}}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
