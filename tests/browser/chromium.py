"""Chromium for tests: how it is started, and how its processes are found and suspended."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, BrowserType

EXECUTABLE = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
"""No sandbox, because tests run as root too; no traffic of the browser's own."""

FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""A moving picture instead of a camera, and nobody is asked whether it may be used."""


@contextmanager
def launch(chromium: BrowserType, *flags: str) -> Iterator[BrowserContext]:
    """Start a Chromium with a profile of its own until the block ends."""
    with tempfile.TemporaryDirectory(prefix="mlitb-chromium-", ignore_cleanup_errors=True) as profile:
        context = chromium.launch_persistent_context(profile, executable_path=EXECUTABLE, args=[*FLAGS, *flags])
        context.set_default_timeout(20_000)
        PROFILES[context] = profile
        try:
            yield context
        finally:
            del PROFILES[context]
            context.close()


PROFILES: dict[BrowserContext, str] = {}
"""Each running browser's profile folder, by which its processes are known."""


def processes(context: BrowserContext, kind: str) -> list[int]:
    """Return the ids of a browser's processes of one kind ("renderer")."""
    mine = f"--user-data-dir={PROFILES[context]}".encode()
    found = []
    browser = {pid for pid, line in command_lines() if mine in line and b"--type=" not in line}
    for pid, line in command_lines():
        if f"--type={kind}".encode() in line and ancestors(pid) & browser:
            found.append(pid)
    return found


def command_lines() -> list[tuple[int, bytes]]:
    """Return (process id, command line) of everything that runs."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append((int(path.parent.name), path.read_bytes().replace(b"\0", b" ")))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    return lines


def ancestors(pid: int) -> set[int]:
    """Return the ids of a process's parents, up to the first."""
    found: set[int] = set()
    while pid > 1:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return found
        pid = int(stat.rpartition(")")[2].split()[1])
        found.add(pid)
    return found


def suspend(pids: list[int]) -> None:
    """Stop processes where they are."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def resume(pids: list[int]) -> None:
    """Let stopped processes go on."""
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
