"""A restart changes no bit: parameters and optimizer state go on as if nothing had been."""

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlitb import resources, wire
from mlitb.core import messages as m
from mlitb.core.messages import PROTOCOL
from mlitb.engine import Engine
from mlitb.identities import Identities
from mlitb.projects import Projects
from mlitb.runtime import Runtime
from mlitb.storage import Checkpoint, Storage
from mlitb.vectors import Vector

LAYERS: list[dict[str, Any]] = [
    {"type": "input", "width": 8, "height": 8, "channels": 1},
    {"type": "conv", "filters": 4, "kernel": 3, "padding": 1},
    {"type": "relu"},
    {"type": "fully_connected"},
    {"type": "softmax"},
]
SETTINGS: dict[str, dict[str, Any]] = {
    "adagrad": {"optimizer": "adagrad", "learning_rate": 0.05, "decay": 0.7, "decay_interval": 3, "l2": 0.01},
    "adam": {"optimizer": "adam", "learning_rate": 0.01, "decay": 0.7, "decay_interval": 3, "clip": 1.0},
}


def manifest(cut: str, labels: list[str]) -> dict[str, Any]:
    """Describe a cut of one shard."""
    shard = {"hash": sha256(cut.encode()).hexdigest(), "count": 64, "bytes": 6400, "labels": [64, 0, 0]}
    nothing = {"vectors": 0, "shards": []}
    return {
        "cut": cut, "dataset": f"d-{cut}", "version": 1, "width": 8, "height": 8, "channels": 1, "mode": "crop",
        "seed": 0, "labels": labels, "mean": [0.3], "std": [0.4], "vectors": 64, "shards": [shard],
        "validation": nothing, "test": nothing,
    }  # fmt: skip


def gradient(parameters: Vector, iteration: int, count: int) -> Vector:
    """Stand in for pictures: a function of parameters and iteration alone."""
    return (np.sin(7 * parameters + iteration) * count).astype(np.float32)


class Device:
    """A browser that does what it is told until it has seen an iteration, then falls silent."""

    def __init__(self, runtime: Runtime, until: int, resume: str = "") -> None:
        self.runtime, self.until, self.resume = runtime, until, resume
        self.client, self.outbox = runtime.connect(owner=False)
        self.number, self.iteration = 0, -1
        self.parameters: dict[int, Vector] = {}
        self.done = asyncio.Event()

    def start(self) -> None:
        self.outbox.open(self)
        self.say(m.Hello(PROTOCOL, self.runtime.engine.sha256, self.resume))
        self.say(m.Join("bits", 1, "trainer", 3000, 10**8, 1.0))

    def full(self) -> bool:
        return False

    def push(self, frames: list[bytes]) -> None:
        for frame in frames:
            asyncio.get_running_loop().call_soon(self.receive, frame)

    def say(self, message: m.FromClient, vector: Vector | None = None) -> None:
        head, values = wire.decode_client(wire.encode(message, vector))
        self.runtime.receive(self.client, head, values, True)

    def close(self, _code: int, _reason: str) -> None:
        self.runtime.disconnect(self.client)
        self.done.set()

    def receive(self, frame: bytes) -> None:
        message, vector = wire.decode_server(frame)
        match message:
            case m.Welcome(client, resume):
                self.number, self.resume = client, resume
            case m.Assign(worker=worker, assignment=assignment, shards=shards):
                self.say(m.Ready(worker, assignment, tuple(shard.hash for shard in shards)))
            case m.Parameters(iteration=iteration):
                assert vector is not None
                self.parameters[iteration] = vector
            case m.Orders(project, iteration, orders):
                self.iteration = iteration
                if iteration >= self.until:
                    self.done.set()
                    return
                count = orders[0].limit
                result = m.Result(1, count, 1.0, 1, 5.0)
                self.say(
                    m.Answer(project, iteration, (result,)), gradient(self.parameters[iteration], iteration, count)
                )


async def life(folder: Path, engine: bytes, until: int, optimizer: str, resume: str = "") -> tuple[int, str]:
    """Run one master from its start to its stop; return its device's number and token."""
    runtime = Runtime(Engine(engine))
    identities = Identities("a secret of this folder")
    runtime.issue, runtime.recall = identities.issue, identities.recall
    projects = Projects(runtime, Storage(folder))
    await projects.start()
    if not projects.views():
        settings = {**SETTINGS[optimizer], "period": 0.2, "close_when_saturated": True, "seed": 11}
        await projects.create("bits", LAYERS, settings)
        await projects.attach("bits", manifest("c1", ["a", "b", "c"]))
        await projects.wish("bits", "start", {})
    device = Device(runtime, until, resume)
    device.start()
    async with asyncio.timeout(30):
        await device.done.wait()
    assert device.iteration == until
    await projects.stop()
    return device.number, device.resume


def lived(folder: Path, *stops: int, optimizer: str = "adagrad") -> tuple[Checkpoint, list[int]]:
    """Live once for each stop; return what is kept at the end, and the device's number in each life."""
    engine, token, numbers = resources.engine(), "", []
    for stop in stops:
        number, token = asyncio.run(life(folder, engine, stop, optimizer, token))
        numbers.append(number)
    storage = Storage(folder)
    kept = storage.load("bits")
    storage.close()
    assert storage.problems == []
    assert kept is not None
    return kept, numbers


def bits(checkpoint: Checkpoint) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in checkpoint.arrays.items()}


@pytest.mark.parametrize("optimizer", SETTINGS)
def test_a_restart_changes_no_bit(optimizer: str, tmp_path: Path) -> None:
    whole, _ = lived(tmp_path / "whole", 20, optimizer=optimizer)
    halves, numbers = lived(tmp_path / "halves", 10, 20, optimizer=optimizer)
    assert whole.iteration == halves.iteration == 20
    assert {"adagrad": {"parameters", "squares", "step"}, "adam": {"parameters", "mean", "squares", "step"}}[
        optimizer
    ] == set(whole.arrays)
    assert bits(whole) == bits(halves)
    assert whole.learning_rate == halves.learning_rate
    assert whole.learning_rate is not None
    assert whole.learning_rate < SETTINGS[optimizer]["learning_rate"], "it decayed on the way"
    assert (whole.labels, whole.seed) == (halves.labels, halves.seed) == (("a", "b", "c"), 11)
    assert numbers[0] == numbers[1], "the device is known again"
    storage = Storage(tmp_path / "halves")
    middle = storage.load_at("bits", 10)
    storage.close()
    assert bits(middle) != bits(whole), "the comparison sees a difference"


def test_every_stop_is_a_place_to_go_on_from(tmp_path: Path) -> None:
    whole, _ = lived(tmp_path / "whole", 6)
    pieces, numbers = lived(tmp_path / "pieces", 1, 2, 3, 4, 5, 6)
    assert bits(whole) == bits(pieces)
    assert len(set(numbers)) == 1
