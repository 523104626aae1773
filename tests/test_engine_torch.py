"""The three nets of the benchmark against PyTorch, where it is installed."""

from typing import Any

import numpy as np
import pytest

from benchmarks.engine import NETS
from mlitb import resources
from mlitb.engine import Engine, EngineNetwork

torch = pytest.importorskip("torch", reason="PyTorch is an optional outside oracle: `pip install torch`")


def build(layers: list[dict[str, Any]], network: EngineNetwork, vector: Any) -> tuple[Any, list[Any]]:
    """Return a function from pixels to logits, and the parameters in the engine's order, in float64."""
    blocks = [
        torch.tensor(vector[b.offset : b.offset + b.size].reshape(b.shape), dtype=torch.float64) for b in network.layout
    ]
    parameters = [block.requires_grad_() for block in blocks]

    def forward(x: Any) -> Any:
        rest = iter(parameters)
        for spec in layers[1:-1]:
            if spec["type"] == "conv":
                weights = next(rest).permute(3, 2, 0, 1)
                x = torch.nn.functional.conv2d(x, weights, next(rest), padding=spec["padding"])
            elif spec["type"] == "relu":
                x = torch.relu(x)
            elif spec["type"] == "max_pool":
                x = torch.nn.functional.max_pool2d(x, spec["size"])
            else:
                flat = x.permute(0, 2, 3, 1).flatten(1) if x.dim() == 4 else x
                x = torch.nn.functional.linear(flat, next(rest), next(rest))
        return x

    return forward, parameters


@pytest.mark.parametrize("name", NETS)
def test_forward_and_gradient_agree_with_pytorch(name: str) -> None:
    layers, labels, n = NETS[name], 10, 4
    network = Engine(resources.engine()).network(layers, labels, n)
    vector = network.initial(3)
    network.set_parameters(vector)
    pixels = np.random.default_rng(1).random((n, *network.shapes[0]), np.float32)
    answers = np.arange(n)
    forward, parameters = build(layers, network, vector)
    logits = forward(torch.tensor(pixels, dtype=torch.float64).permute(0, 3, 1, 2))
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(answers), reduction="sum")
    loss.backward()
    network.clear()
    found, _ = network.gradient(pixels, answers)
    assert found == pytest.approx(loss.item(), rel=1e-4)
    assert np.allclose(network.probabilities(pixels), torch.softmax(logits, 1).detach().numpy(), rtol=1e-4, atol=1e-6)
    gradient = network.gradient_sum()
    for block, parameter in zip(network.layout, parameters, strict=True):
        true = parameter.grad.numpy().ravel()
        part = gradient[block.offset : block.offset + block.size]
        assert np.abs(part - true).max() <= 1e-4 * np.abs(true).max(), block.name
