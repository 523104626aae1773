"""The reduce with real gradients: how many browsers share the work does not matter, the log repeats it bit by bit."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlitb import resources
from mlitb.core import messages as m
from mlitb.core import optimizer, reduction
from mlitb.core.events import Add, Effect, Initialise, Received, Step
from mlitb.core.optimizer import Hyper
from mlitb.core.work import Piece, Stream
from mlitb.engine import Engine, EngineNetwork
from tests.core_world import Browser, World

LAYERS = (
    {"type": "input", "width": 4, "height": 4, "channels": 1},
    {"type": "conv", "kernel": 3, "padding": 1, "filters": 3},
    {"type": "tanh"},
    {"type": "dropout", "rate": 0.2},
    {"type": "fully_connected"},
    {"type": "softmax"},
)
Vector = NDArray[np.float32]
MOST = 200
"""Vectors of an order: with local steps more than once round a list, without never reached."""


def picture(key: int) -> NDArray[np.uint8]:
    return np.random.default_rng(key).integers(0, 256, (4, 4, 1), np.uint8)


class Map:
    """The map step: an order over a list of pieces to a gradient sum."""

    def __init__(self, layers: Sequence[dict[str, Any]], labels: int, seed: int) -> None:
        self.network: EngineNetwork = Engine(resources.engine()).network(layers, labels, 16)
        self.labels, self.seed = labels, seed

    def gradient(
        self,
        parameters: Vector,
        pieces: list[Piece],
        seed: int,
        cursor: int,
        micro_batch: int,
        count: int,
        iteration: int,
        local: tuple[float, float] = (0.0, 0.0),
    ) -> Vector:
        """Give what travels: the gradient sum, or with a local rate and momentum the difference times the vectors."""
        rate, momentum = local
        self.network.set_parameters(parameters)
        self.network.begin_local() if rate else self.network.clear()
        stream = Stream(pieces, seed)
        keys = [vector.key for vector in (stream.walk if rate else stream.take)(cursor, count)]
        for start in range(0, count, micro_batch):
            batch = keys[start : start + micro_batch]
            pixels = np.stack([picture(key) for key in batch])
            labels = [int(pixel.mean() > 127) % self.labels for pixel in pixels]
            self.network.gradient(pixels, labels, batch, self.seed, iteration)
            if rate:
                self.network.local_step(len(batch), rate, momentum)
        return self.network.local_difference() * np.float32(-count) if rate else self.network.gradient_sum()


class Training(World):
    """A world whose browsers compute and whose runtime keeps the vectors."""

    def __init__(self, browsers: int, workers: int = 1) -> None:
        super().__init__()
        self.hyper = Hyper("adagrad", 0.05)
        self.history: list[Vector] = []
        self.vector: Vector | None = None
        self.create(period=1.0, learning_rate=0.05, layers=LAYERS)
        self.attach(counts=[32] * 6)
        self.map = Map(self.project().layers, 2, 7)
        self.parameters = self.map.network.initial(7)
        self.state = optimizer.init(self.hyper, self.parameters.size)
        self.total = reduction.zeros(self.parameters.size)
        self.team = [self.connect() for _ in range(browsers)]
        for number in range(1, workers + 1):
            for browser in self.team:
                self.say(browser, m.Join("p", number))
        for _ in range(3):
            for browser in self.team:
                for number in range(1, workers + 1):
                    self.unpack(browser, number)
            for member in self.project().crew.browsers.values():
                if member.orders:
                    self.say(self.browsers[member.client], m.Answer("p", self.project().iteration, ()))
            self.close()  # without vectors: the parameters stay

    def perform(self, effect: Effect) -> None:
        super().perform(effect)
        match effect:
            case Add():
                assert self.vector is not None
                list(reduction.add(self.total, self.vector))
            case Step(vectors=vectors, learning_rate=rate, settings=settings):
                hyper = Hyper.parse(settings)
                self.state = optimizer.adapted(self.state, hyper, self.parameters.size)
                self.parameters, self.state = step(hyper, self.parameters, self.total, self.state, vectors, rate)
                self.total[:] = 0
                self.history.append(self.parameters)
            case Initialise():
                assert not self.history

    def compute(self, browser: Browser) -> None:
        orders = browser.orders["p"]
        sums, results = [], []
        for order in orders.orders:
            shards = [browser.assigns[order.worker].shards[i] for i in order.ready]
            pieces = [Piece(s.hash, s.count, s.offset, s.step) for s in shards]
            count = min(order.limit, MOST)
            sums.append(
                self.map.gradient(
                    self.parameters, pieces, order.seed, order.cursor, order.micro_batch, count, orders.iteration,
                    (order.local_rate, order.local_momentum),
                )
            )  # fmt: skip
            results.append(m.Result(order.worker, count, 1.0, 0, 10.0))
        self.vector = reduction.combine(sums)
        message = m.Answer("p", orders.iteration, tuple(results))
        self.feed(Received(browser.number, message, self.vector.size))

    def train(self, iterations: int, backwards: bool = False) -> None:
        for _ in range(iterations):
            for browser in reversed(self.team) if backwards else self.team:
                self.compute(browser)
            self.close()


def step(
    hyper: Hyper, parameters: Vector, total: Any, state: optimizer.State, vectors: int, rate: float
) -> tuple[Vector, optimizer.State]:
    update = optimizer.Update(hyper, parameters, total, state, vectors, rate)
    list(update.walk())
    assert update.finite
    return update.parameters, update.state


def replay(world: Training) -> Iterator[Vector]:
    """Repeat what a project's records tell, from its seed, without its browsers."""
    mapping = Map(world.project().layers, 2, 7)
    parameters = mapping.network.initial(7)
    state: optimizer.State = {}
    lists: dict[str, Any] = {}
    terms: dict[str, Any] = {}
    for record in world.vectors["p"].records:
        lists |= record["lists"]
        terms = record.get("terms", terms)
        if not record["vectors"]:
            continue
        total = reduction.zeros(parameters.size)
        for _, entries in groupby(record["work"], key=lambda entry: entry[0]):
            sums = []
            for identity, worker, number, cursor, micro_batch, count in entries:
                listed = lists[f"{identity}.{worker}.{number}"]
                pieces = [Piece(*row) for row in listed["shards"]]
                sums.append(
                    mapping.gradient(
                        parameters, pieces, listed["seed"], cursor, micro_batch, count, record["iteration"],
                        tuple(record["local"]) or (0.0, 0.0),
                    )
                )  # fmt: skip
            list(reduction.add(total, reduction.combine(sums)))
        hyper = Hyper.parse(terms["hyper"])
        state = optimizer.adapted(state, hyper, parameters.size)
        parameters, state = step(hyper, parameters, total, state, record["vectors"], record["learning_rate"])
        yield parameters


@pytest.fixture(scope="module")
def alone() -> Training:
    world = Training(1)
    world.train(20)
    return world


@pytest.mark.parametrize(("browsers", "workers"), [(4, 1), (2, 2)])
def test_one_browser_or_four_with_the_same_vectors_learn_the_same(alone: Training, browsers: int, workers: int) -> None:
    many = Training(browsers, workers)
    first = many.project().iteration
    assert first == alone.vectors["p"].records[-20]["iteration"]
    many.train(20)
    assert [record["vectors"] for record in many.vectors["p"].records[-20:]] == [192] * 20
    assert np.abs(many.history[-1] - alone.history[-1]).max() <= 1e-6
    assert np.abs(alone.history[-1] - alone.history[0]).max() > 0.05


def test_the_log_repeats_the_training_bit_by_bit() -> None:
    world = Training(3, 2)
    world.train(6)
    world.train(6, backwards=True)
    again = list(replay(world))
    assert len(again) == len(world.history) == 12
    assert all(a.tobytes() == b.tobytes() for a, b in zip(again, world.history, strict=True))


def test_the_log_repeats_local_steps_and_settings_that_changed() -> None:
    world = Training(3, 2)
    world.train(3)
    world.control("set", local_steps=True, local_rate=0.02, local_momentum=0.5, optimizer="sgd", learning_rate=1.0)
    world.train(3)
    world.control("set", local_rate=0.05, decay=0.5, decay_interval=2)
    world.train(4)
    world.control("set", local_steps=False, optimizer="adam", learning_rate=0.001)
    world.train(3)
    records = [record for record in world.vectors["p"].records if record["vectors"]]
    assert {tuple(record["local"]) for record in records} == {(), (0.02, 0.5), (0.05, 0.5)}
    assert len({record["learning_rate"] for record in records}) > 3
    again = list(replay(world))
    assert len(again) == len(world.history) == 13
    assert all(a.tobytes() == b.tobytes() for a, b in zip(again, world.history, strict=True))
