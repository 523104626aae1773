"""Real gradients for simulated devices: a zip of label folders, the real engine, the real reduce.

Rules of this file:
- Pictures become pixels by mlitb/pixels.py and gradients by engine.wasm, as everywhere.
- Entries are shuffled with the seed and cut into shards of 128, as the data server does; a tenth is held back.
"""

import hashlib
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mlitb.core import messages as m
from mlitb.core import optimizer, reduction
from mlitb.core.events import Step
from mlitb.core.work import Piece, Stream
from mlitb.engine import Engine, EngineNetwork
from mlitb.pixels import BadImage, decode

SHARD = 128
HELD_BACK = 0.1
BATCH = 16

PAPERS_NET: tuple[dict[str, Any], ...] = (
    {"type": "input", "width": 28, "height": 28, "channels": 1},
    {"type": "conv", "filters": 16, "kernel": 5, "padding": 2},
    {"type": "relu"},
    {"type": "max_pool", "size": 3, "stride": 3},
    {"type": "fully_connected"},
    {"type": "softmax"},
)


class Pictures:
    """The pictures of a zip, decoded, shuffled, in shards."""

    def __init__(self, path: Path, layers: tuple[dict[str, Any], ...] = PAPERS_NET, seed: int = 0) -> None:
        """Read a zip; raises ValueError with a sentence when it holds no labelled pictures."""
        self.layers = layers
        shape = (layers[0]["width"], layers[0]["height"], layers[0]["channels"])
        pixels, names = _read(path, shape)
        self.names = sorted(set(names))
        order = np.random.default_rng(seed).permutation(len(names))
        self.pixels = np.stack(pixels)[order]
        self.labels = np.array([self.names.index(name) for name in names])[order]
        self.training = max(1, round(len(names) * (1 - HELD_BACK)))
        self.shards = {_hash(path, start): slice(start, min(start + SHARD, self.training)) for start in self._starts()}

    def _starts(self) -> range:
        return range(0, self.training, SHARD)

    def _counts(self, part: slice) -> list[int]:
        counts: list[int] = np.bincount(self.labels[part], minlength=len(self.names)).tolist()
        return counts

    def manifest(self) -> dict[str, Any]:
        """Describe the training pictures as the data server would."""
        scaled = self.pixels[: self.training].astype(np.float32) / 255
        width, height, channels = (self.layers[0][key] for key in ("width", "height", "channels"))
        rows = [
            {"hash": h, "count": part.stop - part.start, "bytes": 1 + 8 * SHARD, "labels": self._counts(part)}
            for h, part in self.shards.items()
        ]
        return {
            "cut": "pictures", "dataset": "pictures", "width": width, "height": height, "channels": channels,
            "labels": self.names, "shards": rows,
            "mean": scaled.mean((0, 1, 2)).tolist(), "std": scaled.std((0, 1, 2)).tolist(),
        }  # fmt: skip


class Training:
    """A Mapper (simulation.py) that computes what the devices would, and the reduce."""

    def __init__(self, pictures: Pictures, engine: Engine, hyper: dict[str, Any]) -> None:
        self.pictures = pictures
        self.engine = engine
        self.hyper = optimizer.Hyper.parse(hyper)
        self.network: EngineNetwork | None = None
        self._seed = 0

    def describe(self) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
        """Give the network's layers and the manifest of the data."""
        return self.pictures.layers, self.pictures.manifest()

    def begin(self, layers: tuple[dict[str, Any], ...], labels: int, seed: int) -> None:
        """Make the first parameters."""
        self._seed = seed
        self.network = self.engine.network(layers, labels, BATCH)
        self.parameters = self.network.initial(seed)
        self.state = optimizer.init(self.hyper, self.parameters.size)
        self.total = reduction.zeros(self.parameters.size)

    def compute(
        self, pieces: list[Piece], labels: list[tuple[int, ...]], order: m.Order, done: int, iteration: int
    ) -> tuple[float, int, Any]:
        """Compute one order with the newest parameters: (loss, wrong, the vector to add)."""
        network = self._loaded(self.parameters)
        walk = list(Stream(pieces, order.seed).walk(order.cursor, done))
        if order.local_rate:
            network.begin_local()
        loss, wrong = 0.0, 0
        for start in range(0, done, order.micro_batch):
            batch = walk[start : start + order.micro_batch]
            places = [self.pictures.shards[pieces[v.piece].hash].start + v.index for v in batch]
            truth = [labels[v.piece][self.pictures.labels[place]] for v, place in zip(batch, places, strict=True)]
            keys = [v.key for v in batch]
            more, missed = network.gradient(
                self.pictures.pixels[places], np.array(truth), np.array(keys), self._seed, iteration
            )
            loss, wrong = loss + more, wrong + missed
            if order.local_rate:
                network.local_step(len(batch), order.local_rate, order.local_momentum)
        vector = -done * network.local_difference() if order.local_rate else network.gradient_sum()
        return loss, wrong, vector.astype(np.float32)

    def add(self, gradient: Any) -> None:
        """Add an accepted gradient."""
        list(reduction.add(self.total, gradient))

    def step(self, step: Step) -> bool:
        """Take the optimizer step; tell whether it is finite."""
        hyper = optimizer.Hyper.parse(step.settings)
        state = optimizer.adapted(self.state, hyper, self.parameters.size)
        update = optimizer.Update(hyper, self.parameters, self.total, state, step.vectors, step.learning_rate)
        list(update.walk())
        if update.finite:
            self.parameters, self.state = update.parameters, update.state
        self.total[:] = 0
        return update.finite

    def error(self) -> float:
        """Measure the share of wrong answers on what was held back."""
        network, pictures = self._loaded(self.parameters), self.pictures
        wrong = 0
        for start in range(pictures.training, len(pictures.labels), BATCH):
            batch = slice(start, start + BATCH)
            wrong += int((network.probabilities(pictures.pixels[batch]).argmax(1) != pictures.labels[batch]).sum())
        return wrong / max(1, len(pictures.labels) - pictures.training)

    def _loaded(self, parameters: Any) -> EngineNetwork:
        assert self.network is not None, "begin comes first"
        self.network.set_parameters(parameters)
        self.network.clear()
        return self.network


def _read(path: Path, shape: tuple[int, int, int]) -> tuple[list[Any], list[str]]:
    pixels, names = [], []
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            folder = PurePosixPath(entry.filename).parent.name
            if entry.is_dir() or not folder:
                continue
            try:
                pixels.append(decode(archive.read(entry), *shape))
            except BadImage:
                continue  # not a picture: the data server would report it, here it only does not count
            names.append(folder)
    if not pixels:
        raise ValueError(f"{path} holds no pictures in label folders")
    return pixels, names


def _hash(path: Path, start: int) -> str:
    return hashlib.sha256(f"{path.name} {start}".encode()).hexdigest()
