"""Use a downloaded model without any server: the same engine and the same pixels as in training."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mlitb import resources
from mlitb.engine import Engine, EngineNetwork
from mlitb.metrics import Metrics, Tally
from mlitb.model import Model, ModelError
from mlitb.modelfile import read
from mlitb.pictures import BadPicture, Picture, labelled, pictures_of
from mlitb.pixels import BadImage, decode

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Probabilities = np.ndarray[Any, np.dtype[np.float32]]

Seen = tuple[Picture, Pixels | BadPicture]

BATCH = 16
"""Pictures that one call of the engine takes (engine.network's default)."""


class PredictionFailed(RuntimeError):
    """A model, or all that it was to be used on, cannot be used; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of one picture."""

    name: str
    probabilities: Probabilities  # (outputs,)

    @property
    def order(self) -> list[int]:
        """The outputs, most probable first."""
        return [int(index) for index in np.argsort(-self.probabilities, kind="stable")]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a model does on labelled pictures."""

    metrics: Metrics
    skipped: tuple[str, ...]  # a sentence for each: no picture, or of a label that the model does not know

    def plain(self, model: Model) -> dict[str, Any]:
        """Give plain JSON values."""
        told = {"model": model.name, "iteration": model.iteration, "skipped": list(self.skipped)}
        return {**told, **self.metrics.plain(model.labels)}


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

    def names(self, outputs: int) -> list[str]:
        """Name the outputs: the labels, and what a network of fixed size has to spare."""
        known = list(self.model.labels)
        return known + [f"output {index}" for index in range(len(known), outputs)]

    def pixels(self, picture: Picture) -> Pixels:
        """Return a picture as the network sees it: uint8 (height, width, channels); raise BadPicture."""
        shape, data = self.model.input, picture.read()
        try:
            return decode(data, shape["width"], shape["height"], shape["channels"], self.model.resize)
        except BadImage as error:
            raise BadPicture(f"{picture.name}: {error}") from error

    def classify(self, paths: Iterable[Path]) -> Iterator[Prediction | BadPicture]:
        """Say what the pictures of files, folders and zips are, in their order; what is no picture comes as it is.

        Raises BadPicture for a zip that is none.
        """
        for some in _batches((picture, self._seen(picture)) for picture in pictures_of(paths)):
            good = [pixels for _, pixels in some if not isinstance(pixels, BadPicture)]
            rows = iter(self.network.probabilities(np.stack(good)) if good else ())
            for picture, pixels in some:
                yield pixels if isinstance(pixels, BadPicture) else Prediction(picture.name, next(rows))

    def _seen(self, picture: Picture) -> Pixels | BadPicture:
        try:
            return self.pixels(picture)
        except BadPicture as error:
            return error

    def evaluate(self, archive: Path) -> Evaluation:
        """Evaluate on a zip of label folders (its test folder, when it has one); raise PredictionFailed."""
        indices = {label: index for index, label in enumerate(self.model.labels)}
        tally, skipped = Tally(self.network.shapes[-1][2]), []
        try:
            for some in _batches((picture, self._seen(picture)) for picture in labelled(archive)):
                known: list[tuple[int, Pixels]] = []
                for picture, pixels in some:
                    if picture.label not in indices:
                        skipped.append(f"{picture.name}: the model does not know the label {picture.label!r}")
                    elif isinstance(pixels, BadPicture):
                        skipped.append(str(pixels))
                    else:
                        known.append((indices[picture.label], pixels))
                self._count(known, tally)
        except BadPicture as error:
            raise PredictionFailed(str(error)) from error
        if not tally.vectors:
            first = f": {skipped[0]}" if skipped else ""
            raise PredictionFailed(f"{archive} holds no picture of a label that the model knows{first}")
        return Evaluation(tally.metrics(), tuple(skipped))

    def _count(self, known: list[tuple[int, Pixels]], tally: Tally) -> None:
        if known:
            labels, pixels = [label for label, _ in known], np.stack([pixels for _, pixels in known])
            loss, _ = self.network.evaluate(pixels, labels)
            tally.add(labels, self.network.probabilities(pixels), loss)


def _batches(seen: Iterator[Seen]) -> Iterator[list[Seen]]:
    """Take pictures as they are read: a zip is closed when its last one was."""
    while some := list(islice(seen, BATCH)):
        yield some
