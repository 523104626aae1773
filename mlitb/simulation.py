"""A virtual clock and modelled workers drive the same core that the server runs.

Rules of this file:
- The master is the real one (core.master); only clock, network, devices and the cost of its own work are models.
- One queue of happenings ordered by time; chance comes from one seeded generator, so that a run can be repeated.
- The master's link and processor (simulation_link.py) serve one frame after another: that is what limits the workers.
- A device does what trainer.js does: newer orders end what is at work, and are the only ones that wait.
- With a Mapper (simulation_training.py) the devices compute real gradients; without, only their number counts.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count
from typing import Any, Protocol

import numpy as np

from mlitb.core import messages as m
from mlitb.core.events import (
    Add,
    Attached,
    Broadcast,
    Connected,
    Created,
    Disconnected,
    Effect,
    Event,
    Initialise,
    Received,
    Record,
    Send,
    Step,
    Stepped,
    Ticked,
)
from mlitb.core.master import Master
from mlitb.core.work import Piece
from mlitb.simulation_link import Costs, Link

PROJECT = "simulated"
ENGINE = "0" * 64
WARM_UP = 5
"""Iterations before measuring: first orders guess, downloads end, the pie is cut."""


@dataclass(frozen=True, slots=True)
class Model:
    """The world to simulate; times in seconds, powers in vectors a second."""

    workers: int = 8
    period: float = 4.0
    parameters: int = 31_786  # close to this many: one fully connected layer stands for the network
    vectors: int = 60_000  # of training data
    capacity: int = 10**9  # vectors that a device holds at most
    power: float = 2000.0  # median of the devices
    power_spread: float = 0.5  # standard deviation of its logarithm
    latency: float = 0.02  # one way, median
    latency_spread: float = 0.3
    bandwidth: float = 125e6  # of the master, bytes a second each way: 1 GbE
    churn: float = 0.0  # how often an hour a worker leaves
    stragglers: float = 0.0  # share of orders that a device sleeps over
    iterations: int = 15
    seed: int = 0
    costs: Costs = field(default_factory=Costs)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Task:
    """What a device computes: one order, and how it would answer."""

    orders: m.Orders
    began: float
    result: m.Result
    gradient: Any
    ends: float  # also of a sleep


@dataclass(slots=True, eq=False)
class Device:
    """One modelled browser with one trainer."""

    power: float
    latency: float
    connection: int = 0
    token: str = ""
    assign: m.Assign | None = None
    waits: bool = False  # for its turn to be sent something
    newest: m.Orders | None = None  # sent or waiting to be
    ordered_at: float = 0.0  # when the master gave them
    next: m.Orders | None = None  # arrived while it sleeps
    task: Task | None = None


class Mapper(Protocol):
    """Real data and real gradients; without one only sizes are simulated."""

    def describe(self) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
        """Give the network's layers and the manifest of the data."""

    def begin(self, layers: tuple[dict[str, Any], ...], labels: int, seed: int) -> None:
        """Make the first parameters."""

    def compute(
        self, pieces: list[Piece], labels: list[tuple[int, ...]], order: m.Order, done: int, iteration: int
    ) -> Any:
        """Compute one order with the newest parameters: (loss, wrong, gradient sum)."""

    def add(self, gradient: Any) -> None:
        """Add an accepted gradient."""

    def step(self, step: Step) -> bool:
        """Take the optimizer step; tell whether it is finite."""


@dataclass(slots=True)
class Outcome:
    """What was measured, after the warm-up."""

    model: Model
    records: list[dict[str, Any]] = field(default_factory=list)
    overheads: list[float] = field(default_factory=list)
    computed_s: float = 0.0
    refused: int = 0
    bookkeeping_s: float = 0.0  # processor time spent in the core

    def row(self) -> dict[str, Any]:
        """Sum it up for a table."""
        seconds = sum(record["seconds"] for record in self.records)
        vectors = sum(record["vectors"] for record in self.records)
        overheads = np.array(self.overheads or [0.0])
        iterations = max(1, len(self.records))
        return {
            "workers": self.model.workers,
            "power": round(vectors / seconds) if seconds else 0,
            "latency_ms": round(1000 * float(np.mean(overheads)), 1),
            "latency_95_ms": round(1000 * float(np.quantile(overheads, 0.95)), 1),
            "iteration_s": round(seconds / iterations, 3),
            "computed": round(self.computed_s / (seconds * self.model.workers), 4) if seconds else 0.0,
            "efficiency": round(float(np.mean([record["efficiency"] for record in self.records] or [0.0])), 4),
            "refused": self.refused,
            "core_ms": round(1000 * self.bookkeeping_s / iterations, 2),
        }


class Simulation:
    """One run of a model."""

    def __init__(self, model: Model, mapper: Mapper | None = None) -> None:
        self.model = model
        self.mapper = mapper
        self.master = Master(engine=ENGINE)
        self.now = 0.0
        self.outcome = Outcome(model)
        self.on_step: Callable[[int], None] = lambda _iteration: None
        self._random = np.random.default_rng(model.seed)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._connections = count(1)
        self._devices: dict[int, Device] = {}
        self._size = 0
        self._link = Link(model.costs, model.bandwidth, self._at, lambda: self.now)
        self._ticking = float("inf")
        self._gradient: Any = None
        self._closed = 0  # iterations
        self._steps = 0
        self._begin()

    def run(self) -> Outcome:
        """Run until enough iterations are measured."""
        while self._queue and len(self.outcome.records) < self.model.iterations:
            self.step()
        return self.outcome  # of fewer iterations when nobody answers any more

    def step(self) -> None:
        """Let the next thing happen."""
        self.now, _, happen = heappop(self._queue)
        happen()

    # ------------------------------------------------------------------------------------------ the beginning
    def _begin(self) -> None:
        model = self.model
        layers, manifest = self.mapper.describe() if self.mapper else _imagined(model)
        settings = {"period": model.period, **model.settings}
        self._feed(Created(PROJECT, PROJECT, layers, settings, model.seed, running=True))
        self._feed(Attached(PROJECT, manifest))
        powers = model.power * np.exp(model.power_spread * self._random.standard_normal(model.workers))
        latencies = model.latency * np.exp(model.latency_spread * self._random.standard_normal(model.workers))
        for power, latency in zip(powers, latencies, strict=True):
            device = Device(float(power), float(latency))
            self._at(self._random.uniform(0, model.period), lambda device=device: self._connect(device))  # type: ignore[misc]

    def _connect(self, device: Device) -> None:
        device.connection = next(self._connections)
        device.assign = device.newest = device.next = device.task = None
        device.waits = False
        self._devices[device.connection] = device
        self._feed(Connected(device.connection, False, f"token-{device.connection}"))
        self._hear(device, m.Hello(m.PROTOCOL, ENGINE, device.token))
        self._hear(device, m.Join(PROJECT, 1, capacity_vectors=self.model.capacity, capacity_bytes=10**12))
        if self.model.churn:
            stay = self._random.exponential(3600 / self.model.churn)
            self._at(self.now + stay, lambda: self._leave(device))

    def _leave(self, device: Device) -> None:
        del self._devices[device.connection]
        self._feed(Disconnected(device.connection))
        self._at(self.now + self._random.exponential(10.0), lambda: self._connect(device))

    # ------------------------------------------------------------------------------------------ time and the core
    def _at(self, moment: float, happen: Callable[[], None]) -> None:
        heappush(self._queue, (max(moment, self.now), next(self._order), happen))

    def _feed(self, event: Event) -> None:
        began = time.process_time()
        effects = self.master.handle(event, self.now)
        deadline = self.master.deadline()
        if self._measuring():
            self.outcome.bookkeeping_s += time.process_time() - began
        for effect in effects:
            self._perform(effect)
        if deadline is not None and deadline < self._ticking:
            self._ticking = deadline
            self._at(deadline, self._tick)

    def _tick(self) -> None:
        self._ticking = float("inf")
        self._feed(Ticked())

    def _measuring(self) -> bool:
        return self._closed >= WARM_UP

    def _megabytes(self) -> float:
        return 4e-6 * self._size

    # ------------------------------------------------------------------------------------------ what the core asks for
    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send(client, message):
                self._send(self._devices[client], message)
            case Broadcast():
                for client in effect.clients:
                    self._queue_for(self._devices[client])
            case Initialise():
                self._size = self.master.project(PROJECT)["parameters"] or _size_of(effect)
                if self.mapper:
                    self.mapper.begin(effect.layers, effect.labels, effect.seed)
                self._at(self.now, lambda: self._feed(Stepped(PROJECT, True, effect.learning_rate)))
            case Add():
                if self.mapper:
                    self.mapper.add(self._gradient)
            case Step():
                self._step(effect)
            case Record():
                if self._measuring():
                    self.outcome.records.append(effect.figures)
                self._closed += 1

    def _step(self, step: Step) -> None:
        finite = self.mapper.step(step) if self.mapper else True
        self._steps += 1
        self.on_step(self._steps)
        taken = self.model.costs.iteration + self.model.costs.step_mb * self._megabytes()
        steps = self._steps
        self._link.work(taken, lambda: self._feed(Stepped(PROJECT, finite, step.learning_rate, steps)))

    def _queue_for(self, device: Device) -> None:
        """Let a device wait for its turn; then it gets what is newest: a snapshot, and the orders behind it."""
        if device.waits:
            return
        device.waits, connection = True, device.connection

        def turn() -> Callable[[], None]:
            if not self._here(device, connection):
                return lambda: None
            device.waits, orders = False, device.newest
            return lambda: self._at(self.now + device.latency, lambda: self._arrived(device, connection, orders))

        self._link.send(self._megabytes(), turn)

    def _send(self, device: Device, message: m.ToClient) -> None:
        connection, arrival = device.connection, self.now + device.latency
        match message:
            case m.Welcome():
                device.token = message.resume
            case m.Assign():
                device.assign = message
                self._at(arrival + device.latency, lambda: self._unpacked(device, connection, message))
            case m.Orders():
                assert device.waits, "orders follow their parameters"
                device.newest, device.ordered_at = message, self.now
            case m.Refused() if self._measuring():
                self.outcome.refused += 1

    # ------------------------------------------------------------------------------------------ the devices
    def _here(self, device: Device, connection: int) -> bool:
        return device.connection == connection and connection in self._devices

    def _unpacked(self, device: Device, connection: int, assign: m.Assign) -> None:
        if self._here(device, connection):
            self._hear(device, m.Ready(1, assign.assignment, tuple(shard.hash for shard in assign.shards)))

    def _arrived(self, device: Device, connection: int, orders: m.Orders | None) -> None:
        """Begin what is ordered; what is at work ends, but a device that sleeps notices nothing."""
        task = device.task
        if not orders or not self._here(device, connection):
            return
        if task and task.ends > task.began + task.result.ms / 1000:
            device.next = orders
            return
        if task:
            share = (self.now - task.began) / (task.ends - task.began)
            device.task = None
            self._answer(device, task, replace(task.result, count=int(share * task.result.count)))
        self._begin_task(device, orders)

    def _begin_task(self, device: Device, orders: m.Orders) -> None:
        [order] = orders.orders
        batches = max(1, round(device.power * order.until_ms / 1000 / order.micro_batch))
        done = min(order.limit, batches * order.micro_batch)
        seconds = done / device.power
        result, gradient = self._map(device, orders, order, done, seconds)
        if self._random.random() < self.model.stragglers:
            seconds += self._random.exponential(2 * self.model.period)
        device.task = task = Task(orders, self.now, result, gradient, self.now + seconds)
        self._at(task.ends, lambda: self._finished(device, task))

    def _finished(self, device: Device, task: Task) -> None:
        if device.task is not task:
            return  # newer orders ended it, or it left
        device.task, orders, device.next = None, device.next, None
        self._answer(device, task, task.result)
        if orders:
            self._begin_task(device, orders)

    def _map(self, device: Device, orders: m.Orders, order: m.Order, done: int, seconds: float) -> tuple[m.Result, Any]:
        if not self.mapper:
            return m.Result(1, done, 1.0 * done, done // 2, 1000 * seconds), None
        if not device.assign or device.assign.assignment != order.assignment:
            return m.Result(1, 0, 0.0, 0, 0.0), None  # the list changed while the order was under way
        shards = [device.assign.shards[i] for i in order.ready]
        pieces = [Piece(shard.hash, shard.count, shard.offset, shard.step) for shard in shards]
        labels = [shard.labels for shard in shards]
        loss, wrong, gradient = self.mapper.compute(pieces, labels, order, done, orders.iteration)
        return m.Result(1, done, loss, wrong, 1000 * seconds), gradient

    def _answer(self, device: Device, task: Task, result: m.Result) -> None:
        """Send an answer on its way: to the master's link, over it, and through its processor."""
        connection, size = device.connection, self._size if result.count else 0
        answer = m.Answer(PROJECT, task.orders.iteration, (result,))

        def heard() -> None:
            if self._here(device, connection):
                self._note(device, answer)
                self._gradient = task.gradient
                self._feed(Received(connection, answer, size))

        self._at(self.now + device.latency, lambda: self._link.receive(4e-6 * size, heard))

    def _note(self, device: Device, answer: m.Answer) -> None:
        if self._measuring() and device.newest and device.newest.iteration == answer.iteration:
            computed = answer.results[0].ms / 1000
            self.outcome.overheads.append(max(0.0, self.now - device.ordered_at - computed))
            self.outcome.computed_s += computed

    def _hear(self, device: Device, message: m.FromClient) -> None:
        self._feed(Received(device.connection, message))


def _imagined(model: Model) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Make a network of about the wished size and shards of 128 vectors that nobody will read."""
    labels = 10
    side = max(1, round(((model.parameters / labels) - 1) ** 0.5))
    layers = (
        {"type": "input", "width": side, "height": side, "channels": 1},
        {"type": "fully_connected"},
        {"type": "softmax"},
    )
    shards = [
        {"hash": f"{i * 2654435761 % 2**32:08x}{i:056x}", "count": 128, "bytes": 40_000, "labels": [128, *[0] * 9]}
        for i in range(-(-model.vectors // 128))
    ]
    manifest = {
        "cut": "imagined", "dataset": "imagined", "width": side, "height": side, "channels": 1,
        "labels": [str(label) for label in range(labels)], "mean": [0.5], "std": [0.5], "shards": shards,
    }  # fmt: skip
    return layers, manifest


def _size_of(effect: Initialise) -> int:
    from mlitb.core.network import plan

    return plan(effect.layers, effect.labels).size


def sweep(model: Model, workers: list[int], mapper: Callable[[], Mapper] | None = None) -> list[dict[str, Any]]:
    """Run a model for several numbers of workers; one row each."""
    return [Simulation(replace(model, workers=n), mapper() if mapper else None).run().row() for n in workers]
