"""Model files of strangers: how large, whose format; then the network, ready to predict.

Rules of this file:
- A file is refused by its length before a byte of it is read.
- What comes out has passed the engine, too: who holds a Model can make its network.
"""

import json
from pathlib import Path
from typing import Any

from mlitb.core.network import MAX_PARAMETERS
from mlitb.engine import Engine, EngineError, EngineNetwork
from mlitb.model import Model, ModelError, from_document
from mlitb.prototype import from_prototype, is_prototype

MAX_BYTES = MAX_PARAMETERS * 3 * 16 // 3 + (16 << 20)
"""The largest network's parameters and two optimizer slots in base64, and 16 MB of all else: 272 MB."""


def check_length(length: int, name: str) -> None:
    """Raise ModelError when a file is longer than any model is."""
    if length > MAX_BYTES:
        raise ModelError(f"{name} has {length:,} bytes; the largest model file has {MAX_BYTES:,}")


def read(path: Path, engine: Engine) -> tuple[Model, EngineNetwork]:
    """Read a model file and make its network, ready to predict; raise ModelError."""
    try:
        check_length(path.stat().st_size, str(path))
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not a model: it is not text in UTF-8") from error
    return parse(text, engine)


def parse(text: str, engine: Engine) -> tuple[Model, EngineNetwork]:
    """Read a model from JSON text and make its network, ready to predict; raise ModelError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the file is not JSON ({error})") from error
    model = _model(document)
    try:
        network = engine.network(model.layers, len(model.labels))
        network.set_parameters(model.parameters)
    except EngineError as error:
        raise ModelError(f"the network does not fit: {error}") from error
    return model, network


def _model(document: Any) -> Model:
    if not isinstance(document, dict):
        raise ModelError("the file is not an MLitB model: it is not a JSON object")
    return from_prototype(document) if is_prototype(document) else from_document(document)
