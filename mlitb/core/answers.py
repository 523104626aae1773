"""Is an answer acceptable? Every rule of the event loop about refused answers, in one place.

Rules of this file:
- `judge` only reads. It returns a Verdict; the project acts on it, so a refused answer cannot have changed anything.
- An answer that is merely late or of the length before a growth is no misbehaviour: it is a sign of life and a
  latency sample.
"""

from dataclasses import dataclass
from math import isfinite

from mlitb.core.members import Browser
from mlitb.core.messages import Answer, Result

MAX_FLOPS = 1e12
"""Operations per second that one trainer can be believed: ten times a fast core of today."""

SHORTEST_S = 1e-3
"""Nobody is judged by less time than this: clocks are no better."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with an answer: take it, or refuse it for a reason (the name of a counter) with a sentence."""

    reason: str = ""  # empty: accepted
    status: int = 200
    sentence: str = ""
    late: bool = False  # a sign of life and a latency sample, though never a gradient


@dataclass(frozen=True, slots=True)
class Expected:
    """What the open iteration allows."""

    iteration: int
    is_open: bool
    size: int  # parameters
    earlier_sizes: frozenset[int]  # before a growth
    flops: int  # per vector


ACCEPTED = Verdict()


def judge(answer: Answer, browser: Browser, values: int, finite: bool, expected: Expected, elapsed_s: float) -> Verdict:
    """Decide on one answer of one browser, `elapsed_s` after its orders went out."""
    if answer.iteration != expected.iteration or not expected.is_open or browser.answered or not browser.orders:
        return _judge_moment(answer, browser, expected)
    results, wanted = answer.results, 0
    if len(results) > 1 and len({result.worker for result in results}) < len(results):
        return Verdict("worker named twice", 422, "an answer names a worker twice")
    most_flops = MAX_FLOPS * (elapsed_s if elapsed_s > SHORTEST_S else SHORTEST_S)
    for result in results:
        trainer = browser.orders.get(result.worker)
        if trainer is None:
            sentence = f"worker {result.worker} of this browser was ordered nothing in {answer.project}"
            return Verdict("no order", 422, sentence)
        assert trainer.order is not None, f"worker {result.worker} is in the orders without one"
        if verdict := _judge_result(result, trainer.order.limit, most_flops / expected.flops, elapsed_s):
            return verdict
        if result.count:
            wanted = expected.size
    if values == wanted and finite:
        return ACCEPTED
    return _judge_vector(values, wanted, expected)


def _judge_moment(answer: Answer, browser: Browser, expected: Expected) -> Verdict:
    if answer.iteration > expected.iteration:
        return Verdict(
            "future iteration", 422, f"iteration {answer.iteration} has not begun: this is {expected.iteration}"
        )
    if answer.iteration < expected.iteration or not (expected.is_open or browser.answered):
        late = answer.iteration in browser.missed
        return Verdict("late", 409, f"iteration {answer.iteration} is closed: this is {expected.iteration}", late=late)
    if browser.answered:
        return Verdict("second answer", 409, f"iteration {answer.iteration} was answered already")
    return Verdict("no order", 409, f"nothing was ordered from this browser in iteration {answer.iteration}")


def _judge_result(result: Result, limit: int, believed: float, elapsed_s: float) -> Verdict | None:
    worker, count, wrong, loss, ms = result.worker, result.count, result.wrong, result.loss, result.ms
    if not 0 <= count <= limit:
        return Verdict("too many vectors", 422, f"worker {worker} did {count} vectors, its order allows {limit}")
    if not 0 <= wrong <= count:
        return Verdict("wrong figures", 422, f"worker {worker} has {wrong} wrong of {count}")
    if not (isfinite(loss) and isfinite(ms) and ms >= 0):
        return Verdict("wrong figures", 422, f"worker {worker} has loss {loss} in {ms} ms")
    if count > believed:
        sentence = f"worker {worker} claims {count} vectors in {elapsed_s:.3f} s: beyond 10¹² FLOP/s"
        return Verdict("too fast", 422, sentence)
    return None


def _judge_vector(values: int, wanted: int, expected: Expected) -> Verdict:
    if values == wanted:
        sentence = "the gradient has values that are not finite, or too large to be squared"
        return Verdict("not finite", 422, sentence)
    if values in expected.earlier_sizes:
        return Verdict("stale length", 409, f"{values} values are of the network before it grew to {wanted}", late=True)
    return Verdict("wrong length", 422, f"the gradient has {values} values instead of {wanted}")


def longest_ms(answer: Answer) -> float:
    """Give how long the slowest of a browser's trainers computed: they run side by side."""
    longest = 0.0
    for result in answer.results:
        longest = max(longest, result.ms)
    return longest
