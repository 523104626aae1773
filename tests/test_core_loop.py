"""The event loop: when an iteration closes, who is awaited, what silence costs, what a close does in which order."""

import pytest

from mlitb.core import messages as m
from mlitb.core.events import Add, Disconnected, Save, Step
from tests.core_world import World, names

HOUR = 3600.0


# ---------------------------------------------------------------------------------------------------------- closing
def test_an_iteration_closes_at_t_when_everyone_has_answered(world: World) -> None:
    a, b = world.crowd(2)
    start = world.opened()
    world.now += 0.4
    world.answer(a)
    world.now += 0.2
    world.answer(b)
    assert world.master.deadline() == start + 1.0
    world.tick()
    assert world.vectors["p"].under_way is not None


def test_it_closes_at_the_last_awaited_answer_within_the_grace(world: World) -> None:
    a, b = world.crowd(2)
    start = world.opened()
    world.answer(a)
    world.now = start + 1.05
    assert world.vectors["p"].under_way is None
    world.answer(b)
    assert isinstance(world.vectors["p"].under_way, Step)


def test_it_closes_at_the_end_of_the_grace_whoever_is_missing(world: World) -> None:
    a, _ = world.crowd(2)
    start = world.opened()
    world.answer(a)
    world.tick()
    assert world.now == pytest.approx(start + 1.1)
    assert isinstance(world.vectors["p"].under_way, Step)


def test_the_next_opens_at_the_close_so_nothing_drifts(world: World) -> None:
    a, _ = world.crowd(2)
    world.answer(a)
    world.tick()
    world.step()
    assert world.opened() == world.now


def test_it_closes_early_when_nobody_is_left_and_what_was_answered_counts(world: World) -> None:
    a, b = world.crowd(2)
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
    browsers = world.crowd(8)
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
    good, *silent = world.crowd(6)
    durations = []
    for _ in range(6):
        start = world.opened()
        world.answer(good)
        world.close()
        durations.append(world.now - start)
    assert durations == pytest.approx([1.1] + [1.0] * 5)
    assert all(world.project().crew.browsers[b.number].silent for b in silent)


def test_a_missed_deadline_halves_the_budget_and_three_lose_the_shards(world: World) -> None:
    good, silent = world.crowd(2)
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
    good, slow = world.crowd(2)
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
    world.crowd(2)
    for _ in range(10):
        world.close()
    assert world.project().state == "idle"
    assert world.master.status("p", world.now).why == "none of its workers answers"
    assert world.master.deadline() is None


def test_a_machine_that_slept_for_an_hour_goes_on(world: World) -> None:
    a, b = world.crowd(2)
    world.answer(a)
    world.now += HOUR
    world.answer(b)  # its answer waited in the socket: too late
    assert b.refused[-1].status == 409
    world.step()
    assert world.opened() == world.now
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


# ---------------------------------------------------------------------------------------------------------- the close
def test_the_order_of_a_close(world: World) -> None:
    a = world.worker()
    world.answer(a)
    world.feed_attach("more", ["c"], [16])
    world.now = world.opened() + 1.0
    closing = world.feed_tick()
    assert names(closing) == ["Record", "Step"]
    growing = world.finish("p")
    assert names(growing) == ["Initialise"]
    opening = [name for name in names(world.finish("p")) if name not in ("Status", "Roster", "Save", "Log")]
    assert opening == ["Network", "Assign", "Broadcast", "Orders"]


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


# ------------------------------------------------------------------------------------------------------- the figures
def test_vectors_a_second_are_those_of_a_whole_period_where_it_was_broken_off(world: World) -> None:
    for leave in (True, False):
        a = world.worker()
        world.close()
        world.now = world.opened() + 0.01
        world.answer(a)
        if leave:
            world.drop(a)
        else:
            world.control("pause")
        record = world.vectors["p"].records[-1]
        assert record["seconds"] < 0.02
        assert record["power"] == pytest.approx(record["vectors"] / 1.0), "T = 1 s: no spike"
        world.step()


def test_vectors_a_second_count_what_closes_when_saturated_as_it_is() -> None:
    world = World()
    world.create(period=1.0, close_when_saturated=True)
    world.attach()
    a = world.worker()
    world.now = world.opened() + 0.25
    world.answer(a)
    record = world.vectors["p"].records[-1]
    assert record["power"] == pytest.approx(record["vectors"] / 0.25)


def test_an_iteration_tells_the_latency_of_the_browsers_that_came_first(world: World) -> None:
    browsers = world.crowd(10)
    assert world.vectors["p"].records[-1]["latency_ms"] >= 0
    world.now = world.opened() + 0.9
    for browser in browsers:
        world.answer(browser, ms=100)
    world.close()
    record = world.vectors["p"].records[-1]
    links = world.project().crew.browsers.values()
    assert record["latency_ms"] == pytest.approx(sorted(b.link.overhead_ms for b in links)[5], abs=0.1)
    assert list(record["latencies"]) == [str(browser.number) for browser in browsers[:8]]


def test_an_answer_of_any_missed_order_is_a_sign_of_life(world: World) -> None:
    good, slow = world.crowd(2)
    link = world.project().crew.browsers[slow.number].link
    sent_at, old = world.opened(), world.good_answer(slow, "p", ms=100.0)
    for _ in range(2):
        world.answer(good)
        world.close()
    world.say(slow, *old)  # two orders went out since
    assert world.project().crew.browsers[slow.number].silent is False
    took_ms = 1000 * (world.now - sent_at) - 100
    assert link.overhead_ms > 0.49 * took_ms > 900
    before = link.overhead_ms
    world.say(slow, *old)
    assert link.overhead_ms == before, "the same answer taught twice"


def test_what_was_cut_off_teaches_nothing_of_the_link(world: World) -> None:
    browser = world.crowd(2)[0]
    link = world.project().crew.browsers[browser.number].link
    before = (link.overhead_ms, link.spread_ms)
    world.now += 0.9
    world.say(browser, m.Answer("p", world.project().iteration, ()))
    assert browser.refused == []
    assert (link.overhead_ms, link.spread_ms) == before


def test_a_stale_length_is_timed_from_its_own_orders(world: World) -> None:
    browser = world.worker()
    world.answer(browser)
    old = world.size()
    world.feed_attach("more", ["c"], [16])
    world.now = 1e6
    world.close()
    good, _ = world.good_answer(browser, "p", ms=100.0)
    world.now += 0.2
    world.say(browser, good, old)
    assert world.project().refusals["stale length"] == 1
    assert world.project().crew.browsers[browser.number].link.overhead_ms < 1000


def test_the_learning_rate_decays_with_the_steps_not_with_the_iterations() -> None:
    world = World()
    world.create(period=1.0, learning_rate=1.0, decay=0.5, decay_interval=3)
    world.attach()
    browser = world.worker()
    rates = []

    def steps(count: int) -> list[float]:
        for _ in range(count):
            world.answer(browser)
            world.close()
            rates.append(world.project().learning_rate)
        return rates[-count:]

    assert steps(2) == [1.0, 1.0]
    world.say(browser, m.Answer("p", world.project().iteration, ()))  # the third iteration is empty
    world.close()
    assert steps(1) == [0.5]
    assert steps(1) == [0.5]
    world.control("reboot")
    world.step()
    assert steps(3) == [1.0, 1.0, 0.5], "a reboot begins to count anew"


def test_the_log_tells_what_makes_a_step_once_and_again_when_it_changes(world: World) -> None:
    [browser] = world.crowd(1)
    records = world.vectors["p"].records
    told = [record["terms"] for record in records if "terms" in record]
    assert [(terms["labels"], terms["seed"], terms["hyper"]["optimizer"]) for terms in told] == [(2, 7, "adagrad")]
    assert records[-1]["local"] == []
    world.control("set", optimizer="sgd", local_steps=True, local_rate=0.05, local_momentum=0.5)
    for _ in range(2):
        world.answer(browser)
        world.close()
    changed = [record for record in records if record.get("terms", {}).get("hyper", {}).get("optimizer") == "sgd"]
    assert len(changed) == 1
    assert records[-1]["local"] == [0.05, 0.5]
