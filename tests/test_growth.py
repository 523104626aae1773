"""A network that grows while it trains: what it knew it still knows, bit by bit."""

from typing import Any

import numpy as np

from mlitb import resources
from mlitb.core.optimizer import Hyper
from mlitb.engine import Engine
from mlitb.vectors import Vectors

LAYERS: tuple[dict[str, Any], ...] = (
    {"type": "input", "width": 8, "height": 8, "channels": 1, "mean": [0.5], "std": [0.25]},
    {"type": "conv", "kernel": 3, "padding": 1, "filters": 6},
    {"type": "relu"},
    {"type": "max_pool", "size": 2},
    {"type": "fully_connected", "units": 20},
    {"type": "tanh"},
    {"type": "fully_connected", "name": "logits"},
    {"type": "softmax"},
)


def logits(network: Any, pictures: Any) -> Any:
    return np.concatenate([network.activations("logits", pictures[i : i + 16]).reshape(16, -1) for i in (0, 16, 32)])


def test_the_old_logits_stay_and_the_new_label_learns_without_a_nan() -> None:
    engine, random = Engine(resources.engine()), np.random.default_rng(3)
    pictures = random.integers(0, 256, (48, 8, 8, 1), np.uint8)
    two, three = (engine.network(LAYERS, labels, 16) for labels in (2, 3))
    vectors = Vectors()
    vectors.restore({"parameters": two.initial(7)}, 2)

    def step(network: Any, labels: int) -> None:
        network.set_parameters(vectors.parameters)
        network.clear()
        for start in range(0, 48, 16):
            batch = pictures[start : start + 16]
            wanted = [int(picture.mean() > 127) if i % labels < 2 else 2 for i, picture in enumerate(batch)]
            network.gradient(batch, wanted, list(range(start, start + 16)), 7, 1)
        told: list[tuple[bool, int]] = []
        for work in (
            vectors.add(network.gradient_sum()),
            vectors.step(Hyper(), 48, 0.05, lambda *end: told.append(end)),
        ):
            list(work)
        assert told[0][0], "a value left float32"

    for _ in range(10):
        step(two, 2)
    two.set_parameters(vectors.parameters)
    before = logits(two, pictures)
    old = dict(vectors.state)
    vectors.restore(vectors.grown(LAYERS, three.initial(7), 3), 3)
    three.set_parameters(vectors.parameters)
    after = logits(three, pictures)
    assert np.abs(after[:, :2] - before).max() <= 1e-6 * np.abs(before).max()
    assert np.isfinite(after).all()
    assert vectors.parameters[-1] == 0, "the new label's bias"
    assert vectors.state["step"][0] == old["step"][0] == 10
    assert vectors.state["squares"][-1] == 0
    for _ in range(30):
        step(three, 3)
    three.set_parameters(vectors.parameters)
    found = logits(three, pictures)
    assert np.isfinite(found).all()
    assert (found.argmax(1) == 2).any(), "the new label is learned"
