"""The model as a JSON file: what a researcher takes away, brings back, and what `mlitb predict` reads.

Rules of this file:
- A file is read as a stranger's: every field is checked, and what is wrong is named (ModelError).
- Vectors are written block by block: small ones as numbers, large ones as base64 of little-endian float32.
  Both are read.
- The format is documented in docs/model-json.md and in schemas/model-1.json; a change that old readers would misread
  raises VERSION.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from secrets import token_hex
from typing import Any, Protocol

import numpy as np

from mlitb.core.network import Network, plan
from mlitb.core.optimizer import SLOTS
from mlitb.core.refusal import Refusal
from mlitb.pixels import MODES, Mode

FORMAT = "mlitb-model"
VERSION = 1
AS_NUMBERS = 64
"""Blocks of at most so many values are written as numbers, so that a person can read the biases."""

PIECE = 3 << 18
"""Values made into text at once, a multiple of three: about 5 ms in which nothing else of Python runs."""

ABOUT = ("description", "author", "licence")
"""What people say of a model, each a text."""

MAX_ABOUT = 10_000
STEPS = "step"
"""The optimizer state's one value: steps taken. All its other arrays have the parameters' layout."""

Vector = np.ndarray[Any, np.dtype[np.float32]]


class ModelError(ValueError):
    """A model file cannot be used; the message is one sentence that names what is wrong."""


class Block(Protocol):
    """A part of a flat vector: the core's Tensor, or the engine's Block."""

    @property
    def name(self) -> str:
        """Such as "conv1.weights"."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def offset(self) -> int:
        """Where it begins."""

    @property
    def size(self) -> int:
        """How many values it has."""


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
    learning_rate: float | None = None  # as decayed so far; None: as in the settings
    state: Mapping[str, Vector] = field(default_factory=dict)  # of the optimizer; empty: not in the file
    history: tuple[dict[str, Any], ...] = ()  # figures of some iterations, oldest first
    data: tuple[dict[str, Any], ...] = ()  # what it was trained on: data set, cut, hash of the manifest
    about: Mapping[str, str] = field(default_factory=dict)  # ABOUT

    @property
    def input(self) -> dict[str, Any]:
        """The input layer: width, height, channels, mean, std."""
        return self.layers[0]


# -------------------------------------------------------------------------------------------------- writing
def to_json(model: Model, layout: Sequence[Block]) -> str:
    """Write a model; `layout` says where each block of the flat parameter vector lies."""
    mark, texts = f"mark-{token_hex(8)}-", list[str]()
    document = {
        "format": FORMAT, "version": VERSION, "name": model.name,
        **{key: model.about.get(key, "") for key in ABOUT},
        "iteration": model.iteration, "labels": list(model.labels), "layers": list(model.layers),
        "normalisation": {
            "formula": "(x / 255 - mean) / std, per channel",
            "mean": model.input.get("mean"), "std": model.input.get("std"), "resize": model.resize,
        },
        "hyper_parameters": model.settings, "learning_rate": model.learning_rate, "seed": model.seed,
        "figures": model.figures, "engine": model.engine, "data": list(model.data), "history": list(model.history),
    }  # fmt: skip

    def blocks(vector: Vector) -> dict[str, Any]:
        return {block.name: _block_to_json(block, vector, mark, texts) for block in layout}

    document["parameters"] = blocks(model.parameters)
    if model.state:
        slots = {name: blocks(values) for name, values in model.state.items() if name != STEPS}
        document["optimizer"] = {"steps": int(model.state[STEPS][0]), "slots": slots}
    head, *rest = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).split(mark)
    return "".join([head, *(part for text, after in zip(texts, rest, strict=True) for part in (text, after))])


def _block_to_json(block: Block, vector: Vector, mark: str, texts: list[str]) -> dict[str, Any]:
    """Give a block; a mark stands for each long text: escaping it would hold the interpreter for long."""
    values = vector[block.offset : block.offset + block.size]
    if block.size <= AS_NUMBERS:
        return {"shape": list(block.shape), "data": [float(value) for value in values]}
    pieces = [values[i : i + PIECE].astype("<f4").tobytes() for i in range(0, block.size, PIECE)]
    texts.append("".join(base64.b64encode(piece).decode() for piece in pieces))
    return {"shape": list(block.shape), "base64": mark}


# -------------------------------------------------------------------------------------------------- reading
def from_document(document: Mapping[str, Any]) -> Model:
    """Read a model from its JSON object; raise ModelError."""
    if document.get("format") != FORMAT:
        raise ModelError(f'the file is not an MLitB model: "format" is not "{FORMAT}"')
    if document.get("version") != VERSION:
        raise ModelError(f"the model has version {document.get('version')!r}; this MLitB reads version {VERSION}")
    layers, labels = tuple(_typed(document, "layers", list)), _labels(_typed(document, "labels", list))
    network = planned(layers, labels)
    blocks = _typed(document, "parameters", dict)
    _check_outputs(network, labels, blocks)
    normalisation = _typed(document, "normalisation", dict)
    return Model(
        name=str(document.get("name", "")), layers=layers, labels=labels, parameters=_vector(blocks, network),
        iteration=_count(document, "iteration"), resize=_mode(normalisation.get("resize", "crop")),
        settings=_plain(document, "hyper_parameters"), seed=_count(document, "seed"),
        figures=_plain(document, "figures"), engine=str(document.get("engine", "")),
        learning_rate=_rate(document.get("learning_rate")), state=_state(document.get("optimizer"), network),
        history=_rows(document, "history"), data=_rows(document, "data"), about=_about(document),
    )  # fmt: skip


def planned(layers: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Network:
    """Understand a model's network; raise ModelError."""
    try:
        network = plan(layers, len(labels))
        network.require_labels(len(labels))
    except Refusal as refusal:
        raise ModelError(f"the network does not fit: {refusal}") from refusal
    return network


def _labels(given: list[Any]) -> tuple[str, ...]:
    if not given or not all(isinstance(label, str) and label for label in given):
        raise ModelError('"labels" must be a list of names')
    if len(set(given)) < len(given):
        twice = next(label for label in given if given.count(label) > 1)
        raise ModelError(f'"labels" names {twice!r} twice')
    return tuple(given)


def _check_outputs(network: Network, labels: Sequence[str], blocks: Mapping[str, Any]) -> None:
    """Say that labels and outputs disagree, which is clearer than what shape does not fit."""
    for layer in network.layers:
        given = blocks.get(f"{layer.name}.bias") if layer.grows else None
        shape = given.get("shape") if isinstance(given, dict) else None
        if isinstance(shape, list) and len(shape) == 1 and shape[0] != len(labels):
            raise ModelError(f"the labels disagree with the outputs: {len(labels)} labels, {layer.name} has {shape[0]}")


def _typed(document: Mapping[str, Any], name: str, kind: type) -> Any:
    value = document.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ModelError(f'"{name}" is missing or not a {_KINDS[kind]}')
    return value


_KINDS = {list: "list", dict: "JSON object", int: "whole number"}


def _count(document: Mapping[str, Any], name: str) -> int:
    value = int(_typed(document, name, int))
    if not 0 <= value < 2**32:
        raise ModelError(f'"{name}" is {value}; it must be from 0 to 2³² − 1')
    return value


def _mode(given: Any) -> Mode:
    for mode in MODES:
        if given == mode:
            return mode
    raise ModelError(f'"resize" is {given!r}; it must be one of {", ".join(MODES)}')


def _rate(given: Any) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not isfinite(given) or given < 0:
        raise ModelError(f'"learning_rate" is {given!r}; it must be a number from 0 on')
    return float(given)


def _plain(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    value: dict[str, Any] = _typed(document, name, dict)
    _check_finite(value, name)
    return value


def _rows(document: Mapping[str, Any], name: str) -> tuple[dict[str, Any], ...]:
    given = document.get(name, [])
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        raise ModelError(f'"{name}" must be a list of JSON objects')
    _check_finite(given, name)
    return tuple(given)


def _check_finite(value: Any, name: str) -> None:
    if isinstance(value, float) and not isfinite(value):
        raise ModelError(f'"{name}" holds {value}, which is not a finite number')
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_finite(inner, name)


def _about(document: Mapping[str, Any]) -> dict[str, str]:
    given = {key: document.get(key, "") for key in ABOUT}
    for key, value in given.items():
        if not isinstance(value, str) or len(value) > MAX_ABOUT:
            raise ModelError(f'"{key}" must be a text of at most {MAX_ABOUT} characters')
    return {key: value for key, value in given.items() if value}


def _state(given: Any, network: Network) -> dict[str, Vector]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ModelError('"optimizer" is not a JSON object')
    slots, steps = _typed(given, "slots", dict), _count(given, "steps")
    known = {slot for names in SLOTS.values() for slot in names}
    if unknown := sorted(set(slots) - known):
        raise ModelError(f"the optimizer's state {unknown[0]!r} is unknown; known are {', '.join(sorted(known))}")
    vectors = {name: _vector(blocks, network, f"optimizer: {name}: ") for name, blocks in slots.items()}
    return {STEPS: np.array([steps], np.float32), **vectors}


def _vector(blocks: Any, network: Network, where: str = "") -> Vector:
    if not isinstance(blocks, dict):
        raise ModelError(f"{where}the values are not a JSON object")
    unknown = sorted(set(blocks) - {tensor.name for tensor in network.tensors})
    if unknown:
        raise ModelError(f"{where}there are parameters for {unknown[0]!r}, which the network does not have")
    total = np.empty(network.size, np.float32)
    for tensor in network.tensors:
        try:
            total[tensor.offset : tensor.stop] = _block_values(tensor, blocks.get(tensor.name))
        except ModelError as error:
            raise ModelError(f"{where}{error}") from error
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
            values = np.asarray(given.get("data"), np.float64).reshape(-1)
    except (binascii.Error, ValueError, TypeError, OverflowError) as error:
        raise ModelError(f"the values of {block.name!r} cannot be read ({error})") from error
    return checked(block, values)


def checked(block: Block, values: Any) -> Vector:
    """Return a block's values as float32; raise ModelError when they are too few or not finite."""
    if values.size != block.size:
        raise ModelError(f"{block.name!r} has {values.size} values, its shape needs {block.size}")
    with np.errstate(over="ignore"):
        narrow = np.asarray(values, np.float32)
    if not np.isfinite(narrow).all():
        raise ModelError(f"{block.name!r} holds values that are not finite")
    return narrow
