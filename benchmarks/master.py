"""The master's cost: many browsers whose gradients all arrive in the last millisecond, and many that are idle.

    .venv/bin/python benchmarks/master.py

The crowd is benchmarks/load.cpp, compiled here. CPU is the server's own clock, from before the first byte is sent
until every browser has the next iteration's orders. Beside it the same crowd sends the same bytes to a loop that only
adds and echoes, on the same stack, and on uvicorn with its default settings (per-message deflate offered, as browsers
do).
"""

import argparse
import asyncio
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import numpy as np
import uvicorn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import Report  # noqa: E402 - run as a file, the checkout is not on the path
from mlitb.connection import EXTENSION, Connection  # noqa: E402
from mlitb.core.messages import PROTOCOL  # noqa: E402
from tests.running import Running, free_port, running, until  # noqa: E402

BOUNDS_MS = {1_000_000: 70.0, 125_000: 8.0}
BOUND_BROWSERS = 64
ECHO_SHARE = 1.3
IDLE, IDLE_BOUND_MB = 5000, 250
STEADY, WARM_UP, POWER, SHARE = [1, 2, 8, 64, 256], 3, 2000, 0.97
BRIEF_S = 0.3
"""Between two rounds where only memory is measured."""

GRACE_S = 5.0
"""Longer than the crowd itself needs to hand its bytes over: it shares the machine with the server."""

UNITS = {125_000: 417, 1_000_000: 3333, 4_000_000: 13333}
"""Hidden units that make 8 × 8 → units → 10 so large: 75 parameters a unit."""


# -------------------------------------------------------------------------------------------------- the rival
class Sum:
    """What the loop adds: every frame in float64."""

    def __init__(self, values: int, browsers: int) -> None:
        self.total = np.zeros(values, np.float64)
        self.browsers = browsers
        self.come = 0

    def add(self, data: bytes) -> bytes:
        """Add a frame; give the mean when it was the last, else nothing."""
        np.add(self.total, np.frombuffer(data, np.float32), out=self.total)
        self.come += 1
        if self.come < self.browsers:
            return b""
        frame = (self.total / self.browsers).astype(np.float32).tobytes()
        self.total[:], self.come = 0, 0
        return frame


class Echo:
    """A connection that is called, without ASGI in between, as the master's are."""

    everyone: ClassVar[list[Connection]] = []

    def __init__(self, connection: Connection, total: Sum) -> None:
        self.everyone.append(connection)
        self.total = total
        connection.adopt(self)

    def heard(self, data: bytes | None) -> None:
        """Add a frame; after the last send the sum to all."""
        if frame := self.total.add(data or b""):
            for one in self.everyone:
                one.push([frame])

    def drained(self) -> None:
        """Nothing waits here."""

    def lost(self) -> None:
        """Nobody comes back."""


def echo(port: int, values: int, browsers: int, way: str) -> None:
    """Serve the loop that adds every frame in float64 and, when all have come, sends the sum to all.

    Its way: an ASGI application on the master's stack ("echo"), called without ASGI as the master is ("short"), or on
    uvicorn as it comes ("deflate").
    """
    sends: list[Any] = []
    total = Sum(values, browsers)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        if way == "short":
            Echo(scope["extensions"][EXTENSION], total)
            return
        sends.append(send)
        while (message := await receive())["type"] == "websocket.receive":
            if frame := total.add(message["bytes"]):
                await asyncio.gather(*(one({"type": "websocket.send", "bytes": frame}) for one in sends))

    options: dict[str, Any] = {"port": port, "lifespan": "off", "log_level": "error", "ws_max_size": 1 << 27}
    if way != "deflate":
        options |= {"loop": "uvloop", "http": "httptools", "ws": Connection, "ws_per_message_deflate": False}
    uvicorn.run(app, **options)


@contextlib.contextmanager
def echoing(size: int, browsers: int, way: str) -> Iterator[tuple[int, int]]:
    """Run that loop in a process; give its port and process id."""
    port = free_port()
    call = f"from benchmarks.master import echo; echo({port}, {size // 4}, {browsers}, {way!r})"
    process = subprocess.Popen([sys.executable, "-c", call], cwd=ROOT)
    try:
        until(lambda: _answers(port), "the echo loop listens")
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        asyncio.run(_connect(port))
        return True
    return False


async def _connect(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


# -------------------------------------------------------------------------------------------------- the crowd
class Load:
    """The compiled crowd."""

    def __init__(self, folder: Path) -> None:
        self.program = folder / "load"
        source = Path(__file__).with_suffix("").with_name("load.cpp")
        own = shutil.which("c++")  # Zig's has to make the standard library first, which takes a minute
        compiler = [own] if own else [sys.executable, "-m", "ziglang", "c++"]
        subprocess.run([*compiler, "-std=c++17", "-O2", "-o", str(self.program), str(source)], check=True)

    def command(self, port: int, pid: int, mode: str, browsers: int, size: int, period: float, rounds: int,
                engine: str = "-", project: str = "-") -> list[str]:  # fmt: skip
        """Give the command line; `size` is the vector's bytes."""
        words = (port, pid, mode, browsers, size // 4, 1000 * period, rounds, PROTOCOL, engine, project)
        return [str(self.program), *map(str, words)]

    def rounds(self, *words: Any) -> list[dict[str, Any]]:
        """Run the crowd; give its rounds, without the first, in which not everybody was there."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()][1:]


# -------------------------------------------------------------------------------------------------- what is measured
def project(system: Running, size: int, period: float, more: dict[str, Any] | None = None) -> tuple[str, int]:
    """Make a project of about `size` bytes of parameters; give its id and the exact size."""
    layers = [
        {"type": "input", "width": 8, "height": 8, "channels": 1},
        {"type": "fully_connected", "units": UNITS[size]},
        {"type": "relu"},
        {"type": "fully_connected"},
        {"type": "softmax"},
    ]
    settings = {"period": period, "grace": GRACE_S, **(more or {})}
    body = {"name": f"load {size}", "layers": layers, "settings": settings}
    name = str(system.owner.post("/api/projects", json=body).raise_for_status().json()["id"])
    (dataset,) = system.project()["datasets"]
    system.owner.post(f"/api/projects/{name}/data", json={"dataset": dataset["dataset"]}).raise_for_status()
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    return name, 4 * (75 * UNITS[size] + 10)


def train(system: Running, load: Load, browsers: int, size: int, period: float, rounds: int) -> dict[str, Any]:
    """Measure the master itself."""
    name, exact = project(system, size, period)
    engine = system.visitor.get("/api/config").json()["engine"]
    pid = system.process.pid
    found = load.rounds(system.port, pid, "train", browsers, exact, period, rounds + 3, engine, name)
    system.owner.delete(f"/api/projects/{name}").raise_for_status()
    whole = [row for row in found if row["sent"] == browsers and not row["refused"] and not row["missing"]]
    return row("master", browsers, size, whole, found)


WAYS = {"echo": "echo and add", "short": "echo and add, without ASGI", "deflate": "echo, uvicorn's defaults"}


def rival(load: Load, browsers: int, size: int, period: float, rounds: int, way: str) -> dict[str, Any]:
    """Measure the echo-and-add loop, as rested between two rounds as the master is: its caches are as cold."""
    with echoing(size, browsers, way) as (port, pid):
        mode = "deflate" if way == "deflate" else "echo"
        found = load.rounds(port, pid, mode, browsers, size, period, rounds + 1)
        peak = memory_mb(pid, "VmHWM")
    return {**row(WAYS[way], browsers, size, found, found), "peak, MB": peak}


def steady(system: Running, load: Load, browsers: int, period: float, rounds: int) -> dict[str, Any]:
    """Let browsers compute as ordered, with the default grace; give power and latency as the master saw them."""
    size = 125_000
    settings = {"grace": 0.0, "local_steps": True, "optimizer": "sgd"}
    name, exact = project(system, size, period, settings)
    engine = system.visitor.get("/api/config").json()["engine"]
    load.rounds(system.port, system.process.pid, "steady", browsers, exact, period, rounds + WARM_UP, engine, name)
    kept = system.visitor.get(f"/api/projects/{name}/history").json()
    found = [one for one in kept if one["trainers"]][WARM_UP - 1 : -1]  # the last may have been broken off
    system.owner.delete(f"/api/projects/{name}").raise_for_status()
    seconds, vectors = sum(one["seconds"] for one in found), sum(one["vectors"] for one in found)
    return {
        "browsers": browsers, "T, s": period, "vectors/s": round(vectors / seconds),
        "latency, ms": statistics.median(one["latency_ms"] for one in found),
        "iteration, s": round(seconds / len(found), 3), "share of T": round(vectors / seconds / browsers / POWER, 4),
    }  # fmt: skip


def row(
    server: str, browsers: int, size: int, whole: list[dict[str, Any]], found: list[dict[str, Any]]
) -> dict[str, Any]:
    """Summarise rounds: medians of those in which everybody's answer counted."""
    cpu = statistics.median(one["cpu_ms"] for one in whole) if whole else float("nan")
    wall = statistics.median(one["wall_ms"] for one in whole) if whole else float("nan")
    return {
        "server": server, "browsers": browsers, "KB": size // 1000, "CPU, ms": cpu, "wall, ms": wall,
        "rounds": len(whole), "with late answers": len(found) - len(whole),
    }  # fmt: skip


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """Read a process's memory, or with VmHWM its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1000


def idle(system: Running, load: Load, browsers: int) -> dict[str, Any]:
    """Measure memory with idle browsers."""
    engine = httpx.get(f"{system.master}/api/config", trust_env=False).json()["engine"]
    before = memory_mb(system.process.pid)
    command = load.command(system.port, system.process.pid, "idle", browsers, 4, 1.0, 1, engine)
    crowd = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert crowd.stdout is not None
    try:
        if not crowd.stdout.readline():
            raise RuntimeError("the crowd of idle browsers could not connect")
        time.sleep(1.0)  # let what connecting allocated settle
        after = memory_mb(system.process.pid)
    finally:
        crowd.communicate()
    return {"idle browsers": browsers, "memory before, MB": before, "memory, MB": after}


def measure(report: Report, quick: bool) -> None:
    """Fill the report."""
    sizes = [125_000] if quick else [125_000, 1_000_000]
    crowds = [8] if quick else [1, 8, BOUND_BROWSERS, 256]
    period, rounds = (0.5, 2) if quick else (4.0, 5)
    rivals_from = 8 if quick else BOUND_BROWSERS
    with tempfile.TemporaryDirectory() as temporary, running(Path(temporary) / "data") as system:
        load = Load(Path(temporary))
        for browsers in crowds:
            for size in sizes:
                report.rows.append(train(system, load, browsers, size, period, rounds))
                if browsers >= rivals_from:
                    ways = ("echo", "short") if quick else WAYS
                    report.rows += [rival(load, browsers, size, period, rounds, way) for way in ways]
        if not quick:
            report.notes += constants([row for row in report.rows if row["server"] == "master"])
            train(system, load, 256, 4_000_000, period, 2)
            peak = memory_mb(system.process.pid, "VmHWM")
            default = rival(load, 256, 4_000_000, BRIEF_S, 2, "deflate")["peak, MB"]
            report.notes.append(
                f"256 browsers × 4 MB, all at once: the master's memory had its peak at {peak:,.0f} MB, "
                f"that of the echo on uvicorn's defaults at {default:,.0f} MB"
            )
        points = [steady(system, load, n, period, rounds + 3) for n in ([2] if quick else STEADY)]
        with running(Path(temporary) / "idle", demo=False) as fresh:  # making the demo loads scikit-learn
            found = idle(fresh, load, 100 if quick else IDLE)
        report.notes.append(", ".join(f"{key}: {value:,.0f}" for key, value in found.items()))
        if not quick:
            bare = rival(load, IDLE, 4000, BRIEF_S, 1, "deflate")["peak, MB"]
            report.notes.append(f"{IDLE:,} connections of the echo on uvicorn's defaults, 4 KB each: {bare:,.0f} MB")
    report.notes += [", ".join(f"{key}: {value:,}" for key, value in point.items()) for point in points]
    check(report, found, points)


def constants(rows: list[dict[str, Any]]) -> list[str]:
    """Fit CPU = browsers × (a + b × MB) + c × MB + d to the master's rows, for Costs of simulation_link.py."""
    rows = [row for row in rows if row["rounds"]]  # else nobody's answers were all in time
    browsers, megabytes, cpu = (np.array([row[key] for row in rows]) for key in ("browsers", "KB", "CPU, ms"))
    megabytes = megabytes / 1000
    columns = np.stack([browsers, browsers * megabytes, megabytes, np.ones(len(rows))], 1)
    (a, b, c, d), *_ = np.linalg.lstsq(columns / cpu[:, None], np.ones(len(rows)), rcond=None)  # relative errors
    fitted = columns @ (a, b, c, d)
    worst = float(np.abs(fitted / cpu - 1).max())
    return [
        f"for mlitb simulate: Costs(browser={a / 1000:.3g}, browser_mb={b / 1000:.3g}, step_mb={c / 1000:.3g}, "
        f"iteration={d / 1000:.3g}); "
        f"at most {worst:.0%} from what was measured: "
        + ", ".join(
            f"{n} × {1000 * mb:.0f} KB {said:.3g} for {found:.3g} ms"
            for n, mb, said, found in zip(browsers, megabytes, fitted, cpu, strict=True)
        )
    ]


def check(report: Report, idle_row: dict[str, Any], points: list[dict[str, Any]]) -> None:
    """Hold the figures against DESIGN's bounds."""
    cpu = {(row["server"], row["browsers"], 1000 * row["KB"]): row["CPU, ms"] for row in report.rows}
    for size, bound in BOUNDS_MS.items():
        if ("master", BOUND_BROWSERS, size) not in cpu:
            continue
        own, echoed = cpu["master", BOUND_BROWSERS, size], cpu["echo and add", BOUND_BROWSERS, size]
        report.at_most(f"CPU of {BOUND_BROWSERS} × {size // 1000} KB, ms", own, bound)
        report.at_most(f"the same against echo and add, {size // 1000} KB", own / echoed, ECHO_SHARE)
    two = next(point for point in points if point["browsers"] == 2)
    report.at_least("share of T computed, two browsers, 125 KB", two["share of T"], SHARE)
    if idle_row["idle browsers"] == IDLE:
        report.at_most(f"memory with {IDLE} idle browsers, MB", idle_row["memory, MB"], IDLE_BOUND_MB)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="whether it runs: 8 browsers, T = 0.5 s, 125 KB")
    given = parser.parse_args()
    report = Report("The master, all gradients in the last millisecond; medians of iterations")
    measure(report, given.quick)
    report.print(given.json)


if __name__ == "__main__":
    main()
