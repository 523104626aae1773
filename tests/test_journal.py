"""The log of a project's page: bounded, counting what repeats; and what the core tells it."""

import itertools
from typing import Any

import pytest

from mlitb.core import messages as m
from mlitb.core.events import Log
from mlitb.journal import MOST, Journal
from tests.core_world import World


@pytest.fixture
def journal() -> Journal:
    """Give a journal whose clock counts."""
    ticks = itertools.count(1)
    return Journal(lambda: float(next(ticks)))


def texts(journal: Journal, after: int = 0) -> list[tuple[str, int]]:
    return [(entry["text"], entry["times"]) for entry in journal.read("p", after)]


def test_what_repeats_counts_up_and_comes_again_to_who_read_before(journal: Journal) -> None:
    journal.add("p", "info", "a joined")
    journal.add("p", "debug", "checkpoint 1", "checkpoint")
    seen = journal.read("p")[-1]["serial"]
    journal.add("p", "debug", "checkpoint 2", "checkpoint")
    [newer] = journal.read("p", seen)
    assert (newer["id"], newer["text"], newer["times"], newer["time"]) == (2, "checkpoint 2", 2, 3.0)
    journal.add("p", "error", "checkpoint 3 could not be saved", "checkpoint")
    journal.add("p", "info", "a joined")
    assert texts(journal) == [
        ("a joined", 1), ("checkpoint 2", 2), ("checkpoint 3 could not be saved", 1), ("a joined", 1)
    ]  # fmt: skip
    journal.forget("p")
    assert texts(journal) == []


def test_it_keeps_the_newest(journal: Journal) -> None:
    for number in range(MOST + 10):
        journal.add("p", "info", f"{number}")
    assert len(texts(journal)) == MOST
    assert texts(journal)[0] == ("10", 1)
    assert journal.read("other") == []


# -------------------------------------------------------------------------------------------- what the core tells
class Told:
    """The log effects of a world."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[tuple[str, str]] = []
        perform = world.perform

        def hear(effect: Any) -> None:
            if isinstance(effect, Log):
                assert effect.project == "p"
                self.lines.append((effect.level, effect.text))
            perform(effect)

        monkeypatch.setattr(world, "perform", hear)

    def take(self) -> list[tuple[str, str]]:
        """Return what was told since the last time."""
        lines, self.lines = self.lines, []
        return lines


def test_the_log_tells_who_comes_and_goes_and_what_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    told = Told(world, monkeypatch)
    world.create(period=1.0)
    world.attach()
    assert told.take() == [
        ("info", "data set d-c attached: 128 vectors, 2 labels"), ("info", "the network has 2 labels")
    ]  # fmt: skip
    a = world.worker()
    assert told.take() == [("info", "device 1 #1 joined as trainer")]
    world.control("set", period=2.0, layers={"fully_connected1": {"frozen": True}})
    assert told.take() == [], "not before it holds"
    world.answer(a)
    world.close()
    assert told.take() == [("info", "settings: period 1.0 → 2.0, fully_connected1 frozen True")]
    world.say(a, m.Failed(1, "out of memory"))
    assert told.take() == [("warning", "worker 1 of device 1 #1 failed: out of memory")]
    world.control("pause")
    assert told.take() == [("info", "paused by its owner")]
    world.drop(a)
    assert told.take() == [("info", "device 1 #1 left")]


def test_the_log_tells_who_is_late_and_what_is_rejected_without_being_flooded(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.create(period=1.0)
    world.attach()
    a, late = world.crowd(2)
    told = Told(world, monkeypatch)
    for _ in range(5):
        world.answer(a)
        world.close()
    assert told.take() == [
        ("info", "device 2 #2 was late: it is not awaited until it answers"),
        ("warning", "device 2 #2 was late 3 times: its shards go to others"),
    ]
    message, values = world.good_answer(a, "p")
    for _ in range(9):
        world.say(a, message, values, finite=False)
    rejected = told.take()
    assert [level for level, _ in rejected] == ["warning"] * 4
    assert rejected[0][1].startswith("an answer of device 1 #1 was rejected: the gradient has values that are not")
    assert rejected[-1][1].endswith("(8 so far)")
    world.say(late, m.Leave(1))
    assert told.take() == [("info", "device 2 #2 took worker 1 back")]
