"""Long work in slices, and who owns the vectors."""

from collections.abc import Iterator

import numpy as np

from mlitb.core.optimizer import Hyper
from mlitb.demo import LAYERS
from mlitb.vectors import Jobs, Vectors


def steps(name: str, count: int, seen: list[str]) -> Iterator[None]:
    for number in range(count):
        seen.append(f"{name}{number}")
        yield


def drain(jobs: Jobs) -> None:
    for _ in range(1000):
        if not jobs:
            return
        jobs.turn()
    raise AssertionError("the work does not end")


def test_projects_take_turns_and_each_keeps_its_order() -> None:
    jobs, seen = Jobs(), list[str]()
    jobs.put("a", steps("a", 3, seen))
    jobs.put("a", steps("A", 1, seen))
    jobs.put("b", steps("b", 1, seen))
    drain(jobs)
    assert seen.index("b0") < seen.index("a1"), "b does not wait for all of a"
    assert [name for name in seen if name[0] in "aA"] == ["a0", "a1", "a2", "A0"]


def test_work_of_a_removed_project_is_dropped() -> None:
    jobs, seen = Jobs(), list[str]()
    jobs.put("a", steps("a", 3, seen))
    jobs.turn()
    jobs.forget("a")
    assert not jobs
    drain(jobs)
    assert seen == ["a0"]


def filled() -> Vectors:
    vectors = Vectors()
    vectors.restore({"parameters": np.linspace(-1, 1, 5, dtype=np.float32)}, 2)
    return vectors


def run(work: Iterator[None]) -> None:
    for _ in work:
        pass


def test_a_step_is_the_mean_gradient_through_the_optimizer_and_clears_the_sum() -> None:
    vectors, told = filled(), list[tuple[bool, int]]()
    before = vectors.parameters
    for _ in range(2):
        run(vectors.add(np.full(5, 3, np.float32)))
    run(vectors.step(Hyper(optimizer="sgd", learning_rate=0.5), 3, 0.5, lambda *outcome: told.append(outcome)))
    assert told == [(True, 1)]
    np.testing.assert_allclose(vectors.parameters, before - 0.5 * 2, rtol=1e-6)
    assert not vectors.total.any()


def test_a_snapshot_that_somebody_holds_does_not_change() -> None:
    vectors = filled()
    held = vectors.parameters
    copy = held.copy()
    run(vectors.add(np.ones(5, np.float32)))
    run(vectors.step(Hyper(), 1, 0.1, lambda *_: None))
    assert held.tobytes() == copy.tobytes()
    assert vectors.parameters is not held


def test_a_step_that_leaves_float32_is_dropped() -> None:
    vectors, told = filled(), list[tuple[bool, int]]()
    before = vectors.parameters.tobytes()
    run(vectors.add(np.full(5, 3e38, np.float32)))
    run(vectors.step(Hyper(optimizer="sgd", learning_rate=1000.0), 1, 1000.0, lambda *outcome: told.append(outcome)))
    assert told == [(False, 1)]
    assert vectors.parameters.tobytes() == before
    assert not vectors.total.any()


def test_growth_keeps_the_old_bits_and_gives_new_weights_no_history() -> None:
    vectors = Vectors()
    size = {labels: 16 * 9 + 16 + 4 * 4 * 16 * labels + labels for labels in (2, 3)}
    vectors.restore({"parameters": np.arange(size[2], dtype=np.float32)}, 2)
    run(vectors.add(np.ones(size[2], np.float32)))
    run(vectors.step(Hyper(), 1, 0.1, lambda *_: None))
    old = vectors.parameters
    fresh = np.full(size[3], -5, np.float32)
    vectors.restore(vectors.grown(tuple(LAYERS), fresh, 3), 3)
    weights = 16 * 9 + 16
    assert vectors.parameters[: weights + 512].tobytes() == old[: weights + 512].tobytes()
    assert (vectors.parameters[weights + 512 : weights + 768] == -5).all(), "the new label's weights"
    assert (vectors.state["squares"][weights + 512 : weights + 768] == 0).all()
    assert (vectors.state["squares"][: weights + 512] == 1).all()
    assert vectors.total.size == size[3]


def test_ten_million_parameters_are_worked_on_in_slices() -> None:
    vectors = Vectors()
    vectors.restore({"parameters": np.zeros(10_000_000, np.float32)}, 2)
    assert len(list(vectors.add(np.ones(10_000_000, np.float32)))) == 10
    assert len(list(vectors.step(Hyper(), 1, 0.5, lambda *_: None))) >= 10
    assert vectors.parameters[0] == vectors.parameters[-1] == -0.5
