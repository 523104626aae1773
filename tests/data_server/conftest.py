"""A data server in this process (for most tests) and one as a process of its own (for those that kill it)."""

import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from data_server.app import create_app
from data_server.quick import quick_protocol
from data_server.settings import Limits, Settings
from data_server.store import Store, shards_of
from data_server.tickets import Action, issue

SECRET = "a secret of more than sixteen characters"
SHAPE = {"width": 8, "height": 8, "channels": 1}


def bearer(action: Action) -> dict[str, str]:
    """Return the header that carries a ticket."""
    return {"authorization": f"Bearer {issue(SECRET, action)}"}


def assert_clean(root: Path, store: Store) -> None:
    """Assert that the disk holds exactly what the index names."""
    assert not list((root / "work").iterdir())
    assert {path.stem for path in (root / "zips").iterdir()} == {
        source["sha256"] for document in store.datasets() for source in document["sources"]
    }
    named = {name for cut in store.index.cuts() for name in shards_of(cut)}
    assert {path.stem for path in (root / "shards").iterdir()} == named


@dataclass
class Served:
    """A data server in this process and how to talk to it."""

    client: httpx.Client
    settings: Settings
    store: Store
    server: uvicorn.Server

    def upload(self, data: bytes, **query: Any) -> httpx.Response:
        """Upload a zip, by default for 8 x 8 grey."""
        return self.client.post("/datasets", params={**SHAPE, **query}, content=data, headers=bearer("upload"))

    def made(self, data: bytes, **query: Any) -> dict[str, Any]:
        """Upload a zip that is taken; return the report."""
        answer = self.upload(data, **query)
        assert answer.status_code == 201, answer.text
        report: dict[str, Any] = answer.json()
        return report

    def manifest(self, report: dict[str, Any]) -> dict[str, Any]:
        """Return the manifest of a report's newest cut."""
        found: dict[str, Any] = self.client.get(f"/cuts/{report['cuts'][-1]['id']}/manifest.json").json()
        return found

    def assert_clean(self) -> None:
        """Assert that the server lives and its disk holds exactly what its index names."""
        assert self.client.get("/healthz").json()["ok"]
        assert_clean(self.settings.data_dir, self.store)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Make data servers in this process, with other limits where a test wants them."""
    with ExitStack() as stack:

        def start(
            limits: Limits | None = None,
            folder: Path | None = None,
            send_buffer: int = 0,
            certificate: Path | None = None,
            **options: Any,
        ) -> Served:
            settings = Settings(folder or tmp_path / "data", SECRET, limits=limits or Limits(), **options)
            return stack.enter_context(_serving(settings, send_buffer, certificate))

        yield start


@contextmanager
def _serving(settings: Settings, send_buffer: int, certificate: Path | None) -> Iterator[Served]:
    app = create_app(settings)
    protocol = quick_protocol(app.state.shards, settings, app.state.counters)
    options = {"loop": "uvloop", "http": protocol, "log_level": "warning", "timeout_graceful_shutdown": 1}
    options |= {"ssl_certfile": certificate} if certificate else {}
    server = uvicorn.Server(uvicorn.Config(app, **options))  # type: ignore[arg-type]
    with socket.socket() as listener:
        if send_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        listener.bind(("127.0.0.1", 0))
        url = f"http{'s' * bool(certificate)}://127.0.0.1:{listener.getsockname()[1]}"
        trusted = ssl.create_default_context(cafile=certificate) if certificate else False
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until(lambda: server.started)
        with httpx.Client(base_url=url, timeout=60, trust_env=False, verify=trusted) as client:
            yield Served(client, settings, app.state.store, server)
        server.should_exit = True
        thread.join()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """Make one with the usual limits."""
    return serve()


class Process:
    """A data server as a process of its own."""

    def __init__(
        self, root: Path, *options: str, port: int = 0, limits: Mapping[int, tuple[int, int]] | None = None
    ) -> None:
        self.root, self.port = root, port or free_port()
        (root / "secret").write_text(SECRET)
        self.options, self.limits = options, limits or {}
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(self.command(), stderr=subprocess.PIPE, cwd=self.root)
        for which, limit in self.limits.items():
            resource.prlimit(self.process.pid, which, limit)
        until(self._answers)

    def command(self) -> list[str]:
        """Return the command line that starts it."""
        arguments = ["--port", str(self.port), "--data-dir", str(self.root / "data")]
        return [
            sys.executable,
            "-m",
            "data_server",
            *arguments,
            "--secret-file",
            str(self.root / "secret"),
            *self.options,
        ]

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.process.stderr and self.process.stderr.read().decode()
        try:
            return httpx.get(f"{self.url}/healthz").is_success
        except httpx.TransportError:
            return False

    def upload(self, data: bytes, **query: Any) -> httpx.Response:
        """Upload a zip, by default for 8 x 8 grey."""
        url, headers = f"{self.url}/datasets", bearer("upload")
        return httpx.post(url, params={**SHAPE, **query}, content=data, headers=headers, timeout=60)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(timeout=20)
        if self.process.stderr:
            self.process.stderr.close()
        return status


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """Run a data server as a process of its own."""
    running = Process(tmp_path)
    yield running
    running.end()


@dataclass
class Shard:
    """A shard on a running server, that it has at hand."""

    served: Served
    path: str
    data: bytes

    def connect(self, receive_buffer: int = 0) -> socket.socket:
        """Open a connection to its server, on a socket that takes little at once where that is wanted."""
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(30)
        client.connect(("127.0.0.1", self.served.client.base_url.port))
        return client

    def raw(self, *requests: str) -> bytes:
        """Send requests at once on one connection, the last of which closes it; return all that comes."""
        with self.connect() as client:
            client.sendall("".join(requests).encode())
            return all_of(client)


def shard_of(served: Served, data: bytes, **shape: int) -> Shard:
    """Upload a data set and give one of its shards."""
    manifest = served.manifest(served.made(data, **shape))
    path = f"/shards/{manifest['shards'][0]['hash']}.zip"
    return Shard(served, path, served.client.get(path).content)


def all_of(client: socket.socket) -> bytes:
    """Read until the server hangs up."""
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def get(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> str:
    """Write a request."""
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: localhost", *headers, "", ""])


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """Run a Redis of our own on a free port."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.fail("redis-server is missing: apt-get install redis-server")
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)
    until(lambda: _listens(port))
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait(timeout=20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children_of(pid: int) -> list[int]:
    """Return a process's children."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
