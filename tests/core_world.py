"""A world around the core, for its tests: clients, a runtime without vectors, and invariants checked at every effect.

Rules of this file:
- It reads only what a runtime or a browser would be sent, and checks each effect against what came before it.
- `check` then looks inside: the allocation's books, the room left, the deadline.
- Nothing here waits: time is a number.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from mlitb import wire
from mlitb.core import messages as m
from mlitb.core.crew import PAUSE_KEEPS_S
from mlitb.core.events import (
    Add,
    Attached,
    Broadcast,
    Close,
    Connected,
    Created,
    Disconnected,
    Effect,
    Event,
    Forget,
    Initialise,
    Log,
    Received,
    Record,
    Restore,
    Restored,
    Save,
    Send,
    Step,
    Stepped,
    Ticked,
    Wished,
)
from mlitb.core.master import Master
from mlitb.core.members import Browser as Part
from mlitb.core.project import Phase, Project
from mlitb.core.refusal import Refusal
from mlitb.core.work import Piece, members

ENGINE = "e" * 64
LAYERS: tuple[dict[str, Any], ...] = (
    {"type": "input", "width": 4, "height": 4, "channels": 1},
    {"type": "fully_connected"},
    {"type": "softmax"},
)


def manifest(cut: str, labels: list[str], counts: list[int], held_back: int = 0) -> dict[str, Any]:
    """Describe a cut whose shards have these counts."""

    def row(i: int, count: int, kind: str) -> dict[str, Any]:
        each = [count // len(labels) + (place < count % len(labels)) for place in range(len(labels))]
        name = sha256(f"{cut} {kind} {i}".encode()).hexdigest()
        return {"hash": name, "count": count, "bytes": 160 * count, "labels": each}

    rows = [row(i, count, "train") for i, count in enumerate(counts)]
    test = [row(0, held_back, "test")] if held_back else []
    return {
        "cut": cut, "dataset": f"d-{cut}", "version": 1, "width": 4, "height": 4, "channels": 1,
        "mode": "crop", "seed": 0,
        "labels": labels, "mean": [0.3], "std": [0.4], "vectors": sum(counts), "shards": rows,
        "validation": {"vectors": 0, "shards": []}, "test": {"vectors": held_back, "shards": test},
    }  # fmt: skip


def names(effects: list[Effect]) -> list[str]:
    """Name effects, and messages for those that are sent."""
    return [type(effect.message if isinstance(effect, Send) else effect).__name__ for effect in effects]


@dataclass
class Browser:
    """What one connection was told."""

    number: int
    token: str
    welcome: m.Welcome | None = None
    closed: bool = False
    networks: dict[str, m.Network] = field(default_factory=dict)
    assigns: dict[int, m.Assign] = field(default_factory=dict)
    ready: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    parameters: dict[str, Broadcast] = field(default_factory=dict)
    orders: dict[str, m.Orders] = field(default_factory=dict)  # the newest
    received_at: dict[str, float] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)  # its part in a project when it last got parameters
    owes: dict[str, Part] = field(default_factory=dict)  # its part when it let a deadline pass, until it says something
    refused: list[m.Refused] = field(default_factory=list)
    shown: list[m.Status] = field(default_factory=list)
    rosters: list[m.Roster] = field(default_factory=list)


@dataclass
class Vectors:
    """What a runtime knows of a project."""

    layers: tuple[dict[str, Any], ...] = ()
    labels: int = 0
    under_way: Step | Initialise | None = None
    added: int = 0  # gradients since the last step
    steps: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)
    kept: int = 0  # labels of the checkpoint to go back to
    broadcast: Broadcast | None = None  # the newest
    orders: dict[int, list[tuple[int, m.Order, list[Piece]]]] = field(default_factory=lambda: defaultdict(list))


class World:
    """A master and everything around it."""

    def __init__(self, **options: Any) -> None:
        self.master = Master(m.PROTOCOL, ENGINE, **options)
        self.now = 0.0
        self.browsers: dict[int, Browser] = {}
        self.vectors: dict[str, Vectors] = {}
        self.count = 0
        self.trail: list[Effect] = []
        self.logs: list[Log] = []
        self.breaks_off = False  # what happens now may end an iteration before its time

    # ------------------------------------------------------------------------------------------ what happens
    def feed(self, event: Event) -> list[Effect]:
        """Handle an event and check each effect."""
        if isinstance(event, Restored) and event.project in self.vectors:
            kept, self.vectors[event.project].kept = self.vectors[event.project].kept, len(event.labels)
        try:
            effects = self.master.handle(event, self.now)
        except Refusal:
            if isinstance(event, Restored) and event.project in self.vectors:
                self.vectors[event.project].kept = kept
            raise
        self.breaks_off = isinstance(event, (Wished, Restored))
        for effect in effects:
            self.perform(effect)
        self.trail = effects
        self.check()
        if isinstance(event, (Ticked, Stepped)):
            for name in {e.message.project for e in effects if isinstance(e, Send) and isinstance(e.message, m.Orders)}:
                self.check_allocation(self.project(name))
        return effects

    def project(self, name: str = "p") -> Project:
        """Look inside."""
        return self.master._projects[name]

    def create(self, name: str = "p", running: bool = True, **settings: Any) -> None:
        self.vectors[name] = Vectors()
        layers = settings.pop("layers", LAYERS)
        self.feed(Created(name, name.upper(), layers, settings, 7, running=running))

    def attach(
        self, cut: str = "c", labels: list[str] | None = None, counts: list[int] | None = None, name: str = "p"
    ) -> None:
        self.feed_attach(cut, labels or ["a", "b"], counts or [32] * 4, name)
        self.step(name)

    def feed_attach(self, cut: str, labels: list[str], counts: list[int], name: str = "p", held_back: int = 0) -> None:
        """Attach a cut without finishing what the runtime is asked for."""
        self.feed(Attached(name, manifest(cut, labels, counts, held_back)))
        if self.vectors[name].labels == 0:
            self.step(name)

    def feed_tick(self) -> list[Effect]:
        return self.feed(Ticked())

    def step(self, name: str = "p", finite: bool = True) -> None:
        """Finish what the runtime was asked for, and what comes of it."""
        while name in self.vectors and (effect := self.vectors[name].under_way) is not None:
            self.finish(name, finite)
            assert effect is not self.vectors[name].under_way

    def finish(self, name: str, finite: bool = True) -> list[Effect]:
        vectors = self.vectors[name]
        effect, vectors.under_way = vectors.under_way, None
        assert effect is not None
        if isinstance(effect, Step):
            vectors.added, vectors.steps = 0, vectors.steps + 1
        else:
            assert effect.grow_from == 0 or effect.grow_from == vectors.labels < effect.labels
            vectors.layers, vectors.labels = effect.layers, effect.labels
            vectors.steps = vectors.steps if effect.grow_from else 0
        return self.feed(Stepped(name, finite, effect.learning_rate, vectors.steps))

    def connect(self, owner: bool = False, resume: str = "", hello: bool = True) -> Browser:
        self.count += 1
        browser = self.browsers[self.count] = Browser(self.count, f"token-{self.count}")
        self.feed(Connected(self.count, owner, browser.token))
        if hello:
            self.say(browser, m.Hello(m.PROTOCOL, ENGINE, resume, f"device {self.count}"))
        return browser

    def say(self, browser: Browser, message: m.FromClient, values: int = 0, finite: bool = True) -> list[Effect]:
        had = len(browser.refused)
        effects = self.feed(Received(browser.number, message, values, finite))
        if isinstance(message, m.Answer) and not any(refused.status == 422 for refused in browser.refused[had:]):
            browser.owes.pop(message.project, None)  # also a late answer is a sign of life
        return effects

    def drop(self, browser: Browser) -> None:
        browser.closed = True
        self.feed(Disconnected(browser.number))

    def join(self, browser: Browser, worker: int = 1, name: str = "p", ready: bool = True, **limits: Any) -> None:
        self.say(browser, m.Join(name, worker, **limits))
        if ready:
            self.unpack(browser, worker)

    def unpack(self, browser: Browser, worker: int = 1, most: int = 1000) -> None:
        """Say Ready for what was assigned."""
        assign = browser.assigns.get(worker)
        if assign is None:
            return
        fresh = [shard.hash for shard in assign.shards if shard.hash not in browser.ready[worker]][:most]
        if fresh:
            browser.ready[worker].update(fresh)
            self.say(browser, m.Ready(worker, assign.assignment, tuple(fresh)))

    def worker(self, name: str = "p", **limits: Any) -> Browser:
        """Let one more browser train."""
        browser = self.connect()
        self.join(browser, name=name, **limits)
        return browser

    def crowd(self, count: int) -> list[Browser]:
        """Let some browsers train, all of them ordered in the open iteration."""
        browsers = [self.worker() for _ in range(count)]
        for _ in range(2):  # the pie is cut again at the first close
            for browser in browsers:
                self.unpack(browser)
            for browser in browsers:
                if "p" in browser.orders:
                    self.answer(browser)
            self.close()
        return browsers

    def opened(self) -> float:
        """Tell when the open iteration began."""
        iteration = self.project().open
        assert iteration is not None
        return iteration.opened_at

    def answer(
        self, browser: Browser, name: str = "p", counts: int | None = None, ms: float | None = None
    ) -> list[Effect]:
        """Answer the newest orders as a good browser does."""
        message, values = self.good_answer(browser, name, counts, ms)
        return self.say(browser, message, values)

    def good_answer(
        self, browser: Browser, name: str, count: int | None = None, ms: float | None = None
    ) -> tuple[m.Answer, int]:
        orders = browser.orders[name]
        results = []
        for order in orders.orders:
            able = min(order.limit, 100) if order.local_rate else order.limit  # local steps: as much as a device can
            done = able if count is None else min(count, order.limit)
            results.append(m.Result(order.worker, done, 1.5 * done, done // 2, order.until_ms if ms is None else ms))
        total = sum(result.count for result in results)
        return m.Answer(name, orders.iteration, tuple(results)), self.size(name) if total else 0

    def size(self, name: str = "p") -> int:
        return self.project(name).network.size

    def tick(self) -> float:
        """Go to the next deadline; return how long that took."""
        deadline = self.master.deadline()
        assert deadline is not None
        before, self.now = self.now, max(self.now, deadline)
        self.feed(Ticked())
        return self.now - before

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.feed(Ticked())

    def close(self, name: str = "p") -> None:
        """Tick until the open iteration is closed and the next one is open, or nothing is."""
        number = self.project(name).iteration
        self.step(name)
        for _ in range(10):
            if self.project(name).iteration != number or not self.project(name).open:
                break
            self.tick()
            self.step(name)

    def control(self, action: m.Action, name: str = "p", **settings: Any) -> list[Effect]:
        return self.feed(Wished(name, action, settings))

    # ------------------------------------------------------------------------------------------ what is asked
    def perform(self, effect: Effect) -> None:
        match effect:
            case Send(client, message):
                self.receive(self.browsers[client], message)
            case Close(client):
                self.browsers[client].closed = True
            case Broadcast():
                self.broadcast(effect)
            case Initialise(project) | Step(project):
                vectors = self.vectors[project]
                assert vectors.under_way is None, f"{effect} while {vectors.under_way} is under way"
                vectors.under_way = effect
                if isinstance(effect, Step):
                    assert vectors.added > 0
                    assert effect.vectors > 0
            case Add(project):
                assert self.vectors[project].under_way is None, "an answer was taken while reducing"
                self.vectors[project].added += 1
            case Save(project):
                assert self.vectors[project].under_way is None, "a checkpoint between a step's beginning and end"
            case Record(project, figures):
                records = self.vectors[project].records
                assert not records or figures["iteration"] > records[-1]["iteration"]
                records.append(figures)
                if not self.breaks_off:
                    self.note_silence(project, figures["iteration"])
            case Restore(project):
                assert self.vectors[project].under_way is None, "parameters replaced while they change"
                self.vectors[project].labels = self.vectors[project].kept
            case Forget(project):
                del self.vectors[project]
            case Log():
                self.logs.append(effect)

    def broadcast(self, effect: Broadcast) -> None:
        vectors = self.vectors[effect.project]
        assert vectors.under_way is None, "parameters were sent while they change"
        assert vectors.labels > 0, "there are no parameters yet"
        assert len(set(effect.clients)) == len(effect.clients)
        for client in effect.clients:
            browser = self.browsers[client]
            assert not browser.closed
            assert browser.networks[effect.project].version == effect.version, "the layout is unknown to the browser"
            assert len(browser.networks[effect.project].labels) == vectors.labels
            self.once(browser, effect)
            browser.parameters[effect.project] = effect
        vectors.broadcast = effect

    def once(self, browser: Browser, effect: Broadcast) -> None:
        """Parameters go once an iteration to who computes; who looks asks for them when it is free."""
        part = self.project(effect.project).crew.browsers.get(browser.number)
        before = browser.parameters.get(effect.project)
        if part is None:
            return  # it left in the same moment
        if before and browser.parts.get(effect.project) is part and len(part.workers) == len(part.trainers):
            assert (before.iteration, before.version) != (effect.iteration, effect.version), "the same parameters twice"
        browser.parts[effect.project] = part

    def note_silence(self, name: str, iteration: int) -> None:
        """Note who let the deadline of this iteration pass without a word, as it can be seen from outside."""
        for part in self.project(name).crew.browsers.values():
            browser = self.browsers[part.client]
            orders = browser.orders.get(name)
            if orders and orders.iteration == iteration and part.missed.get(iteration) is not None:
                browser.owes[name] = part

    def receive(self, browser: Browser, message: m.ToClient) -> None:
        assert not browser.closed, f"{message} to a closed connection"
        wire.encode(message)
        match message:
            case m.Welcome():
                browser.welcome = message
            case m.Network():
                browser.networks[message.project] = message
            case m.Assign():
                self.assigned(browser, message)
            case m.Orders():
                self.ordered(browser, message)
            case m.Refused():
                browser.refused.append(message)
            case m.Removed():
                for worker in [w for w, assign in browser.assigns.items() if assign.project == message.project]:
                    del browser.assigns[worker]
                    browser.ready.pop(worker, None)
            case m.Status():
                assert len(wire.encode(message)) <= 1024
                browser.shown.append(message)
            case m.Roster():
                browser.rosters.append(message)

    def assigned(self, browser: Browser, assign: m.Assign) -> None:
        before = browser.assigns.get(assign.worker)
        if before and before.project == assign.project and before.assignment:
            assert assign.assignment > before.assignment or assign.assignment == 1
        assert not assign.shards or assign.project in browser.networks, "shards before the network"
        browser.assigns[assign.worker] = assign
        browser.ready[assign.worker] &= {shard.hash for shard in assign.shards}

    def ordered(self, browser: Browser, orders: m.Orders) -> None:
        last = browser.parameters.get(orders.project)
        assert last is not None
        assert last.iteration == orders.iteration, "orders without their parameters"
        assert last is self.vectors[orders.project].broadcast, "an opening has one broadcast, right before its orders"
        before = browser.orders.get(orders.project)
        assert before is None or orders.iteration >= before.iteration
        settings = self.project(orders.project).settings
        assert 0 < orders.margin_ms < 1000 * settings.grace_s, "a device that waits for its stragglers is late itself"
        rows = self.vectors[orders.project].orders[orders.iteration]
        for order in orders.orders:
            assign = browser.assigns[order.worker]
            assert order.assignment == assign.assignment
            shards = [assign.shards[i] for i in order.ready]
            assert {shard.hash for shard in shards} <= browser.ready[order.worker], "a shard that is not unpacked"
            pieces = [Piece(s.hash, s.count, s.offset, s.step) for s in shards]
            assert order.limit > 0
            assert order.local_rate or order.limit <= sum(piece.size for piece in pieces)
            assert order.micro_batch in (1, 4, 16)
            assert order.limit <= (settings.vectors or 10**9)
            assert (order.local_rate > 0) == settings.local_steps
            assert not order.local_rate or order.micro_batch == settings.local_batch
            part = self.project(orders.project).crew.browsers.get(browser.number)
            intensity = part.workers[order.worker].intensity if part and order.worker in part.workers else 1.0
            assert 0 < order.until_ms <= 1000 * settings.period * intensity + 0.001
            rows.append((browser.number, order, pieces))
        browser.orders[orders.project] = orders
        browser.received_at[orders.project] = self.now

    # ------------------------------------------------------------------------------------------ looking inside
    def check(self) -> None:
        for project in self.master._projects.values():
            self.check_disjoint(project)
            self.check_books(project)
            self.check_phase(project)

    def check_disjoint(self, project: Project) -> None:
        if not project.open or self.trail is None:
            return
        strides: dict[str, set[tuple[int, int]]] = defaultdict(set)
        for browser in project.crew.browsers.values():
            for trainer in browser.orders.values():
                for i in trainer.order.ready if trainer.order else ():
                    shard = trainer.shards[i]
                    assert (shard.offset, shard.step) not in strides[shard.hash], (
                        "two trainers compute the same vectors"
                    )
                    strides[shard.hash].add((shard.offset, shard.step))
        assert all(len({step for _, step in taken}) == 1 for taken in strides.values())

    def check_books(self, project: Project) -> None:
        pool = project.crew.pool
        for stock in pool.shards.values():
            assert (not stock.holders) == (stock.hash in pool.unowned)
            assert len(set(map(id, stock.holders))) == len(stock.holders) <= stock.count
            assert all(stock.hash in holder.shards for holder in stock.holders)
        for key, holder in pool.holders.items():
            assert holder.key == key
            assert holder.whole_vectors == sum(s.count for s in holder.shards.values())
            assert holder.bytes == sum(s.bytes for s in holder.shards.values())
            assert holder.vectors == sum(
                members(s.count, s.holders.index(holder), len(s.holders)) for s in holder.shards.values()
            )
            fits = holder.whole_vectors <= holder.capacity_vectors and holder.bytes <= holder.capacity_bytes
            assert fits or len(holder.shards) == 1, "more than the capacity"
        assert abs(pool.weight - sum(h.weight for h in pool.holders.values())) <= 1e-6 * max(1.0, pool.weight)
        if project.open is None and project.phase is not Phase.REDUCING:
            self.check_allocation(project)

    def check_allocation(self, project: Project) -> None:
        """Between two iterations, and at the moment one opens, every shard and every trainer is cared for."""
        pool = project.crew.pool
        rooms = [h for h in pool.holders.values() if any(h.room(stock) for stock in pool.unowned.values())]
        assert not rooms, "a shard lies about while somebody has room"
        splittable = any(stock.splits() for stock in pool.shards.values())
        assert not splittable or all(h.shards for h in pool.holders.values()), "a trainer is idle while there is data"

    def check_phase(self, project: Project) -> None:
        assert (project.open is not None) == (project.phase is Phase.RUNNING)
        assert (self.vectors[project.id].under_way is not None) == (project.phase is Phase.REDUCING)
        for browser in project.crew.browsers.values():
            assert browser.workers
            for trainer in browser.trainers:
                held = trainer.holder
                assert held is None or project.crew.pool.holders.get(held.key) is held
                idle = trainer.paused and self.now - trainer.paused_since > PAUSE_KEEPS_S
                assert held or trainer.failure or trainer.paused or browser.silent or idle
        opened = project.open
        if opened:
            deadline = self.master.deadline()
            assert deadline is not None
            assert deadline <= opened.opened_at + opened.settings.period + opened.settings.grace_s
            assert opened.present == sum(bool(b.orders) for b in project.crew.browsers.values())
            waited = {b.client for b in project.crew.browsers.values() if b.awaited and b.orders and not b.answered}
            assert opened.awaiting == waited
            assert opened.awaiting or deadline <= opened.opened_at + opened.settings.period, "a grace for nobody"
            for client in opened.awaiting:
                part = project.crew.browsers[client]
                owed = self.browsers[client].owes.get(project.id) is part
                assert not owed, "a silent client is awaited again: it would cost a second grace"
            assert opened.present > 0
