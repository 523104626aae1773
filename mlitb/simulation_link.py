"""The master's link and its one processor, as a simulation has them: each serves one frame after another.

Rules of this file:
- A frame to a device waits for the processor that hands it over, then for the link; what is in it is decided when its
  turn comes, so the newest snapshot wins, as in outbox.py. One device waits at most once.
- A frame from a device waits for the link, then for the processor that reads it.
- Nothing of messages; times in seconds, sizes in megabytes.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

Happening = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Costs:
    """What the master's own work takes, seconds of its processor, as benchmarks/master.py measures and prints it.

    A browser's share is of one iteration: its gradient in, its parameters and orders out. How it divides between the
    two is not measured: half of it is counted on the way in, half on the way out.
    """

    browser: float = 69e-6
    browser_mb: float = 0.99e-3
    step_mb: float = 2.5e-3  # once an iteration: the optimizer
    iteration: float = 1.5e-3  # and the close, the history, the log of the work


class Link:
    """Carries frames; `at` puts what happens into the simulation's queue, `now` is its clock."""

    def __init__(
        self, costs: Costs, bandwidth: float, at: Callable[[float, Happening], None], now: Callable[[], float]
    ) -> None:
        """Start idle; bandwidth in bytes a second, each way."""
        self.costs = costs
        self._s_per_mb = 1e6 / bandwidth
        self._at = at
        self._now = now
        self._processor = self._up = self._down = 0.0  # when each is free again
        self._waiting: deque[tuple[float, Callable[[], Happening]]] = deque()
        self._handing_over = False

    def work(self, seconds: float, done: Happening) -> None:
        """Let the processor do something as soon as it is free."""
        self._processor = max(self._processor, self._now()) + seconds
        self._at(self._processor, done)

    def receive(self, megabytes: float, done: Happening) -> None:
        """Bring a frame in: `done` when it is read."""
        self._up = max(self._up, self._now()) + self._s_per_mb * megabytes
        seconds = self._half(megabytes)
        self._at(self._up, lambda: self.work(seconds, done))

    def send(self, megabytes: float, turn: Callable[[], Happening]) -> None:
        """Queue a frame; `turn` is called when its turn comes and gives what happens when it is out."""
        self._waiting.append((megabytes, turn))
        if not self._handing_over:
            self._handing_over = True
            self._at(self._now(), self._next)

    def _half(self, megabytes: float) -> float:
        return (self.costs.browser + self.costs.browser_mb * megabytes) / 2

    def _next(self) -> None:
        self._handing_over = bool(self._waiting)
        if self._waiting:
            megabytes, turn = self._waiting.popleft()
            done = turn()
            self.work(self._half(megabytes), lambda: self._carry(megabytes, done))

    def _carry(self, megabytes: float, done: Happening) -> None:
        """Put a frame onto the link; the next one is handed over while this one is carried."""
        begins = max(self._down, self._now())
        self._down = begins + self._s_per_mb * megabytes
        self._at(self._down, done)
        self._at(begins, self._next)
