"""Changes to a data set: labels renamed or merged, single pictures added. Each makes a new version.

Rules of this file:
- A manifest and a shard never change: a new version has new manifests, which share every shard that is still right.
- Renaming keeps all shards (they carry indices); merging writes those anew, without decoding a picture.
- Added pictures are one more zip (a single one is made a zip of one), and small shards until enough of them can be
  merged into a whole one.
"""

import asyncio
import hashlib
import io
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_server import cut
from data_server.cut import Spec
from data_server.index import Document
from data_server.ingest import Source
from data_server.jobs import Jobs
from data_server.patience import uninterrupted
from data_server.refusal import Refusal
from data_server.store import SETS, Store, current_cuts, report
from data_server.uploads import Uploads

SPEC_FIELDS = tuple(Spec.__dataclass_fields__)


@dataclass(slots=True)
class Editing:
    """What the owner of a data set does to it."""

    store: Store
    jobs: Jobs
    uploads: Uploads
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # changes wait for each other: each is a version

    async def relabel(self, dataset: str, renames: dict[str, str]) -> dict[str, Any]:
        """Rename labels; two with the same new name become one. Returns the report; raises Refusal or Unknown."""
        renames = {old: _label(new) for old, new in renames.items()}
        async with self._turn:
            with self.store.scratch() as work:
                (work / "shards").mkdir()
                return report(await uninterrupted(self._relabel, dataset, renames, work))

    def _relabel(self, dataset: str, renames: dict[str, str], work: Path) -> Document:
        document = self.store.dataset(dataset)
        old = [label["name"] for label in document["labels"]]
        if unknown := sorted(set(renames) - set(old)):
            raise Refusal(422, f"the data set {dataset} has no label {', '.join(map(repr, unknown))}")
        labels = list(dict.fromkeys(renames.get(label, label) for label in old))
        places = [labels.index(renames.get(label, label)) for label in old]
        sources = [{**source, "names": _renamed(source.get("names", {}), renames)} for source in document["sources"]]
        changed = _next_version(document, sources, _merged_counts(document["labels"], labels, places))
        manifests = []
        for line in current_cuts(document):
            manifest = {**self.store.cut(line["id"]), "labels": labels}
            name = _cut_id(changed, labels, line)
            if places != list(range(len(old))):
                manifest = self._merge_labels(manifest, name, places, len(labels), work)
            manifests.append(_add_line(changed, manifest, name, line))
        return self.store.edit(changed, manifests, work)

    def _merge_labels(self, manifest: Document, name: str, places: list[int], n_labels: int, work: Path) -> Document:
        def again(shards: Sequence[Document]) -> list[Document]:
            return [self._rewrite([shard], name, manifest, places, n_labels, work) for shard in shards]

        sets = {key: {**manifest[key], "shards": again(manifest[key]["shards"])} for key in SETS}
        return {**manifest, "shards": again(manifest["shards"]), **sets}

    def _rewrite(
        self, shards: Sequence[Document], name: str, manifest: Document, places: list[int], n_labels: int, work: Path
    ) -> Document:
        """Write the images of some shards into one, with other label indices; return its line."""
        labels: list[int] = []
        pngs: list[bytes] = []
        for shard in shards:
            path = work / "shards" / f"{shard['hash']}.zip"
            head, files = cut.read_shard((path if path.exists() else self.store.shard_path(shard["hash"])).read_bytes())
            labels += [places[label] for label in head["labels"]]
            pngs += files
        made, data = cut.write_shard(name, _spec(manifest), labels, n_labels, iter(pngs))
        _write(work / "shards" / f"{made.hash}.zip", data)
        return made.line()

    async def add_image(self, dataset: str, label: str, data: bytes) -> dict[str, Any]:
        """Add one labelled picture; returns what `add_images` does. Raises Refusal or Unknown."""
        return await self.add_images(dataset, _zip_of_one(_label(label), data))

    async def add_images(self, dataset: str, zipped: bytes) -> dict[str, Any]:
        """Add a zip of label folders, all of it to train; raises Refusal or Unknown.

        Returns the report, with `added` (how many pictures) and `left_out` (those that were none, with reasons).
        """
        async with self._turn:
            document = await asyncio.to_thread(self.store.dataset, dataset)
            source = {"sha256": hashlib.sha256(zipped).hexdigest(), "bytes": len(zipped), "names": {}}
            if any(source["sha256"] == other["sha256"] for other in document["sources"]):
                return {**report(document, known=True), "added": 0, "left_out": []}
            with self.store.scratch() as folder:
                return await self._add_images(document, source, zipped, folder)

    async def _add_images(self, document: Document, source: Document, zipped: bytes, folder: Path) -> dict[str, Any]:
        upload = folder / "pictures.zip"
        upload.write_bytes(zipped)
        results = []
        for number, line in enumerate(current_cuts(document)):
            results.append(await self._cut_added(folder / str(number), upload, document, source, line))
        if any(results[0]["manifest"][key]["vectors"] for key in SETS):
            raise Refusal(422, "pictures that are added are all trained on: leave out folders named test or validation")
        changed = await uninterrupted(self._add, document, source, results, upload, folder)
        told = results[0]["report"]
        return {**report(changed), "added": told["images"], "left_out": told["skipped"]["files"]}

    async def _cut_added(
        self, folder: Path, upload: Path, document: Document, source: Document, line: Document
    ) -> dict[str, Any]:
        folder.mkdir()
        spec = Spec(**{**{key: line[key] for key in SPEC_FIELDS}, "validation": 0.0})
        job = self.uploads.job([Source(str(upload.absolute()), source["sha256"])], spec)
        job.labels = [label["name"] for label in document["labels"]]
        return await self.jobs.run(folder, job)

    def _add(self, document: Document, source: Document, results: list[Document], upload: Path, work: Path) -> Document:
        (work / "shards").mkdir()
        for path in work.glob("*/shards/*.zip"):
            path.replace(work / "shards" / path.name)
        counts = [dict(label) for label in document["labels"]]
        for place, label in enumerate(results[0]["report"]["labels"]):
            if place == len(counts):
                counts.append({**label, "train": 0})
            counts[place]["train"] += label["train"]
        changed = _next_version(document, [*document["sources"], source], counts)
        changed["images"] = document["images"] + results[0]["report"]["images"]
        manifests = []
        for line, result in zip(current_cuts(document), results, strict=True):
            manifest = _joined(self.store.cut(line["id"]), result["manifest"])
            name = _cut_id(changed, manifest["labels"], line)
            manifest = self._merge_small(manifest, name, work)
            manifests.append(_add_line(changed, manifest, name, line))
        named = {shard["hash"] for manifest in manifests for shard in manifest["shards"]}
        for path in (work / "shards").iterdir():
            if path.stem not in named:
                path.unlink()
        return self.store.edit(changed, manifests, work, upload)

    def _merge_small(self, manifest: Document, name: str, work: Path) -> Document:
        """Put small shards together once they make a whole one."""
        small = [shard for shard in manifest["shards"] if shard["count"] < cut.MIN_VECTORS]
        n_vectors, n_bytes = (sum(shard[key] for shard in small) for key in ("count", "bytes"))
        if n_vectors < cut.MIN_VECTORS and n_bytes < cut.MAX_BYTES // 2:
            return manifest
        if n_bytes > cut.MAX_BYTES:
            return manifest  # large pictures: these are as whole as they become
        n_labels = len(manifest["labels"])
        merged = self._rewrite(small, name, manifest, list(range(n_labels)), n_labels, work)
        kept = [shard for shard in manifest["shards"] if shard not in small]
        return {**manifest, "shards": [*kept, merged]}


def _next_version(document: Document, sources: list[Document], labels: list[Document]) -> Document:
    cuts = list(document["cuts"])
    return {**document, "version": document["version"] + 1, "sources": sources, "labels": labels, "cuts": cuts}


def _add_line(document: Document, manifest: Document, name: str, line: Document) -> Document:
    """Note a cut in a data set's new version; returns its manifest."""
    vectors = sum(shard["count"] for shard in manifest["shards"])
    document["cuts"].append({**line, "id": name, "version": document["version"], "vectors": vectors})
    return {**manifest, "cut": name, "version": document["version"], "vectors": vectors}


def _cut_id(document: Document, labels: list[str], line: Document) -> str:
    hashes = [source["sha256"] for source in document["sources"]]
    names = [source.get("names", {}) for source in document["sources"]]
    return cut.cut_id(hashes, names, labels, Spec(**{key: line[key] for key in SPEC_FIELDS}))


def _spec(manifest: Document) -> Spec:
    return Spec(manifest["width"], manifest["height"], manifest["channels"], manifest["mode"], manifest["seed"])


def _renamed(names: dict[str, str], renames: dict[str, str]) -> dict[str, str]:
    """Follow renamed labels back to the folders that they come from."""
    again = {folder: renames.get(label, label) for folder, label in names.items()}
    return {**{old: new for old, new in renames.items() if old not in names}, **again}


def _merged_counts(old: list[Document], labels: list[str], places: list[int]) -> list[Document]:
    counts: list[Document] = [{"name": name, "train": 0, "validation": 0, "test": 0} for name in labels]
    for label, place in zip(old, places, strict=True):
        for key in ("train", *SETS):
            counts[place][key] += label[key]
    return counts


def _joined(manifest: Document, one: Document) -> Document:
    """Add the shards of a manifest that was made of more pictures; mean and deviation are those of all."""
    labels = one["labels"]
    shards = [_padded(shard, len(labels)) for shard in (*manifest["shards"], *one["shards"])]
    sets = {
        key: {**manifest[key], "shards": [_padded(shard, len(labels)) for shard in manifest[key]["shards"]]}
        for key in SETS
    }
    share = one["vectors"] / (one["vectors"] + manifest["vectors"])
    mean, std = np.array([manifest["mean"], one["mean"]]), np.array([manifest["std"], one["std"]])
    weights = np.array([[1 - share], [share]])
    both = (weights * mean).sum(axis=0)
    spread = np.sqrt(np.maximum((weights * (std**2 + mean**2)).sum(axis=0) - both**2, 0))
    numbers = {"mean": both.tolist(), "std": spread.tolist(), "labels": labels}
    return {**manifest, **numbers, "shards": shards, **sets}


def _padded(shard: Document, n_labels: int) -> Document:
    return {**shard, "labels": [*shard["labels"], *[0] * (n_labels - len(shard["labels"]))]}


def _zip_of_one(label: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        name = f"{label}/{hashlib.sha256(data).hexdigest()[:16]}"
        archive.writestr(zipfile.ZipInfo(name, cut.ZIP_DATE), data)
    return out.getvalue()


def _label(name: str) -> str:
    """Return a label's name as a folder of a zip could give it; raises Refusal."""
    clean = " ".join(name.split())
    if not clean or len(clean.encode()) > 200 or any(c in clean for c in "/\\\0") or clean.startswith("."):
        raise Refusal(422, f"{name[:80]!r} cannot be a label: 1 to 200 bytes, no slashes, no dot in front")
    return clean


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
