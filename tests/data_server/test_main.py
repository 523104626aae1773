"""The program: how it starts, what it says when it cannot, how it stops."""

import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.data_server.conftest import SECRET, Process, free_port
from tests.data_server.zips import labelled, make_zip


def _refused(process: Process) -> str:
    ended = subprocess.run(process.command(), capture_output=True, text=True, timeout=60, check=False, cwd=process.root)
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.count("\n") == 1, f"one sentence, not {ended.stderr}"
    assert ended.stdout == ""
    return ended.stderr


@pytest.fixture
def idle(tmp_path: Path) -> Process:
    """Make a process that was not started."""
    made = Process.__new__(Process)
    made.root, made.port, made.options = tmp_path, free_port(), ()
    (tmp_path / "secret").write_text(SECRET)
    return made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly_and_quietly(process: Process, number: int) -> None:
    process.process.send_signal(number)
    _, said = process.process.communicate(timeout=20)
    assert (process.process.returncode, said) == (0, b"")


def test_a_taken_port_is_one_sentence(idle: Process) -> None:
    with socket.create_server(("127.0.0.1", idle.port)):
        assert f"cannot listen on 127.0.0.1:{idle.port}: Address already in use" in _refused(idle)


def test_a_folder_that_cannot_be_made_is_one_sentence(idle: Process) -> None:
    (idle.root / "data").write_text("a file")
    assert "cannot be written" in _refused(idle)


def test_a_folder_in_use_is_one_sentence(process: Process) -> None:
    port, process.port = process.port, free_port()
    assert "is in use by another data server" in _refused(process)
    process.port = port


@pytest.mark.parametrize("secret", [None, "short"])
def test_a_missing_or_short_secret_is_one_sentence(idle: Process, secret: str | None) -> None:
    (idle.root / "secret").unlink()
    if secret:
        (idle.root / "secret").write_text(secret)
    assert "the secret file" in _refused(idle)


def test_a_redis_that_is_not_there_is_one_sentence(idle: Process) -> None:
    idle.options = ("--redis", f"redis://127.0.0.1:{free_port()}/0")
    assert "cannot be reached" in _refused(idle)


def test_a_lost_index_is_not_taken_for_an_empty_one(process: Process) -> None:
    process.upload(make_zip(labelled()))
    process.end()
    for path in (process.root / "data").glob("index.sqlite*"):
        path.unlink()
    assert "the index does not belong to the data folder" in _refused(process)
    assert len(list((process.root / "data" / "zips").iterdir())) == 1, "nothing was swept"


def test_a_certificate_that_is_none_is_one_sentence(idle: Process) -> None:
    for cert in ("missing.pem", "secret"):
        idle.options = ("--cert", cert)
        assert f"the certificate {cert} with the key None cannot be used" in _refused(idle)
