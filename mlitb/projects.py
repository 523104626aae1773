"""What the owner does with projects, and what is kept of them: the runtime and the storage together.

Rules of this file:
- A wish is fed to the core first (it may refuse), then stored, then acknowledged.
- A checkpoint is a snapshot between two iterations: parameters, optimizer state, iteration, learning rate, labels.
- Restoring feeds the same events as creating did, with what the checkpoint holds.
"""

import asyncio
import logging
import re
import secrets
import time
from dataclasses import asdict, replace
from typing import Any, cast

from mlitb.core.events import Attached, Created, Wished
from mlitb.core.messages import Action
from mlitb.core.network import plan
from mlitb.core.refusal import Refusal
from mlitb.disk import Disk
from mlitb.engine import EngineError
from mlitb.model import Model, to_json
from mlitb.pixels import Mode
from mlitb.runtime import Runtime
from mlitb.storage import Checkpoint, Project, Storage
from mlitb.vectors import Vectors

log = logging.getLogger("mlitb")

MAX_ID = 40
HISTORY_KEYS = ("iteration", "error", "loss", "vectors", "power", "trainers", "efficiency", "learning_rate")
SHOWN = ("dataset", "cut", "vectors", "labels", "mode")
WORK_KEYS = ("work", "lists")
"""What repeats an iteration: who computed how many vectors from which cursor of which list, in order of acceptance."""


class Projects:
    """All projects of one master."""

    def __init__(self, runtime: Runtime, storage: Storage) -> None:
        self.runtime = runtime
        self.storage = storage
        self.disk = Disk()
        self._records: dict[str, Project] = {}
        self._figures: dict[str, dict[str, Any]] = {}  # of the last iteration
        runtime.on_record = self._record
        runtime.on_save = self._save
        runtime.on_forget = self._forget

    # --------------------------------------------------------------------------------------------- start and end
    async def start(self) -> None:
        """Bring back every stored project as it was."""
        self.runtime.start()
        for record in await self.disk.ask(self.storage.projects):
            checkpoint = await self.disk.ask(self.storage.load, record.id)
            self._restore(record, checkpoint)
        for problem in self.storage.problems:
            log.error(problem)

    async def stop(self) -> None:
        """Save everything and close."""
        await self.runtime.stop()
        for project in self._records:
            self._save(project)
        await asyncio.to_thread(self.disk.close)
        self.storage.close()

    def _restore(self, record: Project, checkpoint: Checkpoint | None) -> None:
        self._records[record.id] = record
        if checkpoint is not None:
            vectors = self.runtime.vectors[record.id] = Vectors()
            vectors.restore(dict(checkpoint.arrays), len(checkpoint.labels))
        self.runtime.feed(
            Created(
                record.id, record.name, record.layers, record.settings, record.seed,
                labels=checkpoint.labels if checkpoint else (), iteration=checkpoint.iteration if checkpoint else 0,
                learning_rate=checkpoint.learning_rate if checkpoint else None, running=record.running,
            )
        )  # fmt: skip
        for manifest in record.manifests:
            self.runtime.feed(Attached(record.id, manifest))

    # ------------------------------------------------------------------------------------------------ the owner
    async def create(self, name: str, layers: list[dict[str, Any]], settings: dict[str, Any]) -> str:
        """Create a project, paused and without data; return its id. Raise Refusal."""
        await asyncio.to_thread(self._try_network, layers)
        project = self._new_id(name)
        seed = secrets.randbits(31)
        self.runtime.feed(Created(project, name, tuple(layers), settings, seed))
        self._records[project] = Project(project, name, tuple(layers), settings, seed)
        await self.persist(project)
        return project

    def _try_network(self, layers: list[dict[str, Any]]) -> None:
        plan(layers, 1)
        try:
            self.runtime.engine.network(layers, 1, 1)
        except EngineError as error:
            raise Refusal(422, f"layers: {error}") from error

    def _new_id(self, name: str) -> str:
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:MAX_ID] or "project"
        number, project = 1, base
        while project in self._records:
            number += 1
            project = f"{base}-{number}"
        return project

    async def wish(self, project: str, action: Action, settings: dict[str, Any]) -> None:
        """Do a control action; raise Refusal."""
        self.runtime.feed(Wished(project, action, settings))
        if action == "reboot":
            await self.disk.ask(self.storage.forget_history, project)
        if project in self._records:
            await self.persist(project)

    async def attach(self, project: str, manifest: dict[str, Any]) -> None:
        """Give a project a cut's data; raise Refusal."""
        record = self._records[project]
        if any(known["cut"] == manifest["cut"] for known in record.manifests):
            raise Refusal(409, f"this project has the data set {manifest['dataset']} already")
        self.runtime.feed(Attached(project, manifest))
        self._records[project] = replace(record, manifests=(*record.manifests, manifest))
        await self.persist(project)

    async def persist(self, project: str) -> None:
        """Store a project's record as it is now."""
        await self.disk.ask(self.storage.put_project, self._current(project))

    def _current(self, project: str) -> Project:
        view = self.runtime.master.project(project)
        kept = {key: view[key] for key in ("name", "layers", "settings", "seed", "running")}
        record = self._records[project] = replace(self._records[project], **kept)
        return record

    # ---------------------------------------------------------------------------------------- what is looked at
    def views(self) -> list[dict[str, Any]]:
        """Describe all projects, oldest first."""
        return [self._view(project) for project in self._records]

    def view(self, project: str) -> dict[str, Any] | None:
        """Describe one project, or None when there is none."""
        return self._view(project) if project in self._records else None

    def workers(self, project: str) -> dict[str, Any]:
        """Return the workers table as a visitor sees it."""
        return asdict(self.runtime.master.roster(project, 0, self.runtime.clock()))

    async def history(self, project: str) -> list[dict[str, Any]]:
        """Return the figures of the iterations so far, thinned when they are many."""
        return await self.disk.ask(self.storage.history, project)

    async def model(self, project: str) -> tuple[str, int]:
        """Return a project's newest model as JSON text, and its iteration; raise Refusal before there is one."""
        vectors = self.runtime.vectors.get(project)
        if vectors is None or not vectors.parameters.size:
            raise Refusal(409, "this project has no model yet: give it data first")
        view = self.runtime.master.project(project)
        model = Model(
            name=view["name"], layers=view["layers"], labels=view["labels"], parameters=vectors.parameters,
            iteration=view["iteration"], resize=self._resize(project), settings=view["settings"], seed=view["seed"],
            figures=dict(self._figures.get(project, {})), engine=self.runtime.engine.sha256,
        )  # fmt: skip
        return await asyncio.to_thread(self._to_json, model), model.iteration

    def _to_json(self, model: Model) -> str:
        return to_json(model, self.runtime.engine.network(model.layers, len(model.labels), 1).layout)

    def _resize(self, project: str) -> Mode:
        manifests = self._records[project].manifests
        return cast(Mode, manifests[0]["mode"]) if manifests else "crop"

    def _view(self, project: str) -> dict[str, Any]:
        view = self.runtime.master.project(project, self.runtime.clock())
        datasets = [{key: manifest[key] for key in SHOWN} for manifest in self._records[project].manifests]
        return {**view, "status": asdict(view["status"]), "datasets": datasets}

    # -------------------------------------------------------------------------------------- what the core wants kept
    def _record(self, project: str, figures: dict[str, Any]) -> None:
        now = time.time()
        kept = {key: figures[key] for key in HISTORY_KEYS} | {"time": now}
        self._figures[project] = kept
        self.disk.tell(self.storage.add_history, project, kept, {key: figures[key] for key in WORK_KEYS})

    def _save(self, project: str) -> None:
        vectors = self.runtime.vectors.get(project)
        if project not in self._records:
            return  # it is being created, and stored by who creates it
        self.disk.tell(self.storage.put_project, self._current(project))
        if vectors is None or not vectors.parameters.size:
            return
        view = self.runtime.master.project(project)
        arrays = {"parameters": vectors.parameters, **vectors.state}
        checkpoint = Checkpoint(view["iteration"], view["learning_rate"], view["labels"], arrays)
        self.disk.tell(self.storage.save, project, checkpoint)

    def _forget(self, project: str) -> None:
        del self._records[project]
        self._figures.pop(project, None)
        self.disk.tell(self.storage.remove_project, project)
