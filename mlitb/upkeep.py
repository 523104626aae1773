"""Routes of the operator: is it well, what is kept, who did what, back to a checkpoint, start again.

Rules of this file:
- /healthz answers as long as the process does, /readyz only while browsers are welcome; both say what is wrong.
- Every request that changes something is audited when it was done: one dependency for all routes.
"""

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response

from mlitb import __version__
from mlitb.access import SAFE_METHODS
from mlitb.api import Body, Here, Owned

probes = APIRouter()
router = APIRouter(prefix="/api")


async def audited(request: Request, shell: Here) -> AsyncIterator[None]:
    """Note who did what, once it is done; what was refused raised before."""
    if request.method in SAFE_METHODS:
        yield
        return
    project = str(request.path_params.get("project", ""))
    before = (shell.projects.view(project) or {}).get("settings", {})
    action, detail = _action(request), await _detail(request)  # the body is gone once it is answered
    yield
    if action == "set":
        detail = {key: {"from": before.get(key), "to": value} for key, value in detail.items()}
    if action == "create":
        project = shell.projects.views()[-1]["id"]
    address = request.client.host if request.client else "unknown"
    who = "owner" if shell.owner.asks(request.headers) else "visitor"
    shell.projects.audit(project, action, address, detail, who)


def _action(request: Request) -> str:
    """Name an action by its route: the last word of the path, but for the projects themselves."""
    word = request.url.path.rstrip("/").rpartition("/")[2]
    if "project" not in request.path_params:
        return {"projects": "create", "from-model": "create", "tickets": "ticket"}.get(word, word)
    own = word == request.path_params["project"]
    return {"PATCH": "set", "DELETE": "remove"}.get(request.method, word) if own else word


async def _detail(request: Request) -> dict[str, Any]:
    """Return what was asked for; of a network only its name."""
    found: dict[str, Any] = {key: value for key, value in request.path_params.items() if key != "project"}
    if getattr(request.scope["route"], "body_field", None):
        found |= await request.json()
    found.pop("layers", None)
    return found


# ---------------------------------------------------------------------------------------------------- probes
@probes.get("/healthz")
async def healthz(shell: Here) -> dict[str, Any]:
    """Tell that the process lives, and what troubles it."""
    trouble = shell.projects.disk.trouble
    return {"ok": not trouble, "trouble": trouble, "version": __version__}


@probes.get("/readyz")
async def readyz(shell: Here) -> JSONResponse:
    """Tell whether browsers are welcome: 503 while projects are brought back and while it stops."""
    ready = shell.projects.ready
    why = "" if ready else "projects are being brought back, or the server is being stopped"
    return JSONResponse({"ready": ready, "why": why}, 200 if ready else 503)


@router.post("/restart", status_code=202)
async def restart(shell: Owned, request: Request) -> dict[str, Any]:
    """Stop in order and start again, which puts a prepared restore in place."""
    if not hasattr(request.app.state, "restart"):
        raise HTTPException(409, "this server was not started by `mlitb up`: stop and start it yourself")
    request.app.state.restart()
    return {"restarting": True, "projects": len(shell.projects.views())}


@router.get("/audit")
async def audit(shell: Owned, project: str = "") -> list[dict[str, Any]]:
    """List the newest control actions, newest first."""
    return await shell.projects.actions(project)


# ----------------------------------------------------------------------------------------------- checkpoints
class Branch(Body):
    """A project to make from a checkpoint."""

    name: str = Field(min_length=1, max_length=100)


@router.get("/projects/{project}/checkpoints")
async def checkpoints(shell: Here, project: str) -> list[dict[str, Any]]:
    """List the kept checkpoints, newest first."""
    shell.known(project)
    return await shell.projects.checkpoints(project)


@router.get("/projects/{project}/checkpoints/{iteration}.safetensors")
async def download(shell: Here, project: str, iteration: int) -> Response:
    """Return a checkpoint as a file: parameters and optimizer state as float32 tensors."""
    shell.known(project)
    await shell.projects.checkpoint(project, iteration)
    path = shell.projects.storage.checkpoints.path(project, iteration)
    return FileResponse(path, media_type="application/octet-stream", filename=f"{project}-{iteration}.safetensors")


@router.post("/projects/{project}/checkpoints/{iteration}/restore")
async def restore(shell: Owned, project: str, iteration: int) -> dict[str, Any]:
    """Take the project back to a checkpoint; its iteration goes on counting."""
    shell.known(project)
    await shell.projects.restore(project, iteration)
    return shell.known(project)


@router.post("/projects/{project}/checkpoints/{iteration}/branch", status_code=201)
async def branch(shell: Owned, project: str, iteration: int, wish: Branch) -> dict[str, Any]:
    """Make a new, paused project that goes on from a checkpoint with the same data."""
    shell.known(project)
    new = await shell.projects.branch(project, iteration, wish.name)
    view = shell.known(new)
    for dataset in sorted(shell.projects.datasets(new)):
        await shell.data_server.use(dataset, new)
    return view


audit_all = [Depends(audited)]
