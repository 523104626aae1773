"""Work orders: how budgets follow a device and its link, and what an order allows."""

import pytest

from mlitb.core import messages as m
from tests.core_world import Browser, World


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
    after = [serve(world, browser, 30, 1000) for _ in range(32)]
    assert after[1:12] == sorted(after[1:12]), "more each time"
    assert after[-1] > 3850


def test_a_link_that_needs_a_longer_period_is_told_so_and_not_awaited(world: World) -> None:
    browser = world.worker()
    for _ in range(6):
        serve(world, browser, 2500, 100)
    inside = world.project().crew.browsers[browser.number]
    assert not inside.awaited
    [row] = world.master.roster("p", browser.number, world.now).rows
    assert row.advice.startswith("this link needs T ≥ ")


@pytest.mark.parametrize("grace", [0.0, 0.1, 2.0])
def test_a_device_that_waits_for_its_own_stuck_trainer_is_in_time(grace: float) -> None:
    world = World()
    world.create(period=4.0, grace=grace)
    world.attach(counts=[250] * 40)
    browser = world.worker()
    world.join(browser, 2)
    world.answer(browser)
    world.close()
    for _ in range(6):
        orders, sent = browser.orders["p"], browser.received_at["p"]
        assert [order.worker for order in orders.orders] == [1, 2]
        worked = orders.orders[0].until_ms
        world.now = sent + (worked + orders.margin_ms) / 1000 + 0.005  # the second is waited for in vain
        answer = m.Answer("p", orders.iteration, (m.Result(1, 100, 1.0, 0, worked),))
        world.say(browser, answer, world.size())
        assert not browser.refused
        world.close()
    assert all(record["seconds"] <= 4.0 + (grace or 0.4) for record in world.vectors["p"].records)
    assert all(record["vectors"] >= 100 for record in world.vectors["p"].records)


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


def test_what_was_computed_is_credited_to_the_shards_before_the_list_changes(world: World) -> None:
    browser = world.worker()
    shards = world.project().crew.pool.shards
    first = list(shards.values())
    for _ in range(2):
        world.answer(browser)
        world.close()
    world.attach("more", ["a", "b"], [32])
    world.answer(browser)
    world.close()
    world.unpack(browser)
    world.answer(browser)
    world.close()  # the new shard is in the list from here on
    assert sum(stock.trained for stock in first) == pytest.approx(4 * 128)
    world.answer(browser)
    world.drop(browser)
    assert sum(stock.trained for stock in shards.values()) == pytest.approx(4 * 128 + 160)
