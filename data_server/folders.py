"""From the names in a zip to labels: which entries are pictures, of which label, to train or to test.

Rules of this file:
- The label is the name of the folder that a picture lies in; what is above it does not matter, except:
- folders named train, val(idation) or test above the labels, if every picture lies in one of them. A picture directly
  in one of them has no label and is left out: unlabelled test pictures are no label, and let no others train.
- Every entry that is not used has a reason, from a short list, so that reasons can be counted.
"""

import re
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from data_server.archive import DEFLATED, ENCRYPTED_FLAG, STORED, BadArchive, Entry, Skipped
from data_server.settings import Limits

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
PICTURES = frozenset({"", ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".dib"})
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".rar", ".7z", ".bz2", ".xz"})
SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})
NO_LABEL = "not in a label folder"
LOOSE = ""
"""The label of a picture that lies directly in train or test, beside label folders: it has none, and is left out."""

RATIO_FREE_BYTES = 1_000_000  # below this a high ratio is a plain picture, not a bomb


@dataclass(frozen=True, slots=True)
class Place:
    """What a folder of pictures means: its label's name and the set its pictures belong to."""

    label: str
    split: Split


def folder_of(entry: Entry, limits: Limits) -> str:
    """Return the folder of an entry that looks like a picture, '' for a directory; raises Skipped with the reason."""
    if entry.text.endswith(("/", "\\")) and entry.size == 0:
        return ""
    _check_name(entry, limits)
    _check_kind(entry)
    parts = _parts(entry.text)
    _check_picture(parts)
    _check_size(entry, limits)
    if len(parts) < 2:
        raise Skipped(NO_LABEL)
    return "/".join(parts[:-1])


def file_name(entry: Entry) -> str:
    """Return the last part of an entry's name."""
    return _parts(entry.text)[-1]


def _parts(text: str) -> list[str]:
    """Split a name into its parts, in Unicode's composed form (macOS writes the other)."""
    if "/" not in text:
        text = text.replace("\\", "/")
    parts = (unicodedata.normalize("NFC", part).strip() for part in text.split("/"))
    return [part for part in parts if part not in ("", ".")]


def _check_name(entry: Entry, limits: Limits) -> None:
    if len(entry.name) > limits.name_bytes:
        raise Skipped(f"name longer than {limits.name_bytes:,} bytes")
    if "\0" in entry.text:
        raise Skipped("name with a NUL byte")
    if entry.text.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", entry.text):
        raise Skipped("absolute name")
    if ".." in re.split(r"[\\/]", entry.text):
        raise Skipped("name that leaves its folder")


def _check_kind(entry: Entry) -> None:
    if stat.S_ISLNK(entry.mode):
        raise Skipped("symbolic link")
    if stat.S_IFMT(entry.mode) not in (0, stat.S_IFREG):
        raise Skipped("not a regular file")
    if entry.flags & ENCRYPTED_FLAG:
        raise Skipped("encrypted")
    if entry.method not in (STORED, DEFLATED):
        raise Skipped("packed by a method other than stored or deflated", f"method {entry.method}")


def _check_picture(parts: Sequence[str]) -> None:
    name = parts[-1].lower() if parts else ""
    if "__MACOSX" in parts or name in SYSTEM_NAMES or any(part.startswith(".") for part in parts):
        raise Skipped("system file")
    suffix = PurePosixPath(name).suffix
    if suffix in ARCHIVES:
        raise Skipped("an archive within the zip")
    if suffix in (".svg", ".svgz"):
        raise Skipped("SVG: a drawing, not pixels")
    if suffix not in PICTURES:
        raise Skipped("not named like a picture (JPEG, PNG, GIF, WebP or BMP)")


def _check_size(entry: Entry, limits: Limits) -> None:
    if entry.size == 0:
        raise Skipped("empty file")
    if entry.size > limits.file_bytes or entry.packed > limits.file_bytes:
        raise Skipped(f"unpacks to more than {limits.file_bytes // 1_000_000:,} MB")
    if entry.size > RATIO_FREE_BYTES and entry.size > limits.ratio * entry.packed:
        raise Skipped(f"unpacks to more than {limits.ratio:,} times its size")


def places(folders: Sequence[str], limits: Limits) -> tuple[list[Place], list[str]]:
    """Give every folder its label and set; returns them with notes for people. Raises BadArchive."""
    splits = [_split(folder) for folder in folders]
    labels = [folder.rsplit("/", 1)[-1] for folder in folders]
    if labels and all(label.lower() in SPLIT_NAMES for label in labels):
        raise BadArchive(
            422, f"the pictures lie directly in {_list(labels)}: put them in one folder per label within these"
        )
    if len(set(labels)) > limits.labels:
        raise BadArchive(413, f"{len(set(labels)):,} label folders; at most {limits.labels:,} are taken")
    found = sorted({split for split in splits if split}, key=lambda split: SPLITS.index(split))
    if not found:
        return [Place(label, "train") for label in labels], []
    loose = [split is None and label.lower() in SPLIT_NAMES for split, label in zip(splits, labels, strict=True)]
    if any(split is None and not out for split, out in zip(splits, loose, strict=True)):
        note = f"folders named for {_list(found)} were taken as ordinary ones: not every picture lies in one of them"
        return [Place(label, "train") for label in labels], [note]
    if "train" not in found:
        note = f"there is no folder named train: the pictures in the folders for {_list(found)} are trained on"
        return [Place(LOOSE if out else label, "train") for label, out in zip(labels, loose, strict=True)], [note]
    note = f"folders named for {_list(found)} were found: only train is trained on"
    rows = zip(labels, splits, loose, strict=True)
    return [Place(LOOSE if out else label, split or "train") for label, split, out in rows], [note]


def _split(folder: str) -> Split | None:
    above = [SPLIT_NAMES.get(part.lower()) for part in folder.split("/")[:-1]]
    return next((split for split in reversed(above) if split), None)


def _list(words: Iterable[str]) -> str:
    return ", ".join(sorted(set(words)))


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key by which 2 comes before 10."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(piece), piece) if piece.isdecimal() else (1, 0, piece) for piece in pieces)
