"""The master's web server: pages, files, and the app that joins them with the API and the WebSocket.

Rules of this file:
- Pages carry no data but the configuration: what changes comes by REST or WebSocket.
- Every URL that a browser is given is built from the host that it asked for.
- Errors are sentences: JSON for programs, a page for people.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlitb import __version__, demo_api, resources, teaching
from mlitb.access import Guard, HostPolicy, Owner, Tickets
from mlitb.api import Shell, router
from mlitb.core.messages import PROTOCOL
from mlitb.core.refusal import Refusal
from mlitb.data_client import DataServer, DataServerError
from mlitb.disk import NotStored
from mlitb.files import ADDRESS, Files
from mlitb.heads import Heads
from mlitb.live import Live
from mlitb.model_api import router as model_router
from mlitb.modelfile import MAX_BYTES
from mlitb.projects import Projects
from mlitb.settings import Settings
from mlitb.testing import router as testing_router
from mlitb.tls import Certificate, pinned
from mlitb.upkeep import audit_all, probes
from mlitb.upkeep import router as upkeep_router

log = logging.getLogger(__name__)

COOKIE_S = 365 * 24 * 3600
"""How long a browser stays the owner's."""


class Faults:
    """Answers a fault of our own, here and not further out, where uvicorn would break the connection off as well."""

    def __init__(self, app: ASGIApp, answer: Callable[[Request, int, str], Response]) -> None:
        self.app = app
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception:
            if begun or scope["type"] != "http":
                raise
            log.exception("a fault of the master, at %s %s", scope["method"], scope["path"])
            answer = self.answer(Request(scope), 500, "a fault of the master: its log says more")
            await answer(scope, receive, send)


def create_app(
    settings: Settings,
    projects: Projects,
    owner: Owner,
    tickets: Tickets,
    engine: bytes,
    certificate: Certificate | None = None,
) -> FastAPI:
    """Build the application around the projects (which its lifespan starts and stops)."""
    data_server = DataServer(settings.data_server, tickets, pinned(certificate))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await projects.start()
        yield
        await projects.stop()
        await data_server.close()

    app = FastAPI(title="MLitB", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    live = Live(projects.runtime, settings)
    live.on_control = projects.controlled
    policy = HostPolicy(settings.lan, settings.allow_hosts)
    shell = Shell(settings, projects, engine, owner, tickets, data_server, live)
    app.state.shell, app.state.turns, app.state.demo = shell, teaching.Turns(), asyncio.Lock()
    app.add_middleware(Heads)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)
    app.add_middleware(Faults, partial(_error_answer, app))
    app.add_middleware(Guard, policy, settings.public_url, settings.data_url, settings.data_port, shell.refused)
    app.include_router(probes)
    app.include_router(model_router, dependencies=audit_all)
    app.include_router(router, dependencies=audit_all)
    app.include_router(upkeep_router, dependencies=audit_all)
    app.include_router(teaching.router, dependencies=audit_all)
    app.include_router(testing_router, dependencies=audit_all)
    app.include_router(demo_api.router, dependencies=audit_all)
    _add_errors(app)
    files = Files(resources.static())
    _add_pages(app, shell, files)
    _add_authority(app, certificate)
    app.mount(ADDRESS, files)
    return app


def browser_config(shell: Shell, request: Request) -> dict[str, Any]:
    """Return what a browser must know, for the host that it asked for."""
    return {
        "protocol": PROTOCOL,
        "engine": shell.projects.runtime.engine.sha256,
        "engine_url": f"/engine/{shell.projects.runtime.engine.sha256}.wasm",
        "data_url": shell.data_url(request),
        "invite_url": shell.invite_url(request),
        "owner": shell.owner.asks(request.headers),
        "max_model_bytes": MAX_BYTES,
        "version": __version__,
    }


def _add_pages(app: FastAPI, shell: Shell, files: Files) -> None:
    templates = Jinja2Templates(directory=resources.templates())
    templates.env.globals["static"] = files.address
    app.state.templates = templates

    def page(request: Request, name: str, project: str = "") -> Response:
        if "token" in request.query_params:
            return _enter(shell, request)
        view = shell.known(project) if project else None
        context = {
            "config": browser_config(shell, request),
            "project": {"id": project, "name": view["name"], "about": view["about"]} if view else None,
            "version": __version__,
        }
        response = templates.TemplateResponse(request, name, context)
        response.headers["cache-control"] = "no-store"
        return response

    @app.get("/", include_in_schema=False)
    async def projects_page(request: Request) -> Response:
        return page(request, "projects.html")

    @app.get("/project/{project}", include_in_schema=False)
    async def project_page(request: Request, project: str) -> Response:
        return page(request, "project.html", project)

    @app.get("/project/{project}/classify", include_in_schema=False)
    async def classify_page(request: Request, project: str) -> Response:
        return page(request, "classify.html", project)

    @app.get("/project/{project}/statistics", include_in_schema=False)
    async def statistics_page(request: Request, project: str) -> Response:
        return page(request, "statistics.html", project)

    @app.get("/join/{project}", include_in_schema=False)
    async def join_page(request: Request, project: str) -> Response:
        return page(request, "join.html", project)

    @app.get("/data", include_in_schema=False)
    @app.get("/data/{dataset}", include_in_schema=False)  # the browser asks the data server which there are
    async def data_page(request: Request) -> Response:
        return page(request, "data.html")

    @app.get("/api/config")
    async def config(request: Request) -> dict[str, Any]:
        return browser_config(shell, request)

    @app.get("/engine/{name}.wasm")
    async def engine(name: str) -> Response:
        if name != shell.projects.runtime.engine.sha256:
            raise HTTPException(404, "this master runs another engine: load the page again")
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(shell.engine, media_type="application/wasm", headers=headers)

    async def connect(socket: WebSocket) -> None:
        await shell.live.serve(socket, shell.owner.asks(socket.headers))

    app.router.routes.append(WebSocketRoute("/ws", connect))  # FastAPI's own route keeps 3 KB more for each


def _add_authority(app: FastAPI, certificate: Certificate | None) -> None:
    @app.get("/ca.crt", include_in_schema=False)
    async def authority() -> Response:
        if certificate is None or certificate.authority is None:
            raise HTTPException(404, "this server has no authority of its own: only `mlitb up --https` makes one")
        return Response(certificate.authority.read_bytes(), media_type="application/x-x509-ca-cert")


def _enter(shell: Shell, request: Request) -> Response:
    """Turn the owner token of a printed link into a cookie, and take it out of the address bar."""
    if not shell.owner.matches(request.query_params["token"]):
        shell.refused["owner token"] += 1
        raise HTTPException(403, "the owner token in this link is not this server's: take the link that it printed")
    response = RedirectResponse(str(request.url.replace(query="").path), 303)
    secure = request.url.scheme == "https"
    response.set_cookie(
        shell.owner.cookie, shell.owner.token, COOKIE_S, httponly=True, samesite="strict", secure=secure
    )
    return response


def _error_answer(app: FastAPI, request: Request, status: int, sentence: str) -> Response:
    app.state.shell.refused[str(status)] += 1
    if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"detail": sentence}, status)
    context = {
        "status": status, "sentence": sentence, "project": None, "version": __version__,
        "config": browser_config(app.state.shell, request),
    }  # fmt: skip
    page: Response = app.state.templates.TemplateResponse(request, "error.html", context, status_code=status)
    return page


def _add_errors(app: FastAPI) -> None:
    answer = partial(_error_answer, app)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        sentence = str(error.detail)
        if sentence == HTTPStatus(error.status_code).phrase:  # the framework's own: say what was asked
            sentence = f"{request.method} {request.url.path} is not something that this server knows"
        return answer(request, error.status_code, sentence)

    @app.exception_handler(Refusal)
    async def refusal(request: Request, error: Refusal) -> Response:
        return answer(request, error.status, str(error))

    @app.exception_handler(DataServerError)
    async def data_server_error(request: Request, error: DataServerError) -> Response:
        return answer(request, error.status, str(error))

    @app.exception_handler(NotStored)
    async def not_stored(request: Request, error: NotStored) -> Response:
        return answer(request, 507, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()[0]
        place = ".".join(str(part) for part in found["loc"] if part != "body") or "the body"
        return answer(request, 422, f"{place}: {found['msg']}")
