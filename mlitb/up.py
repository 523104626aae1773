"""`mlitb up`: the master in this process and the data server as a child, from start to a clean end.

Rules of this file:
- Every way in which a start can fail is one sentence (StartFailed) and a non-zero exit.
- The child never outlives this process: it ends when the pipe to its standard input closes, however we end. After a
  kill it may take a moment longer than we did: a start that finds such an end waits for it.
- A signal lets open iterations end, saves, sends the browsers away for a moment, and only then closes the sockets.
- Nothing here knows what the servers do.
"""

import asyncio
import collections
import contextlib
import errno
import ipaddress
import logging
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial

import httpx
import uvicorn
from fastapi import FastAPI

from mlitb import collector, resources
from mlitb.access import Owner, Tickets
from mlitb.backup import finish_restore
from mlitb.connection import Connection
from mlitb.data_client import DataServer, DataServerError
from mlitb.disk import NotStored
from mlitb.engine import Engine
from mlitb.folder import PATIENT_S, FolderLock, check_strangers, freed
from mlitb.identities import Identities
from mlitb.projects import Projects
from mlitb.runtime import Runtime
from mlitb.server import create_app
from mlitb.settings import Settings, SettingsError, prepare_data_dir, secret
from mlitb.storage import Storage, StorageError
from mlitb.tls import Certificate, given, pinned

log = logging.getLogger("mlitb")

OPEN_FILES = 65_536
"""A connection each; many systems begin with a thousand and allow more."""

CHILD_START_S = 30.0
CHILD_STOP_S = 3.0
GRACE_S = 2
"""How long open requests may take after Ctrl-C."""

KEEP_ALIVE_S = 75
"""How long a connection may rest between two requests: longer than clients keep theirs (httpx 5 s), or one would send
its next request into a connection that is just being closed, and get no answer."""

DRAIN_S = 1.5
"""How long an open iteration may take beyond its T when the server is stopped; all of it ends within T + 5 s."""

MAX_RESTARTS = 10
RESTARTS_S = 60.0
"""A data server that ends by itself so often within so long is broken: then everything stops, with a sentence."""

REGISTER_AGAIN_S = 5.0


Announce = Callable[[Owner, Certificate | None], Awaitable[None]]


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


async def bind_patiently(host: str, port: int, option: str, patient_s: float) -> socket.socket:
    """Like bind, but wait so long for a port that a process of ours may still hold."""
    until = time.monotonic() + patient_s
    while True:
        try:
            return bind(host, port, option)
        except StartFailed:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(0.05)


class DataServerProcess:
    """The data server as a child process."""

    def __init__(self, settings: Settings, host: str, certificate: Certificate | None) -> None:
        self.settings = settings
        self.verify = pinned(certificate)
        self.command = [
            sys.executable, "-m", "data_server", "--host", host, "--port", str(settings.data_port),
            "--data-dir", str(settings.data_server_dir), "--secret-file", str(settings.secret_file),
            "--master-port", str(settings.port), "--exit-with-parent",
        ]  # fmt: skip
        if certificate:
            self.command += ["--cert", str(certificate.cert), "--key", str(certificate.key)]
        for name in settings.allow_hosts:
            self.command += ["--allow-host", name]
        if settings.lan:
            self.command += ["--lan"]
        if settings.public_url:
            self.command += ["--public-url", settings.public_url]
        self.process: asyncio.subprocess.Process | None = None
        self.answers = asyncio.Event()  # for the first time
        self._relay: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Start it, and again whenever it ends by itself; raise StartFailed when it does not stay up."""
        await self.start()
        self.answers.set()
        await self.watch()

    async def start(self) -> None:
        """Start it and wait until it answers."""
        await freed(self.settings.data_server_dir / "lock")  # of one that was killed
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=subprocess.PIPE, start_new_session=True,
            stderr=subprocess.PIPE if self.settings.relay_logs else None,
        )  # fmt: skip
        if self.process.stderr is not None:
            self._relay = asyncio.create_task(_relayed(self.process.stderr))
        async with httpx.AsyncClient(trust_env=False, verify=self.verify) as http:
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
        ends: collections.deque[float] = collections.deque(maxlen=MAX_RESTARTS)
        while True:
            assert self.process is not None
            code = await self.process.wait()
            ends.append(time.monotonic())
            if len(ends) == MAX_RESTARTS and ends[0] > ends[-1] - RESTARTS_S:
                raise StartFailed(f"the data server ended {MAX_RESTARTS} times by itself: see the lines above")
            log.error("the data server ended with code %s; it is started again", code)
            try:
                await self.start()
            except StartFailed as error:
                log.error(str(error))
                await self.stop()

    async def stop(self) -> None:
        """End it: ask first, then insist."""
        if self.process is None or self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):  # it ended this very moment
            self.process.terminate()
        try:
            async with asyncio.timeout(CHILD_STOP_S):
                await self.process.wait()
        except TimeoutError:
            log.warning("the data server did not end within %s s and is killed", CHILD_STOP_S)
            self.process.kill()
            await self.process.wait()


def check_speedups() -> None:
    """Warn when websockets runs without its C code, which masks frames a hundred times faster, or asyncio by itself."""
    if not type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        log.warning("this is asyncio's own event loop, not uvloop: frames cost more of the processor")
    try:
        import websockets.speedups  # noqa: F401
    except ImportError:
        log.warning("websockets has no C speed-ups on this machine: large networks will be slow to receive")


async def _relayed(lines: asyncio.StreamReader) -> None:
    while line := await lines.readline():
        logging.getLogger("mlitb.data_server").warning("%s", line.decode(errors="replace").rstrip())


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a master needs, opened."""

    lock: FolderLock
    engine: bytes
    projects: Projects
    owner: Owner
    tickets: Tickets
    certificate: Certificate | None

    @property
    def patient_s(self) -> float:
        """How long to wait for what the run before may still hold."""
        return 0.0 if self.lock.before.ended else PATIENT_S


def prepare(settings: Settings) -> Prepared:
    """Open all that the master needs; raise StartFailed."""
    try:
        resources.check()
        warning = check_strangers(settings.data_dir)
        prepare_data_dir(settings)
        lock = FolderLock(settings)
    except (resources.ResourceMissing, SettingsError) as error:
        raise StartFailed(str(error)) from error
    if warning:
        log.warning(warning)
    if not lock.before.ended:
        log.warning("the last run on %s did not end in order: going on from what it saved", settings.data_dir)
    try:
        return _opened(settings, lock)
    except (SettingsError, StorageError, OSError) as error:
        lock.release()
        raise StartFailed(str(error)) from error


def _opened(settings: Settings, lock: FolderLock) -> Prepared:
    finish_restore(settings.data_dir)
    prepare_data_dir(settings)
    key = secret(settings.secret_file)
    owner = Owner(secret(settings.owner_file), f"mlitb-owner-{settings.port}")
    engine = resources.engine()
    runtime = Runtime(Engine(engine), save_every=settings.checkpoint_s)
    identities = Identities(key)
    runtime.issue, runtime.recall = identities.issue, identities.recall
    shown = certificate_for(settings)
    return Prepared(lock, engine, Projects(runtime, Storage(settings.master_dir)), owner, Tickets(key), shown)


def certificate_for(settings: Settings) -> Certificate | None:
    """Give the certificate that both servers show, made if need be; None without HTTPS. Raises SettingsError."""
    if settings.cert or settings.key:
        return given(settings.cert, settings.key)
    if not settings.https:
        return None
    from mlitb.certificates import own  # loads an SSL library of its own

    return own(settings)


def bound_host(settings: Settings) -> str:
    """Return the address to listen on: all with --lan, else the one given."""
    return "0.0.0.0" if settings.lan and ipaddress.ip_address(settings.host).is_loopback else settings.host


class MasterServer(uvicorn.Server):
    """uvicorn's server, with signals left to `up`, which has a child to end as well."""

    before_shutdown: Callable[[], Awaitable[None]]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Do what needs the connections first: uvicorn closes them before the application hears of it."""
        await self.before_shutdown()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def uvicorn_server(app: FastAPI, settings: Settings, certificate: Certificate | None = None) -> MasterServer:
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
            timeout_keep_alive=KEEP_ALIVE_S,
            ssl_certfile=certificate.cert if certificate else None,
            ssl_keyfile=certificate.key if certificate else None,
        )
    )


def stop_on_signals(server: uvicorn.Server, runtime: Runtime) -> None:
    """Let Ctrl-C and SIGTERM end the server in order (the second at once), or the start when it is not up yet."""
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    assert main is not None

    def stop() -> None:
        runtime.hurried = server.should_exit
        server.should_exit = True
        if not server.started:
            main.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


def allow_many_files() -> None:
    """Let this process hold as many connections as the system lets it ask for."""
    wanted, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, allowed), most))


async def up(settings: Settings, announce: Announce, *, with_data_server: bool = True) -> bool:
    """Run the master, and the data server unless it runs elsewhere, until a signal; raise StartFailed.

    `announce` is called with the owner and the certificate when both answer. Returns whether to start again: after a
    restore.
    """
    prepared = prepare(settings)
    try:
        return await _run(settings, prepared, announce, with_data_server)
    finally:
        prepared.lock.release()


async def _run(settings: Settings, prepared: Prepared, announce: Announce, with_data_server: bool) -> bool:
    projects, host = prepared.projects, bound_host(settings)
    allow_many_files()
    if with_data_server:
        (await bind_patiently(host, settings.data_port, "--data-port", prepared.patient_s)).close()
    listener = bind(host, settings.port, "--port")
    check_speedups()
    shown = prepared.certificate
    app = create_app(settings, projects, prepared.owner, prepared.tickets, prepared.engine, shown)
    server = uvicorn_server(app, settings, shown)
    child = DataServerProcess(settings, host, shown)
    data_server = DataServer(settings.data_server, prepared.tickets, pinned(shown))
    stop_on_signals(server, projects.runtime)
    tasks: list[asyncio.Task[None]] = []
    ending: list[asyncio.Task[None]] = []
    again: list[bool] = []

    def restart() -> None:
        again.append(True)
        server.should_exit = True

    async def before_shutdown() -> None:
        if projects.ready and not projects.runtime.broken:
            await projects.drain(DRAIN_S)
        if with_data_server:
            tasks[0].cancel()  # what watches the child
            ending.append(asyncio.create_task(child.stop()))

    app.state.restart = restart
    server.before_shutdown = before_shutdown
    try:
        if with_data_server:  # beside the master's own start: trainers that have their pictures need not wait for it
            tasks.append(asyncio.create_task(child.run()))
        else:
            child.answers.set()
        told = partial(announce, prepared.owner, shown)
        tasks.append(asyncio.create_task(_announced(server, child.answers, told)))
        tasks.append(asyncio.create_task(projects.runtime.failure()))
        tasks.append(asyncio.create_task(register_uses(projects, data_server)))
        await _until_served(asyncio.create_task(server.serve(sockets=[listener])), tasks)
    except NotStored as error:
        raise StartFailed(str(error)) from error
    finally:
        await _end(server, tasks)
        await asyncio.gather(*ending, return_exceptions=True)
        await child.stop()
        listener.close()
    return bool(again)


async def register_uses(projects: Projects, data_server: DataServer) -> None:
    """Tell the data server again which data sets are used, as often as it takes."""
    while not projects.ready:
        await asyncio.sleep(0.05)
    waiting = {(dataset, view["id"]) for view in projects.views() for dataset in projects.datasets(view["id"])}
    try:
        while waiting:
            waiting = {use for use in waiting if not await _registered(data_server, *use)}
            if waiting:
                await asyncio.sleep(REGISTER_AGAIN_S)
    finally:
        await data_server.close()


async def _registered(data_server: DataServer, dataset: str, project: str) -> bool:
    try:
        await data_server.use(dataset, project)
    except DataServerError as error:
        if error.status == 404:
            log.error("%s uses the data set %s, which the data server does not have: %s", project, dataset, error)
        return error.status == 404
    return True


async def _until_served(serving: asyncio.Task[None], others: list[asyncio.Task[None]]) -> None:
    """Wait until the server ends; what fails beside it ends it, too."""
    others.append(serving)
    waiting = set(others)
    while not serving.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()
    serving.result()


async def _end(server: uvicorn.Server, tasks: list[asyncio.Task[None]]) -> None:
    server.should_exit = True
    serving = tasks[-1:] if server.started else []
    for task in tasks:
        if task not in serving:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _announced(server: uvicorn.Server, both: asyncio.Event, announce: Callable[[], Awaitable[None]]) -> None:
    while not (server.started and both.is_set()) and not server.should_exit:
        await asyncio.sleep(0.02)
    if server.started and not server.should_exit:
        collector.spare()
        await announce()
