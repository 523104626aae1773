"""The tus protocol's requests, and how far an upload is. See tus.py."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from data_server.refusal import Refusal
from data_server.requests import ticket_for, wanted_of
from data_server.settings import Settings
from data_server.tus import EXTENSIONS, VERSION, Resumable, metadata

OFFSET_TYPE = "application/offset+octet-stream"


def add_tus(app: FastAPI, resumable: Resumable, settings: Settings) -> None:
    """Add POST /uploads and HEAD, PATCH, DELETE, GET /uploads/{name}."""
    ticket = ticket_for("upload")

    @app.options("/uploads")
    async def options() -> Response:
        most = str(settings.limits.upload_bytes)
        return _answer(204, {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": most})

    @app.post("/uploads", dependencies=[ticket])
    async def create(request: Request) -> Response:
        _check_version(request)
        wanted = wanted_of(metadata(request.headers.get("upload-metadata", "")))
        name = resumable.create(_number(request, "upload-length"), wanted)
        return _answer(201, {"Location": f"/uploads/{name}"})

    @app.head("/uploads/{name}", dependencies=[ticket])
    async def head(name: str, request: Request) -> Response:
        _check_version(request)
        upload = resumable.find(name)
        lengths = {"Upload-Offset": str(upload.offset), "Upload-Length": str(upload.length)}
        return _answer(200, {**lengths, "Cache-Control": "no-store"})

    @app.patch("/uploads/{name}", dependencies=[ticket])
    async def append(name: str, request: Request) -> Response:
        _check_version(request)
        if request.headers.get("content-type") != OFFSET_TYPE:
            raise Refusal(415, f"Content-Type must be {OFFSET_TYPE}")
        upload = await resumable.append(name, _number(request, "upload-offset"), request.stream())
        return _answer(204, {"Upload-Offset": str(upload.offset)})

    @app.delete("/uploads/{name}", dependencies=[ticket])
    async def remove(name: str) -> Response:
        await resumable.remove(name)
        return _answer(204, {})

    @app.get("/uploads/{name}", dependencies=[ticket])
    async def told(name: str) -> dict[str, Any]:
        return resumable.told(name)


def _answer(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={"Tus-Resumable": VERSION, **headers})


def _check_version(request: Request) -> None:
    version = request.headers.get("tus-resumable", "")
    if version != VERSION:
        raise Refusal(412, f"this server speaks tus {VERSION}, not {version[:20] or 'none'}")


def _number(request: Request, name: str) -> int:
    value = request.headers.get(name, "")
    if not (value.isascii() and value.isdecimal() and len(value) < 18):
        raise Refusal(400, f"the header {name} must be a whole number, not {value[:40]!r}")
    return int(value)
