"""The answers to one machine's orders of one iteration, and what is sent of them: the mirror of static/js/combiner.js.

Rules of this file:
- Sums are made in float64, in the order of the orders, and rounded to float32 once.
- A trainer that is late, or whose vector the master would refuse, is left out and named: one must not cost the others
  their work. Nobody waits for one that has ended.
- No clock, no socket and no process: the boss says when the time is up.
"""

from dataclasses import dataclass, field
from math import isfinite

from mlitb.core.messages import Answer
from mlitb.core.reduction import combine, usable
from mlitb.trainer import Gradient, Outcome


@dataclass(slots=True)
class Combiner:
    """The orders of one iteration, and what came of them."""

    iteration: int
    workers: tuple[int, ...]  # in the order of the orders
    size: int  # of the parameter vector
    silent: set[int] = field(
        default_factory=set
    )  # have not answered their last orders: awaited until the budget is over
    over: bool = False  # the budget: what is left is the margin
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Tell whether nobody is awaited any more."""
        return not any(self.awaits(w) and not (self.over and w in self.silent) for w in self.workers)

    def awaits(self, worker: int) -> bool:
        """Tell whether this trainer's answer is still to come."""
        return worker in self.workers and worker not in self.outcomes and worker not in self.gone

    def hear(self, worker: int) -> None:
        """Note that it has answered something, be it too late: from now on it gets the margin like everyone."""
        self.silent.discard(worker)

    def accept(self, worker: int, outcome: Outcome) -> None:
        """Take the answer of a trainer that is awaited; one that is not counts for nothing."""
        if self.awaits(worker):
            self.outcomes[worker] = outcome

    def drop(self, worker: int) -> None:
        """Await this trainer no longer: its process ended."""
        self.gone.add(worker)

    def finish(self, project: str) -> tuple[Answer, Gradient | None, dict[int, str]]:
        """Add what came; with whom it leaves out and why."""
        left_out = {worker: self._fault(worker) for worker in self.workers if worker not in self.gone}
        left_out = {worker: why for worker, why in left_out.items() if why}
        good = [(w, self.outcomes[w]) for w in self.workers if w in self.outcomes and w not in left_out]
        gradients = [outcome.gradient for _, outcome in good if outcome.gradient is not None]
        vector = gradients[0] if len(gradients) == 1 else combine(gradients) if gradients else None
        results = tuple(outcome.result(worker) for worker, outcome in good)
        return Answer(project, self.iteration, results), vector, left_out

    def _fault(self, worker: int) -> str:
        outcome = self.outcomes.get(worker)
        if outcome is None:
            return "late"
        if not outcome.count:
            return ""
        if outcome.gradient is None or outcome.gradient.size != self.size:
            return "of a wrong length"
        sound = isfinite(outcome.loss) and usable(outcome.gradient, len(self.workers))
        return "" if sound else "not finite, or too large to be squared"
