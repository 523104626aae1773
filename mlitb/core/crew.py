"""A project's browsers and workers: who joins, holds, is ready, is paused, falls silent, leaves.

Rules of this file:
- A trainer has a part in the allocation (a holder) from its Join until it leaves, fails, is paused for long or is
  silent for three deadlines; what it held goes back at that moment, and it gets shards again when it is back.
- Whoever computes learns of a changed assignment at the close; everyone else at once. Shards that stay in a list stay
  ready.
- Network goes before the first Assign and before the first Assign or snapshot of every new version.
"""

from collections.abc import Iterator, Sequence
from heapq import nsmallest
from typing import Any

from mlitb.core.allocation import Holder, Key, Pool
from mlitb.core.dataset import Cut
from mlitb.core.events import Effect, Level, Log, Send
from mlitb.core.held_out import HeldOut
from mlitb.core.members import Browser, Trainer, Worker
from mlitb.core.messages import Assign, Failed, Join, Network, Ready, Shard, Tune
from mlitb.core.refusal import Refusal

PAUSE_KEEPS_S = 60.0
"""A paused worker keeps its shards so long: a short pause costs no re-allocation."""

MISSES_TO_LOSE = 3
LINKS_KEPT = 8
"""Browsers whose latency is kept for each iteration, those that came first: nobody reads a chart with more lines."""

MAX_WORKERS = 256
"""Workers of one browser in one project."""


class Crew:
    """Everyone who takes part in one project."""

    def __init__(self, project: str, seed: int) -> None:
        self.project = project
        self.seed = seed
        self.browsers: dict[int, Browser] = {}
        self.pool = Pool()
        self.network: Network | None = None
        self.held_out = HeldOut()
        self._stale: dict[Key, Trainer] = {}  # lost their part: to be told that they hold nothing
        self._later: dict[Key, Holder] = {}  # changed while they compute: to be told at the close

    def everyone(self) -> list[tuple[Browser, Worker]]:
        """List everyone who takes part."""
        return [(browser, worker) for browser in self.browsers.values() for worker in browser.workers.values()]

    # --------------------------------------------------------------------------------------- coming and going
    def join(self, browser: Browser, join: Join) -> Worker:
        """Let a worker in; raises Refusal."""
        _check_limits(join.capacity_vectors, join.capacity_bytes, join.intensity)
        known = browser.workers.get(join.worker)
        if known and not known.failure:
            raise Refusal(409, f"worker {join.worker} has joined {self.project} already")
        if len(browser.workers) >= MAX_WORKERS:
            raise Refusal(409, f"a browser lends at most {MAX_WORKERS} workers to a project")
        self.browsers[browser.client] = browser
        kind = Trainer if join.role == "trainer" else Worker
        worker = kind(join.worker, join.role, join.intensity, join.capacity_vectors, join.capacity_bytes)
        self._forget(browser, join.worker)
        browser.workers[join.worker] = worker
        if isinstance(worker, Trainer):
            browser.trainers.append(worker)
            self._enter(browser, worker)
        return worker

    def leave(self, browser: Browser, number: int) -> None:
        """Let a worker go; its shards go back at once."""
        self._forget(browser, number)
        if not browser.workers:
            del self.browsers[browser.client]

    def _forget(self, browser: Browser, number: int) -> None:
        worker = browser.workers.pop(number, None)
        if isinstance(worker, Trainer):
            self._part(browser, worker)
            self._stale.pop((browser.client, number), None)
            browser.trainers.remove(worker)

    def drop(self, client: int) -> None:
        """Let a whole browser go."""
        browser = self.browsers.get(client)
        for number in list(browser.workers) if browser else ():
            assert browser is not None
            self.leave(browser, number)

    def tune(self, browser: Browser, tune: Tune, now: float) -> None:
        """Change what a worker gives; raises Refusal."""
        _check_limits(tune.capacity_vectors, tune.capacity_bytes, tune.intensity)
        worker = browser.workers[tune.worker]
        worker.capacity_vectors, worker.capacity_bytes = tune.capacity_vectors, tune.capacity_bytes
        worker.intensity = tune.intensity
        if tune.paused != worker.paused:
            worker.paused_since = now if tune.paused else -1.0
        if isinstance(worker, Trainer) and worker.holder:
            self.pool.resize(worker.holder, tune.capacity_vectors, tune.capacity_bytes)
            self.pool.feed(worker.holder)
        elif isinstance(worker, Trainer) and not worker.paused and not worker.failure:
            self._enter(browser, worker)

    def failed(self, browser: Browser, failed: Failed) -> Effect:
        """Note that a worker stopped with an error; return what the log is told."""
        worker = browser.workers[failed.worker]
        worker.failure = failed.reason[:300] or "it gave no reason"
        if isinstance(worker, Trainer):
            self._part(browser, worker)
        return self._log("warning", f"worker {failed.worker} of {browser.title} failed: {worker.failure}")

    def refused(self, browser: Browser, sentence: str, misbehaved: bool) -> list[Effect]:
        """Note a refused answer; of misbehaviour the log is told the first, the second, the fourth … time."""
        browser.refused += 1
        if not misbehaved or browser.refused & (browser.refused - 1):
            return []
        so_far = f" ({browser.refused} so far)" if browser.refused > 1 else ""
        return [self._log("warning", f"an answer of {browser.title} was rejected: {sentence}{so_far}")]

    def _log(self, level: Level, text: str) -> Effect:
        return Log(level, text, self.project)

    def missed(self, browser: Browser) -> list[Effect]:
        """Note that a browser let a deadline pass; after three its shards go to others. Return what the log is told."""
        browser.silent = True
        browser.misses += 1
        browser.link.missed()
        if browser.misses >= MISSES_TO_LOSE:
            for trainer in browser.trainers:
                self._part(browser, trainer)
        if browser.misses == 1:
            return [self._log("info", f"{browser.title} was late: it is not awaited until it answers")]
        if browser.misses == MISSES_TO_LOSE:
            return [self._log("warning", f"{browser.title} was late {MISSES_TO_LOSE} times: its shards go to others")]
        return []

    def alive(self, browser: Browser) -> None:
        """Note a sign of life."""
        if not browser.silent:
            return
        browser.silent = False
        browser.misses = 0
        for trainer in browser.trainers:
            if not trainer.holder and not trainer.paused and not trainer.failure:
                self._enter(browser, trainer)

    def _enter(self, browser: Browser, trainer: Trainer) -> None:
        key = (browser.client, trainer.number)
        weight = trainer.power * trainer.intensity or self.pool.mean_weight()
        trainer.holder = Holder(key, trainer.capacity_vectors, trainer.capacity_bytes, browser.cached, weight)
        self._stale.pop(key, None)
        self.pool.enter(trainer.holder)

    def _part(self, browser: Browser, trainer: Trainer) -> None:
        if trainer.holder:
            self._credit(trainer)
            self.pool.leave(trainer.holder.key)
            self._stale[(browser.client, trainer.number)] = trainer
            trainer.holder = None

    def latencies(self) -> dict[str, Any]:
        """Give the links' overheads in ms: their median (-1 without any), and those of a few browsers by identity."""
        links = {b.identity: b.link.overhead_ms for b in self.browsers.values() if b.trainers and b.link.known}
        ordered = sorted(links.values())
        few = {str(identity): round(links[identity], 1) for identity in nsmallest(LINKS_KEPT, links)}
        return {"latency_ms": round(ordered[len(ordered) // 2], 1) if ordered else -1.0, "latencies": few}

    # ------------------------------------------------------------------------------------------------- holding
    def ready(self, browser: Browser, ready: Ready) -> bool:
        """Count on shards that a worker has unpacked; tell whether that made its list longer. Raises Refusal."""
        worker = browser.workers[ready.worker]
        if not isinstance(worker, Trainer):
            worker.free = True
            return False
        assigned = {shard.hash for shard in worker.shards}
        if ready.assignment > worker.assignment:
            raise Refusal(422, f"worker {ready.worker} was never given assignment {ready.assignment}")
        if ready.assignment == worker.assignment and not assigned.issuperset(ready.shards):
            raise Refusal(422, f"worker {ready.worker} was not assigned all of the shards that it calls ready")
        fresh = assigned.intersection(ready.shards) - worker.ready
        worker.ready |= fresh
        worker.list_changed = worker.list_changed or bool(fresh)
        browser.cached |= fresh
        return bool(fresh)

    def settle(self, now: float) -> None:
        """Put the allocation in order between two iterations."""
        powers, known, newcomers = 0.0, 0, []
        for browser in self.browsers.values():
            for trainer in browser.trainers:
                if trainer.list_changed or self.pool.unowned:
                    self._credit(trainer)
                if trainer.paused_since >= 0 and now - trainer.paused_since >= PAUSE_KEEPS_S:
                    self._part(browser, trainer)
                elif trainer.holder and trainer.power:
                    trainer.holder.weight = trainer.power * trainer.intensity
                    powers += trainer.power
                    known += 1
                elif trainer.holder:
                    newcomers.append((trainer.holder, trainer.intensity))
        for holder, intensity in newcomers:
            holder.weight = (powers / known if known else 1.0) * intensity
        self.pool.reweigh()
        if self.pool.unowned:
            self.pool.rotate(self._round_done())
        self.pool.settle()
        self.pool.even_out()

    def _credit(self, trainer: Trainer) -> None:
        """Add what was computed of a list to its shards: before the list changes, or when rotation wants to know."""
        if not trainer.uncredited:
            return  # also: positions are of an earlier list until the next order
        for place in trainer.positions:
            if stock := self.pool.shards.get(trainer.shards[place].hash):  # else gone with a version of its data set
                stock.trained += trainer.uncredited / len(trainer.positions)
        trainer.uncredited = 0

    def _round_done(self) -> Iterator[Holder]:
        for browser in self.browsers.values():
            for trainer in browser.trainers:
                if trainer.holder and trainer.round_done():
                    yield trainer.holder

    # ------------------------------------------------------------------------------------------------- telling
    def tell(self, everyone: bool) -> list[Effect]:
        """Send changed assignments, to those that compute only if `everyone`."""
        out: list[Effect] = []
        changed = {**self._later, **self.pool.changed} if everyone else dict(self.pool.changed)
        self.pool.changed.clear()
        if everyone:
            self._later.clear()
        for key, holder in changed.items():
            if key not in self.pool.holders:
                continue  # it left since
            browser, trainer = self._trainer(key)
            if everyone or trainer.order is None:
                out += self._assign(browser, trainer, holder.assigned())
            else:
                self._later[key] = holder
        for key in [key for key, trainer in self._stale.items() if everyone or trainer.order is None]:
            del self._stale[key]
            out += self._assign(*self._trainer(key), ())
        return out

    def _trainer(self, key: Key) -> tuple[Browser, Trainer]:
        browser = self.browsers[key[0]]
        trainer = browser.workers[key[1]]
        assert isinstance(trainer, Trainer), f"{key} holds shards and is no trainer"
        return browser, trainer

    def greet(self, browser: Browser, worker: Worker) -> list[Effect]:
        """Send a new worker that does not train what it needs."""
        assign = Assign(self.project, worker.number, 0, ())
        if worker.role == "statistics":
            assign = Assign(self.project, worker.number, self.held_out.number, self.held_out.shards)
        return [*self.introduce(browser), Send(browser.client, assign)]

    def hold_out(self, cuts: Sequence[Cut], labels: Sequence[str]) -> list[Effect]:
        """Find out which pictures the test set is now, and send it to who evaluates if it changed."""
        if not self.held_out.resolve(cuts, labels):
            return []
        evaluating = [pair for pair in self.everyone() if pair[1].role == "statistics"]
        return [effect for browser, worker in evaluating for effect in self.greet(browser, worker)]

    def introduce(self, browser: Browser) -> list[Effect]:
        """Send the network, unless the browser knows this version of it."""
        if self.network is None or browser.knows_version == self.network.version:
            return []
        browser.knows_version = self.network.version
        return [Send(browser.client, self.network)]

    def introduce_all(self) -> list[Effect]:
        """Send a new network to everyone."""
        return [effect for browser in self.browsers.values() for effect in self.introduce(browser)]

    def _assign(self, browser: Browser, trainer: Trainer, shards: tuple[Shard, ...]) -> list[Effect]:
        if shards == trainer.shards and trainer.assignment:
            return []
        self._credit(trainer)
        trainer.assignment += 1
        trainer.shards = shards
        trainer.ready &= {shard.hash for shard in shards}
        trainer.list_changed = True
        return [
            *self.introduce(browser),
            Send(browser.client, Assign(self.project, trainer.number, trainer.assignment, shards)),
        ]


def _check_limits(vectors: int, size: int, intensity: float) -> None:
    if vectors < 1 or size < 1:
        raise Refusal(422, f"a capacity of {vectors} vectors and {size} bytes leaves nothing to hold")
    if not 0 < intensity <= 1:
        raise Refusal(422, f"intensity is a share of the period above 0 and up to 1, not {intensity}")
