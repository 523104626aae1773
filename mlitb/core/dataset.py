"""Cuts: what a manifest says, whether it fits a project, and how its labels become the project's.

Rules of this file:
- A manifest is docs/architecture.md's; it comes from our data server, yet a wrong one is refused with a sentence.
- Labels are admitted in order of first appearance; a label's index in the network never changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlitb.core.allocation import Stock
from mlitb.core.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Row:
    """A shard's line in a manifest."""

    hash: str
    count: int
    bytes: int
    labels: tuple[int, ...]  # vectors of each of the cut's labels


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut as a project uses it."""

    id: str
    dataset: str
    shape: tuple[int, int, int]
    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shards: tuple[Row, ...]  # to train on
    validation: tuple[Row, ...]
    test: tuple[Row, ...]

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> "Cut":
        """Read a manifest; raises Refusal(422) when something is missing or of the wrong kind."""
        try:
            channels, labels = int(manifest["channels"]), tuple(str(label) for label in manifest["labels"])
            cut = cls(
                id=str(manifest["cut"]),
                dataset=str(manifest["dataset"]),
                shape=(int(manifest["width"]), int(manifest["height"]), channels),
                labels=labels,
                mean=tuple(float(value) for value in manifest["mean"]),
                std=tuple(max(float(value), 1e-3) for value in manifest["std"]),  # a constant channel has no spread
                shards=_rows(manifest["shards"], len(labels)),
                validation=_rows((manifest.get("validation") or {}).get("shards") or (), len(labels)),
                test=_rows((manifest.get("test") or {}).get("shards") or (), len(labels)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal(422, f"the manifest cannot be read: {error!r}") from error
        if not cut.shards or not cut.labels:
            raise Refusal(422, f"cut {cut.id} holds no data vectors")
        if len(cut.mean) != channels or len(cut.std) != channels:
            raise Refusal(
                422, f"cut {cut.id} has {channels} channels, but mean and std of {len(cut.mean)} and {len(cut.std)}"
            )
        return cut

    def require_shape(self, wanted: tuple[int, int, int]) -> None:
        """Raise Refusal(409) when the cut does not fit the input of a network."""
        if self.shape != wanted:
            mine, theirs = ("×".join(map(str, shape)) for shape in (self.shape, wanted))
            raise Refusal(
                409, f"cut {self.id} has {mine} pictures, the network's input takes {theirs}: cut the data set again"
            )

    def stocks(self, labels: Sequence[str]) -> list[Stock]:
        """Describe its training shards for a project whose labels include this cut's."""
        places = self.places(labels)
        return [Stock(row.hash, self.id, row.count, row.bytes, places) for row in self.shards]

    def for_testing(self) -> tuple[Row, ...]:
        """List the shards to test on where the whole cut is a test set: its test folder, or else every picture."""
        return self.test or (*self.shards, *self.validation)

    def places(self, labels: Sequence[str]) -> tuple[int, ...]:
        """Map the cut's label indices to the project's."""
        return tuple(labels.index(label) for label in self.labels)


def fresh(manifest: Mapping[str, Any], project: str, known: Sequence[Cut], shape: tuple[int, int, int]) -> Cut:
    """Read the manifest of a cut that is new to a project, and takes the place of an older one of its data set."""
    cut = Cut.parse(manifest)
    cut.require_shape(shape)
    held = {row.hash for other in known if other.dataset != cut.dataset for row in other.shards}
    if any(other.id == cut.id for other in known):
        raise Refusal(409, f"{project} uses cut {cut.id} already")
    if held.intersection(row.hash for row in cut.shards) or len(set(cut.shards)) < len(cut.shards):
        raise Refusal(409, f"cut {cut.id} has a shard that {project} holds already")
    return cut


def merged(*lists: Sequence[str]) -> tuple[str, ...]:
    """Append to the first list of labels those of the others that are new, in their order."""
    return tuple(dict.fromkeys(label for labels in lists for label in labels))


def _rows(lines: Any, n_labels: int) -> tuple[Row, ...]:
    rows = tuple(
        Row(str(line["hash"]), int(line["count"]), int(line["bytes"]), tuple(int(n) for n in line["labels"]))
        for line in lines
    )
    for row in rows:
        int(row.hash[:8], 16)  # the key of its vectors
        if row.count < 1 or row.bytes < 1:
            raise ValueError(f"shard {row.hash} has {row.count} vectors in {row.bytes} bytes")
        if len(row.labels) != n_labels or min(row.labels) < 0 or sum(row.labels) != row.count:
            raise ValueError(f"shard {row.hash} has {row.count} vectors, and label counts {row.labels[:20]}")
    return rows
