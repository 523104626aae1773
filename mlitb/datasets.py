"""Ready-made data sets as zips of label folders: from scikit-learn, or from the data sets' own homes.

Rules of this file:
- A zip made here has the same bytes on every run: sorted names, a fixed date, no compression of what is compressed.
- What is downloaded is believed only by its published SHA-256 (the homes speak plain HTTP, and MD5, which the makers
  publish, can be forged), and is kept, so that it is downloaded once.
- Formats that can carry code (pickles) are not read.
"""

import gzip
import hashlib
import importlib.util
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlitb import pixels

ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
HELD_BACK = 5  # every fifth digit of a label is for testing
TIMEOUT_SECONDS = 60
CHUNK_BYTES = 1_000_000

Labelled = tuple[pixels.Pixels, NDArray[np.uint8]]  # images [n][y][x][channel] and their labels
Progress = Callable[[int, int], None]  # bytes so far, bytes in all (0: not known)


class DatasetFailed(RuntimeError):
    """A data set could not be made; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a data set: where it may be had, and the SHA-256 by which it is believed."""

    name: str
    homes: tuple[str, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """A data set that `mlitb dataset get` knows: its files, its labels, the size of its pictures, its reader."""

    sources: tuple[Source, ...]
    labels: tuple[str, ...]
    width: int
    height: int
    channels: int
    read: Callable[[list[Path]], dict[str, Labelled]]  # the downloaded files -> train and test


def digits_zip(path: Path) -> Path:
    """Write scikit-learn's 1,797 handwritten digits as a zip of train/ and test/ label folders; return the path.

    8 x 8 grey PNG, 1,437 to train and 360 to test. Raises DatasetFailed when scikit-learn is not installed.
    """
    labels, sixteenths = _digits()
    order = np.argsort(labels, kind="stable")
    images = np.rint(sixteenths[order] * (255 / 16)).astype(np.uint8)[..., None]
    write_zip(path, sorted(_numbered(images, labels[order])))
    return path


def _digits() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read labels [n] and images [n][y][x] of 0 to 16, as sklearn.datasets.load_digits does.

    From the file that it reads, because loading scikit-learn takes over a second and 100 MB.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise DatasetFailed("the digits come with scikit-learn: pip install 'mlitb[demo]', then try again")
    path = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    try:
        rows = np.loadtxt(path, delimiter=",")
    except FileNotFoundError as error:
        raise DatasetFailed(f"this scikit-learn has no digits: {path} is missing") from error
    return rows[:, -1].astype(np.int64), rows[:, :-1].reshape(-1, 8, 8)


def write_zip(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write files, given as (name, bytes) in order, as a zip whose bytes depend on nothing else."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), data)


def _numbered(images: pixels.Pixels, labels: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    counts: dict[int, int] = {}
    for position, (image, label) in enumerate(zip(images, labels, strict=True)):
        counts[label] = counts.get(label, 0) + 1
        split = "test" if position % HELD_BACK == 0 else "train"
        yield f"{split}/{label}/{counts[label]:04}.png", pixels.encode_png(image)


def ready_made_zip(wanted: ReadyMade, path: Path, cache: Path, progress: Progress) -> Path:
    """Download what is missing of a data set and write its zip; return the path. Raises DatasetFailed."""
    files = [fetch(source, cache, progress) for source in wanted.sources]
    sets = wanted.read(files)
    beside = path.with_suffix(".part")
    write_zip(beside, sorted(_labelled_files(sets, wanted.labels)))
    beside.replace(path)
    return path


def _labelled_files(sets: dict[str, Labelled], names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    for split, (images, labels) in sets.items():
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield f"{split}/{names[label].replace('/', '-')}/{number:05}.png", pixels.encode_png(image)


def fetch(source: Source, cache: Path, progress: Progress) -> Path:
    """Return a source's file from the cache, or from the first home that gives it. Raises DatasetFailed."""
    import httpx

    path = cache / source.name
    if path.exists() and _sha256(path) == source.sha256:
        return path
    reasons = []
    for home in source.homes:
        try:
            _download(f"{home}{path.name}", path, progress)
        except (httpx.HTTPError, OSError) as error:
            reasons.append(f"{home}: {error or type(error).__name__}")
            continue
        if _sha256(path) == source.sha256:
            return path
        path.unlink()
        reasons.append(f"{home}: what came has another checksum than its makers publish")
    raise DatasetFailed(f"{path.name} could not be downloaded ({'; '.join(reasons)})")


def _download(url: str, path: Path, progress: Progress) -> None:
    import httpx

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    with httpx.stream("GET", url, timeout=TIMEOUT_SECONDS, follow_redirects=True) as answer, beside.open("wb") as out:
        answer.raise_for_status()
        total, done = int(answer.headers.get("content-length", 0)), 0
        for part in answer.iter_raw(CHUNK_BYTES):
            out.write(part)
            done += len(part)
            progress(done, total)
    beside.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of unsigned bytes (http://yann.lecun.com/exdb/mnist/); raises DatasetFailed."""
    data = gzip.decompress(path.read_bytes())
    if data[:3] != b"\0\0\x08":
        raise DatasetFailed(f"{path.name} is not an IDX file of bytes")
    shape = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def read_mnist(files: list[Path]) -> dict[str, Labelled]:
    """Read MNIST's four files: images and labels, to train and to test."""
    images, labels, test_images, test_labels = (read_idx(path) for path in files)
    return {"train": (images[..., None], labels), "test": (test_images[..., None], test_labels)}


def read_cifar10(files: list[Path]) -> dict[str, Labelled]:
    """Read CIFAR-10's binary archive: records of a label and 3 x 32 x 32 bytes."""
    found: dict[str, list[bytes]] = {"train": [], "test": []}
    with tarfile.open(files[0]) as archive:
        for member in sorted(archive, key=lambda member: member.name):
            name = member.name.rpartition("/")[2]
            body = archive.extractfile(member) if name.endswith("_batch.bin") or name.startswith("data_batch") else None
            if body is not None:
                found["test" if name.startswith("test") else "train"].append(body.read())
    return {split: _cifar_records(b"".join(parts)) for split, parts in found.items()}


def _cifar_records(data: bytes) -> Labelled:
    rows = np.frombuffer(data, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), rows[:, 0]


def cache_folder() -> Path:
    """Return where downloads are kept: $XDG_CACHE_HOME/mlitb, by default ~/.cache/mlitb."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlitb"


def cached_zip(name: str) -> Path | None:
    """Return the zip that `mlitb dataset get NAME` made, if it did."""
    path = cache_folder() / f"{name}.zip"
    return path if path.exists() else None


def _idx_sources(folder: str, homes: tuple[str, ...], hashes: tuple[str, ...]) -> tuple[Source, ...]:
    kinds = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(Source(f"{folder}/{kind}-ubyte.gz", homes, sha256) for kind, sha256 in zip(kinds, hashes, strict=True))


# Addresses of the first two as in torchvision's datasets/mnist.py, hashes as in its
# prototype/datasets/_builtin/mnist.py (github.com/pytorch/vision); the makers of Fashion-MNIST keep the same files in
# their repository, too.
MNIST = ReadyMade(
    _idx_sources(
        "mnist",
        ("http://yann.lecun.com/exdb/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    tuple("0123456789"), 28, 28, 1, read_mnist,
)  # fmt: skip

FASHION_MNIST = ReadyMade(
    _idx_sources(
        "fashion-mnist",
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    28, 28, 1, read_mnist,
)  # fmt: skip

# Address and hash as in MLDatasets.jl's src/datasets/vision/cifar10.jl (github.com/JuliaML/MLDatasets.jl); the data
# set's own page (www.cs.toronto.edu/~kriz/cifar.html) gives MD5 c32a1d4ab5d03f1284b67883e8d87530 for the same file.
CIFAR10 = ReadyMade(
    (
        Source(
            "cifar10/cifar-10-binary.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/",),
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
    ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    32, 32, 3, read_cifar10,
)  # fmt: skip

READY_MADE = {"mnist": MNIST, "fashion-mnist": FASHION_MNIST, "cifar10": CIFAR10}
