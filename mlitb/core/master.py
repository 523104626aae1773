"""The master: clients, projects, routing. The only class of the core that others see.

    handle(event, now) -> list of effects, to be performed in order
    deadline() -> when to call handle(Ticked(), now) if nothing happens before; None: never

Rules of this file:
- `now` is in seconds on a clock that never goes back; a `now` before the last one counts as the last one.
- Time first: what was due before an event happens before it, so an answer after the deadline is late.
- A client's mistake is answered with Refused, counted in `counters`, and changes nothing. Created, Attached, HeldBack
  and Wished raise Refusal instead, for the shell to answer. Anything else that is raised is our own bug.
- Identity is the connection; behind it stands a person's browser, known again by the resume token that was given to it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast

from mlitb.core import views
from mlitb.core.agenda import NEVER, Agenda
from mlitb.core.clients import Client, Clients, Identity
from mlitb.core.events import (
    Attached,
    Close,
    Connected,
    Created,
    Disconnected,
    Draining,
    Effect,
    Event,
    Forget,
    HeldBack,
    Issued,
    Log,
    Received,
    Restored,
    Send,
    Stepped,
    Ticked,
    Wished,
)
from mlitb.core.members import Browser
from mlitb.core.messages import (
    PROTOCOL,
    Action,
    Answer,
    Control,
    Failed,
    Hello,
    Holds,
    Join,
    Leave,
    Ready,
    Refused,
    Reload,
    Removed,
    Report,
    Roster,
    Status,
    Tune,
    Watch,
    Welcome,
)
from mlitb.core.project import Project
from mlitb.core.refusal import Refusal

TABLES_BYTES_S, ROW_BYTES = 2e6, 250
"""What all workers tables of a project may take of the server's link, bytes a second, and what a row takes of it."""

SAVE_EVERY_S = 10.0
MAX_HELD = 20_000
"""Shards that a browser may say it has cached: 20 GB at the most."""

MAX_PROJECTS = 10_000
DONE = {"start": "started", "pause": "paused", "reboot": "rebooted"}


class Master:
    """Owns every project's state machine and every client; see the rules above."""

    def __init__(self, protocol: int = PROTOCOL, engine: str = "", save_every: float = SAVE_EVERY_S) -> None:
        """Start empty.

        `engine` is the sha256 that Hello must name; `save_every` seconds lie between checkpoints (0: each iteration).
        """
        self.protocol = protocol
        self.engine = engine
        self._refused: Counter[str] = Counter()
        self._save_every = save_every
        self._projects: dict[str, Project] = {}
        self._clients = Clients()
        self._now = 0.0
        self._deadlines = Agenda()  # of the projects whose iteration is open
        self._out: list[Effect] = []
        self._routes: dict[type, Callable[[Client, Any, Received], None]] = {
            Watch: self._watch, Join: self._join, Tune: self._tune, Leave: self._leave, Holds: self._holds,
            Ready: self._ready, Answer: self._answer, Report: self._report, Failed: self._failed,
            Control: self._control,
        }  # fmt: skip

    # ---------------------------------------------------------------------------------------------- the two
    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take an event; return what is to be done, in order. Raises Refusal for Created, Attached and Wished only."""
        if now > self._now:
            self._now = now
        if self._now >= self._deadlines.soonest:
            self._due()
        try:
            if isinstance(event, Received):
                self._received(event)
            else:
                self._event(event)
            if self._now >= self._clients.to_show.soonest:
                self._show()
        finally:
            out, self._out = self._out, []
        return out

    def deadline(self) -> float | None:
        """Tell when something is to happen by itself."""
        soonest = min(self._deadlines.soonest, self._clients.to_show.soonest)
        return None if soonest == NEVER else soonest

    def _event(self, event: Event) -> None:  # all but Received, which comes most
        match event:
            case Stepped():
                self._stepped(event)
            case Ticked():
                pass
            case Connected():
                self._clients.connect(event)
            case Disconnected():
                self._disconnected(event)
            case Created():
                self._created(event)
            case Attached():
                self._change(event.project, lambda project: project.attach(event, self._now))
                self._log(event.project, _attached(event.manifest))
            case HeldBack():
                self._change(event.project, lambda project: project.testing(event))
            case Wished():
                self._wish(event.project, event.action, event.settings)
            case Issued():
                self._clients.issued(event.client, event.token)
            case Restored():
                self._change(event.project, lambda project: project.restore(event, self._now))
                self._log(event.project, "the owner went back to a checkpoint")
            case Draining():
                self._drain()
            case _:
                raise AssertionError(event)

    def _drain(self) -> None:
        for project in self._projects.values():
            project.draining = True

    def at_rest(self) -> bool:
        """Tell whether every project is between two iterations, as a checkpoint has it."""
        return not any(project.open or project.stepping for project in self._projects.values())

    def _due(self) -> None:
        """Close what is due by time alone; what an event brings to its end is closed by `_collect`."""
        for name in self._deadlines.take(self._now):
            self._collect(self._projects[name])

    def _collect(self, project: Project) -> Project:
        """Close a project's iteration if it is due, and take over its effects: whatever it did is worth showing."""
        opened = project.open
        if opened is not None and opened.is_due(self._now):
            project.close(self._now)
        self._deadlines.set(project.id, project.deadline())
        if project.out:
            self._out += project.out
            project.out.clear()
            self._clients.changed(project.id)
        return project

    def _change(self, name: str, act: Callable[[Project], None]) -> None:
        project = self._known(name)
        act(project)
        self._collect(project)
        self._clients.changed(name)

    def _known(self, name: str) -> Project:
        project = self._projects.get(name)
        if project is None:
            raise Refusal(404, f"there is no project {name[:64]!r}")
        return project

    # ---------------------------------------------------------------------------------------------- clients
    def _received(self, event: Received) -> None:
        client = self._clients.by_number.get(event.client)
        if client is None or client.closed:
            return  # it was closed a moment ago
        message = event.message
        try:
            if isinstance(message, Hello):
                self._hello(client, message)
            elif client.identity is None:
                self._refuse(client, Refusal(400, f"{type(message).__name__} came before Hello"), message)
                self._close(client, "the first message must be Hello", -1)
            else:
                self._routes[type(message)](client, message, event)
        except Refusal as refusal:
            self._refuse(client, refusal, message)

    def _refuse(self, client: Client, refusal: Refusal, message: object) -> None:
        about = type(message).__name__
        self._refused[f"{about} {refusal.status}"] += 1
        self._send(client, Refused(refusal.status, refusal.sentence, about, getattr(message, "worker", -1)))

    def _send(self, client: Client, message: Any) -> None:
        self._out.append(Send(client.number, message))

    def _close(self, client: Client, reason: str, retry_ms: int) -> None:
        self._drop(client)
        client.closed = True
        self._out.append(Close(client.number, reason, retry_ms))

    def _drop(self, client: Client) -> None:
        """Take a client's workers out of all projects and stop showing it anything."""
        for name in set(client.workers.values()):
            if name in self._projects:
                title = self._projects[name].crew.browsers[client.number].title
                self._change(name, lambda project: project.drop(client.number))
                self._log(name, f"{title} left")
        client.workers.clear()
        self._clients.watch(client, "")

    def _hello(self, client: Client, hello: Hello) -> None:
        if client.identity is not None:
            raise Refusal(409, "Hello comes once")
        if (hello.protocol, hello.engine) != (self.protocol, self.engine):
            what = "protocol" if hello.protocol != self.protocol else "engine"
            reason = f"this page speaks another version ({what}) than the server: load it again"
            self._refused[f"Hello {what} mismatch"] += 1
            self._send(client, Reload(reason))
            self._close(client, reason, -1)
            return
        before = self._clients.resumed(hello.resume)
        if before is not None:
            self._close(before, "this browser connected again", -1)
        identity = self._clients.identify(client, hello)
        self._send(client, Welcome(identity.number, identity.token, client.owner))

    def _disconnected(self, event: Disconnected) -> None:
        client = self._clients.by_number.get(event.client)
        if client is not None:
            self._drop(client)
            self._clients.disconnect(client)

    def _watch(self, client: Client, watch: Watch, _event: Received) -> None:
        if watch.project:
            self._known(watch.project)
        self._clients.watch(client, watch.project, watch.table)
        if watch.project:
            self._send(client, self.status(watch.project, self._now))
            self._show_rows(views.Table(self._projects[watch.project]), client.number, watch.table)

    def _holds(self, client: Client, holds: Holds, _event: Received) -> None:
        if len(holds.shards) > MAX_HELD:
            raise Refusal(413, f"{len(holds.shards)} shards are more than the {MAX_HELD} that are kept in mind")
        cached = _identity(client).cached
        cached.clear()
        cached.update(holds.shards)

    # ---------------------------------------------------------------------------------------------- workers
    def _join(self, client: Client, join: Join, _event: Received) -> None:
        project = self._known(join.project)
        if client.workers.get(join.worker, join.project) != join.project:
            raise Refusal(
                409, f"worker {join.worker} works for {client.workers[join.worker]}; it belongs to one project"
            )
        identity = _identity(client)
        browser = project.crew.browsers.get(client.number)
        if browser is None:
            browser = Browser(client.number, identity.number, identity.device, identity.cached, identity.link)
        self._change(join.project, lambda p: p.join(browser, join))
        client.workers[join.worker] = join.project
        self._log(join.project, f"{browser.title} joined as {join.role}")

    def _log(self, project: str, text: str) -> None:
        self._out.append(Log("info", text, project))

    def _of_worker(self, client: Client, worker: int) -> tuple[str, Browser]:
        name = client.workers.get(worker)
        if name is None:
            raise Refusal(404, f"you have no worker {worker}")
        return name, self._projects[name].crew.browsers[client.number]

    def _tune(self, client: Client, tune: Tune, _event: Received) -> None:
        name, browser = self._of_worker(client, tune.worker)
        self._change(name, lambda project: project.tune(browser, tune, self._now))

    def _leave(self, client: Client, leave: Leave, _event: Received) -> None:
        name, browser = self._of_worker(client, leave.worker)
        del client.workers[leave.worker]
        self._log(name, f"{browser.title} took worker {leave.worker} back")
        self._change(name, lambda project: project.leave(browser, leave.worker))

    def _ready(self, client: Client, ready: Ready, _event: Received) -> None:
        name, browser = self._of_worker(client, ready.worker)
        self._change(name, lambda project: project.ready(browser, ready, self._now))

    def _failed(self, client: Client, failed: Failed, _event: Received) -> None:
        name, browser = self._of_worker(client, failed.worker)
        self._change(name, lambda project: project.failed(browser, failed))

    def _answer(self, client: Client, answer: Answer, event: Received) -> None:
        project = self._known(answer.project)
        browser = project.crew.browsers.get(client.number)
        if browser is None:
            raise Refusal(403, f"you have no worker in {answer.project}")
        project.answer(browser, answer, event.values, event.finite, self._now)
        self._collect(project)

    def _report(self, client: Client, report: Report, _event: Received) -> None:
        if not client.owner:
            raise Refusal(403, "only the owner's browsers and workers may report test results")
        name, browser = self._of_worker(client, report.worker)
        self._change(name, lambda project: project.report(browser, report))

    # ---------------------------------------------------------------------------------------------- projects
    def _created(self, event: Created) -> None:
        if event.project in self._projects:
            raise Refusal(409, f"there is a project {event.project!r} already")
        if len(self._projects) >= MAX_PROJECTS:
            raise Refusal(409, f"there are {MAX_PROJECTS} projects, the most that one server keeps")
        self._projects[event.project] = Project(event, self._save_every, self._now)

    def _stepped(self, event: Stepped) -> None:
        project = self._projects.get(event.project)
        if project is not None:  # else it was removed meanwhile
            project.stepped(event, self._now)
            self._collect(project)

    def _control(self, client: Client, control: Control, _event: Received) -> None:
        if not client.owner:
            raise Refusal(403, f"only the owner may {control.action} a project")
        self._wish(control.project, control.action, control.settings)

    def _wish(self, name: str, action: Action, settings: dict[str, Any]) -> None:
        if action == "remove":
            self._remove(self._known(name))
            return
        self._change(name, lambda project: project.wish(action, settings, self._now))
        if action != "set":  # what was set is told when it holds
            self._log(name, f"{DONE[action]} by its owner")

    def _remove(self, project: Project) -> None:
        del self._projects[project.id]
        self._deadlines.set(project.id, NEVER)
        concerned = {*project.crew.browsers, *self._clients.watchers(project.id)}
        self._clients.unwatched(project.id)
        for client in (self._clients.by_number[number] for number in sorted(concerned)):
            client.workers = {worker: name for worker, name in client.workers.items() if name != project.id}
            client.watches = "" if client.watches == project.id else client.watches
            self._send(client, Removed(project.id))
        self._out.append(Forget(project.id))

    # ---------------------------------------------------------------------------------------------- views
    @property
    def counters(self) -> Counter[str]:
        """Count what was refused, by reason: "Join 404", "Answer: late" …"""
        total = self._refused.copy()
        for project in self._projects.values():
            total.update({f"Answer: {reason}": n for reason, n in project.refusals.items()})
        return total

    def projects(self) -> tuple[str, ...]:
        """List the ids of all projects, in order of creation."""
        return tuple(self._projects)

    def project(self, name: str, now: float | None = None) -> dict[str, Any]:
        """Describe a project (core/views.py, `describe`); raises Refusal(404)."""
        return views.describe(self._known(name), self._now if now is None else now, self._count(name))

    def status(self, name: str, now: float) -> Status:
        """Give a project at a glance; raises Refusal(404)."""
        return views.status(self._known(name), now, self._count(name))

    def roster(self, name: str, client: int, now: float) -> Roster:  # noqa: ARG002 - `now` for symmetry
        """Give the workers of a project as this connection sees them; raises Refusal(404)."""
        return views.Table(self._known(name)).roster(self._clients.identity_number(client))

    def _count(self, name: str) -> int:
        return len({*self._projects[name].crew.browsers, *self._clients.watchers(name)})

    def _show(self) -> None:
        """Send status and roster of what changed to those who watch, at most once a second."""
        for name, show in self._clients.shows(self._now):
            status, table = self.status(name, self._now), views.Table(self._projects[name])
            tables = self._now >= show.tables_from
            if tables:
                readers = sum(show.watchers.values())
                show.tables_from = self._now + readers * table.rows * ROW_BYTES / TABLES_BYTES_S
            for number, wanted in show.watchers.items():
                self._out.append(Send(number, status))
                if tables or not wanted:
                    self._show_rows(table, number, wanted)

    def _show_rows(self, table: views.Table, client: int, everyone: bool) -> None:
        identity = self._clients.identity_number(client)
        self._out.append(Send(client, table.roster(identity) if everyone else table.own(identity)))


def _attached(manifest: Mapping[str, Any]) -> str:
    vectors = sum(shard["count"] for shard in manifest["shards"])
    return f"data set {manifest['dataset']} attached: {vectors} vectors, {len(manifest['labels'])} labels"


def _identity(client: Client) -> Identity:
    return cast(Identity, client.identity)
