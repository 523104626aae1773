"""How well a network does on labelled vectors: the definitions, in numpy; static/js/statistics.js is the mirror.

Rules of this file:
- Arrays in, counts and shares out: no files, no engine. tests/test_metrics.py holds it to scikit-learn.
- The predicted label is the first of the most probable; of equal probabilities the lower index ranks first.
- What would be 0/0 is 0, as scikit-learn's `zero_division=0` has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_TOP = 5
"""Top-1 to top-5 are counted."""

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelScore:
    """How well one label is found: shares 0…1, and how many vectors have it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """What was measured over all vectors."""

    vectors: int
    loss: float  # mean; cross-entropy for softmax
    error: float  # share of wrong answers, 0…1
    confusion: Counts  # [label][predicted]; a network with spare outputs has rows and columns for these, too
    top: tuple[float, ...]  # share whose label is among the 1, 2, … most probable

    @property
    def labels(self) -> list[LabelScore]:
        """Score each label."""
        return per_label(self.confusion)

    def plain(self, names: Sequence[str]) -> dict[str, Any]:
        """Give plain JSON values; `names` are the labels."""
        scores = self.labels
        rows = [
            {"label": name, "precision": s.precision, "recall": s.recall, "f1": s.f1, "support": s.support}
            for name, s in zip(names, scores, strict=False)
        ]
        mean = {key: float(np.mean([row[key] for row in rows])) for key in ("precision", "recall", "f1")}
        return {
            "vectors": self.vectors, "error": self.error, "loss": self.loss, "top": list(self.top), "labels": rows,
            "macro": mean, "confusion": self.confusion[: len(names)].tolist(),
        }  # fmt: skip


class Tally:
    """Counts batch by batch, so that a test set need not fit into memory."""

    def __init__(self, outputs: int) -> None:
        self._loss, self._wrong = 0.0, 0
        self._confusion = np.zeros((outputs, outputs), np.int64)
        self._ranks = np.zeros(outputs, np.int64)

    def add(self, labels: ArrayLike, probabilities: ArrayLike, loss: float) -> None:
        """Count a batch: label indices (n,), probabilities (n, outputs), and its summed loss."""
        true, p = np.asarray(labels, np.int64), np.asarray(probabilities)
        predicted = p.argmax(1)
        self._loss += loss
        self._wrong += int((predicted != true).sum())
        np.add.at(self._confusion, (true, predicted), 1)
        np.add.at(self._ranks, ranks(true, p), 1)

    @property
    def vectors(self) -> int:
        """How many were counted."""
        return int(self._confusion.sum())

    def metrics(self) -> Metrics:
        """Return what was counted, which must be something."""
        vectors = self.vectors
        assert vectors, "there is nothing to measure"
        top = np.cumsum(self._ranks[:MOST_TOP]) / vectors
        shares = tuple(float(share) for share in top)
        return Metrics(vectors, self._loss / vectors, self._wrong / vectors, self._confusion, shares)


def ranks(labels: Counts, probabilities: NDArray[Any]) -> Counts:
    """Return how many outputs come before each vector's label, 0 for the right answer: (n,)."""
    own = np.take_along_axis(probabilities, labels[:, None], 1)
    earlier = np.arange(probabilities.shape[1])[None] < labels[:, None]
    before = (probabilities > own) | ((probabilities == own) & earlier)
    return np.asarray(before.sum(1), np.int64)


def per_label(confusion: Counts) -> list[LabelScore]:
    """Return precision, recall and F1 of each label of a confusion matrix [label][predicted]."""
    right = np.diag(confusion)
    support, claimed = confusion.sum(1), confusion.sum(0)
    precision, recall, f1 = _share(right, claimed), _share(right, support), _share(2 * right, claimed + support)
    return [
        LabelScore(float(p), float(r), float(f), int(n))
        for p, r, f, n in zip(precision, recall, f1, support, strict=True)
    ]


def _share(part: Counts, whole: Counts) -> Shares:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole != 0)
