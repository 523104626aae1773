"""Who takes part in a project: browsers, and in them trainers and other workers.

Rules of this file:
- One Browser per (project, connection): it is what gets orders, is awaited, answers and misses deadlines.
- A Trainer's order is made from its list: the unpacked shards of its newest assignment. A new list gets a new seed and
  starts at cursor 0; the cursor moves only by accepted answers.
- Plain mutable records; the rules that move them are in project.py and answers.py.
"""

from collections import deque
from dataclasses import dataclass, field

from mlitb.core.allocation import Holder
from mlitb.core.budget import Link
from mlitb.core.messages import Order, Role, Shard, WorkerState
from mlitb.core.work import keyed, members

MISSED_KEPT = 8
"""Missed orders that a late answer may still belong to."""

SATURATED_KEPT = 8
"""Answers for which a trainer that used all it holds is shown so: else its row would say another thing each second."""

SHOWN = 1000
"""Snapshots that a statistics worker may still report about: it takes the newest when it is free."""


@dataclass(slots=True)
class Worker:
    """One worker of a browser; trainers carry a holder, others only look."""

    number: int
    role: Role
    intensity: float
    capacity_vectors: int
    capacity_bytes: int
    paused_since: float = -1.0
    failure: str = ""
    free: bool = True  # a tracker that wants a newer snapshot
    seen: tuple[int, int] = (-1, -1)  # iteration and version of its last snapshot
    shown: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=SHOWN))  # of the latest snapshots

    @property
    def paused(self) -> bool:
        """Tell whether its user paused it."""
        return self.paused_since >= 0


@dataclass(slots=True, eq=False)
class Trainer(Worker):
    """A worker that computes gradients."""

    holder: Holder | None = None  # None while it has no part in the allocation
    assignment: int = 0
    shards: tuple[Shard, ...] = ()  # the newest Assign that was sent
    ready: set[str] = field(default_factory=set)  # unpacked, of the newest assignment
    list_changed: bool = False  # the list must be made anew before the next order
    positions: tuple[int, ...] = ()  # its list: positions in `shards`
    size: int = 0  # vectors of its list
    number_of_list: int = 0  # grows with every new list, names it in the log
    logged_list: int = 0
    seed: int = 0
    cursor: int = 0
    power: float = 0.0  # vectors per second, smoothed, 0 before the first answer
    order: Order | None = None  # of the open iteration, until answered
    count: int = 0  # vectors of the last answer
    vectors_last: int = 0  # of the last closed iteration
    vectors_open: int = 0  # of the open one
    uncredited: int = 0  # vectors of its list computed since `trained` of its shards was added to
    saturated: int = 0  # answers for which it is still shown so
    budget_ms: float = 0.0

    def relist(self, project_seed: int, key: int) -> None:
        """Make the list anew from what is ready; if it is another one it starts from the front, newly shuffled."""
        positions = tuple(i for i, shard in enumerate(self.shards) if shard.hash in self.ready)
        self.list_changed = False
        self.positions = positions
        self.size = sum(members(self.shards[i].count, self.shards[i].offset, self.shards[i].step) for i in positions)
        self.number_of_list += 1
        self.seed = keyed(project_seed, key, self.number, self.number_of_list)
        self.cursor = 0

    def round_done(self) -> bool:
        """Tell whether it holds all it was assigned and has been round it."""
        return bool(self.size) and len(self.positions) == len(self.shards) and self.cursor >= self.size


@dataclass(slots=True, eq=False)
class Browser:
    """One connection's part in one project."""

    client: int  # the connection
    identity: int  # who it is to people, the same after a reconnection
    device: str
    cached: set[str]
    link: Link
    workers: dict[int, Worker] = field(default_factory=dict)
    trainers: list[Trainer] = field(default_factory=list)  # those of its workers that train
    knows_version: int = 0  # of the Network
    sent_at: float = -1.0  # when its latest orders went out
    orders: dict[int, "Trainer"] = field(
        default_factory=dict
    )  # who was ordered in the open iteration, also if it left since
    answered: bool = False  # an accepted answer in the open iteration
    awaited: bool = False
    silent: bool = False  # missed a deadline and has not answered since
    misses: int = 0  # deadlines missed since the last sign of life
    missed: dict[int, float] = field(default_factory=dict)  # the latest iterations whose orders it missed -> sent at
    waits: bool = False  # for a turn: more browsers have work than the server has places (places.py)
    refused: int = 0

    @property
    def title(self) -> str:
        """Name it for people."""
        return f"{self.device or 'browser'} #{self.identity}"

    def could_work(self) -> bool:
        """Tell whether one of its trainers has unpacked something to compute."""
        return any(t.ready and t.holder and not t.paused and (t.size or t.list_changed) for t in self.trainers)

    def excuse(self, iteration: int) -> None:
        """Expect nothing more in this iteration; what comes all the same is late."""
        self.answered = True
        self.missed[iteration] = self.sent_at
        if len(self.missed) > MISSED_KEPT:
            del self.missed[next(iter(self.missed))]

    def end_orders(self, iteration: int, missed: bool) -> None:
        """Forget the orders of an iteration that closed; one that is `missed` may still be answered late."""
        if missed:
            self.excuse(iteration)
        for trainer in self.trainers:
            trainer.order = None
            trainer.vectors_last, trainer.vectors_open = trainer.vectors_open, 0
        self.orders.clear()
        self.answered = False

    def wants_snapshot(self, newest: tuple[int, int]) -> bool:
        """Tell whether a free tracker, statistics or classify worker that has not seen the newest lives here."""
        return any(
            not isinstance(w, Trainer) and w.free and not w.paused and w.seen != newest for w in self.workers.values()
        )

    def show(self, newest: tuple[int, int]) -> bool:
        """Note that its workers are sent a snapshot: who only looks is busy with it; tell whether one evaluates it."""
        tested = False
        for worker in self.workers.values():
            worker.free = worker.free and isinstance(worker, Trainer)
            worker.seen = newest
            if worker.role == "statistics":
                worker.shown.append(newest)
                tested = True
        return tested


def state_of(browser: Browser, worker: Worker, running: bool) -> WorkerState:
    """Put a worker's state into one word."""
    if worker.failure:
        return "failed"
    if worker.paused:
        return "paused"
    if not isinstance(worker, Trainer):
        return "ready"
    if browser.silent:
        return "silent"
    if not worker.shards:
        return "waiting"
    if not worker.ready:
        return "joining"
    if worker.saturated:
        return "saturated"
    return "working" if running and worker.order is not None else "ready"
