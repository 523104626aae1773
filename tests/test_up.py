"""`mlitb up`: how it starts, how it refuses to, how it ends."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.running import command, free_port, running, until

ROOT = Path(__file__).resolve().parents[1]


def failed_start(*arguments: str) -> str:
    """Run a command that must fail with one sentence; return the sentence."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize("option", ["--port", "--data-port"])
def test_a_taken_port_is_named(option: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"--port": str(free_port()), "--data-port": str(free_port())}
        ports[option] = str(taken.getsockname()[1])
        arguments = [part for pair in ports.items() for part in pair]
        sentence = failed_start("up", *arguments, "--data-dir", str(tmp_path / "data"))
    assert ports[option] in sentence
    assert option in sentence


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    sentence = failed_start("up", "--port", str(free_port()), "--data-dir", str(file / "data"))
    assert str(file / "data") in sentence
    assert "--data-dir" in sentence


def test_a_missing_engine_is_named(tmp_path: Path) -> None:
    for folder in ("mlitb", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copytree(ROOT / "static", tmp_path / "static", ignore=shutil.ignore_patterns("engine.wasm"))
    done = subprocess.run(
        [sys.executable, "-c", "from mlitb.cli import main; main()", "up", "--data-dir", str(tmp_path / "data")],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "engine is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_servers_on_one_port_are_refused(tmp_path: Path) -> None:
    port = str(free_port())
    assert "share" in failed_start("up", "--port", port, "--data-port", port, "--data-dir", str(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_servers_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    with running(tmp_path / "data", demo=False) as system:
        assert httpx.get(f"{system.data_server}/healthz", trust_env=False).is_success
        system.process.send_signal(number)
        assert system.process.wait(20) == 0, system.logged()
        assert "Traceback" not in system.logged()
        assert "asyncio's own event loop" not in system.logged()
        for base in (system.master, system.data_server):
            with pytest.raises(httpx.ConnectError):
                httpx.get(base, trust_env=False)


def test_a_killed_master_takes_the_data_server_along(tmp_path: Path) -> None:
    with running(tmp_path / "data", demo=False) as system:
        system.process.kill()
        system.process.wait(10)

        def gone() -> bool:
            try:
                httpx.get(f"{system.data_server}/healthz", trust_env=False, timeout=1)
            except httpx.TransportError:
                return True
            return False

        until(gone, "the data server ends")


def test_a_data_server_that_ends_by_itself_is_started_again(tmp_path: Path) -> None:
    with running(tmp_path / "data", demo=False) as system:
        children = Path(f"/proc/{system.process.pid}/task/{system.process.pid}/children").read_text().split()
        assert children
        for child in children:
            os.kill(int(child), signal.SIGKILL)

        def answers() -> bool:
            try:
                return httpx.get(f"{system.data_server}/healthz", trust_env=False, timeout=1).is_success
            except httpx.TransportError:
                return False

        until(answers, "the data server is back")


def test_a_second_start_finds_everything_as_it_was(tmp_path: Path) -> None:
    with running(tmp_path / "data") as system:
        first = system.project()
        token = system.token
    with running(tmp_path / "data") as system:
        second = system.project()
        assert system.token == token
        assert [p["id"] for p in system.visitor.get("/api/projects").json()] == ["digits"]
    for key in ("layers", "labels", "settings", "datasets", "seed"):
        assert first[key] == second[key]


def test_the_lan_link_is_for_visitors(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--lan", demo=False) as system:
        assert system.process.stdout is not None
        line = system.process.stdout.readline()
        assert line.startswith("For other devices in your network: http://")
        assert "token" not in line
        assert system.token not in line
        assert httpx.get(f"http://127.0.0.2:{system.port}/api/projects", trust_env=False).is_success


def test_more_than_a_thousand_may_be_connected(tmp_path: Path) -> None:
    few, most = 512, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    before = resource.prlimit(os.getpid(), resource.RLIMIT_NOFILE, (few, most))
    try:
        with running(tmp_path / "data", demo=False) as system:
            master = system.process.pid
            (child,) = (int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split())
            for pid in (master, child):
                until(lambda pid=pid: resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] > few, "it may open more")  # type: ignore[misc]
    finally:
        resource.prlimit(os.getpid(), resource.RLIMIT_NOFILE, before)
