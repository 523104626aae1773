"""The master's REST interface; docs/architecture.md has its table.

Rules of this file:
- Checks who asks, validates the body, calls one method of the runtime. What it means is decided in the core.
- What changes anything depends on `as_owner`; without the owner's token it answers 403.
- Nothing is acknowledged before it is stored.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from mlitb.access import Owner, Tickets, data_url, invite_url, lan_address
from mlitb.core.messages import Action
from mlitb.data_client import DataServer, fitting_cut
from mlitb.live import Live
from mlitb.projects import Projects
from mlitb.settings import Settings

MAX_BODY_BYTES = 1 << 20
"""A description of a network is small; data goes to the data server."""


@dataclass(slots=True)
class Shell:
    """What the routes work with."""

    settings: Settings
    projects: Projects
    engine: bytes  # of engine.wasm as it was at the start: the file may be replaced by an upgrade meanwhile
    owner: Owner
    tickets: Tickets
    data_server: DataServer
    live: Live
    refused: Counter[str] = field(default_factory=Counter)

    def data_url(self, request: Request) -> str:
        """Return the data server's address for who sent this request."""
        host = request.headers.get("host", "")
        return data_url(request.url.scheme, host, self.settings.data_url, self.settings.data_port)

    def invite_url(self, request: Request) -> str:
        """Return under which address others reach the master; empty: only this machine reaches it."""
        settings = self.settings
        lan = lan_address() if settings.lan else ""
        return invite_url(request.url.scheme, request.headers.get("host", ""), settings.public_url, lan, settings.port)

    def known(self, project: str) -> dict[str, Any]:
        """Return a project's view; 404 with a sentence when there is none."""
        view = self.projects.view(project)
        if view is None:
            raise HTTPException(404, f"there is no project {project[:60]!r}: it was removed, or the link is wrong")
        return view


def shell_of(request: Request) -> Shell:
    """Return the shell that the app was built with."""
    shell: Shell = request.app.state.shell
    return shell


Here = Annotated[Shell, Depends(shell_of)]


def as_uploader(request: Request, shell: Here) -> Shell:
    """Let only the owner through, with a body of any size: who reads it bounds it."""
    if not shell.owner.asks(request.headers):
        raise HTTPException(403, "only the owner may do this: open the link that the server printed at its start")
    return shell


def as_owner(request: Request, shell: Annotated[Shell, Depends(as_uploader)]) -> Shell:
    """Let only the owner through."""
    if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
        raise HTTPException(413, f"a request here has at most {MAX_BODY_BYTES} bytes")
    return shell


Owned = Annotated[Shell, Depends(as_owner)]
Uploading = Annotated[Shell, Depends(as_uploader)]
router = APIRouter(prefix="/api")


class Body(BaseModel):
    """A request's body: unknown fields are named, not ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewProject(Body):
    """A project to create."""

    name: str = Field(min_length=1, max_length=100)
    layers: list[dict[str, Any]] = Field(min_length=1, max_length=200)
    settings: dict[str, Any] = Field(default_factory=dict)


class NewData(Body):
    """A data set to attach."""

    dataset: str = Field(min_length=1, max_length=200)


class TicketWish(Body):
    """What a ticket is wanted for."""

    action: Literal["upload", "delete", "use", "edit"]


class Changes(BaseModel):
    """Settings to change; the core validates them."""

    model_config = ConfigDict(extra="allow")


@router.get("/projects")
async def list_projects(shell: Here) -> list[dict[str, Any]]:
    """List all projects."""
    return shell.projects.views()


@router.get("/projects/{project}")
async def show_project(shell: Here, project: str) -> dict[str, Any]:
    """Show one project."""
    return shell.known(project)


@router.post("/projects", status_code=201)
async def create_project(shell: Owned, wish: NewProject) -> dict[str, Any]:
    """Create a project, paused and without data."""
    project = await shell.projects.create(wish.name, wish.layers, wish.settings)
    return shell.known(project)


@router.post("/projects/{project}/start")
async def start_project(shell: Owned, project: str) -> dict[str, Any]:
    """Let a project train."""
    return await _wish(shell, project, "start")


@router.post("/projects/{project}/pause")
async def pause_project(shell: Owned, project: str) -> dict[str, Any]:
    """Stop a project where it is; what was answered still counts."""
    return await _wish(shell, project, "pause")


@router.post("/projects/{project}/reboot")
async def reboot_project(shell: Owned, project: str) -> dict[str, Any]:
    """Take a project back to its seed: parameters, optimizer and history begin anew."""
    return await _wish(shell, project, "reboot")


async def _wish(shell: Shell, project: str, action: Action) -> dict[str, Any]:
    shell.known(project)
    await shell.projects.wish(project, action, {})
    return shell.known(project)


@router.patch("/projects/{project}")
async def change_project(shell: Owned, project: str, changes: Changes) -> dict[str, Any]:
    """Change settings; they hold from the next iteration."""
    shell.known(project)
    await shell.projects.wish(project, "set", changes.model_extra or {})
    return shell.known(project)


@router.delete("/projects/{project}")
async def remove_project(shell: Owned, project: str) -> dict[str, Any]:
    """Remove a project with its parameters and history; its data sets stay."""
    shell.known(project)
    used = shell.projects.datasets(project)
    await shell.projects.wish(project, "remove", {})
    for dataset in sorted(used):
        await shell.data_server.unuse(dataset, project)
    return {"removed": project}


@router.post("/projects/{project}/data")
async def attach_data(shell: Owned, project: str, wish: NewData) -> dict[str, Any]:
    """Attach a data set: the cut that fits the project's input is admitted at the next close."""
    view = shell.known(project)
    report = await shell.data_server.report(wish.dataset)
    shape = view["input"]
    cut = fitting_cut(report, shape["width"], shape["height"], shape["channels"])
    manifest = await shell.data_server.manifest(cut)
    await shell.data_server.use(wish.dataset, project)
    await shell.projects.attach(project, manifest)
    return shell.known(project)


@router.get("/projects/{project}/workers")
async def workers(shell: Here, project: str) -> dict[str, Any]:
    """Return the workers table: the strongest hundred, and how many more there are."""
    shell.known(project)
    return shell.projects.workers(project)


@router.get("/projects/{project}/history")
async def history(shell: Here, project: str, after: int = -1) -> list[dict[str, Any]]:
    """Return the figures of the iterations after one (all without it), thinned when they are many."""
    shell.known(project)
    return await shell.projects.history(project, after)


@router.get("/projects/{project}/log")
async def show_log(shell: Here, project: str, after: int = 0) -> list[dict[str, Any]]:
    """Return what happened to a project since a serial of its log, oldest first."""
    shell.known(project)
    return shell.projects.journal.read(project, after)


@router.post("/tickets")
async def ticket(shell: Owned, request: Request, wish: TicketWish) -> dict[str, str]:
    """Issue a ticket for one kind of action on the data server, and tell where that is."""
    return {"ticket": shell.tickets.issue(wish.action), "url": shell.data_url(request)}


@router.get("/health")
async def health(shell: Here) -> dict[str, Any]:
    """Tell how the master is, and what it refused so far."""
    trouble = shell.projects.disk.trouble
    refused = {**shell.refused, **shell.live.refused, **shell.projects.runtime.master.counters}
    return {"ok": not trouble, "trouble": trouble, "refused": refused}
