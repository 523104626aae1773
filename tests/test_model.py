"""The model as a JSON file: a round trip, and strangers' files."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlitb import resources
from mlitb.demo import LAYERS
from mlitb.engine import Engine
from mlitb.model import Model, ModelError, to_json
from mlitb.modelfile import parse

ENGINE = Engine(resources.engine())
LABELS = tuple("0123456789")


def a_model() -> Model:
    layers = ({**LAYERS[0], "mean": [0.3], "std": [0.37]}, *LAYERS[1:])
    network = ENGINE.network(layers, len(LABELS))
    settings, figures = {"period": 1.0}, {"error": 0.5}
    return Model("Ziffern ä", layers, LABELS, network.initial(7), 12, "fit", settings, 7, figures, ENGINE.sha256)


def text_of(model: Model) -> str:
    return to_json(model, ENGINE.network(model.layers, len(model.labels)).layout)


def test_a_model_comes_back_bit_for_bit() -> None:
    model = a_model()
    again, network = parse(text_of(model), ENGINE)
    assert again.parameters.tobytes() == model.parameters.tobytes()
    for name in ("name", "layers", "labels", "iteration", "resize", "settings", "seed", "figures", "engine"):
        assert getattr(again, name) == getattr(model, name), name
    pixels = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    assert network.probabilities(pixels).shape == (1, 10)


def test_small_blocks_are_numbers_and_large_ones_base64_and_either_is_read() -> None:
    document = json.loads(text_of(a_model()))
    parameters = document["parameters"]
    assert "data" in parameters["conv1.bias"]
    assert "base64" in parameters["conv1.weights"]
    flat = parse(json.dumps(document), ENGINE)[0].parameters
    (block,) = [b for b in ENGINE.network(a_model().layers, 10).layout if b.name == "conv1.weights"]
    numbers = [float(value) for value in flat[block.offset : block.offset + block.size]]
    parameters["conv1.weights"] = {"shape": list(block.shape), "data": numbers}
    assert parse(json.dumps(document), ENGINE)[0].parameters.tobytes() == flat.tobytes()


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    *parents, last = path.split("/")

    def changed(document: dict[str, Any]) -> None:
        place = document
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value

    return changed


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (change("format", "other"), "not an MLitB model"),
        (change("version", 99), "version 99"),
        (change("layers", None), "layers"),
        (change("layers", [{"type": "input", "width": 8, "height": 8, "channels": 1}, {"type": "magic"}]), "magic"),
        (change("labels", []), "labels"),
        (change("labels", ["a", "b"]), "labels disagree with the outputs"),
        (change("parameters/conv1.bias", None), "conv1.bias"),
        (change("parameters/more", {"shape": [1], "data": [1]}), "more"),
        (change("parameters/conv1.bias/shape", [3]), "conv1.bias"),
        (change("parameters/conv1.bias/data", [1.0]), "1 values"),
        (change("parameters/conv1.bias/data", ["x"] * 16), "conv1.bias"),
        (change("parameters/conv1.bias/data", [1e39] * 16), "not finite"),
        (change("parameters/conv1.weights/base64", "***"), "conv1.weights"),
        (change("normalisation/resize", "magic"), "magic"),
        (change("iteration", "many"), "iteration"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_name(damage: Callable[[dict[str, Any]], None], words: str) -> None:
    document = json.loads(text_of(a_model()))
    damage(document)
    with np.errstate(over="ignore"), pytest.raises(ModelError) as refusal:
        parse(json.dumps(document), ENGINE)
    assert words in str(refusal.value)


@pytest.mark.parametrize("text", ["", "not json", "[]", "null", "[" * 100_000])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="not"):
        parse(text, ENGINE)
