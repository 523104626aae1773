"""The engine reads specs: layout, refusals with a sentence, initial values, the presets of 2015."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlitb import resources
from mlitb.core.network import plan
from mlitb.engine import Engine, EngineError, EngineNetwork

Spec = dict[str, Any]
HEAD: list[Spec] = [{"type": "fully_connected"}, {"type": "softmax"}]


@cache
def engine() -> Engine:
    return Engine(resources.engine())


def image(side: int, channels: int) -> Spec:
    return {"type": "input", "width": side, "height": side, "channels": channels}


def conv(kernel: int, filters: int, stride: int = 1) -> list[Spec]:
    return [
        {"type": "conv", "kernel": kernel, "filters": filters, "stride": stride, "rounding": "round"},
        {"type": "relu"},
    ]


def pool(size: int, stride: int, kind: str = "max_pool") -> Spec:
    return {"type": kind, "size": size, "stride": stride, "rounding": "round"}


def stack(kernel: int, stride: int, filters: int) -> list[Spec]:
    return [*conv(kernel, filters, stride), *conv(1, filters), *conv(1, filters)]


NETWORK_IN_NETWORK = [
    image(224, 3), *stack(11, 4, 96), pool(3, 2), *stack(5, 1, 256), pool(3, 2), *stack(3, 1, 384), pool(3, 2),
    *stack(3, 1, 1024)[:4], {"type": "conv", "kernel": 1}, {"type": "relu"},
    {"type": "global_average_pool"}, {"type": "softmax"},
]  # fmt: skip

PRESETS: dict[str, tuple[list[Spec], int, int | None]] = {
    "simple_mnist": ([image(28, 1), *conv(5, 16), pool(3, 3), *HEAD], 10, 10_666),
    "elaborate_mnist": ([image(28, 1), *conv(5, 8), pool(2, 2), *conv(5, 16), pool(3, 3), *HEAD], 10, 4_874),
    "cifar10": ([image(32, 3), *conv(5, 12), pool(3, 2), *conv(5, 24), pool(4, 4), *HEAD], 10, 10_306),
    "cifar100 A": ([image(32, 3), *conv(6, 24, 3), pool(3, 1), *conv(4, 48, 2), pool(2, 1), *HEAD], 100, 40_396),
    "cifar100 B": ([image(32, 3), *conv(5, 24, 2), pool(3, 1), *conv(3, 64, 2), pool(2, 1), *HEAD], 100, 175_812),
    "cifar100 C": (
        [image(32, 3), *conv(5, 24, 2), pool(3, 1), *conv(3, 64, 2), pool(2, 1), *conv(2, 128), pool(2, 1), *HEAD],
        100, 163_908,
    ),
    "imagenet A": ([image(224, 3), *conv(11, 24, 4), pool(3, 2), *conv(4, 48, 2), pool(3, 2), *HEAD], 1000, 1_756_216),
    "network in network": (NETWORK_IN_NETWORK, 1000, None),
}  # fmt: skip
"""The prototype's presets: layers, labels, parameters (none is given for the last one)."""


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_of_2015_trains_a_step(name: str, dropout: bool) -> None:
    layers, labels, count = PRESETS[name]
    if dropout:
        layers = [*layers[:-2], {"type": "dropout", "rate": 0.5}, *layers[-2:]]
    network = engine().network(layers, labels, batch=2)
    assert count in (None, network.parameter_count)
    network.set_parameters(network.initial(1))
    shape = network.shapes[0]
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    before, _ = network.evaluate(pixels, [3, 7])
    network.gradient(pixels, [3, 7], [1, 2], seed=1, iteration=1)
    gradient = network.gradient_sum()
    assert np.isfinite(gradient).all()
    step = 1e-3 / max(1.0, float(np.linalg.norm(gradient))) ** 2
    network.set_parameters(network.initial(1) - np.float32(step) * gradient)
    if not dropout:
        assert network.evaluate(pixels, [3, 7])[0] < before


EVERY_LAYER: list[Spec] = [
    {"type": "input", "width": 9, "height": 7, "channels": 3, "mean": [0.1, 0.2, 0.3], "std": [1, 2, 3]},
    {"type": "conv", "filters": 6, "kernel": [3, 2], "stride": [1, 2], "padding": [1, 0], "learning_rate": 0.5},
    {"type": "leaky_relu", "slope": 0.2, "name": 'höhle "1"'},
    {"type": "conv", "filters": 6, "kernel": 1, "frozen": True, "l2": 0},
    {"type": "add", "from": 'höhle "1"'},
    {"type": "group_norm", "groups": 2},
    {"type": "max_pool", "size": 2, "rounding": "round"},
    {"type": "average_pool", "size": 2, "stride": 1},
    {"type": "dropout"},
    {"type": "fully_connected", "units": 8},
    {"type": "maxout", "groups": 4},
    {"type": "tanh"},
    {"type": "sigmoid"},
    *HEAD,
]


def test_the_layout_is_the_core_s() -> None:
    """The engine and core/network.py agree on names, shapes, offsets and outputs."""
    for layers, labels, _ in [*PRESETS.values(), (EVERY_LAYER, 4, None)]:
        network, planned = engine().network(layers, labels, batch=1), plan(layers, labels)
        assert [(b.name, b.shape, b.offset) for b in network.layout] == [
            (t.name, t.shape, t.offset) for t in planned.tensors
        ]
        outputs = [(height, width, channels) for width, height, channels in (layer.output for layer in planned.layers)]
        assert network.shapes == outputs
        assert network.names == [layer.name for layer in planned.layers]


def test_multipliers_and_frozen_layers_are_reported() -> None:
    blocks = {block.name: block for block in engine().network(EVERY_LAYER, 4).layout}
    assert blocks["conv1.weights"].learning_rate_multiplier == 0.5
    assert blocks["conv3.weights"].frozen
    assert blocks["conv3.bias"].l2_multiplier == 0
    assert not blocks["conv1.bias"].frozen


def refusal(layers: Any, labels: int = 3, batch: int = 4) -> str:
    with pytest.raises(EngineError) as refused:
        engine().network(layers, labels, batch)
    return str(refused.value)


WINDOW = "with padding 0×0 does not fit its input of 4×4 (width×height)"
HUGE: Spec = {"type": "fully_connected", "units": 1 << 20}
ONE: Spec = {"type": "conv", "filters": 1, "kernel": 1}
REFUSED: list[tuple[list[Spec], str]] = [
    ([{"type": "conv", "filters": 2, "kernel": 5}], f"conv1: a window of 5×5 {WINDOW}"),
    ([{"type": "max_pool", "size": [2, 5]}], f"max_pool1: a window of 2×5 {WINDOW}"),
    ([{"type": "conv", "filters": 2}], "conv1: needs kernel"),
    ([{**ONE, "filters": 2.5}], "conv1: filters must be a whole number, not 2.5"),
    ([{**ONE, "filters": 0}], "conv1: filters must be a number from 1 to 65536, not 0"),
    ([{**ONE, "stride": 0}], "conv1: stride must be a number from 1 to 4096, not 0"),
    ([{**ONE, "padding": 1}], "conv1: padding must be smaller than the window"),
    ([{**ONE, "rounding": "up"}], "conv1: rounding must be floor or round"),
    ([{"type": "conv", "filters": 1, "kernal": 1}], "conv1: needs kernel"),
    ([{"type": "relu", "slope": 1}], "relu1: there is no option slope"),
    ([{"type": "relu", "name": "input0"}], "two layers are named input0"),
    ([{"type": "deconv"}], "layer 1: there is no layer type deconv"),
    ([{"kind": "conv"}], "layer 1 has no type"),
    ([{"type": "maxout", "groups": 2}], "maxout1: 3 channels cannot be divided into groups of 2"),
    ([{"type": "group_norm", "groups": 2}], "group_norm1: 3 channels cannot be divided into 2 groups"),
    ([{"type": "add", "from": "x"}], 'add1: "from" must name an earlier layer, not "x"'),
    (
        [{"type": "max_pool", "size": 2}, {"type": "add", "from": "input0"}],
        "add2: input0 puts out 4×4×3, which cannot be added to 2×2×3",
    ),
    ([{"type": "dropout", "rate": 1}], "dropout1: rate must be a number from 0 to 0.999999, not 1"),
    ([image(1, 1)], "input1: the first layer, and no other, is an input"),
    (
        [{"type": "softmax"}],
        "softmax1: needs one output for each of the 3 labels and gets 4×4×3; "
        "end with a fully_connected or a global_average_pool",
    ),
    (
        [{"type": "fully_connected"}, {"type": "relu"}],
        "fully_connected3: nothing after fully_connected1, which has one output per label, may have parameters",
    ),
    (
        [HUGE, HUGE],
        "fully_connected2: a block of 1048576×1048576×1×1 parameters is too large (at most 268435456)",
    ),
]


@pytest.mark.parametrize(("body", "sentence"), REFUSED)
def test_refusals_name_the_layer_and_the_sizes(body: list[Spec], sentence: str) -> None:
    assert refusal([image(4, 3), *body, *HEAD]) == sentence


def test_refusals_of_whole_specs() -> None:
    assert refusal([]) == "a network is a list of two or more layers"
    assert refusal([image(2, 1), {"type": "fully_connected"}]) == "the last layer must be softmax or squared_error"
    assert refusal([image(2, 1), *HEAD], labels=-1) == "a network cannot have -1 labels"
    assert refusal([image(2, 1), *HEAD], batch=0) == "the batch must be from 1 to 256"
    assert refusal([*HEAD, *HEAD]) == "fully_connected0: the first layer, and no other, is an input"
    assert refusal([image(2, 1), *HEAD, {"type": "relu"}]) == "softmax2: a loss is the last layer"
    assert (
        refusal([{"type": "input", "width": 2, "height": 2, "channels": 2, "std": [1, 0]}, *HEAD])
        == "input0: std must be above 0"
    )
    few = [image(2, 1), {"type": "fully_connected", "units": 2}, {"type": "softmax"}]
    assert refusal(few).startswith("softmax2: needs one output for each of the 3 labels")
    assert refusal([image(2, 1)] * 300) == "a network has at most 256 layers"


def test_a_network_that_does_not_fit_is_refused_with_numbers() -> None:
    sentence = refusal([image(1024, 3), {"type": "conv", "filters": 64, "kernel": 3, "padding": 1}, *HEAD], batch=64)
    assert "for batches of 64 vectors; the limit is 2048 MB" in sentence
    small = engine().network([image(8, 1), *HEAD], 3, batch=1)
    large = engine().network([image(8, 1), *HEAD], 3, batch=64)
    assert 8 * 8 * 4 * 63 < large.bytes - small.bytes < 3 * 8 * 8 * 4 * 63 + 65536


# ------------------------------------------------------------------------------------------------- initial values
def block(network: EngineNetwork, name: str, seed: int = 1) -> Any:
    found = next(b for b in network.layout if b.name == name)
    return network.initial(seed)[found.offset : found.offset + found.size].reshape(found.shape)


HE, XAVIER = 6 / 75, 6 / (75 + 800)
FOLLOWERS = {"relu": HE, "leaky_relu": HE, "maxout": HE, "tanh": XAVIER, "sigmoid": XAVIER, "average_pool": XAVIER}


@pytest.mark.parametrize(("follower", "bound"), FOLLOWERS.items())
def test_initial_values_follow_he_or_xavier(follower: str, bound: float) -> None:
    """He for rectifiers, also behind a pool and a norm; Xavier for all else."""
    between: list[Spec] = [{"type": "group_norm"}, {"type": "max_pool", "size": 2}]
    last: Spec = {"type": follower, **({"size": 2} if follower == "average_pool" else {})}
    network = engine().network([image(9, 3), {"type": "conv", "filters": 32, "kernel": 5}, *between, last, *HEAD], 3)
    weights = block(network, "conv1.weights")
    assert np.abs(weights).max() <= np.sqrt(bound)
    assert weights.std() == pytest.approx(np.sqrt(bound / 3), rel=0.05)
    assert abs(weights.mean()) < 0.05 * np.sqrt(bound)
    assert not block(network, "conv1.bias").any()
    assert (block(network, "group_norm2.weights") == 1).all()


def test_initial_values_depend_on_the_seed_alone() -> None:
    layers = [image(4, 1), {"type": "conv", "filters": 4, "kernel": 3}, {"type": "relu"}, *HEAD]
    first, second = engine().network(layers, 3), engine().network(layers, 3, batch=1)
    assert (first.initial(7) == second.initial(7)).all()
    assert (first.initial(7) != first.initial(8)).any()
    assert (first.initial(7) != first.initial(7 + (1 << 40))).any()
    network = engine().network(layers, 3)
    before = network.initial(1)
    network.set_parameters(before)
    pixels = np.zeros((1, 4, 4, 1), np.uint8)
    said = network.probabilities(pixels)
    network.initial(2)
    assert (network.probabilities(pixels) == said).all()


@pytest.mark.parametrize("last", [[{"type": "fully_connected"}], [{"type": "conv", "kernel": 2}]])
def test_a_label_that_is_added_gets_the_values_it_would_have_been_born_with(last: list[Spec]) -> None:
    layers = [image(2, 5), {"type": "conv", "filters": 4, "kernel": 1}, {"type": "tanh"}, *last, {"type": "softmax"}]
    name = f"{last[0]['type']}3.weights"
    few, many = (engine().network(layers, n) for n in (2, 9))
    old, new = block(few, name), block(many, name)
    assert (old == (new[:2] if last[0]["type"] == "fully_connected" else new[..., :2])).all()
    assert (block(few, "conv1.weights") == block(many, "conv1.weights")).all()


# ------------------------------------------------------------------------------------------------ a stranger's spec
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
OPTIONS = [
    "filters",
    "kernel",
    "stride",
    "padding",
    "size",
    "units",
    "groups",
    "rate",
    "from",
    "mean",
    "std",
    "name",
    "l2",
]
TYPES = [
    "conv",
    "max_pool",
    "average_pool",
    "fully_connected",
    "relu",
    "maxout",
    "dropout",
    "group_norm",
    "add",
    "softmax",
]
values = st.integers(-1, 5) | st.integers() | anything
layers = st.fixed_dictionaries({"type": st.sampled_from(TYPES)}, optional=dict.fromkeys(OPTIONS, values))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(layers | anything, max_size=3), st.integers(-1, 4))
def test_any_spec_is_computed_or_refused_with_a_sentence(body: list[Any], labels: int) -> None:
    try:
        network = engine().network([image(5, 3), *body, *HEAD], labels, batch=2)
    except EngineError as refused:
        said = str(refused)
    else:
        network.set_parameters(network.initial(1))
        said = str(network.gradient(np.zeros((2, 5, 5, 3), np.uint8), [0, 0]))
    assert len(said) > 5
