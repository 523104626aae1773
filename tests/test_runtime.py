"""The asyncio shell: what takes long leaves the event loop free."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mlitb import resources, wire
from mlitb.core import messages as m
from mlitb.core.events import Attached, Created
from mlitb.engine import Engine
from mlitb.runtime import Runtime
from mlitb.vectors import Vectors
from tests.core_world import LAYERS, manifest


async def prepared() -> Runtime:
    """Give a runtime with a project of two labels, whose parameters are made."""
    runtime = Runtime(Engine(resources.engine()))
    runtime.start()
    runtime.feed(Created("p", "P", LAYERS, {}, 7, running=False))
    runtime.feed(Attached("p", manifest("c", ["a", "b"], [16])))
    async with asyncio.timeout(30):
        while "p" not in runtime.vectors or not runtime.vectors["p"].labels:
            await asyncio.sleep(0)
    return runtime


def test_the_event_loop_turns_between_any_two_slices_of_any_projects() -> None:
    done: list[str] = []
    turns: list[int] = []

    def slices(name: str) -> Iterator[None]:
        for _ in range(20):
            done.append(name)
            yield

    async def scene() -> None:
        loop, runtime = asyncio.get_running_loop(), Runtime(Engine(resources.engine()))

        def turn() -> None:
            turns.append(len(done))
            if len(done) < 80:
                loop.call_soon(turn)

        for name in "abcd":
            runtime._work(name, slices(name))
        turn()
        while len(done) < 80:
            await asyncio.sleep(0)

    asyncio.run(scene())
    assert max(after - before for before, after in itertools.pairwise(turns)) == 1
    assert set(done[-12:]) == set("abcd"), "they take turns to the end"


def test_a_network_grows_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    grown = Vectors.grown

    def noted(self: Vectors, *words: Any) -> Any:
        threads.append(threading.get_ident())
        return grown(self, *words)

    monkeypatch.setattr(Vectors, "grown", noted)

    async def scene() -> Vectors:
        runtime = await prepared()
        before = runtime.vectors["p"].parameters
        async with asyncio.timeout(30):
            runtime.feed(Attached("p", manifest("d", ["x"], [16])))
            while runtime.vectors["p"].labels != 3:
                await asyncio.sleep(0)
        assert runtime.vectors["p"].parameters.size == before.size * 3 // 2
        return runtime.vectors["p"]

    asyncio.run(scene())
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


class Wire:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def full(self) -> bool:
        return False

    def push(self, frames: list[bytes]) -> None:
        self.frames += frames

    def close(self, code: int, reason: str) -> None:
        raise AssertionError((code, reason))


def test_what_goes_to_many_is_encoded_once() -> None:
    async def scene() -> None:
        runtime = await prepared()
        wires = []
        for _ in range(3):
            client, outbox = runtime.connect(owner=False)
            wires.append(Wire())
            outbox.open(wires[-1])
            runtime.receive(client, m.Hello(m.PROTOCOL, runtime.engine.sha256), None, True)
            runtime.receive(client, m.Watch("p"), None, True)
            runtime.receive(client, m.Join("p", 1, "classify"), None, True)
        snapshots = [frame for each in wires for frame in each.frames if b'"Parameters"' in frame[:64]]
        assert len(snapshots) == 3
        assert len({id(frame) for frame in snapshots}) == 1
        head, values = wire.decode_server(snapshots[0])
        assert values is not None
        assert values.tobytes() == runtime.vectors["p"].parameters.tobytes()
        runtime.vectors["p"].restore({"parameters": values + 1}, 2)  # the same is said of other values
        assert isinstance(head, m.Parameters)
        assert runtime._snapshot(head)[-4:] == (values + 1)[-1:].tobytes()

    asyncio.run(scene())
