"""A trainer: the map step. It holds shards, does an order, and gives a gradient sum.

Rules of this file:
- The mirror of static/js/trainer.js: whole micro-batches in the order that the work order defines, by the same
  engine, so the bits are the same wherever an order is done.
- No socket, no process, no clock but the one it is given: worker.py and the simulations drive it.
- What was not assigned, or is not unpacked yet, gives an outcome of nothing; a damaged shard is BadShard.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlitb import pixels
from mlitb.core import work
from mlitb.core.messages import Network, Order, Result, Shard
from mlitb.engine import Engine, EngineNetwork

SLICE_S = 0.05
"""The inbox is looked at so often: half of what it may wait, one micro-batch more must still fit."""

LARGEST_MICRO_BATCH = 16
BLOCK = 1024
"""Places of the permutation looked up at once: numpy's overhead is shared, and little is looked up in vain."""

Gradient = NDArray[np.float32]


class BadShard(ValueError):
    """A shard's bytes are not what its manifest says; the message names the entry."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """An unpacked shard."""

    pixels: NDArray[np.uint8]  # [vector][y][x][channel]
    labels: NDArray[np.int32]  # the cut's label indices


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done for an order; sums over vectors."""

    count: int = 0
    loss: float = 0.0
    wrong: int = 0
    ms: float = 0.0
    gradient: Gradient | None = None

    def result(self, worker: int) -> Result:
        """Give the figures as they travel."""
        return Result(worker, self.count, self.loss, self.wrong, self.ms)


def unpack(data: bytes) -> Pictures:
    """Unpack a shard (docs/architecture.md, "A shard"); raise BadShard."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            labels = np.asarray(manifest["labels"], np.int32)
            pictures = [archive.read(f"{i:04}.png") for i in range(len(labels))]
        shape = (manifest["width"], manifest["height"], manifest["channels"])
        images = [pixels.decode(picture, *shape, mode="stretch") for picture in pictures]
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise BadShard(f"a shard cannot be read: {error}") from error
    return Pictures(np.stack(images), labels)


class Listed:
    """The vectors of an order's list, numbered through in list order."""

    def __init__(self, shards: Sequence[Shard], pictures: Sequence[Pictures]) -> None:
        pairs = list(zip(shards, pictures, strict=True))
        self.pixels = np.concatenate([p.pixels[s.offset :: s.step] for s, p in pairs])
        self.labels = np.concatenate([np.asarray(s.labels, np.int32)[p.labels[s.offset :: s.step]] for s, p in pairs])
        self.keys = np.concatenate([_keys(s) for s in shards])

    def walk(self, seed: int, cursor: int, count: int) -> Iterator[NDArray[np.uint32]]:
        """Yield `count` numbers of the stream from a cursor on, in blocks, reshuffled at each time round."""
        size, end = len(self.labels), cursor + count
        while cursor < end:
            turn, start = divmod(cursor, size)
            here = min(BLOCK, size - start, end - cursor)
            yield work.at(seed, turn, size, np.arange(start, start + here, dtype=np.uint32))
            cursor += here

    def once(self, seed: int, cursor: int, count: int) -> Iterator[NDArray[np.uint32]]:
        """Yield the first `count` numbers of an order that uses no vector twice, in blocks."""
        size = len(self.labels)
        assert count <= size, f"{count} vectors of {size}"
        turn, start = divmod(cursor, size)
        for first in range(0, count, BLOCK):
            places = (np.arange(first, min(first + BLOCK, count), dtype=np.int64) + start) % size
            yield work.at(seed, turn, size, places.astype(np.uint32))

    def batches(self, order: Order) -> Iterator[NDArray[np.uint32]]:
        """Yield the numbers of each micro-batch of an order; only the last may be smaller."""
        blocks = self.walk if order.local_rate else self.once
        rest = np.zeros(0, np.uint32)
        for block in blocks(order.seed, order.cursor, order.limit):
            numbers = np.concatenate([rest, block])
            whole = len(numbers) - len(numbers) % order.micro_batch
            yield from numbers[:whole].reshape(-1, order.micro_batch)
            rest = numbers[whole:]
        if len(rest):
            yield rest


def _keys(shard: Shard) -> NDArray[np.uint32]:
    indices = np.arange(shard.offset, shard.count, shard.step, dtype=np.uint64)
    return (indices + np.uint64(int(shard.hash[:8], 16)) & np.uint64(work.U32)).astype(np.uint32)


class Trainer:
    """One trainer of one project."""

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        """Take an engine and a clock in seconds."""
        self._engine = engine
        self._now = now
        self._network: EngineNetwork | None = None
        self._version = -1
        self._seed = 0
        self._pictures: dict[str, Pictures] = {}
        self._assignments: dict[int, tuple[Shard, ...]] = {}
        self._listed: tuple[tuple[int, tuple[int, ...]], Listed] | None = None

    def network(self, message: Network) -> None:
        """Build the network, or build it anew with more labels; raise EngineError."""
        self._network = self._engine.network(message.layers, len(message.labels), LARGEST_MICRO_BATCH)
        self._version, self._seed = message.version, message.seed
        self._listed = None

    def assign(self, assignment: int, shards: tuple[Shard, ...]) -> None:
        """Hold these shards from now on; an order under way may still name the assignment before."""
        self._assignments = {**dict(list(self._assignments.items())[-1:]), assignment: shards}
        self._listed = None  # after a reconnection numbers begin anew
        wanted = {shard.hash for listed in self._assignments.values() for shard in listed}
        self._pictures = {hash_: kept for hash_, kept in self._pictures.items() if hash_ in wanted}

    def shard(self, hash_: str, pictures: Pictures) -> None:
        """Take an unpacked shard."""
        self._pictures[hash_] = pictures

    def compute(
        self,
        order: Order,
        iteration: int,
        version: int,
        parameters: Gradient,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Do an order until its time or its vectors are used up, or `stopped`, which is asked every SLICE_S.

        `parameters` are float32 (parameter_count,), of the network's `version`: of another one nothing is computed.
        """
        start = self._now()
        listed, network = self._list(order), self._network
        if listed is None or network is None or version != self._version:
            return Outcome()
        network.set_parameters(parameters)
        network.begin_local() if order.local_rate else network.clear()
        count, loss, wrong, rested = 0, 0.0, 0, start
        for numbers in listed.batches(order):
            batch = listed.pixels[numbers], listed.labels[numbers], listed.keys[numbers]
            lost, missed = network.gradient(*batch, seed=self._seed, iteration=iteration)
            if order.local_rate:
                network.local_step(len(numbers), order.local_rate, order.local_momentum)
            count, loss, wrong = count + len(numbers), loss + lost, wrong + missed
            now = self._now()
            if 1000 * (now - start) >= order.until_ms or (now - rested >= SLICE_S and stopped()):
                break
            rested = now if now - rested >= SLICE_S else rested
        gradient = _vector(network, count, order) if count else None
        return Outcome(count, loss, wrong, 1000 * (self._now() - start), gradient)

    def _list(self, order: Order) -> Listed | None:
        key = (order.assignment, order.ready)
        if self._listed is None or self._listed[0] != key:
            assigned = self._assignments.get(order.assignment, ())
            if not order.ready or max(order.ready) >= len(assigned):
                return None
            shards = [assigned[position] for position in order.ready]
            if any(shard.hash not in self._pictures for shard in shards):
                return None
            self._listed = (key, Listed(shards, [self._pictures[shard.hash] for shard in shards]))
        return self._listed[1]


def _vector(network: EngineNetwork, count: int, order: Order) -> Gradient:
    """Give what travels: the gradient sum, or for local steps count × (the broadcast parameters − these)."""
    if not order.local_rate:
        return network.gradient_sum()
    return network.local_difference() * np.float32(-count)
