"""`mlitb up`: the master in this process and the data server as a child, from start to a clean end.

Rules of this file:
- Every way in which a start can fail is one sentence (StartFailed) and a non-zero exit.
- The child never outlives this process: it ends when the pipe to its standard input closes, however we end.
- Nothing here knows what the servers do.
"""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

import httpx
import uvicorn
from fastapi import FastAPI

from mlitb import resources
from mlitb.access import Owner, Tickets
from mlitb.connection import Connection
from mlitb.engine import Engine
from mlitb.projects import Projects
from mlitb.runtime import Runtime
from mlitb.server import create_app
from mlitb.settings import Settings, SettingsError, prepare_data_dir, secret
from mlitb.storage import Storage, StorageError

log = logging.getLogger("mlitb")

CHILD_START_S = 30.0
CHILD_STOP_S = 10.0
GRACE_S = 5
"""How long open requests may take after Ctrl-C."""

MAX_RESTARTS = 5
"""A data server that ends so often by itself is broken: then everything stops, with a sentence."""


Announce = Callable[[Owner], Awaitable[None]]


class StartFailed(RuntimeError):
    """The servers cannot run; the message is one sentence for the operator."""


def bind(host: str, port: int, option: str) -> socket.socket:
    """Return a socket bound to host and port; raise StartFailed naming what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise StartFailed(f"port {port} is taken by another program: choose another with {option}") from error
        raise StartFailed(f"{host}:{port} cannot be listened on ({error})") from error
    listener.setblocking(False)
    return listener


def lan_address() -> str:
    """Return this machine's address in its network (no packet is sent); loopback when it has none."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with contextlib.closing(probe):
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1: connecting a datagram socket only asks for the route
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


class DataServerProcess:
    """The data server as a child process."""

    def __init__(self, settings: Settings, host: str) -> None:
        self.settings = settings
        self.command = [
            sys.executable, "-m", "data_server", "--host", host, "--port", str(settings.data_port),
            "--data-dir", str(settings.data_server_dir), "--secret-file", str(settings.secret_file),
            "--master-port", str(settings.port), "--exit-with-parent",
        ]  # fmt: skip
        for name in settings.allow_hosts:
            self.command += ["--allow-host", name]
        if settings.lan:
            self.command += ["--lan"]
        if settings.public_url:
            self.command += ["--public-url", settings.public_url]
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=subprocess.PIPE, start_new_session=True
        )
        async with httpx.AsyncClient(trust_env=False) as http:
            until = time.monotonic() + CHILD_START_S
            while time.monotonic() < until:
                if self.process.returncode is not None:
                    raise StartFailed("the data server did not start: it said why in the line above")
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"{self.settings.data_server}/healthz", timeout=2)).is_success:
                        return
                await asyncio.sleep(0.05)
        raise StartFailed(f"the data server did not answer within {CHILD_START_S:.0f} s")

    async def watch(self) -> None:
        """Start it again when it ends by itself; raise StartFailed when it does not stay up."""
        for _ in range(MAX_RESTARTS):
            assert self.process is not None
            code = await self.process.wait()
            log.error("the data server ended with code %s; it is started again", code)
            await self.start()
        raise StartFailed(f"the data server ended {MAX_RESTARTS} times by itself: see the lines above")

    async def stop(self) -> None:
        """End it: ask first, then insist."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(CHILD_STOP_S):
                await self.process.wait()
        except TimeoutError:
            log.warning("the data server did not end within %s s and is killed", CHILD_STOP_S)
            self.process.kill()
            await self.process.wait()


def check_speedups() -> None:
    """Warn when websockets runs without its C code, which masks frames a hundred times faster."""
    try:
        import websockets.speedups  # noqa: F401
    except ImportError:
        log.warning("websockets has no C speed-ups on this machine: large networks will be slow to receive")


def prepare(settings: Settings) -> tuple[bytes, Storage, Owner, Tickets]:
    """Open all that the master needs; raise StartFailed."""
    try:
        resources.check()
        prepare_data_dir(settings)
        tickets = Tickets(secret(settings.secret_file))
        owner = Owner(secret(settings.owner_file), f"mlitb-owner-{settings.port}")
        return resources.engine(), Storage(settings.master_dir), owner, tickets
    except (resources.ResourceMissing, SettingsError, StorageError) as error:
        raise StartFailed(str(error)) from error


def bound_host(settings: Settings) -> str:
    """Return the address to listen on: all with --lan, else the one given."""
    return "0.0.0.0" if settings.lan and ipaddress.ip_address(settings.host).is_loopback else settings.host


class MasterServer(uvicorn.Server):
    """uvicorn's server, with signals left to `up`, which has a child to end as well."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def uvicorn_server(app: FastAPI, settings: Settings) -> MasterServer:
    """Return the master's server with the options that docs/architecture.md justifies."""
    return MasterServer(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws=Connection,
            ws_per_message_deflate=False,
            ws_max_size=settings.max_frame_bytes,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
    )


def stop_on_signals(server: uvicorn.Server) -> None:
    """Let Ctrl-C and SIGTERM end the server in order, or the start when it is not up yet."""
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    assert main is not None

    def stop() -> None:
        server.should_exit = True
        if not server.started:
            main.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


async def up(settings: Settings, announce: Announce, *, with_data_server: bool = True) -> None:
    """Run the master, and the data server unless it runs elsewhere, until a signal; raise StartFailed.

    `announce` is called with the owner when both answer.
    """
    engine, storage, owner, tickets = prepare(settings)
    host = bound_host(settings)
    if with_data_server:
        bind(host, settings.data_port, "--data-port").close()
    listener = bind(host, settings.port, "--port")
    check_speedups()
    projects = Projects(Runtime(Engine(engine)), storage)
    server = uvicorn_server(create_app(settings, projects, owner, tickets, engine), settings)
    child = DataServerProcess(settings, host)
    stop_on_signals(server)
    tasks: list[asyncio.Task[None]] = []
    try:
        if with_data_server:
            await child.start()
            tasks.append(asyncio.create_task(child.watch()))
        tasks.append(asyncio.create_task(_announced(server, owner, announce)))
        tasks.append(asyncio.create_task(projects.runtime.failure()))
        await _until_served(asyncio.create_task(server.serve(sockets=[listener])), tasks)
    finally:
        await _end(server, tasks)
        await child.stop()
        listener.close()


async def _until_served(serving: asyncio.Task[None], others: list[asyncio.Task[None]]) -> None:
    """Wait until the server ends; what fails beside it ends it, too."""
    others.append(serving)
    waiting = set(others)
    while not serving.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    serving.result()


async def _end(server: uvicorn.Server, tasks: list[asyncio.Task[None]]) -> None:
    server.should_exit = True
    serving = tasks[-1:] if server.started else []
    for task in tasks:
        if task not in serving:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _announced(server: uvicorn.Server, owner: Owner, announce: Announce) -> None:
    while not server.started and not server.should_exit:
        await asyncio.sleep(0.02)
    if server.started:
        await announce(owner)
