"""`mlitb doctor`: what is wrong with this machine or this data folder, before a server is started or while one runs.

Rules of this file:
- It reads and never repairs; each finding is one sentence, and one that is wrong says what to do.
"""

import contextlib
import platform
import shutil
import socket
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mlitb import __version__, resources
from mlitb.checkpoints import SUFFIX, read_checkpoint
from mlitb.core.messages import PROTOCOL
from mlitb.database import NAME, VERSION, Damaged
from mlitb.engine import Engine, EngineError
from mlitb.folder import LOCK, is_free, read_owner, strangers

LOW_BYTES = 1 << 30
PACKAGES = (
    "fastapi",
    "uvicorn",
    "uvloop",
    "httptools",
    "websockets",
    "numpy",
    "pillow",
    "safetensors",
    "wasmtime",
    "sqlite-utils",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    ok: bool
    what: str
    says: str


def examine(data_dir: Path, port: int, data_port: int) -> Iterator[Finding]:
    """Look at everything, in order of what depends on what."""
    yield from _versions()
    yield _engine()
    yield from _ports(data_dir, port, data_port)
    yield from _folder(data_dir)
    if (data_dir / "master" / NAME).exists():
        yield _database(data_dir / "master" / NAME)
        yield from _checkpoints(data_dir / "master" / "checkpoints")


def _versions() -> Iterator[Finding]:
    yield Finding(
        True,
        "versions",
        f"MLitB {__version__}, protocol {PROTOCOL}, Python {platform.python_version()}, {platform.platform()}",
    )
    missing = []
    for name in PACKAGES:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    says = f"missing: {', '.join(missing)}; install MLitB again" if missing else "all that are needed are installed"
    yield Finding(not missing, "packages", says)
    try:
        import websockets.speedups  # noqa: F401
    except ImportError:
        yield Finding(
            False, "websockets", "has no C speed-ups here: large networks will be slow; install a binary wheel"
        )


def _engine() -> Finding:
    try:
        resources.check()
        engine = Engine(resources.engine())
    except (resources.ResourceMissing, EngineError) as error:
        return Finding(False, "engine", str(error))
    return Finding(True, "engine", f"engine.wasm loads, sha256 {engine.sha256}")


def _ports(data_dir: Path, port: int, data_port: int) -> Iterator[Finding]:
    if not is_free(data_dir / LOCK):
        running = read_owner(data_dir)
        yield Finding(True, "server", f"process {running.pid} runs on this folder at {running.url}")
        return
    for name, number in (("port", port), ("data port", data_port)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError as error:
                option = "--" + name.replace(" ", "-")
                yield Finding(False, name, f"{number} cannot be used ({error.strerror}): choose another with {option}")
            else:
                yield Finding(True, name, f"{number} is free")


def _certificate(data_dir: Path) -> Finding:
    from mlitb.certificates import describe  # loads an SSL library of its own

    return Finding(*describe(data_dir))


def _folder(data_dir: Path) -> Iterator[Finding]:
    if not data_dir.is_dir():
        yield Finding(True, "data folder", f"{data_dir} does not exist yet: the first start makes it")
        return
    try:
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        yield Finding(False, "data folder", f"{data_dir} cannot be written ({error.strerror}): change its permissions")
    else:
        yield Finding(True, "data folder", f"{data_dir} can be written")
    free = shutil.disk_usage(data_dir).free
    says = f"{free / 1e9:.1f} GB free" + ("" if free > LOW_BYTES else ": make room, saving will fail when it is full")
    yield Finding(free > LOW_BYTES, "disk", says)
    for name in ("owner-token", "ticket-secret", "https/key.pem", "https/authority-key.pem"):
        path = data_dir / name
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(False, name, f"others on this machine can read {path}: chmod 600 {path}")
    if (data_dir / "https").is_dir():
        yield _certificate(data_dir)
    if found := strangers(data_dir):
        yield Finding(False, "foreign files", f"{', '.join(found[:5])}: not MLitB's, better moved elsewhere")


def _database(path: Path) -> Finding:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
            check = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            projects = db.execute("SELECT count(*) FROM project").fetchone()[0]
            rows = db.execute("SELECT count(*) FROM history").fetchone()[0]
    except sqlite3.Error as error:
        return Finding(False, "database", f"{path} cannot be read ({error}): the next start uses its copy")
    if check != "ok":
        return Finding(False, "database", f"{path} is damaged ({check}): the next start uses its copy")
    if version > VERSION:
        return Finding(
            False, "database", f"{path} is of version {version}, this MLitB knows {VERSION}: install a newer one"
        )
    return Finding(True, "database", f"version {version}, {projects} projects, {rows} iterations of history")


def _checkpoints(folder: Path) -> Iterator[Finding]:
    count = 0
    for path in sorted(folder.glob(f"*/*{SUFFIX}")):
        try:
            read_checkpoint(path)
            count += 1
        except FileNotFoundError:
            continue  # pruned while we looked
        except Damaged as error:
            yield Finding(False, "checkpoint", f"{error}: the next start uses the one before it")
    yield Finding(True, "checkpoints", f"{count} are what was written")
