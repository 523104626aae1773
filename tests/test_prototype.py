"""Files of the prototype of 2015 give the original's probabilities; what cannot be represented is refused by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from mlitb.cli import main
from mlitb.core.network import plan
from mlitb.model import ModelError
from mlitb.modelfile import parse
from tests import models
from tests import prototype_2015 as original
from tests.models import ENGINE

GREY, COLOUR = {"type": "input", "sx": 9, "sy": 8, "depth": 1}, {"type": "input", "sx": 7, "sy": 10, "depth": 3}
OUT = {"type": "fc", "activation": "softmax", "num_neurons": 4}
FOUR = ["cat", "dog", "Vögel", "7"]

NETS: dict[str, list[dict[str, Any]]] = {
    "only fully connected": [COLOUR, OUT],
    "as on the prototype's page": [
        GREY, {"type": "conv", "sx": 5, "stride": 1, "filters": 3, "activation": "relu"},
        {"type": "pool", "sx": 2, "stride": 2}, OUT,
    ],
    "windows over the edge": [
        GREY, {"type": "conv", "sx": 4, "stride": 3, "filters": 3}, {"type": "pool", "sx": 2, "stride": 2}, OUT
    ],
    "a stride that rounds up": [COLOUR, {"type": "pool", "sx": 4, "stride": 4}, OUT],
    "padding and an oblong kernel": [
        COLOUR, {"type": "conv", "sx": 3, "sy": 2, "pad": 1, "stride": 2, "filters": 4, "activation": "sigmoid"}, OUT
    ],
    "a stride that the original ignores": [
        COLOUR, {"type": "conv", "sx": 2, "stride": 3, "filters": 2}, {"type": "pool", "sx": 2, "stride": 5}, OUT
    ],
    "average pooling that fits": [
        COLOUR, {"type": "conv", "sx": 2, "filters": 3}, {"type": "pool", "sx": 3, "pool_type": "avg"}, OUT
    ],
    "two hidden layers": [
        GREY, {"type": "fc", "num_neurons": 6, "activation": "relu"},
        {"type": "fc", "num_neurons": 5, "activation": "sigmoid"}, OUT,
    ],
    "dropout behind a pool": [
        GREY, {"type": "conv", "sx": 3, "filters": 3}, {"type": "pool", "sx": 3, "stride": 1, "drop_prob": 0.1}, OUT
    ],
    "dropout before sigmoid and before softmax": [
        GREY, {"type": "fc", "num_neurons": 6, "drop_prob": 0.3}, {"type": "sigmoid"},
        {"type": "fc", "num_neurons": 4}, {"type": "dropout", "drop_prob": 0.25}, {"type": "softmax"},
    ],
    "layers on their own": [
        GREY, {"type": "conv", "sx": 3, "filters": 2, "activation": "linear"}, {"type": "relu"}, {"type": "dropout"},
        {"type": "fc", "num_neurons": 4}, {"type": "linear"}, {"type": "softmax"},
    ],
    "weights that are multiplied": [
        GREY, {"type": "conv", "sx": 3, "filters": 2, "weightMult": 0.5}, {**OUT, "weightMult": 0.9}
    ],
    "convolutions to the end": [
        {"type": "input", "sx": 6, "sy": 6, "depth": 3}, {"type": "conv", "sx": 4, "filters": 5},
        {"type": "conv", "sx": 3, "filters": 4, "activation": "softmax"},
    ],
    "without softmax": [GREY, {"type": "fc", "num_neurons": 4, "activation": "sigmoid"}],
}  # fmt: skip


@pytest.mark.parametrize("form", ["params", "step"])
@pytest.mark.parametrize("net", NETS)
def test_an_imported_model_gives_the_originals_probabilities(net: str, form: str) -> None:
    file = original.file_of(NETS[net], FOUR, seed=3)
    if form == "step":
        file = {"step": 41, "net": file}
    model, network = parse(json.dumps(file), ENGINE)
    assert model.labels == tuple(FOUR)
    assert model.iteration == (41 if form == "step" else 0)
    shape = (model.input["height"], model.input["width"], model.input["channels"])
    pixels = np.random.default_rng(1).integers(0, 256, (8, *shape)).astype(np.uint8)
    want = np.array([original.probabilities(file, picture) for picture in pixels])
    found = network.probabilities(pixels)
    assert want.std(0).max() > 3e-3, "the pictures are told apart by more than is allowed below"
    np.testing.assert_allclose(found, want, atol=1e-4, rtol=0)


def test_the_last_layer_grows_with_new_labels_and_frozen_layers_stay_frozen() -> None:
    confs = [
        GREY,
        {"type": "conv", "sx": 3, "filters": 2},
        {"type": "conv", "sx": 3, "filters": 2, "is_train": False},
        OUT,
    ]
    model, _ = parse(json.dumps(original.file_of(confs, FOUR)), ENGINE)
    network = plan(model.layers, 5)
    assert network.outputs == 5
    assert [layer.spec.get("frozen", False) for layer in network.layers if layer.tensors] == [True, True, False]
    assert plan(model.layers, 4).layers[1].output == original.sizes(confs)[1]


def test_predict_takes_a_file_of_2015(tmp_path: Path) -> None:
    file = original.file_of([{**GREY, "sx": 8}, OUT], FOUR)
    (tmp_path / "old.json").write_text(json.dumps(file))
    picture = np.random.default_rng(2).integers(0, 256, (8, 8, 1)).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(models.png(picture[:, :, 0]))
    done = CliRunner().invoke(main, ["predict", str(tmp_path / "old.json"), str(tmp_path / "a.png"), "--top", "1"])
    want = original.probabilities(file, picture)
    assert done.output.splitlines()[1].split() == [f"{max(want):.2%}", FOUR[int(np.argmax(want))]]


def spoiled(confs: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return {**original.file_of([GREY, OUT], FOUR), "configs": confs, **changes}


FITTING = original.file_of([GREY, OUT], FOUR)
CONV = {"type": "conv", "sx": 3, "filters": 2}


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (spoiled([GREY, {"type": "maxout", "group_size": 2}, OUT]), "maxout1: a layer of type 'maxout' cannot"),
        (spoiled([GREY, {**CONV, "activation": "tanh"}, OUT]), "conv1: its activation 'tanh' cannot be represented"),
        (original.file_of([GREY, CONV, {"type": "pool", "sx": 2, "pad": 1}, OUT], FOUR), "pool2: the original's pool"),
        (
            original.file_of([GREY, CONV, {"type": "pool", "sx": 4, "stride": 4, "pool_type": "avg"}, OUT], FOUR),
            "pool2: the original's average over the edge",
        ),
        (spoiled([{**GREY, "depth": 4}, OUT]), "input0: pictures have 1 or 3 channels, not 4"),
        (spoiled([{"type": "sigmoid"}, OUT]), "sigmoid0: a network has exactly one input layer, the first"),
        (
            original.file_of([GREY, {"type": "sigmoid", "drop_prob": 0.5}, {"type": "sigmoid"}, OUT], FOUR),
            "sigmoid1: the original's dropout between these layers cannot be represented",
        ),
        (spoiled([GREY, {**OUT, "num_neurons": 3}]), "fc1: it says 3 neurons, but has parameters of 4"),
        (spoiled([{**GREY, "sx": 8}, OUT]), "fc1: its shapes disagree: 288 parameters where 256 are needed"),
        (spoiled([GREY, {**CONV, "sx": 40}, OUT]), "conv1: a window of 40×40 does not fit into 9×8"),
        (spoiled([GREY, {**CONV, "sx": 0}, OUT]), "conv1: sx must be a whole number from 1, not 0"),
        (spoiled([GREY, OUT], params=[]), "fc1: there are only 0 arrays of parameters"),
        (spoiled([GREY, OUT], params=[*FITTING["params"], [1]]), "need 2 arrays of parameters, but there are 3"),
        (spoiled([GREY, OUT], params=[[None] * 288, [0] * 4]), "fc1: its parameters hold values that are not finite"),
        (spoiled([GREY, OUT], params=[["x"], [0] * 4]), "fc1: its parameters cannot be read"),
        (spoiled([GREY, OUT], params=[[], []]), "fc1: it has no neurons"),
        (spoiled([GREY, OUT], index2label={"0": "a", "1": "b"}, label2index={}), "labels disagree with the outputs: 2"),
        (spoiled([GREY, OUT], index2label={"1": "a"}), '"index2label" must number the labels from 0 on'),
        (spoiled([GREY, OUT], label2index={"cat": 2}), "'cat' is number 0 in index2label and 2 in label2index"),
        (spoiled([GREY, {**OUT, "drop_prob": 0.5}]), "fc1: the original's dropout between these layers"),
        ({"step": "x", "net": FITTING}, "\"step\" is 'x'"),
    ],
)  # fmt: skip
def test_what_cannot_be_represented_is_refused_by_the_layers_name(file: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelError) as refusal:
        parse(json.dumps(file), ENGINE)
    assert sentence in str(refusal.value)
