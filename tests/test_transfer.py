"""Transfer learning without a server: layers and blocks, networks of fixed size, and a restart before there is data."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlitb.core.network import plan
from mlitb.model import Model, ModelError
from mlitb.models import Models
from mlitb.projects import Projects
from mlitb.runtime import Runtime
from mlitb.storage import Storage
from mlitb.transfer import transferred
from tests import models
from tests.models import ENGINE

SPEC: list[dict[str, Any]] = [
    {"type": "input", "width": 8, "height": 8, "channels": 1},
    {"type": "conv", "kernel": 3, "filters": 4},
    {"type": "group_norm", "groups": 2, "frozen": True},
    {"type": "fully_connected", "units": 3},
    {"type": "dropout"},
    {"type": "softmax"},
]


def model_of(layers: list[dict[str, Any]], labels: int) -> Model:
    size = plan(layers, labels).size
    names = tuple(f"label {i}" for i in range(labels))
    return Model("m", tuple(layers), names, np.arange(size, dtype=np.float32))


def test_a_last_layer_of_fixed_size_grows_with_the_new_labels_and_old_frosts_go() -> None:
    layers, base = transferred(model_of(SPEC, 3), ["conv1"])
    assert "units" not in layers[3]
    assert [layer.get("frozen", False) for layer in layers] == [False, True, False, False, False, False]
    assert list(base) == ["conv1.weights", "conv1.bias", "group_norm2.weights", "group_norm2.bias"]
    assert base["conv1.weights"].shape == (3, 3, 1, 4)
    assert base["conv1.bias"].tolist() == [36, 37, 38, 39]


def test_a_network_whose_last_layer_cannot_begin_anew_is_refused() -> None:
    layers = [SPEC[0], {"type": "conv", "kernel": 8, "filters": 4}, {"type": "group_norm"}, SPEC[5]]
    with pytest.raises(ModelError, match="group_norm2: a group_norm is the last layer with parameters"):
        transferred(model_of(layers, 4), [])


def test_what_it_began_with_survives_a_restart_and_goes_to_branches(tmp_path: Path) -> None:
    source = replace(models.trained(), settings={})
    manifest = {
        "cut": "c1", "dataset": "d1", "width": 8, "height": 8, "channels": 1, "labels": ["a", "b", "c"],
        "mean": [0.5], "std": [0.5], "vectors": 20, "mode": "crop",
        "shards": [{"hash": "0" * 64, "count": 20, "bytes": 100, "labels": [20, 0, 0]}],
    }  # fmt: skip

    async def begin() -> str:
        projects = Projects(Runtime(ENGINE), Storage(tmp_path))
        await projects.start()
        name = await Models(projects).transfer(source, "new", [])
        await projects.stop()
        return name

    async def after_restart(name: str) -> tuple[Model, Model]:
        projects = Projects(Runtime(ENGINE), Storage(tmp_path))
        await projects.start()
        assert not projects.storage.problems
        await projects.attach(name, manifest)
        while not projects.runtime.vectors or not projects.runtime.vectors[name].parameters.size:
            await asyncio.sleep(0.01)
        model = projects.snapshot(name)
        while not await projects.checkpoints(name):
            await asyncio.sleep(0.01)
        branch = await projects.branch(name, 0, "branch")
        await projects.wish(branch, "reboot", {})
        while not projects.runtime.vectors[branch].parameters.size:
            await asyncio.sleep(0.01)
        rebooted = projects.snapshot(branch)
        await projects.stop()
        return model, rebooted

    model, rebooted = asyncio.run(after_restart(asyncio.run(begin())))
    assert rebooted.parameters.tobytes() == model.parameters.tobytes(), "a branch begins with it, too"
    assert model.labels == ("a", "b", "c")
    old, new = (plan(m.layers, len(m.labels)).tensors[0] for m in (source, model))
    kept = source.parameters[old.offset : old.stop]
    assert model.parameters[new.offset : new.stop].tobytes() == kept.tobytes()
    assert model.input["mean"] == source.input["mean"], "the normalisation stays the model's"
