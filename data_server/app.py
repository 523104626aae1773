"""The data server's HTTP interface: who may ask what, and which part answers.

Rules of this file:
- Adapters only: requests become calls to the store and the jobs, refusals become statuses with a sentence.
- Nothing that can wait for a disk or a decoder runs on the event loop.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from redis import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response, StreamingResponse

from data_server.editing import Editing
from data_server.export import as_zip, thumbnails
from data_server.guard import Cors, Guard
from data_server.index import InUse
from data_server.jobs import Jobs
from data_server.patience import uninterrupted
from data_server.receiving import check_size, disk_refusal
from data_server.refusal import Refusal
from data_server.requests import CutQuery, UploadQuery, body_of, changes_of, sentence, ticket_for
from data_server.serving import ShardCache, Shards
from data_server.settings import Limits, Settings
from data_server.store import Stale, Store, Unknown, report
from data_server.tus import Resumable
from data_server.tus_routes import add_tus
from data_server.uploads import Uploads, Wanted


def create_app(settings: Settings) -> FastAPI:
    """Make the data server over its data folder; raises StoreUnavailable or IndexUnavailable."""
    store = Store(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        resumable: Resumable = app.state.resumable
        await resumable.restore()
        yield
        await resumable.stop()
        store.close()

    app = FastAPI(title="MLitB data server", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.settings, app.state.store, app.state.counters = settings, store, Counter()
    jobs = Jobs()
    app.state.uploads = Uploads(settings, store, jobs)
    app.state.resumable = Resumable(store, app.state.uploads, settings.limits)
    app.state.shards = ShardCache(store.shards)
    app.add_middleware(Shards, cache=app.state.shards)
    app.add_middleware(Cors, settings=settings)
    app.add_middleware(Guard, settings=settings, counters=app.state.counters)
    _add_refusals(app)
    _add_reading(app, store)
    _add_writing(app, store)
    _add_editing(app, Editing(store, jobs, app.state.uploads))
    add_tus(app, app.state.resumable, settings)
    return app


def _add_refusals(app: FastAPI) -> None:
    def answer(status: Callable[[Exception], int], sentence: Callable[[Exception], str]) -> Any:
        async def handler(_: Request, error: Exception) -> JSONResponse:
            return JSONResponse({"detail": sentence(error)}, status(error))

        return handler

    def attribute(error: Exception) -> int:
        return error.status if isinstance(error, Refusal) else int(getattr(error, "status_code", 500))

    app.add_exception_handler(Refusal, answer(attribute, str))
    app.add_exception_handler(OSError, _disk_answer)
    app.add_exception_handler(RedisError, answer(lambda _: 503, lambda _: "the data server's Redis does not answer"))
    app.add_exception_handler(Stale, answer(lambda _: 409, str))
    app.add_exception_handler(Unknown, answer(lambda _: 404, lambda error: str(error.args[0])))
    app.add_exception_handler(RequestValidationError, answer(lambda _: 422, _validation_sentence))
    app.add_exception_handler(HTTPException, answer(attribute, _http_sentence))
    app.add_exception_handler(ClientDisconnect, answer(lambda _: 400, lambda _: "the upload was broken off"))


async def _disk_answer(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)
    refusal = disk_refusal(error)
    if not isinstance(refusal, Refusal):
        raise error
    return JSONResponse({"detail": str(refusal)}, refusal.status)


def _http_sentence(error: Exception) -> str:
    assert isinstance(error, HTTPException)
    sentences = {404: "there is nothing at this address", 405: "this address does not know this method"}
    return sentences.get(error.status_code, error.detail)


def _validation_sentence(error: Exception) -> str:
    assert isinstance(error, RequestValidationError)
    return sentence(error.errors())


def _add_reading(app: FastAPI, store: Store) -> None:
    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return {"ok": True, "counters": dict(app.state.counters)}

    @app.get("/datasets")
    def datasets() -> list[dict[str, Any]]:
        return [report(document, uses=store.uses(document["id"])) for document in store.datasets()]

    @app.get("/datasets/{dataset}")
    def dataset(dataset: str) -> dict[str, Any]:
        return report(store.dataset(dataset), uses=store.uses(dataset))

    @app.get("/cuts/{cut}/manifest.json")
    def manifest(cut: str) -> Response:
        return JSONResponse(store.cut(cut))

    @app.get("/datasets/{dataset}/archive.zip")
    def archive(dataset: str) -> Response:
        sources = store.sources(store.dataset(dataset))
        headers = {"content-disposition": f'attachment; filename="{dataset}.zip"'}
        return StreamingResponse(as_zip(sources, app.state.settings.limits), 200, headers, "application/zip")

    @app.get("/datasets/{dataset}/thumbnails/{label}.png")
    def strip(dataset: str, label: int) -> Response:
        return Response(thumbnails(store, store.dataset(dataset), label), media_type="image/png")


def _add_editing(app: FastAPI, editing: Editing) -> None:
    limits: Limits = app.state.settings.limits

    @app.patch("/datasets/{dataset}", dependencies=[ticket_for("edit")])
    async def change(dataset: str, request: Request) -> dict[str, Any]:
        changes = changes_of(await body_of(request, limits.body_bytes))
        if changes.name:
            await asyncio.to_thread(editing.store.rename, dataset, " ".join(changes.name.split()))
        if changes.labels:
            await editing.relabel(dataset, changes.labels)
        return report(await asyncio.to_thread(editing.store.dataset, dataset))

    @app.post("/datasets/{dataset}/images", status_code=201, dependencies=[ticket_for("edit")])
    async def add_images(dataset: str, request: Request, label: str = "") -> dict[str, Any]:
        data = await body_of(request, limits.file_bytes)
        if request.headers.get("content-type") == "application/zip":
            return await editing.add_images(dataset, data)
        return await editing.add_image(dataset, label, data)


def _add_writing(app: FastAPI, store: Store) -> None:
    @app.post("/datasets", status_code=201, dependencies=[ticket_for("upload")])
    async def upload(request: Request, query: Annotated[UploadQuery, Query()]) -> dict[str, Any]:
        _check_body(request, app.state.settings)
        uploads: Uploads = app.state.uploads
        return await uploads.receive(request.stream(), Wanted.of(query.model_dump()), partial(_gone, request))

    @app.post("/datasets/{dataset}/cuts", status_code=201, dependencies=[ticket_for("upload")])
    async def another_cut(dataset: str, query: Annotated[CutQuery, Query()]) -> dict[str, Any]:
        uploads: Uploads = app.state.uploads
        return await uploads.cut(dataset, Wanted.of(query.model_dump()).spec)

    @app.get("/datasets/{dataset}/line")
    async def line(dataset: str) -> dict[str, int]:
        uploads: Uploads = app.state.uploads
        return {"ahead": uploads.ahead_of_cut(dataset)}

    @app.delete("/datasets/{dataset}", dependencies=[ticket_for("delete")])
    async def delete(dataset: str) -> dict[str, Any]:
        try:
            await uninterrupted(store.remove, dataset)
        except InUse as error:
            raise Refusal(409, f"the data set {dataset} is {error}: detach it there first") from error
        app.state.shards.clear()
        return {"removed": dataset}

    @app.put("/datasets/{dataset}/uses/{project}", dependencies=[ticket_for("use")])
    def use(dataset: str, project: str) -> dict[str, Any]:
        store.use(dataset, project, used=True)
        return {"uses": store.uses(dataset)}

    @app.delete("/datasets/{dataset}/uses/{project}", dependencies=[ticket_for("use")])
    def unuse(dataset: str, project: str) -> dict[str, Any]:
        store.use(dataset, project, used=False)
        return {"uses": store.uses(dataset)}


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _check_body(request: Request, settings: Settings) -> None:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        raise Refusal(415, "send the zip itself as the body (curl --data-binary @pictures.zip), not a form")
    length = request.headers.get("content-length", "")
    if length.isdecimal():
        check_size(int(length), settings.limits)
        request.app.state.uploads.check_room(int(length))
