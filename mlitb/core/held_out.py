"""The test set of a project: which pictures it is, and which reports about it are believed.

Rules of this file:
- A test set is the test folders of the project's data, or their validation splits, or a cut of its own; "auto" takes
  the first of these that there is. Its pictures never enter a work order.
- Labels that the network does not know (yet) have the place -1: their pictures are left out, and counted.
- `judge` only reads; it raises Refusal, so a refused report cannot have changed anything.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from mlitb.core.dataset import Cut, Row
from mlitb.core.members import Worker
from mlitb.core.messages import Report, Shard
from mlitb.core.refusal import Refusal

PARTS = ("auto", "test", "validation", "upload", "none")
"""What a project may be tested on; "upload" is a data set of its own."""

MAX_LABELS = 100
"""Reports of networks with more labels come without counts for each: 3 KB of JSON at the most."""

MAX_LOSS = 1e6
"""The engine's largest loss of a picture is far below: a probability is at least 1e-38."""

Shape = tuple[int, int, int]
"""Width, height, channels."""


@dataclass(slots=True)
class HeldOut:
    """A project's test set, and its newest figures."""

    wished: str = "auto"
    own: Cut | None = None  # of an upload of its own
    part: str = "none"  # what "auto" came to
    number: int = 0  # grows with every change: assignments and reports name it
    shards: tuple[Shard, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)  # pictures of each label that the network knows
    unknown: dict[str, int] = field(default_factory=dict)  # and of those that it does not
    identity: str = ""  # of its pictures: figures of two test sets are never compared
    last: dict[str, Any] = field(default_factory=dict)  # the newest report's figures

    @property
    def vectors(self) -> int:
        """Count the pictures that the network is tested on."""
        return sum(self.counts.values())

    def choose(self, part: str, manifest: Mapping[str, Any] | None, shape: Shape, cuts: Iterable[Cut]) -> None:
        """Take another test set for a network with this input and training data; raises Refusal, changing nothing."""
        if part not in PARTS:
            raise Refusal(422, f"a project can be tested on {', '.join(PARTS)}, not on {part[:40]!r}")
        if (part == "upload") != (manifest is not None):
            raise Refusal(422, "a test set of its own comes with a data set, the others without")
        own = Cut.parse(manifest) if manifest is not None else None
        if own is not None:
            own.require_shape(shape)
            _require_apart(own, cuts)
        self.wished, self.own = part, own

    def resolve(self, cuts: Sequence[Cut], labels: Sequence[str]) -> bool:
        """Find out which shards it is, for a network of these labels; tell whether anything changed."""
        part, pairs = self._pairs(cuts)
        shards = tuple(Shard(row.hash, cut.id, row.count, row.bytes, _places(cut, labels)) for cut, row in pairs)
        if (part, shards) == (self.part, self.shards):
            return False
        self.part, self.shards, self.number, self.last = part, shards, self.number + 1, {}
        self.identity = f"{sum(int(shard.hash, 16) for shard in shards) % 2**64:016x}" if shards else ""
        total = Counter[str]()
        for cut, row in pairs:
            total.update(_counts(cut, row))
        self.counts = {label: total[label] for label in labels if total[label]}
        self.unknown = {label: n for label, n in sorted(total.items()) if label not in self.counts}
        return True

    def _pairs(self, cuts: Sequence[Cut]) -> tuple[str, list[tuple[Cut, Row]]]:
        if self.own is not None:
            return "upload", [(self.own, row) for row in self.own.for_testing()]
        sets = {
            "test": [(cut, row) for cut in cuts for row in cut.test],
            "validation": [(cut, row) for cut in cuts for row in cut.validation],
        }
        names = ("test", "validation") if self.wished == "auto" else (self.wished,)
        return next(((name, sets[name]) for name in names if sets.get(name)), ("none", []))

    def require_apart(self, cut: Cut) -> None:
        """Raise Refusal(409) when a cut to train on has pictures of the test set."""
        if self.own is not None:
            _require_apart(self.own, (cut,))

    def describe(self) -> dict[str, Any]:
        """Describe it for REST: plain JSON values."""
        return {
            "wished": self.wished, "part": self.part, "dataset": self.own.dataset if self.own else "",
            "vectors": self.vectors, "counts": self.counts, "unknown": self.unknown, "identity": self.identity,
            "last": self.last,
        }  # fmt: skip

    # --------------------------------------------------------------------------------------------- reports
    def judge(self, report: Report, worker: Worker, newest: tuple[int, int], labels: int) -> None:
        """Refuse a report that is late, about something else, or cannot be true; raises Refusal."""
        about = (report.iteration, report.version)
        if worker.role != "statistics":
            raise Refusal(422, f"worker {report.worker} is a {worker.role}: only statistics workers report")
        if report.iteration > newest[0]:
            raise Refusal(422, f"iteration {report.iteration} has not begun: this is {newest[0]}")
        if report.version != newest[1] or about not in worker.shown:
            raise Refusal(409, f"these parameters of iteration {report.iteration} were not shown to this worker")
        if report.assignment != self.number:
            raise Refusal(409, "the test set changed since")
        if report.iteration <= self.last.get("iteration", -1):
            raise Refusal(409, f"a report about iteration {self.last['iteration']} is known already")
        if not (0 < report.count == self.vectors and 0 <= report.wrong <= report.count):
            raise Refusal(422, f"{report.wrong} wrong of {report.count} cannot be: the test set has {self.vectors}")
        if not (isfinite(report.loss) and 0 <= report.loss <= MAX_LOSS * report.count):
            raise Refusal(422, f"the loss {report.loss:g} of {report.count} pictures cannot be")
        _judge_labels(report, labels)

    def accept(self, report: Report) -> dict[str, Any]:
        """Take a report that was judged; returns its figures."""
        self.last = {
            "iteration": report.iteration, "count": report.count, "wrong": report.wrong,
            "error": report.wrong / report.count, "loss": report.loss / report.count,
            "labels": [list(row) for row in report.labels], "identity": self.identity,
        }  # fmt: skip
        return self.last


def _require_apart(tested: Cut, trained: Iterable[Cut]) -> None:
    hashes = {row.hash for row in tested.for_testing()}
    for cut in trained:
        if any(row.hash in hashes for row in cut.shards):
            raise Refusal(409, f"the data set {cut.dataset} cannot be both: trained on, and the test set")


def _judge_labels(report: Report, labels: int) -> None:
    rows = report.labels
    if not rows:
        return
    if len(rows) != labels or labels > MAX_LABELS:
        raise Refusal(422, f"counts of {len(rows)} labels: there are {labels}, and at most {MAX_LABELS} are taken")
    sane = all(0 <= right <= min(support, predicted) for support, predicted, right in rows)
    pictures, answers, right = (sum(column) for column in zip(*rows, strict=True))
    whole = (report.count, report.count - report.wrong)  # a network with spare outputs may answer something else
    if not sane or (pictures, right) != whole or answers > report.count:
        raise Refusal(422, "the counts of the labels do not add up to the whole")


def _places(cut: Cut, labels: Sequence[str]) -> tuple[int, ...]:
    known = {label: place for place, label in enumerate(labels)}
    return tuple(known.get(label, -1) for label in cut.labels)


def _counts(cut: Cut, row: Row) -> dict[str, int]:
    return {label: n for label, n in zip(cut.labels, row.labels, strict=True) if n}
