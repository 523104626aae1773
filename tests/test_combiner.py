"""The native worker's combiner: the same rules as the browser's, whose tests are combiner.test.js."""

import numpy as np
import pytest

from mlitb.combiner import Combiner
from mlitb.core.messages import Answer, Result
from mlitb.core.reduction import usable
from mlitb.trainer import Outcome


def outcome(*gradient: float, count: int = 1, loss: float = 0.5) -> Outcome:
    return Outcome(count, loss, 0, 10.0, np.array(gradient, np.float32) if gradient else None)


def test_it_adds_in_the_order_of_the_orders_in_float64() -> None:
    combiner = Combiner(7, (1, 2, 3), 1)
    for worker, value in ((3, -1e8), (1, 1e8), (2, 1.0)):
        combiner.accept(worker, outcome(value))
    answer, vector, left_out = combiner.finish("p")
    assert answer == Answer("p", 7, tuple(Result(worker, 1, 0.5, 0, 10.0) for worker in (1, 2, 3)))
    assert vector is not None
    assert vector.dtype == np.float32
    assert (vector.tolist(), left_out) == ([1.0], {})


def test_it_leaves_out_and_names_who_would_cost_the_others_their_work() -> None:
    combiner = Combiner(1, (1, 2, 3, 4, 5, 6), 2)
    combiner.accept(1, outcome(1.0, float("nan")))
    combiner.accept(2, outcome(1.0, 2.0))
    combiner.accept(3, outcome(1.0))
    combiner.accept(5, outcome(1e30, 0.0))
    combiner.accept(6, outcome(1.0, 1.0, loss=float("inf")))
    answer, vector, left_out = combiner.finish("p")
    assert [result.worker for result in answer.results] == [2]
    assert vector is not None
    assert vector.tolist() == [1.0, 2.0]
    large = "not finite, or too large to be squared"
    assert left_out == {1: large, 3: "of a wrong length", 4: "late", 5: large, 6: large}


@pytest.mark.parametrize("size", [1e18, 6e18, 1.2e19, 1.7e19])
def test_the_sum_of_what_passes_is_usable_itself(size: float) -> None:
    combiner = Combiner(1, (1, 2, 3), 1)
    for worker in (1, 2, 3):
        combiner.accept(worker, outcome(size))
    _, vector, left_out = combiner.finish("p")
    assert usable(np.array([size], np.float32))
    assert set(left_out) == (set() if size < 6.1e18 else {1, 2, 3})
    assert vector is None or usable(vector)


def test_who_is_not_awaited_counts_for_nothing() -> None:
    combiner = Combiner(1, (1, 2, 3), 1)
    combiner.accept(9, outcome(5.0))
    combiner.accept(1, outcome(1.0))
    combiner.accept(1, outcome(7.0))
    combiner.drop(2)
    combiner.accept(2, outcome(9.0))
    assert not combiner.complete
    combiner.accept(3, outcome(count=0))
    assert combiner.complete
    answer, vector, left_out = combiner.finish("p")
    assert [(result.worker, result.count) for result in answer.results] == [(1, 1), (3, 0)]
    assert vector is not None
    assert (vector.tolist(), left_out) == ([1.0], {})


def test_who_was_silent_gets_the_budget_alone_until_it_is_heard() -> None:
    combiner = Combiner(1, (1, 2), 1, {2})
    combiner.accept(1, outcome(1.0))
    assert not combiner.complete
    combiner.over = True
    assert combiner.complete
    combiner.hear(2)
    assert not combiner.complete
    combiner.accept(2, outcome(2.0))
    assert combiner.complete
    assert combiner.finish("p")[2] == {}
