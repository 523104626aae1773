"""What the owner does with projects, and what is kept of them: the runtime and the storage together.

Rules of this file:
- A wish is fed to the core first (it may refuse), then stored, then acknowledged.
- A checkpoint is a snapshot between two iterations: parameters, optimizer state, iteration, learning rate, labels.
- Restoring feeds the same events as creating did, with what the checkpoint holds.
"""

import asyncio
import hashlib
import itertools
import json
import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, cast

from mlitb.checkpoints import Arrays
from mlitb.core.events import Attached, Created, HeldBack, Restored, Wished
from mlitb.core.messages import Action, Control
from mlitb.core.network import plan, tuned
from mlitb.core.refusal import Refusal
from mlitb.disk import Disk
from mlitb.engine import EngineError
from mlitb.journal import Journal
from mlitb.keeping import Keeping
from mlitb.model import ABOUT, Model
from mlitb.pixels import Mode
from mlitb.recent import Recent
from mlitb.runtime import Runtime
from mlitb.storage import NUMBERS, Checkpoint, Damaged, Project, Storage
from mlitb.storage import Action as Audited
from mlitb.vectors import Vectors

log = logging.getLogger("mlitb")

MAX_ID = 40
DISMISS_S = 2.0
IDLE_SAVE_S = 10.0
"""After an iteration it is looked so much later whether training has stopped since, to save what it did."""

HISTORY_KEYS = (
    "iteration", "seconds", "error", "loss", "vectors", "power", "trainers", "efficiency", "learning_rate",
    "latency_ms", "latencies", "bytes_in", "bytes_out",
)  # fmt: skip
SHOWN = ("dataset", "cut", "vectors", "labels", "mode")
WORK_KEYS = ("work", "lists", "local", "terms")
"""What repeats an iteration: who computed how many vectors from which cursor of which list, in order of acceptance."""


def merged(before: dict[str, Any], wished: dict[str, Any]) -> dict[str, Any]:
    """Put newer wishes over older ones; those for layers layer by layer."""
    if "layers" not in wished:
        return {**before, **wished}
    layers = before.get("layers", {})
    both = {name: {**layers.get(name, {}), **change} for name, change in wished["layers"].items()}
    return {**before, **wished, "layers": {**layers, **both}}


class Projects:
    """All projects of one master."""

    def __init__(self, runtime: Runtime, storage: Storage) -> None:
        self.runtime = runtime
        self.storage = storage
        self.disk = Disk()
        self.keeping = Keeping(storage, self.disk)
        self.journal = Journal()
        self.ready = False  # restored, and not being stopped
        self._pending: dict[str, dict[str, Any]] = {}  # settings that the core applies at the next close
        self._records: dict[str, Project] = {}
        self._figures: dict[str, dict[str, Any]] = {}  # of the last iteration
        self._recent = Recent()
        self._lowest: dict[str, tuple[str, float]] = {}  # the test set and the smallest error on it, since the start
        self._best: dict[str, Checkpoint] = {}  # of that error, until it is saved
        self._unsaved: set[str] = set()  # trained a moment ago: to be looked at again
        runtime.on_record = self._record
        runtime.on_test = self._test
        runtime.on_tested = self._tested
        runtime.on_save = self._save
        runtime.on_forget = self._forget
        runtime.on_log = self.journal.add

    # --------------------------------------------------------------------------------------------- start and end
    async def start(self) -> None:
        """Bring back every stored project as it was."""
        self.runtime.start()
        self.runtime.numbers = self._numbers(self.storage.reserved)
        for record in await self.disk.ask(self.storage.projects):
            await self._bring_back(record)
        for problem in self.storage.problems:
            log.error(problem)
        self.keeping.keep("copy", self.storage.keep_copy)
        self.ready = True

    def _numbers(self, reserved: int) -> Iterator[int]:
        """Count from the last number that was reserved before, and reserve the next block when half of one is used."""
        for number in itertools.count(reserved + 1):
            if (number - reserved) % NUMBERS == NUMBERS // 2:
                self.keeping.keep("numbers", self.storage.reserve_numbers, number + NUMBERS)
            yield number

    async def _bring_back(self, record: Project) -> None:
        had = await self.disk.ask(self.storage.checkpoints.iterations, record.id)
        checkpoint = await self.disk.ask(self.storage.load, record.id)
        if checkpoint is not None:
            lost = await self.disk.ask(self.storage.forget_after, record.id, checkpoint.iteration)
            if lost:
                log.warning("%s: %s iterations were not in a checkpoint and are done again", record.id, lost)
        elif had:
            log.error("%s: no checkpoint of it can be used: it stands at its seed, and is paused", record.id)
            record = replace(record, running=False)
        await self._bring_base(record.id)
        self._restore(record, checkpoint)

    async def _bring_base(self, project: str) -> None:
        base = await self.disk.ask(self.storage.checkpoints.base, project)
        if base:
            self.runtime.bases[project] = base

    async def drain(self, beyond_s: float) -> None:
        """Let open iterations end, at most so long after their T, save, and tell the browsers to come back."""
        self.ready = False
        most_s = beyond_s + max(
            (self.runtime.master.project(project)["settings"]["period"] for project in self._records), default=0.0
        )
        if not await self.runtime.drain(most_s):
            log.warning("an iteration did not end within %.1f s: it will be done again", most_s)
        self._snapshot_all()
        await self.runtime.dismiss(DISMISS_S)

    async def stop(self) -> None:
        """Save everything and close."""
        self.ready = False
        await self.runtime.stop()
        if not self.runtime.broken:  # else what is in memory may be wrong, and what was saved is not
            self._snapshot_all()
        self.keeping.close()
        await asyncio.to_thread(self.disk.close)
        self.storage.close()

    def _restore(self, record: Project, checkpoint: Checkpoint | None) -> None:
        """Feed what creating fed; settings newer than the checkpoint act as they would have acted."""
        self._records[record.id] = record
        self._pending[record.id] = {}
        created = Created(record.id, record.name, record.layers, record.settings, record.seed, running=record.running)
        if checkpoint is not None:
            vectors = self.runtime.vectors[record.id] = Vectors()
            vectors.restore(dict(checkpoint.arrays), len(checkpoint.labels))
            created = replace(
                created, settings=checkpoint.settings or record.settings, seed=checkpoint.seed,
                labels=checkpoint.labels, iteration=checkpoint.iteration, learning_rate=checkpoint.learning_rate,
            )  # fmt: skip
        self.runtime.feed(created)
        if record.settings != self.runtime.master.project(record.id)["settings"]:
            self.runtime.feed(Wished(record.id, "set", record.settings))
        for manifest in record.manifests:
            self.runtime.feed(Attached(record.id, manifest))
        self.runtime.feed(HeldBack(record.id, record.test["part"], record.test["manifest"]))

    # ------------------------------------------------------------------------------------------------ the owner
    async def create(
        self,
        name: str,
        layers: Sequence[dict[str, Any]],
        settings: dict[str, Any],
        about: Mapping[str, str] | None = None,
        base: Arrays | None = None,
    ) -> str:
        """Create a project, paused and without data; return its id. Raise Refusal.

        `base` are blocks of parameters, by name, with which it begins in place of initial values.
        """
        await asyncio.to_thread(self._try_network, layers)
        project = self.new_id(name)
        seed = settings.get("seed", secrets.randbits(31))
        self.runtime.feed(Created(project, name, tuple(layers), settings, seed))
        self._records[project] = Project(project, name, tuple(layers), settings, seed, about=dict(about or {}))
        self._pending[project] = {}
        if base:
            self.runtime.bases[project] = base
            await self.keeping.now(f"base {project}", self.storage.checkpoints.write_base, project, base)
        await self.persist(project)
        return project

    async def describe(self, project: str, about: Mapping[str, str]) -> None:
        """Change what people say of a project."""
        record = self._records[project]
        self._records[project] = replace(record, about={**record.about, **about})
        await self.persist(project)

    def _try_network(self, layers: Sequence[dict[str, Any]]) -> None:
        plan(layers, 1)
        try:
            self.runtime.engine.network(layers, 1, 1)
        except EngineError as error:
            raise Refusal(422, f"layers: {error}") from error

    def new_id(self, name: str) -> str:
        """Make an id that no project has."""
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:MAX_ID] or "project"
        number, project = 1, base
        while project in self._records:
            number += 1
            project = f"{base}-{number}"
        return project

    async def wish(self, project: str, action: Action, settings: dict[str, Any]) -> None:
        """Do a control action; raise Refusal."""
        if "layers" in settings:
            view = self.runtime.master.project(project)
            tuned(view["layers"], settings["layers"], len(view["labels"]))  # refuses what is wrong
        before = self._pending.get(project, {})
        self._pending[project] = merged(before, settings)  # until the core applied them, which it tells by a Save
        try:
            self.runtime.feed(Wished(project, action, settings))
        except Refusal:
            self._pending[project] = before
            raise
        if action == "reboot":
            self._forget_tests(project)
            self.keeping.forget(project)
            await self.keeping.now(f"reboot {project}", self.storage.forget_history, project)
        if action == "remove":
            await self.keeping.now(f"remove {project}", self.storage.remove_project, project)
        if project in self._records:
            await self.persist(project)

    def audit(self, project: str, action: str, address: str, detail: dict[str, Any], who: str = "owner") -> None:
        """Note what the owner, or a visitor, did."""
        row = Audited(who, address, project, action, detail)
        self.keeping.keep(f"audit {row.time}", self.storage.add_action, row)

    async def actions(self, project: str = "") -> list[dict[str, Any]]:
        """Return the newest control actions, of one project or of all, newest first."""
        return await self.disk.ask(self.storage.actions, project)

    def controlled(self, control: Control, address: str) -> None:
        """Keep what follows from a control action that came over a WebSocket and was done."""
        project = control.project
        self.audit(project, control.action, address, dict(control.settings))
        if control.action == "reboot":
            self._forget_tests(project)
            self.keeping.forget(project)
            self.keeping.keep(f"reboot {project}", self.storage.forget_history, project)
        if project in self._records:
            self._pending[project] = merged(self._pending[project], dict(control.settings))
            self.keeping.keep(f"record {project}", self.storage.put_project, self._current(project))

    # --------------------------------------------------------------------------------------------- checkpoints
    async def checkpoints(self, project: str) -> list[dict[str, Any]]:
        """Describe the kept checkpoints of a project, newest first."""
        return await self.keeping.read(self.storage.list_checkpoints, project)

    async def checkpoint(self, project: str, iteration: int) -> Checkpoint:
        """Return a kept checkpoint; raise Refusal when there is none of this iteration, or it is damaged."""
        try:
            return await asyncio.to_thread(self.storage.load_at, project, iteration)
        except FileNotFoundError as error:
            raise Refusal(404, f"{project} has no checkpoint of iteration {iteration}") from error
        except Damaged as error:
            raise Refusal(409, str(error)) from error

    async def restore(self, project: str, iteration: int) -> None:
        """Take a project back to a kept checkpoint, training or not; raise Refusal."""
        checkpoint = await self.checkpoint(project, iteration)
        vectors = self.runtime.restored[project] = Vectors()
        vectors.restore(dict(checkpoint.arrays), len(checkpoint.labels))
        rate = self.runtime.master.project(project)["learning_rate"]
        if checkpoint.learning_rate is not None:
            rate = checkpoint.learning_rate
        try:
            self.runtime.feed(Restored(project, checkpoint.labels, checkpoint.seed, rate))
        except Refusal:
            del self.runtime.restored[project]
            raise
        await self.persist(project)

    async def branch(self, project: str, iteration: int, name: str) -> str:
        """Make a new, paused project that goes on from a kept checkpoint; return its id. Raise Refusal."""
        checkpoint = await self.checkpoint(project, iteration)
        record = replace(
            self._current(project), id=self.new_id(name), name=name, seed=checkpoint.seed, running=False,
            settings=checkpoint.settings or self._current(project).settings, created=time.time(),
        )  # fmt: skip
        await self.adopt(record, checkpoint, self.runtime.bases.get(project, {}))
        await self.keeping.read(self.storage.copy_history, project, record.id, iteration)
        return record.id

    async def adopt(self, record: Project, checkpoint: Checkpoint, base: Arrays | None = None) -> None:
        """Take in a project that stands where a checkpoint says."""
        self._records[record.id] = record  # its name is taken from here on
        try:
            await self.disk.ask(self.storage.put_project, record)
            await self.disk.ask(self.storage.save, record.id, checkpoint)
            if base:
                await self.disk.ask(self.storage.checkpoints.write_base, record.id, base)
        finally:
            del self._records[record.id]
        if base:
            self.runtime.bases[record.id] = base
        self._restore(record, checkpoint)
        self.keeping.keep("copy", self.storage.keep_copy)

    async def attach(self, project: str, manifest: dict[str, Any]) -> None:
        """Give a project a cut's data, in the place of an older version's; raise Refusal."""
        record = self._records[project]
        if any(known["cut"] == manifest["cut"] for known in record.manifests):
            raise Refusal(409, f"this project has the data set {manifest['dataset']} already")
        self.runtime.feed(Attached(project, manifest))
        kept = {known["dataset"]: known for known in record.manifests} | {manifest["dataset"]: manifest}
        self._records[project] = replace(record, manifests=tuple(kept.values()))
        await self.persist(project)

    def taught(self, project: str) -> str:
        """Name the data set of the pictures that were taught to a project; empty while there is none."""
        return next((known["dataset"] for known in self._records[project].manifests if known.get("taught")), "")

    def taught_vectors(self, project: str) -> int:
        """Count the vectors that were taught to a project."""
        return sum(known["vectors"] for known in self._records[project].manifests if known.get("taught"))

    def data_vectors(self, project: str) -> int:
        """Count the vectors of a project's data, also of what the next close admits."""
        return sum(known["vectors"] for known in self._records[project].manifests)

    async def test_on(self, project: str, part: str, manifest: dict[str, Any] | None) -> None:
        """Take another test set (core/held_out.py); raise Refusal."""
        self.runtime.feed(HeldBack(project, part, manifest))
        self._records[project] = replace(self._records[project], test={"part": part, "manifest": manifest})
        await self.persist(project)

    def datasets(self, project: str) -> set[str]:
        """Name the data sets that a project uses, to train or to test."""
        record = self._records[project]
        manifests = (*record.manifests, *([record.test["manifest"]] if record.test["manifest"] else []))
        return {str(manifest["dataset"]) for manifest in manifests}

    async def persist(self, project: str) -> None:
        """Store a project's record as it is now."""
        await self.keeping.now(f"record {project}", self.storage.put_project, self._current(project))
        self.keeping.keep("copy", self.storage.keep_copy)

    def _current(self, project: str) -> Project:
        view = self.runtime.master.project(project)
        kept = {key: view[key] for key in ("name", "seed", "running")} | self._wished(view)
        record = self._records[project] = replace(self._records[project], **kept)
        return record

    def _wished(self, view: dict[str, Any]) -> dict[str, Any]:
        """Return settings and layers as they will be once the core has applied what was wished."""
        pending = dict(self._pending[view["id"]])
        changes = pending.pop("layers", {})
        layers = tuned(view["layers"], changes, len(view["labels"])) if changes else view["layers"]
        return {"layers": layers, "settings": {**view["settings"], **pending}}

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

    async def history(self, project: str, after: int = -1) -> list[dict[str, Any]]:
        """Return the figures of the iterations after one, thinned when they are many."""
        return await self.keeping.read(self.storage.history, project, after)

    async def tests(self, project: str) -> list[dict[str, Any]]:
        """Return the figures of the evaluations on the present test set, thinned when they are many."""
        identity = self.runtime.master.project(project)["test"]["identity"]
        return await self.keeping.read(self.storage.tests, project, identity)

    def snapshot(self, project: str) -> Model:
        """Return a project's newest model, also in the middle of an iteration; raise Refusal before there is one."""
        vectors = self.runtime.vectors.get(project)
        if vectors is None or not vectors.parameters.size:
            raise Refusal(409, "this project has no model yet: give it data first")
        view, record = self.runtime.master.project(project), self._records[project]
        return Model(
            name=view["name"], layers=view["layers"], labels=view["labels"], parameters=vectors.parameters,
            iteration=view["iteration"], resize=self.mode(project), settings=view["settings"], seed=view["seed"],
            figures=dict(self._figures.get(project, {})), engine=self.runtime.engine.sha256,
            learning_rate=view["learning_rate"], state=vectors.state,
            data=tuple(_trained_on(manifest) for manifest in record.manifests),
            about={key: record.about[key] for key in ABOUT if record.about.get(key)},
        )  # fmt: skip

    def mode(self, project: str) -> Mode:
        """Tell how pictures are made to fit a project's input: as those of its model's or its first data set's."""
        record = self._records[project]
        return cast(Mode, record.about.get("resize") or (record.manifests[0]["mode"] if record.manifests else "crop"))

    def _view(self, project: str) -> dict[str, Any]:
        view = self.runtime.master.project(project, self.runtime.clock())
        datasets = [{key: manifest[key] for key in SHOWN} for manifest in self._records[project].manifests]
        about = {key: self._records[project].about.get(key, "") for key in ABOUT}
        return {**view, **self._wished(view), "status": asdict(view["status"]), "datasets": datasets, "about": about}

    # -------------------------------------------------------------------------------------- what the core wants kept
    def _record(self, project: str, figures: dict[str, Any]) -> None:
        now = time.time()
        kept = {key: figures[key] for key in HISTORY_KEYS} | {"time": now}
        self._figures[project] = kept
        if project not in self._unsaved:
            self._unsaved.add(project)
            asyncio.get_running_loop().call_later(IDLE_SAVE_S, self._save_idle, project)
        self.keeping.figures((project, kept, {key: figures[key] for key in WORK_KEYS if key in figures}))

    def _tested(self, project: str) -> None:
        """Keep what is about to be evaluated, in case it turns out to be the best."""
        self._recent.put(project, self._checkpoint(project))

    def _test(self, project: str, figures: dict[str, Any]) -> None:
        kept = {key: value for key, value in figures.items() if key != "labels"} | {"time": time.time()}
        self.keeping.figures((project, kept, None))
        snapshot = self._recent.take(project, figures["iteration"])
        test_set, lowest = self._lowest.get(project, ("", 1.0))
        if figures["error"] < lowest or test_set != figures["identity"]:
            self._lowest[project] = (figures["identity"], figures["error"])
            if snapshot is not None:
                self._best[project] = snapshot  # written with the next checkpoint: not at each of the first steps

    def _save_idle(self, project: str) -> None:
        """Save what was trained before everybody left: the core saves only while it trains."""
        waited = project in self._unsaved
        self._unsaved.discard(project)
        if waited and self.ready and self.runtime.master.project(project)["status"].state in ("idle", "paused"):
            self._snapshot(project)

    def _save(self, project: str) -> None:
        if project in self._records:  # else it is being created, and stored by who creates it
            self._pending[project] = {}  # between two iterations: the core has applied them
            self._snapshot(project)

    def _snapshot_all(self) -> None:
        for project in self._records:
            self._snapshot(project)

    def _snapshot(self, project: str) -> None:
        self.keeping.keep(f"record {project}", self.storage.put_project, self._current(project))
        vectors = self.runtime.vectors.get(project)
        if vectors is not None and vectors.parameters.size and len(vectors.parameters) == self._size(project):
            if project in self._best:
                self.keeping.keep(f"best {project}", self.storage.save, project, self._best.pop(project))
            checkpoint, loop = self._checkpoint(project), asyncio.get_running_loop()
            save = partial(self.storage.save, project, checkpoint)
            self.keeping.keep(
                f"checkpoint {project}", self.journal.tell_saved, project, checkpoint.iteration, save, loop
            )

    def _checkpoint(self, project: str) -> Checkpoint:
        """Take a snapshot between two iterations; nothing is copied."""
        view, vectors = self.runtime.master.project(project), self.runtime.vectors[project]
        arrays = {"parameters": vectors.parameters, **vectors.state}
        return Checkpoint(
            view["iteration"], view["learning_rate"], view["labels"], arrays, view["seed"], view["settings"]
        )

    def _size(self, project: str) -> int:
        return int(self.runtime.master.project(project)["parameters"])

    def _forget(self, project: str) -> None:
        del self._records[project]
        del self._pending[project]
        self._unsaved.discard(project)
        self._figures.pop(project, None)
        self._forget_tests(project)
        self.journal.forget(project)
        self.keeping.forget(project)
        self.keeping.keep(f"remove {project}", self.storage.remove_project, project)

    def _forget_tests(self, project: str) -> None:
        self._recent.forget(project)
        self._lowest.pop(project, None)
        self._best.pop(project, None)


def _trained_on(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Tell which pictures a manifest stands for, by a hash of all that it says (and it names every shard's)."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    told = {key: manifest[key] for key in ("dataset", "cut", "vectors")}
    return {**told, "manifest": hashlib.sha256(text.encode()).hexdigest()}
