"""Every figure equals scikit-learn's on the same predictions, also where labels are missing or never predicted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlitb.metrics import MOST_TOP, Metrics, Tally

sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle here")


def measured(labels: np.ndarray, probabilities: np.ndarray, batch: int = 16) -> Metrics:
    tally = Tally(probabilities.shape[1])
    for i in range(0, len(labels), batch):
        part = slice(i, i + batch)
        own = probabilities[part][np.arange(len(labels[part])), labels[part]]
        tally.add(labels[part], probabilities[part], float(-np.log(own).sum()))
    return tally.metrics()


def some(seed: int, n: int, outputs: int, present: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw n predictions over some outputs, of which only the first `present` labels occur."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(n, outputs))
    logits[:, 0] -= 9  # hardly ever predicted: a precision of 0/0
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return random.integers(0, present, n), probabilities


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(2, 12), st.data())
def test_figures_equal_scikit_learns(seed: int, n: int, outputs: int, data: st.DataObject) -> None:
    true, probabilities = some(seed, n, outputs, data.draw(st.integers(1, outputs)))
    found, names = measured(true, probabilities), np.arange(outputs)
    predicted = probabilities.argmax(1)
    assert found.vectors == n
    assert found.error == pytest.approx(1 - sklearn.accuracy_score(true, predicted))
    assert found.loss == pytest.approx(sklearn.log_loss(true, probabilities, labels=names))
    assert (found.confusion == sklearn.confusion_matrix(true, predicted, labels=names)).all()
    scores = sklearn.precision_recall_fscore_support(true, predicted, labels=names, zero_division=0)
    mine = [(s.precision, s.recall, s.f1, s.support) for s in found.labels]
    np.testing.assert_allclose(np.array(mine).T, np.array(scores), rtol=1e-12)
    for k in range(1, min(MOST_TOP, outputs - 1) + 1):
        best = sklearn.top_k_accuracy_score(true, probabilities, k=k, labels=names) if outputs > 2 else None
        assert best is None or found.top[k - 1] == pytest.approx(best)


def test_of_equal_probabilities_the_lower_index_comes_first() -> None:
    found = measured(np.array([0, 1, 2]), np.full((3, 3), 1 / 3))
    assert found.top == pytest.approx((1 / 3, 2 / 3, 1))
    assert found.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]


def test_macro_means_equal_scikit_learns_and_only_labels_are_named() -> None:
    true, probabilities = some(3, 50, 6, 4)
    plain = measured(true, probabilities).plain(["a", "b", "c", "d"])
    assert [row["label"] for row in plain["labels"]] == ["a", "b", "c", "d"]
    assert len(plain["confusion"]) == 4
    assert all(len(row) == 6 for row in plain["confusion"])  # a spare output may be predicted
    want = sklearn.precision_recall_fscore_support(
        true, probabilities.argmax(1), labels=range(4), average="macro", zero_division=0
    )
    assert list(plain["macro"].values()) == pytest.approx(want[:3])
