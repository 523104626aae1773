"""What is shown, and how often: status, roster, snapshots for those who only look."""

from mlitb import wire
from mlitb.core import messages as m
from mlitb.core.events import Broadcast, Log
from mlitb.core.members import SATURATED_KEPT, Trainer
from tests.core_world import World


def test_a_watcher_is_told_at_once_and_then_at_most_once_a_second(world: World) -> None:
    watcher = world.connect()
    world.say(watcher, m.Watch("p"))
    assert len(watcher.shown) == 1
    worker = world.worker()
    for _ in range(40):
        world.later(0.1)
        if world.project().open and not world.project().crew.browsers[worker.number].answered:
            world.answer(worker)
        world.step()
    assert 4 <= len(watcher.shown) <= 6
    world.say(watcher, m.Watch(""))
    before = len(watcher.shown)
    world.later(5.0)
    assert len(watcher.shown) == before


def test_nothing_is_sent_while_nothing_changes(world: World) -> None:
    watcher = world.connect()
    world.say(watcher, m.Watch("p"))
    world.later(2.0)
    before = len(watcher.shown)
    assert world.master.deadline() is None
    world.later(60.0)
    assert len(watcher.shown) == before


def test_a_roster_shows_the_strongest_hundred_and_all_of_ones_own(world: World) -> None:
    everyone = [world.worker() for _ in range(120)]
    inside = world.project().crew.browsers
    for i, browser in enumerate(everyone):
        inside[browser.number].trainers[0].power = 1000.0 - i
    weakest = world.master.roster("p", everyone[-1].number, 0.0)
    assert [row.client for row in weakest.rows][:2] == [everyone[-1].number, everyone[0].number]
    assert (len(weakest.rows), weakest.more) == (101, 19)
    assert len(world.master.roster("p", everyone[0].number, 0.0).rows) == 100


def test_others_are_shown_to_who_asks_for_the_table_and_ones_own_to_everyone(world: World) -> None:
    worker, other, reader = world.worker(), world.worker(), world.connect()
    world.say(worker, m.Watch("p"))
    world.say(reader, m.Watch("p"))
    assert [row.client for row in worker.rosters[-1].rows] == [worker.number]
    assert worker.rosters[-1].more == 1
    assert len(reader.rosters[-1].rows) == 0
    world.say(reader, m.Watch("p", table=True))
    assert {row.client for row in world.master.roster("p", reader.number, 0.0).rows} == {worker.number, other.number}
    assert reader.rosters[-1] == world.master.roster("p", reader.number, 0.0)
    world.say(worker, m.Leave(1))
    world.later(2.0)
    assert len(worker.rosters[-1].rows) == 0


def test_tables_take_a_bounded_share_of_the_link_however_many_read_them(world: World) -> None:
    for _ in range(100):
        world.worker()
    readers = [world.connect() for _ in range(400)]
    for reader in readers:
        world.say(reader, m.Watch("p", table=True))
    before, begun = {reader.number: (len(reader.rosters), len(reader.shown)) for reader in readers}, world.now
    while world.now < begun + 60:
        for browser in world.browsers.values():
            if browser.orders and not world.project().crew.browsers[browser.number].answered:
                world.answer(browser)
        world.later(1.1)
        world.step()
    sent = sum(len(wire.encode(roster)) for reader in readers for roster in reader.rosters[before[reader.number][0] :])
    assert 0.2e6 < sent / 60 < 2.5e6
    assert all(len(reader.shown) - before[reader.number][1] > 45 for reader in readers), "the status still comes"


def test_trackers_get_the_newest_when_free_and_nothing_twice(world: World) -> None:
    trainer, tracker = world.worker(), world.connect()
    world.say(tracker, m.Join("p", 1, "tracker"))
    first = tracker.parameters["p"]
    world.answer(trainer)
    world.close()
    assert tracker.parameters["p"] is first  # still busy
    effects = world.say(tracker, m.Ready(1, 0, ()))
    assert Broadcast in map(type, effects)
    effects = world.say(tracker, m.Ready(1, 0, ()))
    assert Broadcast not in map(type, effects)
    world.answer(trainer)
    world.close()
    assert tracker.parameters["p"].iteration == world.project().iteration


def test_a_tracker_beside_a_trainer_is_not_shown_the_same_snapshot_again(world: World) -> None:
    browser = world.worker()
    world.say(browser, m.Join("p", 2, "tracker"))
    assert world.project().open is not None
    for _ in range(3):
        effects = world.say(browser, m.Ready(2, 0, ()))
        assert not [effect for effect in effects if isinstance(effect, Broadcast)]


def test_a_paused_worker_gets_no_advice_about_what_it_would_do(world: World) -> None:
    a = world.worker()
    world.answer(a)  # all it holds
    [row] = world.master.roster("p", a.number, 0.0).rows
    assert row.advice.startswith("it used all it holds")
    world.say(a, m.Tune(1, paused=True))
    [row] = world.master.roster("p", a.number, 0.0).rows
    assert (row.state, row.advice) == ("paused", "")


def test_a_trainer_that_used_all_it_holds_is_shown_so_for_a_while(world: World) -> None:
    a = world.worker()
    world.answer(a)  # all it holds
    for answers in range(1, SATURATED_KEPT + 2):
        world.close()
        world.answer(a, counts=1)
        [row] = world.master.roster("p", a.number, 0.0).rows
        assert (row.state == "saturated") is (answers < SATURATED_KEPT), answers


def test_failed_workers_are_shown_with_their_reason(world: World) -> None:
    a = world.worker()
    effects = world.say(a, m.Failed(1, "out of memory"))
    assert any(isinstance(effect, Log) for effect in effects)
    [row] = world.master.roster("p", a.number, 0.0).rows
    assert (row.state, row.advice) == ("failed", "out of memory")
    world.join(a)  # it may try again
    assert isinstance(world.project().crew.browsers[a.number].workers[1], Trainer)
    assert world.project().crew.browsers[a.number].workers[1].failure == ""
