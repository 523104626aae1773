"""Layer specs: shapes, layouts, growth, refusals; and that the engine sees the same."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlitb import resources
from mlitb.core.network import MAX_PARAMETERS, filled, growth, multipliers, plan, tuned
from mlitb.core.refusal import Refusal
from mlitb.engine import Engine

Spec = dict[str, Any]


def image(width: int, channels: int = 1) -> Spec:
    return {"type": "input", "width": width, "height": width, "channels": channels}


def conv(kernel: int, filters: int | None = None, stride: int = 1, **more: Any) -> Spec:
    spec = {"type": "conv", "kernel": kernel, "stride": stride, "rounding": "round", **more}
    return spec if filters is None else {**spec, "filters": filters}


def pool(size: int, stride: int, kind: str = "max_pool") -> Spec:
    return {"type": kind, "size": size, "stride": stride, "rounding": "round"}


RELU, FC, SOFTMAX, DROPOUT = {"type": "relu"}, {"type": "fully_connected"}, {"type": "softmax"}, {"type": "dropout"}

CIFAR_B = [image(32, 3), conv(5, 24, 2), RELU, pool(3, 1), conv(3, 64, 2), RELU, pool(2, 1)]
PRESETS: dict[str, tuple[list[Spec], int, int]] = {
    "simple_mnist": ([image(28), conv(5, 16), RELU, pool(3, 3), FC, SOFTMAX], 10, 10_666),
    "elaborate_mnist": (
        [image(28), conv(5, 8), RELU, pool(2, 2), conv(5, 16), RELU, pool(3, 3), FC, SOFTMAX], 10, 4_874,
    ),
    "cifar10": ([image(32, 3), conv(5, 12), RELU, pool(3, 2), conv(5, 24), RELU, pool(4, 4), FC, SOFTMAX], 10, 10_306),
    "cifar100 A": (
        [image(32, 3), conv(6, 24, 3), RELU, pool(3, 1), conv(4, 48, 2), RELU, pool(2, 1), FC, SOFTMAX], 100, 40_396,
    ),
    "cifar100 B": ([*CIFAR_B, FC, SOFTMAX], 100, 175_812),
    "cifar100 C": ([*CIFAR_B, conv(2, 128), RELU, pool(2, 1), DROPOUT, FC, SOFTMAX], 100, 163_908),
    "imagenet A": (
        [image(224, 3), conv(11, 24, 4), RELU, pool(3, 2), conv(4, 48, 2), RELU, pool(3, 2), FC, SOFTMAX], 1000,
        1_756_216,
    ),
}  # fmt: skip
"""The prototype's nets of 2015: layers, labels, and the parameters that they had."""

NETWORK_IN_NETWORK: list[Spec] = [
    image(224, 3),
    *(part for filters, kernel, stride in ((96, 11, 4), (256, 5, 1), (384, 3, 1))
      for part in (conv(kernel, filters, stride), RELU, conv(1, filters), RELU, conv(1, filters), RELU, pool(3, 2))),
    conv(3, 1024), RELU, conv(1, 1024), RELU, conv(1), RELU, {"type": "global_average_pool"}, SOFTMAX,
]  # fmt: skip

CONVOLUTIONAL: list[Spec] = [image(6, 2), conv(3, 4), RELU, conv(1), RELU, {"type": "global_average_pool"}, SOFTMAX]

RESIDUAL: list[Spec] = [
    image(9, 3),
    {"type": "conv", "kernel": [3, 1], "filters": 8, "padding": [1, 0], "name": "first"},
    {"type": "group_norm", "groups": 4},
    {"type": "leaky_relu", "slope": 0.1},
    {"type": "conv", "kernel": 3, "filters": 8, "padding": 1},
    {"type": "add", "from": "first"},
    {"type": "average_pool", "size": [2, 3], "stride": 2},
    {"type": "maxout", "groups": 2},
    {"type": "tanh"},
    {"type": "fully_connected", "units": 12},
    {"type": "sigmoid"},
    {"type": "fully_connected"},
    {"type": "squared_error"},
]


@pytest.mark.parametrize("name", PRESETS)
def test_the_prototypes_nets_have_the_parameters_they_had(name: str) -> None:
    layers, labels, parameters = PRESETS[name]
    assert plan(layers, labels).size == parameters


def test_network_in_network_has_a_shape() -> None:
    network = plan(NETWORK_IN_NETWORK, 1000)
    assert network.layers[-1].output == (1, 1, 1000)
    assert network.grows


def test_the_papers_net_costs_what_was_measured() -> None:
    layers = [
        image(28),
        {"type": "conv", "kernel": 5, "filters": 16, "padding": 2},
        RELU,
        {"type": "max_pool", "size": 2},
        FC,
        SOFTMAX,
    ]
    network = plan(layers, 10)
    assert network.size == 31_786
    assert network.flops == pytest.approx(1.44e6, rel=0.02)


def test_names_and_offsets_follow_the_layers() -> None:
    network = plan(RESIDUAL, 3)
    assert [tensor.name for tensor in network.tensors][:4] == [
        "first.weights", "first.bias", "group_norm2.weights", "group_norm2.bias",
    ]  # fmt: skip
    assert network.tensors[0].shape == (1, 3, 3, 8)
    stops = [0, *(tensor.stop for tensor in network.tensors)]
    assert [tensor.offset for tensor in network.tensors] == stops[:-1]
    assert network.size == stops[-1]


@pytest.mark.parametrize(
    "layers",
    [*(p[0] for p in PRESETS.values() if p[2] < 10**6), RESIDUAL],
    ids=[*(n for n in PRESETS if n != "imagenet A"), "residual"],
)
def test_the_engine_lays_parameters_out_alike(layers: list[Spec]) -> None:
    theirs = Engine(resources.engine()).network(layers, 7, 1).layout
    mine = plan(layers, 7).tensors
    assert [(block.name, block.shape, block.offset) for block in theirs] == [
        (tensor.name, tensor.shape, tensor.offset) for tensor in mine
    ]


@pytest.mark.parametrize(
    "layers", [PRESETS["simple_mnist"][0], CONVOLUTIONAL, RESIDUAL], ids=["fc", "conv", "after a hidden one"]
)
@given(old=st.integers(1, 6), more=st.integers(0, 5))
def test_growth_moves_every_old_entry_to_its_own_place(layers: list[Spec], old: int, more: int) -> None:
    before, after = plan(layers, old), plan(layers, old + more)
    places = growth(layers, old, old + more)
    assert places.size == before.size
    assert len(set(places.tolist())) == before.size
    for a, b in zip(before.tensors, after.tensors, strict=True):
        part = places[a.offset : a.stop].reshape(a.shape)
        where = np.unravel_index(part - b.offset, b.shape)
        assert all(np.array_equal(w, own) for w, own in zip(where, np.indices(a.shape), strict=True))


def test_a_growing_network_of_no_labels_has_a_shape() -> None:
    assert plan(PRESETS["simple_mnist"][0], 0) == plan(PRESETS["simple_mnist"][0], 1)


def test_a_fixed_network_takes_labels_up_to_its_outputs() -> None:
    network = plan([image(4), {"type": "fully_connected", "units": 3}, SOFTMAX], 0)
    network.require_labels(3)
    with pytest.raises(Refusal, match="3 outputs and cannot learn 4 labels"):
        network.require_labels(4)


def test_normalisation_is_filled_in_once() -> None:
    layers = filled([image(4), FC, SOFTMAX], [0.25], [0.5])
    assert (layers[0]["mean"], layers[0]["std"]) == ([0.25], [0.5])
    assert filled(layers, [0.75], [1.0])[0] == layers[0]


def test_multipliers_spare_biases_and_stop_frozen_layers() -> None:
    layers = [image(4), {**FC, "units": 2, "frozen": True}, {**FC, "learning_rate": 0.5, "l2": 3.0}, SOFTMAX]
    assert multipliers(plan(layers, 2)) == (
        (0, 32, 0.0, 1.0),
        (32, 34, 0.0, 0.0),
        (34, 38, 0.5, 3.0),
        (38, 40, 0.5, 0.0),
    )


WRONG: dict[str, tuple[list[Any], str]] = {
    "empty": ([], "1 to 256 layers"),
    "no object": ([image(4), "conv", SOFTMAX], "layer 1 must be an object"),
    "unknown type": ([image(4), {"type": "transformer"}, SOFTMAX], "layer 1: unknown type 'transformer'"),
    "no input": ([FC, SOFTMAX], "exactly one input layer, the first"),
    "two inputs": ([image(4), image(4), FC, SOFTMAX], "exactly one input layer"),
    "no loss": ([image(4), FC], "last layer must be softmax or squared_error"),
    "loss in the middle": ([image(4), FC, SOFTMAX, SOFTMAX], "only the last layer"),
    "nothing to train": ([image(1), RELU, SOFTMAX], "nothing to train"),
    "kernel too large": (
        [image(4), conv(5, 2), FC, SOFTMAX],
        r"conv1: a kernel of 5 does not fit into 4 \+ 2 × 0 .*4×4×1",
    ),
    "pool too large": ([image(4), pool(5, 1), FC, SOFTMAX], "max_pool1: a size of 5"),
    "padding too large": ([image(9), conv(3, 2, padding=3), FC, SOFTMAX], "padding 3 must be smaller"),
    "no kernel": ([image(4), {"type": "conv", "filters": 2}, FC, SOFTMAX], "conv1: kernel must be a whole number"),
    "fraction": ([image(4), conv(3, 2.5), FC, SOFTMAX], "filters must be a whole number"),  # type: ignore[arg-type]
    "true": ([image(4), {**FC, "units": True}, SOFTMAX], "units must be a whole number"),
    "three sides": (
        [image(4), {"type": "conv", "kernel": [1, 1, 1], "filters": 2}, FC, SOFTMAX],
        "number or .width, height.",
    ),
    "rounding": ([image(4), {**conv(3, 2), "rounding": "up"}, FC, SOFTMAX], "rounding must be"),
    "unknown key": ([image(4), {**FC, "neurons": 5}, SOFTMAX], "a fully_connected layer has no 'neurons'"),
    "name twice": ([image(4), {**RELU, "name": "a"}, {**FC, "name": "a"}, SOFTMAX], "name a is used twice"),
    "name of a wrong type": ([image(4), {**FC, "name": 5}, SOFTMAX], "its name must be a text"),
    "two growing": ([image(4), FC, FC, SOFTMAX], "only one layer may have one output per label"),
    "parameters after growth": ([image(4), FC, {**FC, "units": 3}, SOFTMAX], "cannot follow fully_connected1"),
    "maxout": ([image(4, 3), {"type": "maxout", "groups": 2}, FC, SOFTMAX], "3 channels cannot be divided"),
    "group norm": (
        [image(4, 3), {"type": "group_norm", "groups": 2}, FC, SOFTMAX],
        "3 channels cannot be divided into 2",
    ),
    "add nothing": ([image(4), {"type": "add"}, FC, SOFTMAX], "must name an earlier layer, not None"),
    "add unequal": (
        [image(4), conv(3, 2), {"type": "add", "from": "input0"}, FC, SOFTMAX],
        "4×4×1, which cannot be added to 2×2×2",
    ),
    "dropout of all": ([image(4), {"type": "dropout", "rate": 1}, FC, SOFTMAX], "rate must be below 1"),
    "mean of two": ([{**image(4), "mean": [1, 2]}, FC, SOFTMAX], "mean must be 1 finite numbers"),
    "std of nothing": ([{**image(4), "std": [0.0]}, FC, SOFTMAX], "std must be above 0"),
    "spatial softmax": ([image(4), conv(3), SOFTMAX], "one value per label, but its input is 2×2×1"),
    "too many": ([image(4096), {**FC, "units": 60_000}, FC, SOFTMAX], f"more than {MAX_PARAMETERS:,} parameters"),
    "frozen": ([image(4), {**FC, "frozen": 1}, SOFTMAX], "frozen must be true or false"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_named(name: str) -> None:
    layers, sentence = WRONG[name]
    with pytest.raises(Refusal, match=sentence) as caught:
        plan(layers, 1)
    assert caught.value.status == 422


def test_rate_decay_and_freezing_of_layers_may_change_and_nothing_else() -> None:
    layers = [image(4), {**FC, "units": 3, "name": "first"}, {"type": "relu"}, FC, SOFTMAX]
    changed = tuned(layers, {"first": {"frozen": True}, "fully_connected3": {"learning_rate": 0.5, "l2": 0.0}}, 2)
    assert layers[1] == {**FC, "units": 3, "name": "first"}
    assert changed[1] == {**layers[1], "frozen": True}
    assert changed[3] == {**FC, "learning_rate": 0.5, "l2": 0.0}
    assert tuned(changed, {"first": {"frozen": False}}, 2)[1]["frozen"] is False


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ([], "layers must be an object of layer names"),
        ({"relu2": {"frozen": True}}, "'relu2' is no layer with parameters; those are first, fully_connected3"),
        ({"nothing": {}}, "'nothing' is no layer with parameters"),
        ({"first": {"units": 4}}, "of first may be changed learning_rate, l2, frozen"),
        ({"first": 3}, "of first may be changed"),
        ({"first": {"frozen": "yes"}}, "first: frozen must be true or false"),
        ({"first": {"learning_rate": -1}}, "first: learning_rate must be"),
    ],
)
def test_a_wrong_change_of_a_layer_is_named(changes: Any, sentence: str) -> None:
    layers = [image(4), {**FC, "units": 3, "name": "first"}, {"type": "relu"}, FC, SOFTMAX]
    with pytest.raises(Refusal, match=sentence):
        tuned(layers, changes, 2)
