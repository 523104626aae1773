"""The event loop: when an iteration closes, who is awaited, what is refused, how budgets follow."""

import pytest

from mlitb.core import messages as m
from mlitb.core.events import Add, Broadcast, Close, Disconnected, Effect, Log, Save, Send, Step
from mlitb.core.members import Trainer
from tests.core_world import Browser, World

HOUR = 3600.0


@pytest.fixture
def world() -> World:
    """Give a running project with data: T = 1 s, grace 0.1 s."""
    world = World()
    world.create(period=1.0)
    world.attach()
    return world


def names(effects: list[Effect]) -> list[str]:
    """Name effects, and messages for those that are sent."""
    return [type(effect.message if isinstance(effect, Send) else effect).__name__ for effect in effects]


def opened(world: World, name: str = "p") -> float:
    """Tell when the open iteration began."""
    iteration = world.project(name).open
    assert iteration is not None
    return iteration.opened_at


def crowd(world: World, count: int) -> list[Browser]:
    """Let some browsers train, all of them ordered in the open iteration."""
    browsers = [world.worker() for _ in range(count)]
    for browser in browsers:
        world.answer(browser) if "p" in browser.orders else None
    world.close()
    for browser in browsers:  # the pie was cut again
        world.unpack(browser)
    for browser in browsers:
        world.answer(browser) if "p" in browser.orders else None
    world.close()
    return browsers


# ---------------------------------------------------------------------------------------------------------- closing
def test_an_iteration_closes_at_t_when_everyone_has_answered(world: World) -> None:
    a, b = crowd(world, 2)
    start = opened(world)
    world.now += 0.4
    world.answer(a)
    world.now += 0.2
    world.answer(b)
    assert world.master.deadline() == start + 1.0
    world.tick()
    assert world.vectors["p"].under_way is not None


def test_it_closes_at_the_last_awaited_answer_within_the_grace(world: World) -> None:
    a, b = crowd(world, 2)
    start = opened(world)
    world.answer(a)
    world.now = start + 1.05
    assert world.vectors["p"].under_way is None
    world.answer(b)
    assert isinstance(world.vectors["p"].under_way, Step)


def test_it_closes_at_the_end_of_the_grace_whoever_is_missing(world: World) -> None:
    a, _ = crowd(world, 2)
    start = opened(world)
    world.answer(a)
    world.tick()
    assert world.now == pytest.approx(start + 1.1)
    assert isinstance(world.vectors["p"].under_way, Step)


def test_the_next_opens_at_the_close_so_nothing_drifts(world: World) -> None:
    a, _ = crowd(world, 2)
    world.answer(a)
    world.tick()
    world.step()
    assert opened(world) == world.now


def test_it_closes_early_when_nobody_is_left_and_what_was_answered_counts(world: World) -> None:
    a, b = crowd(world, 2)
    world.answer(a)
    world.drop(a)
    assert world.project().open is not None
    world.drop(b)
    assert isinstance(world.vectors["p"].under_way, Step)
    world.step()
    assert world.project().state == "idle"


def test_all_leave_without_an_answer_and_the_same_iteration_goes_on(world: World) -> None:
    a = world.worker()
    number, steps = world.project().iteration, world.vectors["p"].steps
    world.drop(a)
    assert world.project().state == "idle"
    assert world.master.deadline() is None
    world.now += HOUR
    world.worker()
    assert world.project().iteration == number
    assert world.project().state == "running"
    assert world.vectors["p"].steps == steps


def test_it_closes_when_saturated_only_if_the_project_says_so(world: World) -> None:
    a = world.worker()
    world.answer(a)
    assert world.project().open is not None
    world.control("set", close_when_saturated=True)
    world.close()
    world.answer(a)
    assert isinstance(world.vectors["p"].under_way, Step)
    world.step()
    world.answer(a, counts=3)
    assert world.project().open is not None


def test_half_leave_in_one_moment_and_the_others_get_their_shards(world: World) -> None:
    browsers = crowd(world, 8)
    for browser in browsers[::2]:
        browser.closed = True
        world.feed(Disconnected(browser.number))
    for browser in browsers[1::2]:
        world.answer(browser)
    world.close()
    assert world.project().crew.pool.unowned == {}
    assert sum(h.vectors for h in world.project().crew.pool.holders.values()) == 128


# ---------------------------------------------------------------------------------------------------------- silence
def test_silent_clients_cost_one_grace_in_total(world: World) -> None:
    good, *silent = crowd(world, 6)
    durations = []
    for _ in range(6):
        start = opened(world)
        world.answer(good)
        world.close()
        durations.append(world.now - start)
    assert durations == pytest.approx([1.1] + [1.0] * 5)
    assert all(world.project().crew.browsers[b.number].silent for b in silent)


def test_a_missed_deadline_halves_the_budget_and_three_lose_the_shards(world: World) -> None:
    good, silent = crowd(world, 2)
    budgets, held = [], []
    for _ in range(4):
        held.append(len(silent.assigns[1].shards))
        budgets.append(silent.orders["p"].orders[0].until_ms)
        world.answer(good)
        world.close()
    assert budgets[1] == pytest.approx(budgets[0] / 2, rel=0.2)
    assert budgets[2] == pytest.approx(budgets[0] / 4, rel=0.4)
    assert held[:3] == [2, 2, 2]
    assert silent.assigns[1].shards == ()
    assert len(good.assigns[1].shards) == 4


def test_a_late_answer_is_a_sign_of_life_and_never_a_gradient(world: World) -> None:
    good, slow = crowd(world, 2)
    late = world.good_answer(slow, "p")
    for _ in range(4):
        world.answer(good)
        world.close()
    assert slow.assigns[1].shards == ()
    late = world.good_answer(slow, "p")
    effects = world.say(slow, *late)
    assert Add not in map(type, effects)
    assert slow.refused[-1].status == 409
    assert world.project().refusals["late"] == 1
    assert slow.assigns[1].shards
    world.unpack(slow)
    world.answer(good)
    world.close()
    assert slow.orders["p"].iteration == world.project().iteration
    world.answer(slow)
    assert world.project().crew.browsers[slow.number].silent is False


def test_when_none_answers_the_project_rests_and_says_why(world: World) -> None:
    crowd(world, 2)
    for _ in range(10):
        world.close()
    assert world.project().state == "idle"
    assert world.master.status("p", world.now).why == "none of its workers answers"
    assert world.master.deadline() is None


def test_a_machine_that_slept_for_an_hour_goes_on(world: World) -> None:
    a, b = crowd(world, 2)
    world.answer(a)
    world.now += HOUR
    world.answer(b)  # its answer waited in the socket: too late
    assert b.refused[-1].status == 409
    world.step()
    assert opened(world) == world.now
    world.answer(a)
    world.answer(b)
    iteration = world.project().open
    assert iteration is not None
    assert iteration.vectors > 0


def test_an_empty_iteration_keeps_parameters_and_takes_a_new_number(world: World) -> None:
    world.worker()
    number, steps = world.project().iteration, world.vectors["p"].steps
    world.close()
    assert world.project().iteration == number + 1
    assert world.vectors["p"].steps == steps
    assert world.vectors["p"].records[-1]["vectors"] == 0


# ---------------------------------------------------------------------------------------------------------- budgets
def serve(world: World, browser: Browser, delay_ms: float, power: float) -> float:
    """Answer one iteration over a link that takes `delay_ms`; return the budget that was given."""
    order = browser.orders["p"].orders[0]
    number = world.project().iteration
    count = int(min(order.limit, power * order.until_ms / 1000))
    ms = 1000 * count / power
    arrival = browser.received_at["p"] + (ms + delay_ms) / 1000
    message = m.Answer("p", order_iteration := browser.orders["p"].iteration, (m.Result(1, count, 1.0, 0, ms),))
    while (
        world.project().iteration == number and (deadline := world.master.deadline()) is not None and deadline < arrival
    ):
        world.now = deadline
        world.later(0)
        world.step()
    world.now = max(world.now, arrival)
    world.say(browser, message, world.size())
    if world.project().iteration == order_iteration:
        world.close()
    return order.until_ms


def test_800_ms_of_delay_shrink_the_budget_while_the_period_holds() -> None:
    world = World()
    world.create(period=4.0)
    world.attach(counts=[250] * 40)
    browser = world.worker(capacity_vectors=10**6)
    before = [serve(world, browser, 30, 1000) for _ in range(12)]
    assert before[-1] > 3900
    during = [serve(world, browser, 830, 1000) for _ in range(10)]
    records = world.vectors["p"].records[-6:]
    assert during[-1] < 3300
    assert all(record["seconds"] <= 4.001 and record["vectors"] > 0 for record in records)
    after = [serve(world, browser, 30, 1000) for _ in range(40)]
    assert after[-1] > 3850


def test_a_link_that_needs_a_longer_period_is_told_so_and_not_awaited(world: World) -> None:
    browser = world.worker()
    for _ in range(6):
        serve(world, browser, 2500, 100)
    inside = world.project().crew.browsers[browser.number]
    assert not inside.awaited
    [row] = world.master.roster("p", browser.number, world.now).rows
    assert row.advice.startswith("this link needs T ≥ ")


def test_intensity_shortens_the_order(world: World) -> None:
    browser = world.worker(intensity=0.25)
    order = browser.orders["p"].orders[0]
    assert order.until_ms == pytest.approx(0.25 * 900)


def test_the_first_micro_batches_are_small_and_follow_the_power(world: World) -> None:
    browser = world.worker()
    power = 16_000
    for _ in range(3):
        serve(world, browser, 5, power)
    assert browser.orders["p"].orders[0].micro_batch == 16


def test_a_cap_bounds_the_vectors_of_an_order(world: World) -> None:
    world.control("set", vectors=10)
    browser = world.worker()
    assert browser.orders["p"].orders[0].limit == 10


def test_efficiency_is_used_over_possible(world: World) -> None:
    browser = world.worker()
    for _ in range(2):
        world.answer(browser, ms=100.0)  # 128 vectors in 100 ms of a second
        world.close()
    assert world.master.status("p", world.now).efficiency == pytest.approx(0.1)


# ---------------------------------------------------------------------------------------------------------- refusals
def test_wrong_answers_are_named_and_counted(world: World) -> None:
    browser = world.worker()
    good, values = world.good_answer(browser, "p")
    [result] = good.results
    world.say(browser, good, values + 1)
    world.say(browser, good, values, finite=False)
    world.say(
        browser, m.Answer("p", good.iteration, (m.Result(1, result.limit if False else 129, 1.0, 0, 1.0),)), values
    )
    world.say(browser, m.Answer("p", good.iteration + 5, good.results), values)
    world.say(browser, m.Answer("nowhere", 0, ()))
    world.say(browser, good, values)
    world.say(browser, good, values)
    assert [refusal.status for refusal in browser.refused] == [422, 422, 422, 422, 404, 409]
    assert world.project().refusals == {
        "wrong length": 1, "not finite": 1, "too many vectors": 1, "future iteration": 1, "second answer": 1,
    }  # fmt: skip
    assert world.master.counters["Answer: not finite"] == 1
    assert world.master.counters["Answer 404"] == 1


def test_nobody_speaks_for_another(world: World) -> None:
    a, b = crowd(world, 2)
    good, values = world.good_answer(a, "p")
    stranger = world.connect()
    world.say(stranger, good, values)
    assert stranger.refused[-1].status == 403
    world.say(b, m.Leave(99))
    assert b.refused[-1].status == 404
    assert len(world.project().crew.browsers) == 2


def test_more_flops_than_any_trainer_has_are_not_believed() -> None:
    world = World()
    layers = (
        {"type": "input", "width": 4, "height": 4, "channels": 1},
        {"type": "fully_connected", "units": 60_000},
        {"type": "fully_connected", "units": 900},
        {"type": "fully_connected"},
        {"type": "softmax"},
    )
    world.create(period=1.0, layers=layers)
    world.attach(counts=[250] * 40)
    browser = world.worker(capacity_vectors=10**5)
    world.now += 0.5
    world.answer(browser)
    assert "10¹² FLOP/s" in browser.refused[-1].reason
    world.answer(browser, counts=100)
    assert len(browser.refused) == 1


def test_an_answer_of_the_length_before_a_growth_is_stale_not_misbehaviour(world: World) -> None:
    browser = world.worker()
    old = world.size()
    world.answer(browser)
    world.feed_attach("more", ["c"], [16])
    world.close()
    good, _ = world.good_answer(browser, "p")
    world.say(browser, good, old)
    assert browser.refused[-1].status == 409
    assert world.project().refusals["stale length"] == 1


# ---------------------------------------------------------------------------------------------------------- hello
def test_hello_comes_first_and_once(world: World) -> None:
    browser = world.connect(hello=False)
    effects = world.say(browser, m.Watch("p"))
    assert names(effects) == ["Refused", "Close"]
    other = world.connect()
    world.say(other, m.Hello(m.PROTOCOL, "e" * 64))
    assert other.refused[-1].status == 409


@pytest.mark.parametrize(("protocol", "engine"), [(m.PROTOCOL + 1, "e" * 64), (m.PROTOCOL, "f" * 64)])
def test_another_version_is_told_to_reload(world: World, protocol: int, engine: str) -> None:
    browser = world.connect(hello=False)
    effects = world.say(browser, m.Hello(protocol, engine))
    assert names(effects) == ["Reload", "Close"]
    assert isinstance(effects[-1], Close)
    assert effects[-1].retry_ms < 0


def test_a_resume_token_brings_identity_and_cache_back(world: World) -> None:
    a = world.worker()
    assert a.welcome is not None
    held = {shard.hash for shard in a.assigns[1].shards}
    world.drop(a)
    stranger = world.worker()
    again = world.connect(resume=a.welcome.resume)
    assert again.welcome is not None
    assert (again.welcome.client, again.welcome.resume) == (a.welcome.client, a.welcome.resume)
    world.join(again, ready=False)
    assert {shard.hash for shard in again.assigns[1].shards} <= held
    assert stranger.welcome is not None
    assert stranger.welcome.client != a.welcome.client


def test_a_second_connection_of_the_same_browser_replaces_the_first(world: World) -> None:
    a = world.worker()
    assert a.welcome is not None
    again = world.connect(resume=a.welcome.resume)
    assert a.closed
    assert again.welcome is not None
    assert again.welcome.client == a.welcome.client
    assert world.project().crew.browsers == {}


def test_a_guessed_token_gives_nothing(world: World) -> None:
    a = world.worker()
    other = world.connect(resume="token-0")
    assert other.welcome is not None
    assert a.welcome is not None
    assert other.welcome.client != a.welcome.client
    assert other.welcome.resume == other.token


@pytest.mark.parametrize("action", ["start", "pause", "reboot", "set", "remove"])
def test_only_the_owner_controls(world: World, action: m.Action) -> None:
    visitor, owner = world.connect(), world.connect(owner=True)
    state = world.project().state
    world.say(visitor, m.Control("p", action))
    assert visitor.refused[-1].status == 403
    assert world.project().state == state
    world.say(owner, m.Control("p", action))
    assert owner.refused == []


# ---------------------------------------------------------------------------------------------------------- watching
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


def test_statistics_workers_get_what_was_held_back() -> None:
    world = World()
    world.create()
    world.feed_attach("c", ["a", "b"], [32], held_back=20)
    browser = world.connect()
    world.say(browser, m.Join("p", 1, "statistics"))
    assert [shard.count for shard in browser.assigns[1].shards] == [20]
    assert "p" in browser.parameters


# ---------------------------------------------------------------------------------------------------------- the close
def test_the_order_of_a_close(world: World) -> None:
    a = world.worker()
    world.answer(a)
    world.feed_attach("more", ["c"], [16])
    world.now = opened(world) + 1.0
    closing = world.feed_tick()
    assert names(closing) == ["Record", "Step"]
    growing = world.finish("p")
    assert names(growing) == ["Initialise"]
    opening = [name for name in names(world.finish("p")) if name not in ("Status", "Roster", "Save")]
    assert opening == ["Network", "Assign", "Broadcast", "Orders"]


def test_failed_workers_are_shown_with_their_reason(world: World) -> None:
    a = world.worker()
    effects = world.say(a, m.Failed(1, "out of memory"))
    assert any(isinstance(effect, Log) for effect in effects)
    [row] = world.master.roster("p", a.number, 0.0).rows
    assert (row.state, row.advice) == ("failed", "out of memory")
    world.join(a)  # it may try again
    assert isinstance(world.project().crew.browsers[a.number].workers[1], Trainer)
    assert world.project().crew.browsers[a.number].workers[1].failure == ""


def test_checkpoints_come_at_their_interval_and_at_every_change() -> None:
    world = World(save_every=2.5)
    world.create(period=1.0)
    world.attach()
    a = world.worker()
    saved = 0
    for _ in range(10):
        world.answer(a)
        before = world.now
        world.tick()
        saved += Save in map(type, world.finish("p"))
        assert world.now - before == pytest.approx(1.0)
    assert saved == 3
    assert Save in map(type, world.control("pause"))


# ---------------------------------------------------------------------------------------------------------- local steps
def test_local_steps_go_round_as_often_as_the_budget_allows(world: World) -> None:
    world.control("set", local_steps=True, local_rate=0.1, local_batch=4)
    browser = world.worker()
    order = browser.orders["p"].orders[0]
    assert (order.local_rate, order.local_momentum, order.micro_batch) == (0.1, 0.9, 4)
    world.answer(browser, counts=1000, ms=800.0)  # 128 vectors, almost eight times round
    assert browser.refused == []
    world.close()
    assert browser.orders["p"].orders[0].cursor == 1000
    assert world.vectors["p"].records[-1]["vectors"] == 1000
    assert world.master.status("p", 0).efficiency == pytest.approx(128 / 1250)
    [row] = world.master.roster("p", browser.number, 0).rows
    assert row.state != "saturated"
