"""Use a downloaded model without any server: the same engine and the same pixels as in training."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mlitb import resources
from mlitb.engine import Engine, EngineNetwork
from mlitb.model import Model, ModelError, read
from mlitb.pixels import BadImage, decode

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

BATCH = 16
"""Pictures that one call of the engine takes (engine.network's default)."""

TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("test", "testing", "t10k")
MAX_PICTURE_BYTES = 64_000_000


class PredictionFailed(RuntimeError):
    """A model or a picture cannot be used; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a model does on labelled pictures."""

    count: int
    wrong: int
    loss_sum: float
    skipped: int  # no picture, or of a label that the model does not know

    @property
    def error(self) -> float:
        """Share of wrong answers, 0…1."""
        return self.wrong / self.count

    @property
    def loss(self) -> float:
        """Mean cross-entropy."""
        return self.loss_sum / self.count


@dataclass(frozen=True, slots=True)
class Predictor:
    """A model with its network, ready."""

    model: Model
    network: EngineNetwork

    @classmethod
    def open(cls, path: Path) -> "Predictor":
        """Read a model file; raise PredictionFailed."""
        try:
            return cls(*read(path, Engine(resources.engine())))
        except (ModelError, resources.ResourceMissing) as error:
            raise PredictionFailed(str(error)) from error

    def pixels(self, data: bytes, name: str) -> Pixels:
        """Return a picture as the network sees it: uint8 (height, width, channels)."""
        shape = self.model.input
        try:
            return decode(data, shape["width"], shape["height"], shape["channels"], self.model.resize)
        except BadImage as error:
            raise PredictionFailed(f"{name}: {error}") from error

    def classify(self, path: Path) -> list[tuple[str, float]]:
        """Return (label, probability), best first."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise PredictionFailed(f"{path} cannot be read ({error.strerror})") from error
        probabilities = self.network.probabilities(self.pixels(data, str(path))[None])[0]
        order = np.argsort(-probabilities, kind="stable")
        return [(self.model.labels[i], float(probabilities[i])) for i in order]

    def evaluate(self, archive: Path) -> Evaluation:
        """Evaluate on a zip of label folders (its test folder, when it has one); raise PredictionFailed."""
        indices = {label: index for index, label in enumerate(self.model.labels)}
        count = wrong = skipped = 0
        loss = 0.0
        pixels: list[Pixels] = []
        labels: list[int] = []

        def flush() -> None:
            nonlocal count, wrong, loss
            if pixels:
                found_loss, found_wrong = self.network.evaluate(np.stack(pixels), np.array(labels, np.int32))
                count, wrong, loss = count + len(pixels), wrong + found_wrong, loss + found_loss
                pixels.clear()
                labels.clear()

        for label, name, data in labelled_pictures(archive):
            if label not in indices:
                skipped += 1
                continue
            try:
                pixels.append(self.pixels(data, name))
            except PredictionFailed:
                skipped += 1
                continue
            labels.append(indices[label])
            if len(pixels) == BATCH:
                flush()
        flush()
        if not count:
            raise PredictionFailed(f"{archive} holds no picture of a label that the model knows")
        return Evaluation(count, wrong, loss, skipped)


def labelled_pictures(archive: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield (label, name, bytes) of a zip's pictures; only those below a test folder when there is one."""
    try:
        with zipfile.ZipFile(archive) as file:
            infos = [info for info in file.infolist() if _is_picture(info)]
            tests = [info for info in infos if _split(info.filename) in TEST_FOLDERS]
            for info in tests or infos:
                yield PurePosixPath(info.filename).parent.name, info.filename, file.read(info)
    except (OSError, zipfile.BadZipFile) as error:
        raise PredictionFailed(f"{archive} cannot be read as a zip ({error})") from error


def _is_picture(info: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(info.filename)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return not (info.is_dir() or hidden) and len(path.parts) > 1 and info.file_size <= MAX_PICTURE_BYTES


def _split(name: str) -> str:
    parts = PurePosixPath(name).parts
    return parts[-3].lower() if len(parts) >= 3 else ""
