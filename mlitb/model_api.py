"""Routes of models: download, upload, transfer, what people say of a project.

Rules of this file:
- Checks who asks, validates, calls one method of Models; what a file means is decided in modelfile.py.
- An upload is refused by its length before it is read, and is written to a file beside, never kept in memory.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mlitb import resources
from mlitb.api import Body, Here, Owned, Shell, Uploading
from mlitb.core.refusal import Refusal
from mlitb.exporting import FORMS
from mlitb.model import MAX_ABOUT, Model, ModelError
from mlitb.modelfile import check_length
from mlitb.models import Models, described

router = APIRouter(prefix="/api")
Name = Annotated[str, Field(max_length=100)]


class Transfer(Body):
    """A project to make from another's model, for other labels."""

    name: str = Field(min_length=1, max_length=100)
    freeze: list[str] = Field(default_factory=list, max_length=256)


class About(Body):
    """What people say of a project."""

    description: str | None = Field(None, max_length=MAX_ABOUT)
    author: str | None = Field(None, max_length=MAX_ABOUT)
    licence: str | None = Field(None, max_length=MAX_ABOUT)


@router.get("/schemas/model-1.json")
async def schema() -> Response:
    """Return the JSON Schema of a model file."""
    text = await asyncio.to_thread(resources.schema("model-1").read_bytes)
    return Response(text, media_type="application/schema+json")


@router.get("/projects/{project}/model.json")
async def download(shell: Here, project: str, optimizer: bool = False) -> Response:
    """Return the newest model as a file, with the optimizer's state when it is asked for."""
    shell.known(project)
    text, iteration = await Models(shell.projects).text(project, optimizer=optimizer)
    return attachment(text.encode(), f"{project}-{iteration}.json", "application/json")


@router.get("/export")
async def forms() -> list[dict[str, str]]:
    """List the forms besides JSON in which this server gives models."""
    return [{"form": key, "name": form.name} for key, form in FORMS.items() if form.available]


@router.get("/projects/{project}/export/{form}")
async def export(shell: Here, project: str, form: str) -> Response:
    """Return the newest model in another form, as a file."""
    shell.known(project)
    if form not in FORMS:
        raise HTTPException(404, f"there is no form {form[:40]!r}; there are {', '.join(FORMS)}")
    data, iteration = await Models(shell.projects).exported(project, form)
    return attachment(data, f"{project}-{iteration}{FORMS[form].suffix}", FORMS[form].media_type)


def attachment(data: bytes, name: str, media_type: str) -> Response:
    """Return a file to be saved."""
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(data, media_type=media_type, headers=headers)


@router.post("/projects/from-model", status_code=201)
async def create_from_model(
    shell: Uploading,
    request: Request,
    name: Name = "",
    how: Literal["continue", "transfer"] = "continue",
    freeze: Annotated[list[str], Query(max_length=256)] = [],  # noqa: B006 - FastAPI copies it
) -> dict[str, Any]:
    """Create a project, paused, from the model file in the body: going on with it, or for other labels."""
    async with _received(request) as path:
        model = await Models(shell.projects).read(path)
    return shell.known(await _made(shell, model, name or model.name or "model", how == "transfer", freeze))


@router.post("/models/inspect")
async def inspect(shell: Uploading, request: Request) -> dict[str, Any]:
    """Tell what the model file in the body is, without keeping it."""
    async with _received(request) as path:
        model = await Models(shell.projects).read(path)
    return described(model)


@router.post("/projects/{project}/transfer", status_code=201)
async def transfer(shell: Owned, project: str, wish: Transfer) -> dict[str, Any]:
    """Create a project, paused, for other labels from a project's newest model."""
    shell.known(project)
    model = await Models(shell.projects).of(project)
    return shell.known(await _made(shell, model, wish.name, True, wish.freeze))


async def _made(shell: Shell, model: Model, name: str, anew: bool, freeze: list[str]) -> str:
    models = Models(shell.projects)
    return await models.transfer(model, name, freeze) if anew else await models.go_on(model, name)


@router.put("/projects/{project}/about")
async def describe(shell: Owned, project: str, about: About) -> dict[str, Any]:
    """Say what a project is: description, author, licence; they travel with its model."""
    shell.known(project)
    await shell.projects.describe(project, about.model_dump(exclude_none=True))
    return shell.known(project)


@asynccontextmanager
async def _received(request: Request) -> AsyncIterator[Path]:
    """Write the body to a file, which is gone afterwards; raise Refusal when it is too long."""
    try:
        check_length(int(request.headers.get("content-length") or 0), "the file")
        with tempfile.TemporaryDirectory(prefix="mlitb-model-") as folder:
            path, length = Path(folder) / "model.json", 0
            with path.open("wb") as file:
                async for chunk in request.stream():
                    length += len(chunk)
                    check_length(length, "the file")
                    await asyncio.to_thread(file.write, chunk)
            yield path
    except ModelError as error:
        raise Refusal(413, str(error)) from error
