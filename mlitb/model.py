"""The model as a JSON file: what a researcher takes away, and what `mlitb predict` reads.

Rules of this file:
- A file is read as a stranger's: every field is checked, and what is wrong is named (ModelError).
- Parameters are written block by block: small ones as numbers, large ones as base64 of little-endian float32.
  Both are read.
- The format is documented in docs/model-json.md; a change that old readers would misread raises VERSION.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlitb.engine import Block, Engine, EngineError, EngineNetwork
from mlitb.pixels import MODES, Mode

FORMAT = "mlitb-model"
VERSION = 1
AS_NUMBERS = 64
"""Blocks of at most so many values are written as numbers, so that a person can read the biases."""

Vector = np.ndarray[Any, np.dtype[np.float32]]


class ModelError(ValueError):
    """A model file cannot be used; the message is one sentence that names what is wrong."""


@dataclass(frozen=True, slots=True)
class Model:
    """A network with its parameters and what is needed to use it and to go on training."""

    name: str
    layers: tuple[dict[str, Any], ...]
    labels: tuple[str, ...]
    parameters: Vector
    iteration: int = 0
    resize: Mode = "crop"  # how a picture of another size becomes the input's
    settings: dict[str, Any] = field(default_factory=dict)  # period, optimizer and its hyper-parameters
    seed: int = 0
    figures: dict[str, Any] = field(default_factory=dict)  # error, loss, … of the last iteration
    engine: str = ""  # sha256 of the engine that trained it

    @property
    def input(self) -> dict[str, Any]:
        """The input layer: width, height, channels, mean, std."""
        return self.layers[0]


def to_json(model: Model, layout: Sequence[Block]) -> str:
    """Write a model; `layout` says where each block of the flat parameter vector lies."""
    document = {
        "format": FORMAT, "version": VERSION, "name": model.name, "iteration": model.iteration,
        "labels": list(model.labels), "layers": list(model.layers),
        "normalisation": {
            "formula": "(x / 255 - mean) / std, per channel",
            "mean": model.input.get("mean"), "std": model.input.get("std"), "resize": model.resize,
        },
        "hyper_parameters": model.settings, "seed": model.seed, "figures": model.figures, "engine": model.engine,
        "parameters": {block.name: _block_to_json(block, model.parameters) for block in layout},
    }  # fmt: skip
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def _block_to_json(block: Block, parameters: Vector) -> dict[str, Any]:
    values = parameters[block.offset : block.offset + block.size]
    if block.size <= AS_NUMBERS:
        return {"shape": list(block.shape), "data": [float(value) for value in values]}
    data = base64.b64encode(values.astype("<f4").tobytes()).decode()
    return {"shape": list(block.shape), "base64": data}


def read(path: Path, engine: Engine) -> tuple[Model, EngineNetwork]:
    """Read a model file and make its network, ready to predict; raise ModelError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not a model: it is not text in UTF-8") from error
    return parse(text, engine)


def parse(text: str, engine: Engine) -> tuple[Model, EngineNetwork]:
    """Read a model from JSON text and make its network, ready to predict; raise ModelError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the file is not JSON ({error})") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelError(f'the file is not an MLitB model: "format" is not "{FORMAT}"')
    if document.get("version") != VERSION:
        raise ModelError(f"the model has version {document.get('version')!r}; this MLitB reads version {VERSION}")
    layers = tuple(_typed(document, "layers", list))
    labels = tuple(_typed(document, "labels", list))
    if not labels or not all(isinstance(label, str) for label in labels):
        raise ModelError('"labels" must be a list of names')
    try:
        network = engine.network(layers, len(labels))
    except EngineError as error:
        raise ModelError(f"the network does not fit: {error}") from error
    parameters = _parameters(_typed(document, "parameters", dict), network)
    network.set_parameters(parameters)
    normalisation = _typed(document, "normalisation", dict)
    model = Model(
        name=str(document.get("name", "")), layers=layers, labels=labels, parameters=parameters,
        iteration=int(_typed(document, "iteration", int)), resize=_mode(normalisation.get("resize", "crop")),
        settings=_typed(document, "hyper_parameters", dict), seed=int(_typed(document, "seed", int)),
        figures=_typed(document, "figures", dict), engine=str(document.get("engine", "")),
    )  # fmt: skip
    return model, network


def _mode(given: Any) -> Mode:
    for mode in MODES:
        if given == mode:
            return mode
    raise ModelError(f'"resize" is {given!r}; it must be one of {", ".join(MODES)}')


def _typed(document: Mapping[str, Any], name: str, kind: type) -> Any:
    value = document.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ModelError(f'"{name}" is missing or not a {kind.__name__}')
    return value


def _parameters(blocks: Mapping[str, Any], network: EngineNetwork) -> Vector:
    unknown = sorted(set(blocks) - {block.name for block in network.layout})
    if unknown:
        raise ModelError(f"there are parameters for {unknown[0]!r}, which the network does not have")
    total = np.empty(network.parameter_count, np.float32)
    for block in network.layout:
        total[block.offset : block.offset + block.size] = _block_values(block, blocks.get(block.name))
    return total


def _block_values(block: Block, given: Any) -> Vector:
    if not isinstance(given, dict):
        raise ModelError(f"the parameters {block.name!r} are missing")
    if given.get("shape") != list(block.shape):
        raise ModelError(f"{block.name!r} has shape {given.get('shape')}, the network needs {list(block.shape)}")
    try:
        if "base64" in given:
            values = np.frombuffer(base64.b64decode(given["base64"], validate=True), "<f4")
        else:
            values = np.asarray(given.get("data"), np.float32).reshape(-1)
    except (binascii.Error, ValueError, TypeError) as error:
        raise ModelError(f"the values of {block.name!r} cannot be read ({error})") from error
    if values.size != block.size:
        raise ModelError(f"{block.name!r} has {values.size} values, its shape needs {block.size}")
    if not np.isfinite(values).all():
        raise ModelError(f"{block.name!r} holds values that are not finite")
    return values.astype(np.float32)
