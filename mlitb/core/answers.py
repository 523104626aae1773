"""Is an answer acceptable? Every rule of the event loop about refused answers, in one place.

Rules of this file:
- `judge` only reads. It returns a Verdict; the project acts on it, so a refused answer cannot have changed anything.
- An answer that is merely late or of the length before a growth is no misbehaviour: it is a sign of life and a
  latency sample.
"""

from dataclasses import dataclass
from math import isfinite

from mlitb.core.members import Browser, Trainer
from mlitb.core.messages import Answer, Result

MAX_FLOPS = 1e12
"""Operations per second that one trainer can be believed: ten times a fast core of today."""


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
    if answer.iteration > expected.iteration:
        return Verdict(
            "future iteration", 422, f"iteration {answer.iteration} has not begun: this is {expected.iteration}"
        )
    if answer.iteration < expected.iteration or not (expected.is_open or browser.answered):
        late = answer.iteration == browser.late_iteration
        return Verdict("late", 409, f"iteration {answer.iteration} is closed: this is {expected.iteration}", late=late)
    if browser.answered:
        return Verdict("second answer", 409, f"iteration {answer.iteration} was answered already")
    if not browser.orders:
        return Verdict("no order", 409, f"nothing was ordered from this browser in iteration {answer.iteration}")
    return (
        _judge_results(answer, browser, expected, elapsed_s)
        or _judge_vector(answer, values, finite, expected)
        or ACCEPTED
    )


def _judge_results(answer: Answer, browser: Browser, expected: Expected, elapsed_s: float) -> Verdict | None:
    seen: set[int] = set()
    for result in answer.results:
        if result.worker in seen:
            return Verdict("worker named twice", 422, f"worker {result.worker} is named twice")
        seen.add(result.worker)
        trainer = browser.orders.get(result.worker)
        if trainer is None:
            return Verdict(
                "no order", 422, f"worker {result.worker} of this browser was ordered nothing in {answer.project}"
            )
        if verdict := _judge_result(result, trainer, expected.flops, elapsed_s):
            return verdict
    return None


def _judge_result(result: Result, trainer: Trainer, flops: int, elapsed_s: float) -> Verdict | None:
    who = f"worker {result.worker}"
    assert trainer.order is not None, f"{who} is in the orders without one"
    if not 0 <= result.count <= trainer.order.limit:
        return Verdict(
            "too many vectors", 422, f"{who} did {result.count} vectors, its order allows {trainer.order.limit}"
        )
    if not 0 <= result.wrong <= result.count:
        return Verdict("wrong figures", 422, f"{who} has {result.wrong} wrong of {result.count}")
    if not (isfinite(result.loss) and isfinite(result.ms) and result.ms >= 0):
        return Verdict("wrong figures", 422, f"{who} has loss {result.loss} in {result.ms} ms")
    if result.count * flops > MAX_FLOPS * max(elapsed_s, 1e-3):
        return Verdict("too fast", 422, f"{who} claims {result.count} vectors in {elapsed_s:.3f} s: beyond 10¹² FLOP/s")
    return None


def _judge_vector(answer: Answer, values: int, finite: bool, expected: Expected) -> Verdict | None:
    wanted = expected.size if any(result.count for result in answer.results) else 0
    if values == wanted:
        return (
            None
            if finite
            else Verdict("not finite", 422, "the gradient has values that are not finite, or too large to be squared")
        )
    if values in expected.earlier_sizes:
        return Verdict("stale length", 409, f"{values} values are of the network before it grew to {wanted}", late=True)
    return Verdict("wrong length", 422, f"the gradient has {values} values instead of {wanted}")
