"""What is due when: the agenda against a plain dict, and what a message costs beside many projects."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlitb.core import messages as m
from mlitb.core.agenda import NEVER, SLACK, Agenda
from mlitb.core.events import Received, Stepped, Ticked
from tests.core_world import World

TIMES = st.one_of(st.just(NEVER), st.integers(0, 20).map(float))
DEEDS = st.lists(st.one_of(st.tuples(st.sampled_from("abcd"), TIMES), st.integers(0, 20).map(float)), max_size=60)


@given(DEEDS)
def test_it_knows_the_soonest_whatever_was_set_and_taken(deeds: list[Any]) -> None:
    agenda, plain = Agenda(), dict[str, float]()
    for deed in deeds:
        if isinstance(deed, tuple):
            agenda.set(*deed)
            plain[deed[0]] = deed[1]
        else:
            due = [key for key, time in plain.items() if time <= deed]
            assert sorted(agenda.take(deed)) == sorted(due)
            plain = {key: time for key, time in plain.items() if key not in due}
        assert agenda.soonest == min(plain.values(), default=NEVER)


def test_what_is_due_comes_in_order_of_time() -> None:
    agenda = Agenda()
    for key, time in (("b", 2.0), ("a", 3.0), ("c", 1.0), ("d", 4.0)):
        agenda.set(key, time)
    assert agenda.take(3.0) == ["c", "b", "a"]


def test_times_that_do_not_hold_any_more_do_not_pile_up() -> None:
    agenda = Agenda()
    agenda.set("soon", 0.0)
    for time in range(1, 10_000):
        agenda.set("changes", float(time))
    assert len(agenda._heap) <= SLACK + 5


def opcodes(call: Callable[[], object]) -> int:
    """Count the instructions that Python executes in a call."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("others", [0, 60])
def test_a_message_costs_the_same_beside_many_projects(others: int) -> None:
    """Every project is watched and computes; an answer for one of them is not paid for all of them."""
    world = World()
    for name in ("p", *(f"p{i}" for i in range(others))):
        world.create(name, period=1.0)
        world.attach(name=name)
        world.say(world.connect(), m.Watch(name))
        world.worker(name)
    answering = world.worker()
    world.close()
    world.unpack(answering)
    world.close()
    assert sum(world.project(name).open is not None for name in world.vectors) == others + 1

    def all_of_it() -> None:
        world.master.handle(Received(answering.number, message, values), world.now)
        world.master.deadline()

    message, values = world.good_answer(answering, "p")
    assert opcodes(all_of_it) < 1500
    assert len(world.project().crew.browsers) == 2
    assert sum(browser.answered for browser in world.project().crew.browsers.values()) == 1


def test_all_that_is_due_closes_at_one_tick(world: World) -> None:
    world.create("q", period=1.0)
    world.attach(name="q")
    for name in ("p", "q"):
        world.answer(world.worker(name), name)
    deadlines = [world.project(name).deadline() for name in ("p", "q")]
    world.master.handle(Ticked(), max(deadlines))
    for name in ("p", "q"):
        assert world.project(name).stepping == "step"
        world.master.handle(Stepped(name, True, 0.01, 1), max(deadlines))
    assert world.master.deadline() == min(world.project(name).deadline() for name in ("p", "q"))
