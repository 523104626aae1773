"""A small trained model and pictures for tests: made by the engine alone, in a second."""

import io
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mlitb import resources
from mlitb.datasets import digits_zip
from mlitb.demo import LAYERS
from mlitb.engine import Engine
from mlitb.model import Model, to_json

ENGINE = Engine(resources.engine())
LABELS = tuple("0123456789")


def png(pixels: Any) -> bytes:
    """Encode uint8 (height, width) or (height, width, 3)."""
    out = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(out, format="PNG")
    return out.getvalue()


@cache
def digits() -> tuple[Any, Any]:
    """Return scikit-learn's digits: uint8 (1797, 8, 8, 1) and labels (1797,)."""
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    found = load_digits()
    return np.rint(found.images * (255 / 16)).astype(np.uint8)[..., None], found.target.astype(np.int32)


@cache
def trained() -> Model:
    """Train the demo's network on digits for a moment: it knows most of them."""
    layers = ({**LAYERS[0], "mean": [0.3053], "std": [0.376]}, *LAYERS[1:])
    network = ENGINE.network(layers, len(LABELS))
    parameters = network.initial(7)
    pixels, labels = digits()
    for start in range(0, 1200, 16):
        network.set_parameters(parameters)
        network.clear()
        network.gradient(pixels[start : start + 16], labels[start : start + 16])
        parameters = (parameters - np.float32(0.1 / 16) * network.gradient_sum()).astype(np.float32)
    return Model("digits", layers, LABELS, parameters, 75, "crop", {"period": 1.0}, 7, {"error": 0.1}, ENGINE.sha256)


def text_of(model: Model) -> str:
    """Give a model's file."""
    return to_json(model, ENGINE.network(model.layers, len(model.labels), 1).layout)


def write(path: Path, model: Model) -> Path:
    """Write a model's file."""
    path.write_text(text_of(model), encoding="utf-8")
    return path


def digits_archive(path: Path, more: dict[str, bytes] | None = None) -> Path:
    """Write the digits' zip with some more entries."""
    digits_zip(path)
    with zipfile.ZipFile(path, "a") as file:
        for name, data in (more or {}).items():
            file.writestr(name, data)
    return path
