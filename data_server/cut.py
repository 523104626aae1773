"""Images -> shards: the order of a cut's vectors, how they are grouped, and the zip that a shard is.

Rules of this file:
- The order is a pure function of the labels and the seed: shuffled within each label, then the labels interleaved,
  so that every stretch of it has nearly the cut's own mix (a zip's folders are ordered by class).
- A shard's bytes depend on its images, its cut and nothing else: equal input, equal hash.
- A shard has 16-256 vectors and at most 1 MB; where both cannot be, the megabyte wins.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

MIN_VECTORS, MAX_VECTORS = 16, 256
TARGET_VECTORS = 128  # a request each for CIFAR's 50,000 is 390 of 300 KB; small enough to hand to a phone
MAX_BYTES = 1_000_000
SHARDS_WANTED = 10  # small data is cut finer, so that several trainers can share it
ENTRY_BYTES = 130  # what a zip adds per image: two headers and the name, twice, with room
HEAD_BYTES = 2_000  # and per shard, without the list of labels
LABEL_BYTES = 7  # of one label in that list
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Spec:
    """What makes a cut: the size of its images and how they are chosen."""

    width: int
    height: int
    channels: int
    mode: str
    seed: int = 0
    validation: float = 0.0  # the share of each label's training images held back
    duplicates: str = "keep"  # or "drop": of files with equal bytes only the first


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard's line in a manifest."""

    hash: str
    count: int
    bytes: int
    labels: tuple[int, ...]  # vectors per label index

    def line(self) -> dict[str, Any]:
        """Return it as the manifest has it."""
        return {**asdict(self), "labels": list(self.labels)}


def cut_id(hashes: Sequence[str], names: Sequence[dict[str, str]], labels: Sequence[str], spec: Spec) -> str:
    """Name a cut by all that determines it: its zips' hashes, their renamed labels, the labels' order, the spec."""
    renamed = [sorted(one.items()) for one in names]
    told = json.dumps([list(hashes), renamed, list(labels), asdict(spec)], sort_keys=True)
    return "c" + hashlib.sha256(told.encode()).hexdigest()[:20]


def mixed_order(labels: Indices, seed: int) -> Indices:
    """Return an order of the vectors, given each one's label, in which every stretch has the whole's mix.

    The j-th of a label's n shuffled vectors stands at (j + u) / n, u random per label: a stratified sample.
    """
    rng = np.random.default_rng(seed)
    places = np.empty(len(labels))
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        places[rng.permutation(mine)] = (np.arange(len(mine)) + rng.random()) / len(mine)
    return np.argsort(places, kind="stable").astype(np.int64)


def held_back(labels: Indices, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose a share of each label's vectors for validation; at least one of a label stays."""
    rng = np.random.default_rng([seed, 1])  # a stream of its own
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == label))
        chosen[mine[: min(round(len(mine) * share), len(mine) - 1)]] = True
    return chosen


def groups(order: Indices, lengths: Indices) -> list[Indices]:
    """Divide an order of vectors, given each one's PNG length, into shards of nearly equal counts."""
    if not len(order):
        return []
    target = max(MIN_VECTORS, min(TARGET_VECTORS, len(order) // SHARDS_WANTED))
    sizes = lengths[order] + ENTRY_BYTES + 2 * LABEL_BYTES
    n_shards = max(1, len(order) // target, -(-int(sizes.sum()) // (MAX_BYTES - HEAD_BYTES)))
    while True:
        bounds = [i * len(order) // n_shards for i in range(n_shards + 1)]
        totals = np.add.reduceat(sizes, bounds[:-1])
        if n_shards == len(order) or int(totals.max()) <= MAX_BYTES - HEAD_BYTES:
            return [order[a:b] for a, b in pairwise(bounds)]
        n_shards = min(len(order), n_shards + max(1, n_shards // 20))


def write_shard(
    cut: str, spec: Spec, labels: Sequence[int], n_labels: int, pngs: Iterator[bytes]
) -> tuple[Shard, bytes]:
    """Make one shard's zip from its images' labels and PNG files, in order."""
    out = io.BytesIO()
    head = {"cut": cut, "width": spec.width, "height": spec.height, "channels": spec.channels, "labels": list(labels)}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("manifest.json", ZIP_DATE), json.dumps(head, separators=(",", ":")))
        for number, png in enumerate(pngs):
            archive.writestr(zipfile.ZipInfo(f"{number:04}.png", ZIP_DATE), png)
    data = out.getvalue()
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=n_labels).tolist()
    return Shard(hashlib.sha256(data).hexdigest(), len(labels), len(data), tuple(counts)), data


def read_shard(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Take a shard's zip apart: its manifest and its PNG files, in order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        head: dict[str, Any] = json.loads(archive.read("manifest.json"))
        return head, [archive.read(name) for name in archive.namelist()[1:]]
