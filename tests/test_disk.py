"""The storage thread."""

import asyncio

import pytest

from mlitb.disk import Disk, NotStored


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


def test_a_full_disk_is_told_to_who_waits_and_shown_until_it_has_room() -> None:
    async def scene() -> tuple[str, str]:
        disk = Disk()
        with pytest.raises(NotStored, match="No space left"):
            await disk.ask(full)
        shown = disk.trouble
        await disk.ask(int)
        disk.close()
        return shown, disk.trouble

    shown, after = asyncio.run(scene())
    assert "make room" in shown
    assert after == ""


def test_trouble_of_what_nobody_waits_for_is_shown_too() -> None:
    async def scene() -> str:
        disk = Disk()
        disk.tell(full)
        while not disk.trouble:
            await asyncio.sleep(0)
        disk.close()
        return disk.trouble

    assert "saving fails" in asyncio.run(asyncio.wait_for(scene(), 5))
