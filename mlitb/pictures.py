"""Pictures to classify: files, folders and zips, one after the other, without unpacking anything to disk.

Rules of this file:
- A stranger's zip is read entry by entry with bounded sizes; what cannot be read is a BadPicture that names it.
- One that cannot be read never stops the others: who reads decides what to do about it.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

TEST_FOLDERS = ("test", "testing", "t10k")
MAX_PICTURE_BYTES = 64_000_000

UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError)
"""What zipfile raises for damaged, encrypted or oddly compressed entries."""


class BadPicture(RuntimeError):
    """A picture, or what should hold pictures, cannot be read; the message is one sentence that names it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its name, the folder that it lies in, and how to get its bytes (which may raise BadPicture)."""

    name: str
    label: str
    read: Callable[[], bytes]


def pictures_of(paths: Iterable[Path]) -> Iterator[Picture]:
    """Yield the pictures of files, folders (all below them) and zips, in order of their names; raise BadPicture."""
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and not _hidden(p.relative_to(path).parts))
            yield from (_of_file(p) for p in inside)
        elif path.suffix.lower() == ".zip":
            yield from _in_zip(path)
        else:
            yield _of_file(path)


def labelled(archive: Path) -> Iterator[Picture]:
    """Yield the pictures of a zip of label folders; only those below a test folder when there is one."""
    with _opened(archive) as file:
        found = [picture for picture in _entries(file) if picture.label]
        yield from [picture for picture in found if _split(picture.name) in TEST_FOLDERS] or found


def _in_zip(archive: Path) -> Iterator[Picture]:
    with _opened(archive) as file:
        yield from _entries(file)


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except UNREADABLE as error:
        raise BadPicture(f"{archive} cannot be read as a zip ({_why(error)})") from error


def _entries(file: zipfile.ZipFile) -> list[Picture]:
    infos = [i for i in file.infolist() if not (i.is_dir() or _hidden(PurePosixPath(i.filename).parts))]
    return [_of_entry(file, info) for info in sorted(infos, key=lambda info: info.filename)]


def _of_file(path: Path) -> Picture:
    def read() -> bytes:
        try:
            if path.stat().st_size > MAX_PICTURE_BYTES:
                raise BadPicture(f"{path} is larger than {MAX_PICTURE_BYTES:,} bytes")
            return path.read_bytes()
        except OSError as error:
            raise BadPicture(f"{path} cannot be read ({_why(error)})") from error

    return Picture(str(path), path.parent.name, read)


def _of_entry(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> Picture:
    def read() -> bytes:
        if info.file_size > MAX_PICTURE_BYTES:
            raise BadPicture(f"{info.filename} is larger than {MAX_PICTURE_BYTES:,} bytes")
        try:
            return file.read(info)
        except UNREADABLE as error:
            raise BadPicture(f"{info.filename} cannot be read ({_why(error)})") from error

    return Picture(info.filename, PurePosixPath(info.filename).parent.name, read)


def _hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in parts)


def _split(name: str) -> str:
    parts = PurePosixPath(name).parts
    return parts[-3].lower() if len(parts) >= 3 else ""


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
