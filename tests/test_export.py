"""Other forms of a model: ONNX computes what the engine does, safetensors and card say what the model is."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors import safe_open

from mlitb.cli import main
from mlitb.core.network import TYPES, plan
from mlitb.exporting import FORMS
from mlitb.exporting.page import to_page
from mlitb.model import Model
from tests import models
from tests.models import ENGINE

Spec = dict[str, Any]
LABELS = ("cat", "dog", "Vögel")
MAX_PAGE_BYTES = 200_000
"""Beside the parameters."""


def image(width: int, height: int, channels: int, **more: Any) -> Spec:
    return {"type": "input", "width": width, "height": height, "channels": channels, **more}


NORMED = image(9, 7, 3, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.25])
HEAD: list[Spec] = [{"type": "fully_connected"}, {"type": "softmax"}]
CONV: Spec = {"type": "conv", "filters": 6, "kernel": 3, "padding": 1, "name": "first"}
NETS: dict[str, list[Spec]] = {
    "fully connected": [image(4, 5, 1), {"type": "fully_connected", "units": 7}, {"type": "tanh"}, *HEAD],
    "conv": [NORMED, {"type": "conv", "filters": 5, "kernel": [2, 4], "stride": [2, 1], "padding": [1, 2]}, *HEAD],
    "conv over the edge": [
        NORMED, {"type": "conv", "filters": 4, "kernel": 2, "stride": 3, "rounding": "round"}, *HEAD
    ],
    "max pool": [NORMED, CONV, {"type": "max_pool", "size": [2, 3], "stride": [2, 1]}, *HEAD],
    "max pool with padding": [NORMED, CONV, {"type": "max_pool", "size": 3, "stride": 2, "padding": 1}, *HEAD],
    "max pool over the edge": [
        NORMED, CONV, {"type": "max_pool", "size": 2, "stride": 4, "rounding": "round"}, *HEAD
    ],
    "max pool beside the edge": [
        image(9, 9, 1), CONV, {"type": "max_pool", "size": 1, "stride": 5, "rounding": "round"}, *HEAD
    ],
    "average pool": [NORMED, CONV, {"type": "average_pool", "size": 2}, *HEAD],
    "average pool with padding": [
        NORMED, CONV, {"type": "average_pool", "size": 3, "stride": 2, "padding": [2, 1]}, *HEAD
    ],
    "average pool over the edge": [
        NORMED, CONV, {"type": "average_pool", "size": [2, 3], "stride": 4, "rounding": "round"}, *HEAD
    ],
    "activations": [
        NORMED, CONV, {"type": "relu"}, {"type": "conv", "filters": 3, "kernel": 1},
        {"type": "leaky_relu", "slope": 0.2},
        {"type": "sigmoid"}, {"type": "dropout", "rate": 0.4}, *HEAD,
    ],
    "leaky by default": [NORMED, CONV, {"type": "leaky_relu"}, *HEAD],
    "maxout": [NORMED, CONV, {"type": "maxout", "groups": 3}, *HEAD],
    "group norm": [NORMED, CONV, {"type": "group_norm", "groups": 2}, {"type": "relu"}, *HEAD],
    "group norm of all": [NORMED, CONV, {"type": "group_norm"}, *HEAD],
    "residual": [
        NORMED, CONV, {"type": "relu"}, {"type": "conv", "filters": 6, "kernel": 3, "padding": 1},
        {"type": "add", "from": "first"}, {"type": "global_average_pool"}, *HEAD,
    ],
    "convolutions to the end": [
        NORMED, {"type": "conv", "kernel": 3}, {"type": "global_average_pool"}, {"type": "softmax"}
    ],
    "squared error": [NORMED, CONV, {"type": "fully_connected"}, {"type": "squared_error"}],
    "outputs to spare": [NORMED, {"type": "fully_connected", "units": 5}, {"type": "softmax"}],
}  # fmt: skip


def model_of(layers: list[Spec]) -> Model:
    size = plan(layers, len(LABELS)).size
    vector = np.random.default_rng(size).normal(0, 0.2, size).astype(np.float32)
    return Model("a model", tuple(layers), LABELS, vector, 7, engine=ENGINE.sha256)


def engines_answers(model: Model, pixels: Any) -> Any:
    network = ENGINE.network(model.layers, len(model.labels), len(pixels))
    network.set_parameters(model.parameters)
    return network.probabilities(pixels)


def runtimes_answers(data: bytes, pixels: Any) -> Any:
    runtime = pytest.importorskip("onnxruntime", reason="it computes the exported graph")
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"pixels": pixels})
    return found


@pytest.mark.parametrize("name", NETS)
def test_onnx_gives_what_the_engine_gives(name: str) -> None:
    model = model_of(NETS[name])
    width, height, channels = plan(model.layers, len(LABELS)).input
    pixels = np.random.default_rng(1).integers(0, 256, (5, height, width, channels)).astype(np.uint8)
    want = engines_answers(model, pixels)
    assert want.std(0).max() > 1e-3, "the pictures are told apart by more than is allowed below"
    found = runtimes_answers(FORMS["onnx"].write(model), pixels)
    assert found.shape == want.shape
    np.testing.assert_allclose(found, want, atol=1e-4, rtol=1e-4)


def test_every_layer_type_was_exported() -> None:
    assert {layer["type"] for layers in NETS.values() for layer in layers} == set(TYPES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the trained digits in all forms at once, from the command line."""
    place = tmp_path_factory.mktemp("export")
    about = {"description": "Digits, | 8 × 8.\n\nFrom *UCI*.", "author": "A. <b>N.</b>", "licence": "CC-BY-4.0"}
    data = ({"dataset": "d1", "cut": "c1", "vectors": 1437, "manifest": "0" * 64},)
    figures = {"error": 0.125, "loss": 0.5}
    models.write(place / "m.json", replace(models.trained(), about=about, data=data, figures=figures))
    forms = [part for form in FORMS for part in (f"--{form}", str(place / f"out{FORMS[form].suffix}"))]
    done = CliRunner().invoke(main, ["export", str(place / "m.json"), *forms])
    assert done.exit_code == 0, done.output
    assert done.output.count("bytes") == len(FORMS)
    return place


def test_the_digits_in_onnx_are_named_and_told_apart(folder: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="it reads what was written")
    pixels, _ = models.digits()
    data = (folder / "out.onnx").read_bytes()
    np.testing.assert_allclose(
        runtimes_answers(data, pixels[:64]), engines_answers(models.trained(), pixels[:64]), atol=1e-4, rtol=0
    )
    told = {entry.key: entry.value for entry in onnx.load_from_string(data).metadata_props}
    assert json.loads(told["labels"]) == list(models.LABELS)
    assert told["licence"] == "CC-BY-4.0"


def test_safetensors_hold_each_block_and_what_it_means(folder: Path) -> None:
    model = models.trained()
    with safe_open(folder / "out.safetensors", "np") as file:
        for tensor in plan(model.layers, 10).tensors:
            values = file.get_tensor(tensor.name)
            assert values.shape == tensor.shape
            assert values.tobytes() == model.parameters[tensor.offset : tensor.stop].tobytes()
        told = json.loads(file.metadata()["mlitb"])
    assert told["labels"] == list(models.LABELS)
    assert told["layers"] == list(model.layers)
    assert told["author"] == "A. <b>N.</b>"


def test_the_card_says_what_is_known_and_what_is_not(folder: Path) -> None:
    card = (folder / "out.md").read_text()
    assert card.startswith("# digits\n\nDigits, \\| 8 × 8.\n\nFrom \\*UCI\\*.\n")
    assert "| Author | A. \\<b\\>N.\\</b\\> |" in card
    assert "| Input | 8 × 8 pixels, grey |" in card
    assert "| conv1 | conv | 8×8×16 | 160 |  |" in card
    assert f"| d1 | 1,437 | `{'0' * 64}` |" in card
    assert "error 12.50%, loss 0.5000" in card
    bare = FORMS["card"].write(model_of(NETS["conv"])).decode()
    assert bare.count("Unknown:") == 3
    assert bare.count("Nothing was said.") == 3


def test_the_page_is_small_and_escapes_what_people_wrote(folder: Path) -> None:
    model = models.trained()
    page = (folder / "out.html").read_text()
    assert len(page.encode()) - model.parameters.nbytes * 4 / 3 < MAX_PAGE_BYTES
    assert "A. &lt;b&gt;N.&lt;/b&gt;" in page
    evil = replace(model, name="</title><script>", labels=("</script><b>", *models.LABELS[1:]))
    text = to_page(evil).decode()
    assert "</script><b>" not in text
    assert "<title>&lt;/title&gt;" in text


def test_without_the_package_onnx_a_sentence_says_what_to_install(folder: Path) -> None:
    code = "import sys; sys.modules['onnx'] = None; from mlitb.cli import main; main()"
    arguments = ["export", str(folder / "m.json"), "--onnx", str(folder / "x.onnx")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'mlitb[onnx]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{0}/m.json"], "say in which form"),
        (["{0}/none.json", "--card", "{0}/x.md"], "cannot be read (No such file or directory)"),
        (["{0}/m.json", "--card", "{0}/no/x.md"], "no/x.md cannot be written (No such file or directory)"),
    ],
)
def test_what_cannot_be_exported_is_told(folder: Path, arguments: list[str], sentence: str) -> None:
    done = CliRunner().invoke(main, ["export", *(argument.format(folder) for argument in arguments)])
    assert done.exit_code != 0
    assert sentence in done.stderr
