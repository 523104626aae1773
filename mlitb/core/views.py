"""What people see of a project: its status, its workers, its description. Read-only."""

from heapq import nlargest
from typing import Any

from mlitb.core.members import Browser, Trainer, Worker, state_of
from mlitb.core.messages import Roster, Status, WorkerRow
from mlitb.core.project import Phase, Project

STRONGEST = 100
"""Rows of others in a roster."""


def status(project: Project, now: float, clients: int) -> Status:
    """Give a project at a glance; `clients` counts those who watch or work."""
    last, opened = project.last, project.open
    computing = opened is not None or project.phase is Phase.REDUCING
    workers, held_out = project.crew.everyone(), project.crew.held_out
    return Status(
        project=project.id, state=project.state, why=why(project), iteration=project.iteration,
        period=project.settings.period, error=last.get("error", -1.0), loss=last.get("loss", -1.0),
        vectors=last.get("vectors", 0), power=last.get("power", 0.0) if computing else 0.0,
        trainers=sum(isinstance(w, Trainer) and not (w.paused or w.failure) for _, w in workers), clients=clients,
        efficiency=last.get("efficiency", 0.0), data_vectors=project.crew.pool.vectors, labels=len(project.labels),
        remaining_ms=max(0.0, 1000 * (opened.opened_at + opened.settings.period - now)) if opened else 0.0,
        test_vectors=held_out.vectors, test_iteration=held_out.last.get("iteration", -1),
        test_error=held_out.last.get("error", -1.0), test_loss=held_out.last.get("loss", -1.0),
    )  # fmt: skip


def why(project: Project) -> str:
    """Say in a sentence why a project is not computing; empty when it is."""
    trainers = [(browser, w) for browser, w in project.crew.everyone() if isinstance(w, Trainer)]
    if project.open or project.phase is Phase.REDUCING:
        return ""
    if project.draining:
        return "the server is being stopped; it will be back"
    if project.trouble:
        return project.trouble
    if not project.initialised:
        return "it has no data yet"
    if not project.running:
        return "it waits for its owner to start it"
    if not trainers:
        return "it waits for somebody to add a worker"
    if all(w.paused or w.failure for _, w in trainers):
        return "all its workers are paused or failed"
    if all(browser.silent for browser, w in trainers if not (w.paused or w.failure)):
        return "none of its workers answers"
    return "its workers are loading data"


def describe(project: Project, now: float, clients: int) -> dict[str, Any]:
    """Describe a project for REST and for storage: plain JSON values, but `status`, a Status, and tuples."""
    width, height, channels = project.network.input
    return {
        "id": project.id, "name": project.name, "layers": project.layers, "labels": project.labels,
        "settings": project.settings.plain(), "status": status(project, now, clients),
        "datasets": list(dict.fromkeys(cut.dataset for cut in project.cuts)), "cuts": [cut.id for cut in project.cuts],
        "input": {"width": width, "height": height, "channels": channels}, "seed": project.seed,
        "iteration": project.iteration, "learning_rate": project.learning_rate, "version": project.version,
        "running": project.running, "parameters": project.network.size if project.initialised else 0,
        "refusals": dict(project.refusals), "test": project.crew.held_out.describe(),
    }  # fmt: skip


class Table:
    """The workers of a project at one moment; rows are made only for those that are shown."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._total = max(1, project.last.get("vectors", 0))
        self._everyone = project.crew.everyone()
        strongest = nlargest(STRONGEST, enumerate(self._everyone), key=lambda pair: (_power(pair[1][1]), -pair[0]))
        self._shown = {place for place, _ in strongest}
        rows = tuple(_row(project, *who, self._total) for _, who in strongest)
        self._top = Roster(project.id, rows, len(self._everyone) - len(rows))
        self._nobody = Roster(project.id, (), len(self._everyone))
        self._own: dict[int, list[int]] = {}  # identity -> places of its workers
        for place, (browser, _) in enumerate(self._everyone):
            self._own.setdefault(browser.identity, []).append(place)

    @property
    def rows(self) -> int:
        """Count the rows that everyone is shown."""
        return len(self._top.rows)

    def roster(self, identity: int) -> Roster:
        """Give one watcher's view: the strongest hundred and all of their own.

        Everyone who has none below gets the same object, so that it can be encoded once.
        """
        own = self._rows([place for place in self._own.get(identity, ()) if place not in self._shown])
        return Roster(self._top.project, (*own, *self._top.rows), self._top.more - len(own)) if own else self._top

    def own(self, identity: int) -> Roster:
        """Give only their own."""
        rows = self._rows(self._own.get(identity, []))
        return Roster(self._top.project, rows, len(self._everyone) - len(rows)) if rows else self._nobody

    def _rows(self, places: list[int]) -> tuple[WorkerRow, ...]:
        return tuple(_row(self._project, *self._everyone[place], self._total) for place in places)


def _power(worker: Worker) -> float:
    return worker.power if isinstance(worker, Trainer) else 0.0


def _row(project: Project, browser: Browser, worker: Worker, total: int) -> WorkerRow:
    trainer = worker if isinstance(worker, Trainer) else None
    return WorkerRow(
        client=browser.identity, worker=worker.number, device=browser.device, role=worker.role,
        state=state_of(browser, worker, project.open is not None), advice=_advice(project, browser, worker),
        allocated=sum(shard.count for shard in trainer.shards) if trainer else 0,
        cached=sum(shard.count for shard in trainer.shards if shard.hash in trainer.ready) if trainer else 0,
        count=trainer.count if trainer else 0, power=trainer.power if trainer else 0.0,
        latency_ms=max(0.0, browser.link.overhead_ms), budget_ms=trainer.budget_ms if trainer else 0.0,
        share=trainer.vectors_last / total if trainer else 0.0,
    )  # fmt: skip


def _advice(project: Project, browser: Browser, worker: Worker) -> str:
    if worker.failure:
        return worker.failure
    if advice := browser.link.advice(1000 * project.settings.period):
        return advice
    if worker.paused:
        return ""
    if isinstance(worker, Trainer) and browser.waits and project.open:
        return "more devices want to compute than the server can serve in time: they take turns"
    if isinstance(worker, Trainer) and worker.saturated:
        return "it used all it holds: a shorter T, more data, a larger capacity or local steps would use it better"
    return ""
