"""The snapshots that are being evaluated: what a report calls the best so far can still be saved.

Rules of this file:
- Arrays are never copied: a step makes new ones, so a snapshot is a few references until the next step.
- Of each project the newest within MAX_BYTES: older ones go, and then that iteration simply cannot be saved any more.
"""

from collections import deque

from mlitb.checkpoints import Checkpoint

MAX_BYTES = 64_000_000
"""Of one project: hundreds of iterations of a small network, a few of one with a million parameters."""


class Recent:
    """Snapshots of all projects that somebody evaluates."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Checkpoint]] = {}

    def put(self, project: str, checkpoint: Checkpoint) -> None:
        """Keep a snapshot that was just shown to be evaluated."""
        kept = self._kept.setdefault(project, deque())
        while kept and kept[-1].iteration >= checkpoint.iteration:  # shown again, perhaps with more labels
            kept.pop()
        kept.append(checkpoint)
        while len(kept) * _bytes(checkpoint) > MAX_BYTES:
            kept.popleft()

    def take(self, project: str, iteration: int) -> Checkpoint | None:
        """Return the snapshot of an iteration, if it is still here, and forget it with all that are older."""
        kept = self._kept.get(project, deque())
        while kept and kept[0].iteration < iteration:
            kept.popleft()
        return kept.popleft() if kept and kept[0].iteration == iteration else None

    def forget(self, project: str) -> None:
        """Drop what is kept of a project."""
        self._kept.pop(project, None)


def _bytes(checkpoint: Checkpoint) -> int:
    return max(1, sum(array.nbytes for array in checkpoint.arrays.values()))
