"""The wheel: built, installed into a clean environment, and run by a stranger from another folder."""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hatch_build import build_engine
from tests.running import free_port

ROOT = Path(__file__).resolve().parents[1]
NOBODY = 65534


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the build tools of this environment."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out), str(ROOT)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture
def world() -> Iterator[Path]:
    """Make a folder that other users may enter (pytest's own are private)."""
    path = Path(subprocess.check_output(["mktemp", "-d", "/tmp/mlitb-wheel-XXXXXX"], text=True).strip())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def stranger() -> dict[str, Any]:
    """Return the options with which a process runs as nobody; none where we are not root and cannot."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}


def interpreter() -> str:
    """Return a Python that a stranger can run (root's own may lie in root's home)."""
    version = f"python3.{sys.version_info.minor}"
    for candidate in (f"{sys.base_prefix}/bin/{version}", f"/usr/bin/{version}"):
        try:
            subprocess.run([candidate, "-c", "import venv"], check=True, capture_output=True, cwd="/", **stranger())
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    pytest.skip(f"no {version} here can be run by another user")


def test_the_wheel_runs_for_a_stranger_with_a_read_only_home(wheel: Path, world: Path) -> None:
    environment, home, data = world / "venv", world / "home", world / "data"
    install(wheel, environment)
    for folder in (home, data):
        folder.mkdir()
    home.chmod(0o555)
    if os.getuid() == 0:
        os.chown(data, NOBODY, NOBODY)
    port, data_port = free_port(), free_port()
    arguments = ["up", "--demo", "--port", str(port), "--data-port", str(data_port), "--data-dir", str(data)]
    process = subprocess.Popen(
        [str(environment / "bin/mlitb"), *arguments],
        cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **stranger(),
        env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    try:
        line = first_line(process)
        assert re.search(rf"http://127\.0\.0\.1:{port}/project/digits\?token=\S+", line), line
        base = f"http://127.0.0.1:{port}"
        project = httpx.get(f"{base}/api/projects/digits", trust_env=False).json()
        assert project["status"]["data_vectors"] > 1000
        for address in ("/", "/static/vendor/preact.js", "/static/js/entry/boss.js"):
            assert httpx.get(base + address, trust_env=False).is_success, address
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def install(wheel: Path, environment: Path) -> None:
    """Make a clean environment and install the wheel with its demo extra, at the pinned versions."""
    subprocess.run([interpreter(), "-m", "venv", "--without-pip", str(environment)], check=True, cwd="/")
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin/python"), "install", "--quiet"]
    wanted = f"mlitb[demo] @ {wheel.as_uri()}"
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), wanted], check=True, capture_output=True, text=True)


def first_line(process: "subprocess.Popen[str]") -> str:
    """Return the first line that a process prints, or what it complained about."""
    assert process.stdout is not None
    assert process.stderr is not None
    ready, _, _ = select.select([process.stdout], [], [], 60)
    return (process.stdout.readline() if ready else "") or process.stderr.read()


def test_two_builds_of_the_engine_are_equal_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "another/and/longer/path"
    shutil.copytree(ROOT / "engine", place / "engine")
    for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):  # else the second build would be the first's copy
        monkeypatch.setenv(name, str(tmp_path / name))
    build_engine(place)
    build_engine(ROOT)
    assert (place / "static/engine.wasm").read_bytes() == (ROOT / "static/engine.wasm").read_bytes()
