"""When which of many things is to be looked at next: the soonest is at hand, however many there are.

Rules of this file:
- A key has one time or none; a new one takes the place of the old one.
- A heap whose outdated entries are dropped when they come up (as Python's own `heapq` documents it), or when they are
  most of it.
"""

from heapq import heapify, heappop, heappush

NEVER = float("inf")
SLACK = 64
"""Outdated entries that are always borne."""


class Agenda:
    """Keys by time."""

    def __init__(self) -> None:
        self.soonest = NEVER
        self._times: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def set(self, key: str, time: float) -> None:
        """Look at a key at this time and at no other; NEVER takes it off."""
        if time == self._times.get(key, NEVER):
            return
        if time == NEVER:
            del self._times[key]
        else:
            self._times[key] = time
            heappush(self._heap, (time, key))
        if len(self._heap) > 2 * len(self._times) + SLACK:
            self._heap = [(time, key) for key, time in self._times.items()]
            heapify(self._heap)
        self._find()

    def take(self, now: float) -> list[str]:
        """Take off what is due, the soonest first."""
        due = []
        while self.soonest <= now:
            key = self._heap[0][1]
            due.append(key)
            del self._times[key]
            self._find()
        return due

    def _find(self) -> None:
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        self.soonest = self._heap[0][0] if self._heap else NEVER
