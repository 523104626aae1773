"""A model in other forms: ONNX, safetensors, a model card, a page that needs no server.

Rules of this package:
- One module a form, each a function from a Model to bytes; nothing here asks a project or a disk.
- What needs a package that may be missing says so in a sentence (ExportFailed).
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from mlitb.exporting.card import to_card
from mlitb.exporting.errors import ExportFailed
from mlitb.exporting.page import to_page
from mlitb.exporting.tensors import to_safetensors
from mlitb.model import Model


@dataclass(frozen=True, slots=True)
class Form:
    """One form that a model can be given in."""

    name: str  # for people
    suffix: str
    media_type: str
    write: Callable[[Model], bytes]
    needs: str = ""  # a package

    @property
    def available(self) -> bool:
        """Tell whether it can be written here."""
        return not self.needs or find_spec(self.needs) is not None


def _to_onnx(model: Model) -> bytes:
    if not FORMS["onnx"].available:
        raise ExportFailed("ONNX needs the package onnx, which is not installed: pip install 'mlitb[onnx]'")
    from mlitb.exporting.graph import to_onnx

    return to_onnx(model)


FORMS: dict[str, Form] = {
    "onnx": Form("ONNX", ".onnx", "application/octet-stream", _to_onnx, "onnx"),
    "safetensors": Form("safetensors", ".safetensors", "application/octet-stream", to_safetensors),
    "card": Form("Model card", ".md", "text/markdown; charset=utf-8", to_card),
    "html": Form("HTML page", ".html", "text/html; charset=utf-8", to_page),
}

__all__ = ["FORMS", "ExportFailed", "Form"]
