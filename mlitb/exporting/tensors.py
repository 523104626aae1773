"""safetensors: the parameters by name and shape, and what they mean as metadata."""

import json

import numpy as np
from safetensors.numpy import save

from mlitb.core.network import plan
from mlitb.model import Model


def to_safetensors(model: Model) -> bytes:
    """Write the parameters, one float32 tensor a block; layers, labels and normalisation are in the metadata."""
    network = plan(model.layers, len(model.labels))
    tensors = {
        tensor.name: np.ascontiguousarray(model.parameters[tensor.offset : tensor.stop].reshape(tensor.shape))
        for tensor in network.tensors
    }
    told = {
        "name": model.name, "iteration": model.iteration, "labels": model.labels, "layers": model.layers,
        "resize": model.resize, "engine": model.engine, "seed": model.seed, **model.about,
    }  # fmt: skip
    return save(tensors, {"format": "mlitb", "mlitb": json.dumps(told, ensure_ascii=False)})
