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
from typing import Any

from mlitb.core.events import Attached, Created, Wished
from mlitb.core.messages import Action
from mlitb.core.refusal import Refusal
from mlitb.disk import Disk
from mlitb.engine import EngineError
from mlitb.model import Model, to_json
from mlitb.runtime import Runtime
from mlitb.storage import Checkpoint, Project, Storage
from mlitb.vectors import Vectors

log = logging.getLogger("mlitb")

MAX_ID = 40
CHECKPOINT_S = 10.0
"""A kill -9 loses at most so much of training."""

HISTORY_KEYS = ("iteration", "error", "loss", "vectors", "power", "trainers", "efficiency")


class Projects:
    """All projects of one master."""

    def __init__(self, runtime: Runtime, storage: Storage) -> None:
        self.runtime = runtime
        self.storage = storage
        self.disk = Disk()
        self._records: dict[str, Project] = {}
        self._saved: dict[str, float] = {}
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
        await asyncio.to_thread(self._try_engine, layers)
        project = self._new_id(name)
        seed = secrets.randbits(31)
        self.runtime.feed(Created(project, name, tuple(layers), settings, seed))
        self._records[project] = Project(project, name, tuple(layers), settings, seed)
        await self.persist(project)
        return project

    def _try_engine(self, layers: list[dict[str, Any]]) -> None:
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
        record = replace(
            self._records[project], name=view.name, layers=view.layers, settings=view.settings, running=view.running
        )
        self._records[project] = record
        return record

    # ---------------------------------------------------------------------------------------- what is looked at
    def views(self) -> list[dict[str, Any]]:
        """Describe all projects, oldest first."""
        return [self._view(project) for project in self._records]

    def view(self, project: str) -> dict[str, Any] | None:
        """Describe one project, or None when there is none."""
        return self._view(project) if project in self._records else None

    async def history(self, project: str) -> list[dict[str, Any]]:
        """Return the figures of the iterations so far, thinned when they are many."""
        return await self.disk.ask(self.storage.history, project)
