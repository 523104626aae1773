"""The long vectors of the projects, and the long work on them in slices.

Rules of this file:
- Parameters and optimizer state are replaced, never changed in place: whoever holds a reference (a checkpoint being
  written, a download) keeps a consistent snapshot.
- Slices of one project run in the order in which they were asked for; projects take turns, one slice each.
- The arithmetic is in core/reduction.py and core/optimizer.py; here is only who owns what.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlitb.core import optimizer, reduction
from mlitb.core.network import growth
from mlitb.core.optimizer import Hyper

Vector = NDArray[np.float32]
Work = Iterator[None]


class Vectors:
    """One project's parameters, optimizer state and gradient sum."""

    def __init__(self) -> None:
        self.parameters: Vector = np.zeros(0, np.float32)
        self.state: optimizer.State = {}
        self.total: NDArray[np.float64] = np.zeros(0, np.float64)
        self.labels = 0

    def grown(self, layers: tuple[dict[str, Any], ...], fresh: Vector, labels: int) -> dict[str, Vector]:
        """Give what `restore` takes, in the layout for more labels: the old bit-equal, new weights from `fresh`.

        The optimizer remembers nothing of what is new. It only reads, so that a thread may do it.
        """
        places = growth(layers, self.labels, labels)
        zeros = np.zeros_like(fresh)
        state = {
            name: values if values.size == 1 else reduction.grown(values, places, zeros)
            for name, values in self.state.items()
        }
        return {"parameters": reduction.grown(self.parameters, places, fresh), **state}

    def restore(self, arrays: dict[str, Vector], labels: int) -> None:
        """Take what a checkpoint holds, or what was made: parameters, and optimizer state if there is one."""
        self.parameters = arrays["parameters"]
        self.state = {name: values for name, values in arrays.items() if name != "parameters"}
        self.total = reduction.zeros(self.parameters.size)
        self.labels = labels

    def add(self, gradient: Vector) -> Work:
        """Add an answer's gradient to the sum, in slices."""
        return reduction.add(self.total, gradient)

    def step(self, hyper: Hyper, vectors: int, learning_rate: float, done: Callable[[bool, int], None]) -> Work:
        """Take one optimizer step in slices; a result that is not finite is dropped. Then `done(finite, steps)`."""
        state = optimizer.adapted(self.state, hyper, self.parameters.size)
        update = optimizer.Update(hyper, self.parameters, self.total, state, vectors, learning_rate)
        yield from update.walk()
        if update.finite:
            self.parameters, self.state = update.parameters, update.state
        self.total = reduction.zeros(self.parameters.size)
        done(update.finite, int(update.state["step"][0]))


class Jobs:
    """Long work of all projects, one slice at a time, in turns."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Work]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, project: str, work: Work) -> None:
        """Queue work behind what the project already has waiting."""
        self._waiting.setdefault(project, deque()).append(work)

    def forget(self, project: str) -> None:
        """Drop what a removed or rebooted project has waiting."""
        self._waiting.pop(project, None)

    def turn(self) -> None:
        """Do one slice for the project whose turn it is."""
        project = next(iter(self._waiting))
        queue = self._waiting.pop(project)
        self._waiting[project] = queue  # its next turn comes after all others'
        if next(queue[0], self) is self:  # this work is done (self: a value that no slice yields)
            queue.popleft()
        if not queue and self._waiting.get(project) is queue:
            del self._waiting[project]
