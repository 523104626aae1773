"""How many get orders when all cannot be served: the limit, and whose turn it is."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from mlitb.core import messages as m
from mlitb.core.allocation import Holder
from mlitb.core.budget import Link
from mlitb.core.config import Settings
from mlitb.core.iteration import Iteration
from mlitb.core.members import Browser, Trainer
from mlitb.core.places import Places
from mlitb.simulation import Model, Simulation
from tests.core_world import World


def iteration(ordered: int, answers: int, overhead: float) -> Iteration:
    """Give one that closes: so many answers, each with this share of T as overhead."""
    closing = Iteration(0, 0.0, Settings(period=1.0))
    closing.ordered, closing.answers, closing.overhead_ms = ordered, answers, 1000 * overhead * answers
    return closing


def browsers(count: int) -> list[Browser]:
    """Give browsers that could all work."""
    everyone = [Browser(i, i, "", set(), Link()) for i in range(count)]
    for browser in everyone:
        holder = Holder((browser.client, 1), 100, 10**6, set(), 1.0)
        browser.trainers.append(Trainer(1, "trainer", 1.0, 100, 10**6, holder=holder, ready={"shard"}, size=1))
    return everyone


def take(places: Places, everyone: list[Browser], now: float) -> list[int]:
    taken = list(places.taken(everyone))
    for browser in taken:
        browser.sent_at = now
    return [browser.client for browser in taken]


@pytest.mark.parametrize(
    ("ordered", "answers", "late"),
    [(64, 64, 0), (64, 50, 14), (64, 0, 0), (15, 0, 15)],
    ids=["all in time", "some slow links", "nobody answers", "no crowd"],
)
def test_nothing_is_limited_unless_a_crowd_is_late(ordered: int, answers: int, late: int) -> None:
    places = Places()
    places.late = late
    places.closed(iteration(ordered, answers, 0.2))
    assert places.limit == inf


def test_a_late_crowd_is_halved_and_what_was_ordered_before_counts_no_more() -> None:
    places = Places()
    for expected in (500, 500, 250, 250):
        places.late = 400
        places.closed(iteration(1000 if expected == 500 else 500, 100, 0.9))
        assert places.limit == expected


def test_slow_links_in_a_fast_crowd_never_take_the_places_of_those_in_time() -> None:
    places = Places()
    places.late = 30
    places.closed(iteration(100, 70, 0.1))
    assert places.limit == 70


def test_a_limit_seeks_half_of_the_period_and_ends_when_all_fit() -> None:
    places, everyone = Places(), browsers(300)
    places.limit = 200
    places.closed(iteration(200, 200, 0.7))
    assert places.limit == 164
    places.closed(iteration(164, 164, 0.45))
    assert places.limit == 164
    places.closed(iteration(164, 164, 0.3))
    assert places.limit == 205
    for _ in range(2):
        places.closed(iteration(205, 205, 0.1))
    assert len(take(places, everyone, 1.0)) == 300
    assert places.limit == inf


def test_who_is_in_time_keeps_the_place_and_an_eighth_goes_round() -> None:
    places, everyone = Places(), browsers(64)
    take(places, everyone, 1.0)
    places.limit = 32
    first = take(places, everyone, 2.0)
    assert len(first) == 32
    assert [browser.waits for browser in everyone].count(True) == 32
    everyone[first[0]].silent = True
    turns: set[int] = set(first)
    for round_ in range(12):
        now = take(places, everyone, 3.0 + round_)
        assert len(now) == 32
        if round_ == 0:
            assert first[0] not in now
            assert len(set(now) & set(first)) == 28
        turns.update(now)
    assert turns == set(range(64)), "everybody has a turn"


def test_a_crowd_beyond_the_link_gives_what_a_smaller_one_gives() -> None:
    model = Model(period=4.0, bandwidth=12.5e6, settings={"local_steps": True})

    def settled(workers: int, iterations: int) -> float:
        records = Simulation(replace(model, workers=workers, iterations=iterations)).run().records[-5:]
        return float(np.mean([record["vectors"] for record in records]))

    assert settled(1200, 30) > 0.7 * settled(150, 10)  # without a limit: 0.04


def test_the_operator_hears_of_the_crowd_and_who_waits_is_told_why() -> None:
    world = World()
    world.create(period=1.0)
    world.attach(counts=[32] * 40)
    crowd = world.crowd(40)
    for _ in range(2):
        world.tick()  # nobody is in time
        world.step()
        for browser in crowd:
            world.say(browser, m.Answer("p", world.project().iteration - 1, ()))
    logs = [told.text for told in world.logs if told.level == "warning"]
    assert [text for text in logs if "cannot carry 40 browsers at once, they take turns" in text]
    waiting = [b for b in world.project().crew.browsers.values() if b.waits]
    assert len(waiting) == 20
    rows = world.master.roster("p", crowd[0].number, world.now).rows
    assert [row.advice.endswith("they take turns") for row in rows].count(True) == 20
    assert all(world.browsers[b.client].orders["p"].iteration < world.project().iteration for b in waiting)
