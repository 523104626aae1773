"""The engine against the float64 oracle and finite differences: every layer, every option, odd sizes."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlitb import resources
from mlitb.engine import Engine, EngineError, EngineNetwork
from tests import oracle

Spec = dict[str, Any]
LABELS = 3


@cache
def engine() -> Engine:
    return Engine(resources.engine())


def vectors(spec: Spec, n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw pixels 0 … 1 and labels."""
    random = np.random.default_rng(seed)
    pixels = random.random((n, spec["height"], spec["width"], spec["channels"]), np.float32)
    return pixels, random.integers(0, LABELS, n)


def parameters(size: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed + 1).normal(0, 0.5, size).astype(np.float32)


def close(found: NDArray[Any], true: NDArray[Any], network: EngineNetwork) -> None:
    """Assert a relative error ≤ 1e-4 in every block (against the largest value of the block)."""
    whole = np.abs(true).max(initial=0)
    for block in network.layout:
        part = slice(block.offset, block.offset + block.size)
        error = np.abs(found[part] - true[part]).max()
        assert error <= 1e-4 * max(np.abs(true[part]).max(), 1e-2 * whole) + 1e-7, (block.name, error)


def check(layers: list[Spec], n: int = 3, seed: int = 0, batch: int = 4) -> EngineNetwork:
    """Compare shapes, outputs, loss and gradient of the engine with the oracle's, and with finite differences."""
    truth = oracle.Network(layers, LABELS)
    network = engine().network(layers, LABELS, batch)
    assert network.shapes == truth.shapes
    assert network.parameter_count == truth.size
    pixels, labels = vectors(layers[0], n, seed)
    vector = parameters(truth.size, seed)
    network.set_parameters(vector)
    truth.set_parameters(vector)
    assert np.allclose(network.probabilities(pixels).ravel(), truth.forward(pixels).ravel(), rtol=1e-4, atol=1e-5)
    keys = np.arange(n) * 7 + 3
    truth.train_with([int(key) for key in keys], seed=5 << 32 | 9, iteration=11)
    loss, gradient = truth.gradient(pixels, labels)
    network.clear()
    found, _ = network.gradient(pixels, labels, keys, seed=5 << 32 | 9, iteration=11)
    assert found == pytest.approx(loss, rel=1e-4, abs=1e-5)
    close(network.gradient_sum(), gradient, network)
    check_slope(truth, vector, pixels, labels, network.gradient_sum())
    return network


def check_slope(truth: oracle.Network, vector: NDArray[Any], pixels: Any, labels: Any, gradient: Any) -> None:
    """Compare the gradient with the slope of the oracle's loss along a random direction of trained parameters."""
    direction = np.random.default_rng(3).normal(size=truth.size) * (truth_mask(truth))
    step = 1e-6
    slope = 0.0
    for sign in (1, -1):
        truth.set_parameters(vector + sign * step * direction)
        slope += sign * truth.loss(pixels, labels) / (2 * step)
    scale = np.abs(gradient * direction).sum() + 1e-3
    assert abs(slope - gradient @ direction) <= 1e-4 * scale


def truth_mask(truth: oracle.Network) -> NDArray[np.float64]:
    parts = [np.full(int(np.prod(s)), not layer.spec.get("frozen")) for layer in truth.layers for s in layer.parameters]
    return np.concatenate(parts).astype(np.float64)


def image(height: int, width: int, channels: int, **more: Any) -> Spec:
    return {"type": "input", "height": height, "width": width, "channels": channels, **more}


HEAD: list[Spec] = [{"type": "fully_connected"}, {"type": "softmax"}]
FIRST: Spec = {"type": "conv", "filters": 4, "kernel": 3, "padding": 1}

# -------------------------------------------------------------------------------------------- networks at random
sides = st.integers(1, 9)
sizes = st.integers(1, 4) | st.tuples(st.integers(1, 5), st.integers(1, 5)).map(list)
strides = st.integers(1, 3) | st.tuples(st.integers(1, 4), st.integers(1, 4)).map(list)
paddings = st.integers(0, 2) | st.tuples(st.integers(0, 3), st.integers(0, 3)).map(list)
windows: dict[str, st.SearchStrategy[Any]] = {
    "stride": strides,
    "padding": paddings,
    "rounding": st.sampled_from(["floor", "round"]),
}
frozen: dict[str, st.SearchStrategy[Any]] = {"frozen": st.booleans()}


def layer(kind: str, required: dict[str, Any] | None = None, **optional: Any) -> st.SearchStrategy[Spec]:
    return st.fixed_dictionaries({"type": st.just(kind), **(required or {})}, optional=optional)


filters = st.sampled_from([1, 2, 3, 4, 5, 6, 8, 11, 12, 16, 20, 21])
conv = layer("conv", {"filters": filters, "kernel": sizes}, **windows, **frozen)
bodies: dict[str, st.SearchStrategy[Spec]] = {
    "conv": conv,
    "max_pool": layer("max_pool", {"size": sizes}, **windows),
    "average_pool": layer("average_pool", {"size": sizes}, **windows),
    "fully_connected": layer("fully_connected", {"units": st.integers(1, 23)}, **frozen),
    "relu": layer("relu"),
    "leaky_relu": layer("leaky_relu", slope=st.floats(0, 1, width=32)),
    "tanh": layer("tanh"),
    "sigmoid": layer("sigmoid"),
    "maxout": layer("maxout", groups=st.integers(1, 4)),
    "dropout": layer("dropout", rate=st.floats(0, 0.9)),
    "group_norm": layer("group_norm", {}, groups=st.integers(1, 4), **frozen),
    "global_average_pool": layer("global_average_pool"),
}
inputs = st.builds(image, sides, sides, st.integers(1, 6), mean=st.just(0.4), std=st.just(0.3))


def fits(layers: list[Spec]) -> bool:
    """Tell whether the layers go together (the engine's refusals are tested elsewhere)."""
    try:
        shapes = oracle.Network([*layers, *HEAD], LABELS).shapes
    except AssertionError:
        return False
    groups = [(spec, shape[2]) for spec, shape in zip(layers[1:], shapes, strict=False)]
    return all(channels % spec.get("groups", 2 if spec["type"] == "maxout" else 1) == 0 for spec, channels in groups)


quick = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


@pytest.mark.parametrize("kind", bodies)
def test_each_layer_agrees_with_the_oracle(kind: str) -> None:
    """Every layer, with every option, behind a convolution (so that its input's gradient counts)."""

    @quick
    @given(inputs, conv, bodies[kind], st.integers(1, 4), st.integers(0, 99))
    def run(first: Spec, before: Spec, body: Spec, n: int, seed: int) -> None:
        layers = [first, before, body]
        assume(fits(layers))
        check([*layers, *HEAD], n, seed)

    run()


@quick
@given(inputs, st.lists(st.one_of(*bodies.values()), min_size=1, max_size=6), st.integers(1, 4), st.integers(0, 99))
def test_networks_at_random_agree_with_the_oracle(first: Spec, body: list[Spec], n: int, seed: int) -> None:
    layers = [first]
    for spec in body:
        if fits([*layers, spec]):
            layers.append(spec)
    check([*layers, *HEAD], n, seed)


@pytest.mark.parametrize("loss", ["softmax", "squared_error"])
def test_losses(loss: str) -> None:
    check([image(5, 4, 2), FIRST, {"type": "tanh"}, {"type": "fully_connected"}, {"type": loss}])


@pytest.mark.parametrize(
    "body",
    [
        [FIRST, {"type": "relu", "name": "a"}, FIRST, {"type": "relu"}, FIRST, {"type": "add", "from": "a"}],
        [{**FIRST, "name": "a"}, {"type": "relu"}, FIRST, {"type": "add", "from": "a"}, {"type": "relu"}],
        [{**FIRST, "name": "a"}, {"type": "add", "from": "a"}, {"type": "add", "from": "a"}],
        [FIRST, {"type": "fully_connected", "units": 5, "name": "a"}, {"type": "relu"},
         {"type": "fully_connected", "units": 5}, {"type": "add", "from": "a"}],
        [{**FIRST, "filters": 2}, {"type": "add", "from": "input0"}],
    ],
)  # fmt: skip
def test_residual_adds(body: list[Spec]) -> None:
    check([image(5, 7, 2), *body, *HEAD])


def test_a_label_layer_may_be_a_convolution() -> None:
    body = [
        FIRST,
        {"type": "relu"},
        {"type": "conv", "kernel": 1},
        {"type": "global_average_pool"},
        {"type": "softmax"},
    ]
    check([image(6, 5, 3), *body])


def test_a_shared_input_with_a_border_reaches_a_fully_connected_layer() -> None:
    body = [FIRST, {"type": "relu", "name": "a"}, FIRST, {"type": "add", "from": "a"}, FIRST, {"type": "relu"}]
    check([image(5, 5, 1), *body, {"type": "max_pool", "size": 2}, *HEAD])


def test_micro_batches_add_up() -> None:
    """Five vectors in batches of 1, 2 and 2 give the gradient of all five."""
    layers = [image(7, 6, 2), FIRST, {"type": "relu"}, {"type": "max_pool", "size": 2}, *HEAD]
    network, truth = engine().network(layers, LABELS, 2), oracle.Network(layers, LABELS)
    pixels, labels = vectors(layers[0], 5, 1)
    vector = parameters(truth.size, 1)
    network.set_parameters(vector)
    truth.set_parameters(vector)
    network.clear()
    losses = [network.gradient(pixels[i:j], labels[i:j])[0] for i, j in ((0, 1), (1, 3), (3, 5))]
    loss, gradient = truth.gradient(pixels, labels)
    assert sum(losses) == pytest.approx(loss, rel=1e-5)
    close(network.gradient_sum(), gradient, network)
    network.clear()
    assert not network.gradient_sum().any()


def test_bytes_are_pixels_of_255() -> None:
    layers = [image(4, 4, 3, mean=[0.1, 0.2, 0.3], std=[0.5, 0.6, 0.7]), FIRST, *HEAD]
    network, truth = engine().network(layers, LABELS), oracle.Network(layers, LABELS)
    vector = parameters(truth.size, 0)
    network.set_parameters(vector)
    truth.set_parameters(vector)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    assert np.allclose(network.probabilities(pixels), truth.forward(pixels)[:, 0, 0], atol=1e-6)


def test_wrong_answers_are_counted() -> None:
    layers = [image(4, 4, 1), *HEAD]
    network = engine().network(layers, LABELS)
    network.set_parameters(parameters(network.parameter_count, 0))
    pixels, labels = vectors(layers[0], 16, 0)
    answers = network.probabilities(pixels).argmax(1)
    assert network.evaluate(pixels, labels)[1] == int((answers != labels).sum())


@pytest.mark.parametrize("rounding", ["floor", "round"])
def test_steps_larger_than_the_window(rounding: str) -> None:
    body = {"type": "conv", "filters": 3, "kernel": [1, 2], "stride": [3, 4], "rounding": rounding}
    check([image(9, 8, 2), FIRST, body, {"type": "relu"}, *HEAD])


def test_dropout_is_off_when_evaluating() -> None:
    layers = [image(4, 4, 1), {"type": "dropout", "rate": 0.9}, *HEAD]
    network, without = engine().network(layers, LABELS), engine().network([layers[0], *HEAD], LABELS)
    vector = parameters(network.parameter_count, 0)
    network.set_parameters(vector)
    without.set_parameters(vector)
    pixels, labels = vectors(layers[0], 3, 0)
    assert network.evaluate(pixels, labels) == without.evaluate(pixels, labels)
    assert (network.probabilities(pixels) == without.probabilities(pixels)).all()
    trained = network.gradient(pixels, labels, keys=[1, 2, 3], seed=1, iteration=1)
    assert trained != network.gradient(pixels, labels, keys=[1, 2, 3], seed=1, iteration=2)
    assert trained == network.gradient(pixels, labels, keys=[1, 2, 3], seed=1, iteration=1)


def test_refusals_name_the_pixel_the_label_and_the_parameter() -> None:
    network = engine().network([image(2, 2, 1), FIRST, *HEAD], LABELS)
    good = parameters(network.parameter_count, 0)
    network.set_parameters(good)
    network.clear()
    pixels, labels = vectors(image(2, 2, 1), 2, 0)
    network.gradient(pixels, labels)
    before = network.gradient_sum()
    bad = good.copy()
    bad[37] = np.inf
    with pytest.raises(EngineError, match=r"parameter 1 is not finite \(in conv1.bias\)"):
        network.set_parameters(bad)
    spoilt = pixels.copy()
    spoilt[1, 0, 1, 0] = np.nan
    with pytest.raises(EngineError, match="pixel 5 is not finite"):
        network.gradient(spoilt, labels)
    with pytest.raises(EngineError, match="label 3 of vector 1 is not one of the 3"):
        network.gradient(pixels, [0, 3])
    with pytest.raises(EngineError, match="parameters"):
        network.set_parameters(good[1:])
    assert (network.gradient_sum() == before).all()
    network.clear()
    network.gradient(pixels, labels)
    assert (network.gradient_sum() == before).all()
