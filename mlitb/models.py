"""Projects and models: a project's model as a file, and projects that begin with one.

Rules of this file:
- A model file may be large: it is read in a thread, and above LARGE bytes in a process of its own, so that no project
  misses a deadline.
- Going on keeps iteration, seed, decayed learning rate and the optimizer's state; a transfer begins at iteration 0.
"""

import asyncio
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlitb import resources
from mlitb.core.config import Settings
from mlitb.core.network import plan
from mlitb.core.refusal import Refusal
from mlitb.engine import Engine
from mlitb.exporting import FORMS, ExportFailed
from mlitb.model import Model, ModelError, to_json
from mlitb.modelfile import read
from mlitb.projects import Projects
from mlitb.storage import Checkpoint, Figures, Project
from mlitb.transfer import freezable_layers, transferred

LARGE = 4 << 20
"""Bytes of JSON that are parsed in this process: about 20 ms, in which nothing else of Python runs."""

MOST_ROWS = 200
"""Rows of history that a model file has."""

FIGURES = (
    "iteration", "time", "error", "loss", "vectors", "power", "trainers", "efficiency", "learning_rate"
)  # fmt: skip
"""What each of them says."""


class Models:
    """What models there are and what can be made from them."""

    def __init__(self, projects: Projects) -> None:
        self.projects = projects

    async def of(self, project: str, *, optimizer: bool = False) -> Model:
        """Return a project's newest model with its history; raise Refusal before there is one."""
        model = self.projects.snapshot(project)
        storage = self.projects.storage
        rows = await self.projects.keeping.read(storage.history, project, -1, MOST_ROWS)
        history = tuple(
            {key: row[key] for key in FIGURES if key in row} for row in rows if row["iteration"] < model.iteration
        )
        return replace(model, history=history, state=model.state if optimizer else {})

    async def text(self, project: str, *, optimizer: bool = False) -> tuple[str, int]:
        """Return a project's newest model as JSON text, and its iteration; raise Refusal before there is one."""
        model = await self.of(project, optimizer=optimizer)
        return await asyncio.to_thread(written, model), model.iteration

    async def exported(self, project: str, form: str) -> tuple[bytes, int]:
        """Return a project's newest model in another form, and its iteration; raise Refusal."""
        model = await self.of(project)
        try:
            return await asyncio.to_thread(FORMS[form].write, model), model.iteration
        except ExportFailed as error:
            raise Refusal(409, str(error)) from error

    async def read(self, path: Path) -> Model:
        """Read a model file; raise Refusal."""
        try:
            if path.stat().st_size <= LARGE:
                return (await asyncio.to_thread(read, path, self.projects.runtime.engine))[0]
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                return await asyncio.get_running_loop().run_in_executor(process, load, path)
        except ModelError as error:
            raise Refusal(422, str(error)) from error

    async def go_on(self, model: Model, name: str) -> str:
        """Make a new, paused project that goes on from a model; return its id. Raise Refusal."""
        settings = Settings.parse({**model.settings, "seed": model.seed}).plain()
        record = Project(
            self.projects.new_id(name), name, model.layers, settings, model.seed, about=_about(model)
        )  # fmt: skip
        arrays = {"parameters": model.parameters, **model.state}
        checkpoint = Checkpoint(model.iteration, model.learning_rate, model.labels, arrays, model.seed, settings)
        await self.projects.adopt(record, checkpoint)
        rows: list[Figures] = [(record.id, row, {"work": [], "lists": {}}) for row in _figures(model)]
        await self.projects.disk.ask(self.projects.storage.add_history, rows)
        return record.id

    async def transfer(self, model: Model, name: str, freeze: Sequence[str]) -> str:
        """Make a new, paused project for other labels from a model; return its id. Raise Refusal."""
        try:
            layers, base = transferred(model, freeze)
        except ModelError as error:
            raise Refusal(422, str(error)) from error
        settings = Settings.parse({**model.settings, "seed": model.seed}).plain()
        return await self.projects.create(name, layers, settings, _about(model), base)


def load(path: Path) -> Model:
    """Read a model file in a process of its own; raise ModelError."""
    return read(path, Engine(resources.engine()))[0]


def written(model: Model) -> str:
    """Write a model as JSON."""
    return to_json(model, plan(model.layers, len(model.labels)).tensors)


def described(model: Model) -> dict[str, Any]:
    """Describe a model for who is about to make a project of it: layers that can be frozen, or why none can."""
    freezable, hindrance = [], ""
    try:
        freezable = freezable_layers(model)
    except ModelError as error:
        hindrance = str(error)
    return {
        "name": model.name, "iteration": model.iteration, "labels": model.labels, "about": dict(model.about),
        "parameters": model.parameters.size, "optimizer": bool(model.state), "freezable": freezable,
        "hindrance": hindrance,
    }  # fmt: skip


def _about(model: Model) -> dict[str, str]:
    return {**model.about, "resize": model.resize}


def _figures(model: Model) -> list[dict[str, Any]]:
    """Return the rows of a stranger's history that can be drawn: numbers, before the model's iteration."""
    rows = []
    for row in model.history:
        known = {key: row[key] for key in FIGURES if _is_number(row.get(key))}
        if len(known) == len(FIGURES) and isinstance(row["iteration"], int) and 0 <= row["iteration"] < model.iteration:
            rows.append(known)
    return rows


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
