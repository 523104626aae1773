"""What waits to be written, resume tokens that outlive a master, and its log."""

import asyncio
import json
import logging
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from mlitb import keeping, wire
from mlitb.core import messages as m
from mlitb.core.messages import PROTOCOL
from mlitb.disk import Disk, NotStored
from mlitb.identities import Identities
from mlitb.keeping import Keeping
from mlitb.logs import JsonLines
from mlitb.storage import Project, Storage
from tests.running import running, until


class Room:
    """A disk that may be full."""

    def __init__(self) -> None:
        self.full = False
        self.written: list[str] = []

    def write(self, what: str) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.written.append(what)


def scene(folder: Path, play: Callable[[Keeping, Room], Awaitable[None]]) -> tuple[list[str], str]:
    """Play something; return what is written at the end, and the trouble."""
    room = Room()

    async def run() -> str:
        storage, disk = Storage(folder), Disk()
        waiting = Keeping(storage, disk)
        await play(waiting, room)
        waiting.close()
        await disk.ask(int)
        disk.close()
        storage.close()
        await asyncio.sleep(0)
        return disk.trouble

    trouble = asyncio.run(asyncio.wait_for(run(), 20))
    return room.written, trouble


def test_the_newest_takes_the_place_of_what_waits(tmp_path: Path) -> None:
    async def play(waiting: Keeping, room: Room) -> None:
        room.full = True
        for number in range(5):
            waiting.keep("checkpoint digits", room.write, f"checkpoint {number}")
            waiting.keep("checkpoint other", room.write, f"other {number}")
        await waiting.disk.ask(int)
        room.full = False

    assert scene(tmp_path, play) == (["checkpoint 4", "other 4"], "")


def test_what_failed_is_tried_again_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "RETRY_S", 0.05)

    async def play(waiting: Keeping, room: Room) -> None:
        room.full = True
        with pytest.raises(NotStored, match="make room"):
            await waiting.now("record digits", room.write, "record")
        while not waiting.disk.trouble:
            await asyncio.sleep(0.01)
        room.full = False
        while not room.written or waiting.disk.trouble:
            await asyncio.sleep(0.01)

    assert scene(tmp_path, play) == (["record"], "")


def test_one_that_cannot_be_written_does_not_hold_up_the_others(tmp_path: Path) -> None:
    full = Room()
    full.full = True

    async def play(waiting: Keeping, room: Room) -> None:
        waiting.keep("checkpoint big", full.write, "big")
        waiting.keep("checkpoint small", room.write, "small")
        await waiting.disk.ask(int)

    written, trouble = scene(tmp_path, play)
    assert written == ["small"]
    assert "No space left" in trouble


def test_of_a_removed_project_nothing_is_written_any_more(tmp_path: Path) -> None:
    async def play(waiting: Keeping, room: Room) -> None:
        room.full = True
        waiting.keep("checkpoint digits", room.write, "digits")
        waiting.keep("checkpoint other", room.write, "other")
        waiting.forget("digits")
        await waiting.disk.ask(int)
        room.full = False

    assert scene(tmp_path, play)[0] == ["other"]


def test_figures_wait_for_room_and_then_are_all_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_ROWS", 4)
    row = {"time": 1.0, "vectors": 0}

    async def play(waiting: Keeping, _room: Room) -> None:
        await waiting.disk.ask(waiting.storage.put_project, Project("p", "P", (), {}, 1))
        real = waiting.storage.add_history

        def fails(_rows: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(waiting.storage, "add_history", fails)
        for iteration in range(6):
            waiting.figures(("p", {**row, "iteration": iteration}, {}))
            await waiting.read(int)
        monkeypatch.setattr(waiting.storage, "add_history", real)

    scene(tmp_path, play)
    storage = Storage(tmp_path)
    assert [row["iteration"] for row in storage.history("p")] == [2, 3, 4, 5], "bounded: the oldest went first"
    storage.close()


def test_figures_linger_and_nobody_who_reads_them_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While orders are handed out the storage thread rests; a reader, the moment after, and the end all write."""
    calls: list[int] = []

    async def play(waiting: Keeping, _room: Room) -> None:
        await waiting.disk.ask(waiting.storage.put_project, Project("p", "P", (), {}, 1))
        real = waiting.storage.add_history

        def counted(rows: list[Any]) -> None:
            calls.append(len(rows))
            real(rows)

        def keep(*iterations: int) -> None:
            for iteration in iterations:
                waiting.figures(("p", {"time": 1.0, "vectors": 0, "iteration": iteration}, {}))

        monkeypatch.setattr(waiting.storage, "add_history", counted)
        keep(0, 1)
        await waiting.disk.ask(int)
        assert not calls
        assert [row["iteration"] for row in await waiting.read(waiting.storage.history, "p")] == [0, 1]
        keep(2)
        while sum(calls) < 3:
            await asyncio.sleep(0.01)
        keep(3)

    scene(tmp_path, play)
    assert calls == [2, 1, 1]


# ------------------------------------------------------------------------------------------------ identities
def test_a_token_is_known_by_whoever_has_the_secret() -> None:
    token = Identities("a secret").issue(123)
    assert Identities("a secret").recall(token) == 123
    assert Identities("another").recall(token) is None


@pytest.mark.parametrize("token", ["", "x", "x" * 10_000, "MTIz.forged", "é"])
def test_a_forged_token_is_nobodys(token: str) -> None:
    assert Identities("a secret").recall(token) is None


# -------------------------------------------------------------------------------------------------- the log
def test_a_log_line_is_one_object() -> None:
    record = logging.LogRecord("mlitb", logging.WARNING, "f.py", 1, "ä %s\nb", ("x",), None)
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line) | {"time": ""} == {"time": "", "level": "warning", "logger": "mlitb", "text": "ä x\nb"}


def test_json_logs_are_json_to_the_last_line_with_the_data_servers_lines(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--log-format", "json", "--verbose", demo=False) as system:
        children = Path(f"/proc/{system.process.pid}/task/{system.process.pid}/children").read_text().split()
        subprocess.run(["kill", "-9", *children], check=True)
        until(lambda: system.visitor.get("/readyz").json()["ready"], "it is ready")
    lines = [json.loads(line) for line in system.errors.splitlines()]
    assert any("the data server ended" in line["text"] for line in lines)
    assert {"time", "level", "logger", "text"} <= set(lines[0])


# --------------------------------------------------------------------------------- control over the WebSocket
def test_an_action_over_the_websocket_is_audited_and_kept(tmp_path: Path) -> None:
    with running(tmp_path / "data") as system:
        engine = system.visitor.get("/api/config").json()["engine"]
        owner = {"Authorization": f"Bearer {system.token}"}
        address = system.master.replace("http", "ws") + "/ws"
        with connect(address, proxy=None, additional_headers=owner) as socket:
            socket.send(wire.encode(m.Hello(PROTOCOL, engine)))
            socket.send(wire.encode(m.Control("digits", "set", {"learning_rate": 0.033})))
            socket.send(wire.encode(m.Control("digits", "set", {"learning_rate": -1.0})))

            def audited() -> bool:
                rows = system.owner.get("/api/audit").json()
                return [row["detail"] for row in rows if row["action"] == "set"] == [{"learning_rate": 0.033}]

            until(audited, "the change is in the audit, and not what was refused")
        system.process.kill()
        system.process.wait(10)
    with running(tmp_path / "data") as system:
        assert system.project()["settings"]["learning_rate"] == 0.033
