"""What the engine is used for besides gradients: activations, augmentation, local steps; and that nothing leaks."""

import gc
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlitb import resources
from mlitb.engine import Engine, EngineError, EngineNetwork
from tests import oracle

Spec = dict[str, Any]
HEAD: list[Spec] = [{"type": "fully_connected"}, {"type": "softmax"}]
CONV: Spec = {"type": "conv", "filters": 5, "kernel": 3, "padding": 1}
NET: list[Spec] = [
    {"type": "input", "width": 8, "height": 6, "channels": 2}, CONV, {"type": "relu"}, {"type": "max_pool", "size": 2},
    {**CONV, "filters": 7}, {"type": "max_pool", "size": 3, "stride": 2, "rounding": "round"},
    {"type": "fully_connected", "units": 6}, {"type": "relu"}, *HEAD,
]  # fmt: skip


@cache
def engine() -> Engine:
    return Engine(resources.engine())


def ready(layers: list[Spec], labels: int = 3, batch: int = 16) -> EngineNetwork:
    network = engine().network(layers, labels, batch)
    network.set_parameters(network.initial(1))
    network.clear()
    return network


def pixels(n: int = 3, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((n, 6, 8, 2), np.float32)


def test_activations_of_every_layer_even_of_those_computed_together() -> None:
    network, truth = ready(NET), oracle.Network(NET, 3)
    truth.set_parameters(network.initial(1))
    truth.forward(pixels())
    for name, expected in zip(network.names, truth.outputs, strict=True):
        assert np.allclose(network.activations(name, pixels()), expected, atol=1e-5), name
    with pytest.raises(EngineError, match="there is no layer 'conv9'; there are input0, conv1"):
        network.activations("conv9", pixels())


# --------------------------------------------------------------------------------------------------- augmentation
def augmented(key: int, iteration: int = 1, n: int = 1, **options: Any) -> NDArray[np.float32]:
    """See what a training pass reads: one weight for each pixel, whose gradient is the pixel times the output's."""
    layers = [{"type": "input", "width": 7, "height": 5, "channels": 2, **options}, *HEAD]
    network = ready(layers, 2)
    network.gradient(sample(n), [0] * n, [key] * n, seed=3, iteration=iteration)
    gradient = network.gradient_sum()
    return np.asarray(gradient[:70] / gradient[-2]).reshape(5, 7, 2)


def sample(n: int = 1) -> NDArray[np.float32]:
    return np.repeat(np.random.default_rng(5).random((1, 5, 7, 2), np.float32), n, 0)


def test_shift_moves_by_whole_pixels_and_fills_with_the_mean() -> None:
    seen = set()
    for key in range(40):
        found = augmented(key, shift=[2, 1])
        options = {(dy, dx): moved(dy, dx) for dy in (-1, 0, 1) for dx in (-2, -1, 0, 1, 2)}
        matches = [move for move, expected in options.items() if np.allclose(found, expected, atol=1e-5)]
        assert len(matches) == 1
        seen.update(matches)
    assert len(seen) > 10


def moved(dy: int, dx: int) -> NDArray[np.float32]:
    padded = np.pad(sample()[0], ((1, 1), (2, 2), (0, 0)))
    return padded[1 + dy : 6 + dy, 2 + dx : 9 + dx]


def test_flip_mirrors_about_half() -> None:
    plain, mirrored = sample()[0], sample()[0][:, ::-1]
    flips = [np.allclose(augmented(key, flip=True), mirrored, atol=1e-5) for key in range(60)]
    assert all(np.allclose(augmented(k, flip=True), plain, atol=1e-5) for k, f in enumerate(flips) if not f)
    assert 15 < sum(flips) < 45


def test_crop_reads_a_window_inside() -> None:
    found = augmented(1, crop=0.5)
    assert not np.allclose(found, sample()[0], atol=1e-3)
    assert sample().min() - 1e-5 <= found.min()
    assert found.max() <= sample().max() + 1e-5


def test_augmentation_is_keyed_and_only_for_training() -> None:
    options: dict[str, Any] = {"shift": 2, "flip": True, "crop": 0.7}
    assert (augmented(4, **options) == augmented(4, **options)).all()
    assert (augmented(4, **options) != augmented(5, **options)).any()
    assert (augmented(4, **options) != augmented(4, iteration=2, **options)).any()
    plain = [{"type": "input", "width": 7, "height": 5, "channels": 2}, *HEAD]
    with_options = ready([{**plain[0], **options}, *HEAD], 2)
    assert with_options.evaluate(sample(), [0]) == ready(plain, 2).evaluate(sample(), [0])


# ---------------------------------------------------------------------------------------------------- local steps
def test_local_steps_are_sgd_with_momentum() -> None:
    layers = [*NET[:-2], {"type": "fully_connected", "learning_rate": 0.5, "l2": 2}, {"type": "softmax"}]
    layers[1] = {**CONV, "frozen": True}
    network, twin = ready(layers), ready(layers)
    start = p = network.initial(1).astype(np.float64)
    network.begin_local()
    velocity = np.zeros_like(p)
    rate, decay = multipliers(network)
    for step in range(3):
        network.gradient(pixels(seed=step), [0, 1, 2])
        network.local_step(3, learning_rate=0.1, momentum=0.8, l2=0.01)
        twin.set_parameters(p)
        twin.clear()
        twin.gradient(pixels(seed=step), [0, 1, 2])
        velocity = 0.8 * velocity + twin.gradient_sum() / 3 + 0.01 * decay * p
        p = p - 0.1 * rate * velocity
    assert np.allclose(network.local_difference(), p - start, rtol=1e-3, atol=1e-6)
    assert not network.local_difference()[: 3 * 3 * 2 * 5].any()
    assert not network.gradient_sum().any()


def multipliers(network: EngineNetwork) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rate, decay = np.zeros(network.parameter_count), np.zeros(network.parameter_count)
    for block in network.layout:
        part = slice(block.offset, block.offset + block.size)
        rate[part] = 0 if block.frozen else block.learning_rate_multiplier
        decay[part] = block.l2_multiplier if block.name.endswith("weights") else 0
    return rate, decay


def test_local_steps_that_run_away_are_reported() -> None:
    network = ready(NET)
    network.begin_local()
    network.gradient(pixels(), [0, 1, 2])
    with pytest.raises(EngineError, match=r"after a local step, parameter .* is not finite"):
        network.local_step(3, learning_rate=3e38, momentum=0.0, l2=3e38)
    with pytest.raises(EngineError, match="needs at least one vector"):
        network.local_step(0, 0.1)


def test_a_loss_that_is_not_finite_is_reported_and_adds_nothing() -> None:
    network = ready(NET)
    network.set_parameters(np.full(network.parameter_count, 3e30, np.float32))
    with pytest.raises(EngineError, match="the loss is not finite"):
        network.gradient(pixels(), [0, 1, 2])
    assert not network.gradient_sum().any()


# --------------------------------------------------------------------------------------------------------- memory
PAGE = 65536


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc for the memory of the process")
def test_ten_thousand_batches_and_a_hundred_networks_do_not_leak() -> None:
    network = ready(NET, batch=2)
    images = pixels(2)
    for _ in range(100):
        network.gradient(images, [0, 1])
    before = resident_mb()
    for _ in range(10_000):
        network.gradient(images, [0, 1])
    assert resident_mb() - before < 5
    assert network.memory_bytes == -(-network.bytes // PAGE) * PAGE  # what the plan said, in whole pages
    for _ in range(20):
        ready(NET).gradient(pixels(), [0, 1, 2])
    gc.collect()
    before = resident_mb()
    for _ in range(100):
        ready(NET).gradient(pixels(), [0, 1, 2])
    gc.collect()
    assert resident_mb() - before < 20
