"""The storage thread."""

import asyncio
import threading

import pytest

from mlitb.disk import MAX_WAITING, Disk, NotStored


def full() -> None:
    raise OSError(28, "No space left on device")


def test_calls_run_in_order_and_answer() -> None:
    async def scene() -> list[int]:
        disk, seen = Disk(), list[int]()
        for number in range(5):
            disk.tell(seen.append, number)
        await disk.ask(seen.append, 5)
        disk.close()
        return seen

    assert asyncio.run(scene()) == [0, 1, 2, 3, 4, 5]


def test_a_full_disk_is_told_to_who_waits() -> None:
    async def scene() -> str:
        disk = Disk()
        with pytest.raises(NotStored, match="No space left") as told:
            await disk.ask(full)
        disk.close()
        return str(told.value)

    assert "make room" in asyncio.run(scene())


def test_trouble_is_shown_until_the_same_kind_of_call_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    room: list[int] = []

    def write() -> None:
        if not room:
            full()

    async def scene() -> tuple[str, str]:
        disk = Disk()
        for _ in range(3):
            disk.tell(write)
        await disk.ask(int)
        while not disk.trouble:
            await asyncio.sleep(0)
        disk.tell(int)  # that something else works says nothing
        await disk.ask(int)
        shown = disk.trouble
        room.append(1)
        disk.tell(write)
        while disk.trouble:
            await asyncio.sleep(0)
        disk.close()
        return shown, disk.trouble

    shown, after = asyncio.run(asyncio.wait_for(scene(), 5))
    assert "make room" in shown
    assert after == ""
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_disk_that_stands_still_costs_no_memory() -> None:
    async def scene() -> str:
        disk, go = Disk(), threading.Event()
        disk.tell(go.wait)
        for _ in range(MAX_WAITING):
            disk.tell(int)
        trouble = disk.trouble
        go.set()
        disk.close()
        return trouble

    assert "does not answer" in asyncio.run(asyncio.wait_for(scene(), 5))
