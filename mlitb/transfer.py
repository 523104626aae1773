"""Transfer learning: a trained network without its last layer, ready for other labels.

Rules of this file:
- Pure: a Model in, layers and blocks of parameters out. What cannot be done is a ModelError that names the layer.
- The last layer with weights begins anew and has one output per label of the new data; all before it is kept.
- A frozen layer's parameters never change (its rate is 0); the input's normalisation stays the model's.
"""

from collections.abc import Sequence
from typing import Any

from mlitb.core.network import Network
from mlitb.model import Model, ModelError, Vector, planned

LAST = {"fully_connected": "units", "conv": "filters"}
"""What a last layer may be, and the key that its size has."""

Layers = tuple[dict[str, Any], ...]


def transferred(model: Model, freeze: Sequence[str]) -> tuple[Layers, dict[str, Vector]]:
    """Return the new network's layers and the blocks that it begins with, by name; raise ModelError."""
    network = planned(model.layers, model.labels)
    last = last_layer(network)
    _check_freeze(network, last, freeze)
    layers = []
    for layer in network.layers:
        spec = {key: value for key, value in layer.spec.items() if key != "frozen"}
        if layer.index == last:
            spec.pop(LAST[layer.type], None)
        if layer.name in freeze:
            spec["frozen"] = True
        layers.append(spec)
    planned(layers, ["one"])  # nothing behind the last layer may have a size of its own
    kept = [tensor for layer in network.layers[:last] for tensor in layer.tensors]
    base = {tensor.name: model.parameters[tensor.offset : tensor.stop].reshape(tensor.shape) for tensor in kept}
    return tuple(layers), base


def freezable_layers(model: Model) -> list[str]:
    """Name the layers that a transfer may freeze; raise ModelError when there can be no transfer."""
    transferred(model, [])
    network = planned(model.layers, model.labels)
    return [layer.name for layer in network.layers[: last_layer(network)] if layer.tensors]


def last_layer(network: Network) -> int:
    """Return the index of the layer that is dropped; raise ModelError when there is none that can be."""
    layer = [layer for layer in network.layers if layer.tensors][-1]
    if layer.type not in LAST:
        raise ModelError(f"{layer.name}: a {layer.type} is the last layer with parameters, which cannot begin anew")
    return layer.index


def _check_freeze(network: Network, last: int, freeze: Sequence[str]) -> None:
    known = {layer.name: layer for layer in network.layers}
    for name in freeze:
        if name not in known:
            raise ModelError(f"there is no layer {name!r} to freeze; there are {', '.join(known)}")
        if not known[name].tensors:
            raise ModelError(f"{name} has no parameters: there is nothing to freeze")
        if known[name].index == last:
            raise ModelError(f"{name} is the last layer, which begins anew: it cannot be frozen")
