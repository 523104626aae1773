"""The native boss between a master and trainers that are the test's own: what it waits for, answers and says."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlitb import boss as module
from mlitb import wire
from mlitb.boss import Boss, Lent, Place
from mlitb.core.messages import Answer, Failed, Join, Order, Orders, Parameters, Welcome
from mlitb.trainer import Outcome
from mlitb.trainer_process import Done, Ended, Job, Reply

FOREVER_MS = 3_600_000.0


class Process:
    """A trainer's process whose inside is the test."""

    def __init__(self, _engine: bytes, tell: Callable[[Reply], None]) -> None:
        self.tell = tell
        self.got: list[Any] = []
        self.stopped = False

    def send(self, task: Any) -> None:
        self.got.append(task)

    def stop(self) -> None:
        self.stopped = True

    def jobs(self) -> list[int]:
        return [task.iteration for task in self.got if isinstance(task, Job)]


class Held:
    """Shards of which there are none."""

    def held(self) -> tuple[str, ...]:
        return ()


class Stage:
    """A boss with so many trainers, and everything that it said."""

    def __init__(self, count: int) -> None:
        lent = Lent("p", count, 3000, 10**8, 1.0)
        self.boss = Boss(Place("", "", b"", ""), lent, Held())  # type: ignore[arg-type]
        self.boss._receive(Welcome(1, "token", False), None)
        self.heard: list[tuple[Any, Any]] = []
        self.quick = True  # what is said has left before the next orders come

    def process(self, number: int) -> Process:
        process = self.boss.trainers[number].process
        assert isinstance(process, Process)
        return process

    def order(self, iteration: int, until_ms: float = FOREVER_MS, margin_ms: float = 10.0) -> None:
        if self.quick:
            self.said(Answer)
        self.boss._receive(Parameters("p", iteration, 1), np.zeros(2, np.float32))
        orders = tuple(Order(n, 1, (0,), 1, 0, 16, until_ms, 100) for n in self.boss.trainers)
        self.boss._receive(Orders("p", iteration, orders, margin_ms), None)

    async def say(self, number: int, reply: Reply) -> None:
        self.process(number).tell(reply)
        await asyncio.sleep(0)  # it comes from another thread, through the loop

    async def done(self, number: int, iteration: int, *gradient: float) -> None:
        vector = np.array(gradient, np.float32) if gradient else None
        await self.say(number, Done(iteration, Outcome(8 if gradient else 0, 1.0, 0, 5.0, vector)))

    def said(self, kind: type) -> list[tuple[Any, Any]]:
        while not self.boss._outgoing.empty():
            self.heard.append(wire.decode_client(self.boss._outgoing.get_nowait()))
            self.boss._leaving = None
        return [(message, vector) for message, vector in self.heard if isinstance(message, kind)]

    def answers(self) -> list[tuple[int, list[int], list[float]]]:
        """Give of each answer its iteration, who is in it, and its vector."""
        return [
            (message.iteration, [r.worker for r in message.results], [] if vector is None else vector.tolist())
            for message, vector in self.said(Answer)
        ]

    async def answered(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.said(Answer)) < count:
                await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def faked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TrainerProcess", Process)


def test_it_answers_once_when_all_have() -> None:
    async def play() -> None:
        stage = Stage(2)
        stage.order(1)
        await stage.done(2, 1, 1.0, 2.0)
        assert stage.answers() == []
        await stage.done(1, 1, 3.0, 4.0)
        assert stage.answers() == [(1, [1, 2], [4.0, 6.0])]

    asyncio.run(play())


def test_a_gradient_that_the_master_would_refuse_is_left_out_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        stage = Stage(2)
        for iteration in (1, 2, 3):
            stage.order(iteration)
            await stage.done(1, iteration, 1e30, 0.0)
            await stage.done(2, iteration, 1.0, 2.0)
        assert stage.answers() == [(iteration, [2], [1.0, 2.0]) for iteration in (1, 2, 3)]
        stage.order(4)
        await stage.done(1, 4, 1.0, 1.0)
        await stage.done(2, 4, 1.0, 1.0)
        assert stage.answers()[-1] == (4, [1, 2], [2.0, 2.0])

    with caplog.at_level(logging.WARNING, "mlitb"):
        asyncio.run(play())
    (record,) = caplog.records
    assert record.getMessage() == (
        "trainer 1 was left out of iteration 1: its answer was not finite, or too large to be squared"
    )


def test_a_trainer_that_is_late_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        stage = Stage(2)
        stage.order(1, until_ms=1.0)
        await stage.done(1, 1, 1.0, 2.0)
        await stage.answered(1)
        assert stage.answers() == [(1, [1], [1.0, 2.0])]

    with caplog.at_level(logging.WARNING, "mlitb"):
        asyncio.run(play())
    assert [record.getMessage() for record in caplog.records] == [
        "trainer 2 was left out of iteration 1: its answer was late"
    ]


def test_a_trainer_that_is_stuck_gets_the_margin_once() -> None:
    async def play() -> None:
        stage = Stage(2)
        stage.order(1, until_ms=1.0)
        await stage.done(1, 1, 1.0, 2.0)
        await stage.answered(1)
        stage.order(2, 1.0, FOREVER_MS)
        await stage.done(1, 2, 1.0, 2.0)
        await stage.answered(2)
        assert stage.answers()[1] == (2, [1], [1.0, 2.0])
        stage.order(3, 1.0, FOREVER_MS)
        assert (stage.process(1).jobs(), stage.process(2).jobs()) == ([1, 2, 3], [1, 2]), "nothing piles up"
        await stage.done(1, 3, 1.0, 2.0)
        assert stage.answers()[2] == (3, [1], [1.0, 2.0])

    asyncio.run(play())


def test_a_trainer_that_was_late_is_awaited_again_as_soon_as_it_answers_anything() -> None:
    async def play() -> None:
        stage = Stage(2)
        stage.order(1, until_ms=1.0)
        await stage.done(1, 1, 1.0, 2.0)
        await stage.answered(1)
        stage.order(2, 50.0, FOREVER_MS)
        await stage.done(1, 2, 1.0, 2.0)
        await stage.done(2, 1, 9.0, 9.0)
        combiner = stage.boss._combiner
        assert combiner is not None
        async with asyncio.timeout(20):
            while not combiner.over:
                await asyncio.sleep(0.005)
        assert len(stage.answers()) == 1
        timer = stage.boss._timer
        assert timer is not None
        assert timer.when() - asyncio.get_running_loop().time() > FOREVER_MS / 1000 - 60.0, "the master's margin"
        await stage.done(2, 2, 1.0, 1.0)
        assert stage.answers()[1] == (2, [1, 2], [2.0, 3.0])

    asyncio.run(play())


def test_newer_orders_end_an_iteration_without_calling_anybody_late(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        stage = Stage(1)
        stage.order(1)
        stage.order(2)
        assert stage.answers() == [(1, [], [])]

    with caplog.at_level(logging.WARNING, "mlitb"):
        asyncio.run(play())
    assert not caplog.records


def test_newer_orders_end_an_iteration_without_a_vector_that_the_master_would_refuse() -> None:
    async def play() -> None:
        stage = Stage(2)
        stage.order(1)
        await stage.done(1, 1, 1.0, 2.0)
        stage.order(2)
        assert stage.answers() == [(1, [], [])]

    asyncio.run(play())


class Slow:
    """A connection that takes a frame when the test says so."""

    def __init__(self) -> None:
        self.turn = asyncio.Semaphore(0)
        self.sent: list[bytes] = []

    async def send(self, frame: bytes) -> None:
        await self.turn.acquire()
        self.sent.append(frame)


def test_an_answer_has_no_vector_while_the_one_before_has_not_left(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        stage, slow = Stage(1), Slow()
        stage.said(Answer)
        stage.quick = False
        sending = asyncio.create_task(stage.boss._send_all(slow, stage.boss._outgoing))  # type: ignore[arg-type]
        for iteration in (1, 2, 3):
            stage.order(iteration)
            await stage.done(1, iteration, 1.0, 2.0)
        async with asyncio.timeout(20):
            while len(slow.sent) < 3 or stage.boss._leaving is not None:
                slow.turn.release()
                await asyncio.sleep(0)
        stage.order(4)
        await stage.done(1, 4, 1.0, 2.0)
        async with asyncio.timeout(20):
            while len(slow.sent) < 4:
                slow.turn.release()
                await asyncio.sleep(0)
        vectors = [wire.decode_client(frame)[1] for frame in slow.sent]
        assert [vector is not None for vector in vectors] == [True, False, False, True]
        sending.cancel()

    with caplog.at_level(logging.WARNING, "mlitb"):
        asyncio.run(play())
    assert [record.getMessage() for record in caplog.records] == [
        "this link is slower than an answer takes: a longer T or a smaller network helps"
    ]


def test_nobody_waits_for_a_trainer_whose_process_ended() -> None:
    async def play() -> None:
        stage = Stage(2)
        stage.order(1)
        await stage.done(1, 1, 1.0, 2.0)
        ended = stage.process(2)
        await stage.say(2, Ended("its process ended with code -9"))
        assert stage.answers() == [(1, [1], [1.0, 2.0])]
        assert [message.worker for message, _ in stage.said(Failed)] == [2]
        assert [message.worker for message, _ in stage.said(Join)] == [1, 2, 2]
        assert ended.stopped
        stage.order(2)
        assert stage.process(2).jobs() == [2]

    asyncio.run(play())
