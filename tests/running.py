"""A real MLitB for tests: `mlitb up` as a child process on free ports, and how to wait for what it does."""

import os
import random
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx

START_S = 60.0
PORTS = range(20_000, 32_000)
Found = TypeVar("Found")


def free_port() -> int:
    """Return a port that was free a moment ago, below those that the system gives to outgoing connections."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port is free in {PORTS}")


def until(condition: Callable[[], Found | None], what: str, timeout_s: float = 30.0) -> Found:
    """Return the first true answer of `condition`; fail naming `what` when none comes in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"did not happen within {timeout_s} s: {what}")


class Running:
    """A started system: its addresses, its owner token, and REST calls as the owner."""

    def __init__(self, process: "subprocess.Popen[str]", port: int, data_port: int, log: IO[str], tls: Any) -> None:
        self.process = process
        self.port = port
        self.data_port = data_port
        self.link = ""
        self.token = ""
        self.errors = ""  # what it logged, once it ended
        scheme = "http" if tls is None else "https"
        self.master = f"{scheme}://127.0.0.1:{port}"
        self.data_server = f"{scheme}://127.0.0.1:{data_port}"
        self.owner = httpx.Client(base_url=self.master, trust_env=False, timeout=30, verify=tls or True)
        self.visitor = httpx.Client(base_url=self.master, trust_env=False, timeout=30, verify=tls or True)
        self._log = log

    def enter(self, line: str) -> None:
        """Take the owner's link from the line that was printed."""
        found = re.search(r"https?://\S+", line)
        assert found, f"no link in {line!r}; errors: {self.logged()}"
        self.link = found.group()
        self.token = self.link.rpartition("token=")[2]
        self.owner.headers["authorization"] = f"Bearer {self.token}"

    def logged(self) -> str:
        """Return what it has logged so far."""
        self._log.seek(0)
        return self._log.read()

    def project(self, name: str = "digits") -> dict[str, Any]:
        """Return a project's view."""
        answer = self.visitor.get(f"/api/projects/{name}")
        answer.raise_for_status()
        view: dict[str, Any] = answer.json()
        return view

    def iteration(self, name: str = "digits") -> int:
        """Return a project's iteration."""
        return int(self.project(name)["status"]["iteration"])

    def upload(self, data: bytes, **options: str) -> httpx.Response:
        """Upload a zip to the data server as the owner."""
        ticket = self.owner.post("/api/tickets", json={"action": "upload"}).json()["ticket"]
        shape = {"name": "test", "width": "8", "height": "8", "channels": "1", **options}
        headers = {"authorization": f"Bearer {ticket}"}
        return httpx.post(
            f"{self.data_server}/datasets", params=shape, content=data, headers=headers, trust_env=False, timeout=300
        )

    def stop(self) -> int:
        """Press Ctrl-C and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


def command(*arguments: str) -> list[str]:
    """Return the command line of the installed `mlitb`."""
    return [str(Path(sys.executable).parent / "mlitb"), *arguments]


def _first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_S)
    assert ready, f"mlitb up printed nothing within {START_S} s"
    return process.stdout.readline()


def _any_certificate() -> ssl.SSLContext:
    """Make a context for tests of what is behind HTTPS; that certificates are checked has tests of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def running(
    data_dir: Path, *options: str, demo: bool = True, ports: tuple[int, int] | None = None
) -> Iterator[Running]:
    """Run `mlitb up` with these or with free ports until the block ends; `errors` then has what it logged."""
    port, data_port = ports or (free_port(), free_port())
    arguments = ["up", "--port", str(port), "--data-port", str(data_port), "--data-dir", str(data_dir), *options]
    arguments += ["--demo"] if demo else []
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryFile("w+") as log:  # a pipe that nobody reads would stop a server that says much
        process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        tls = _any_certificate() if {"--https", "--cert"} & set(options) else None
        system = Running(process, port, data_port, log, tls)
        try:
            system.enter(_first_line(process))
            with system.owner, system.visitor:
                yield system
        finally:
            _end(process)
            system.errors = system.logged()


def _end(process: "subprocess.Popen[str]") -> None:
    """Press Ctrl-C and wait; kill what does not end, and fail."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
