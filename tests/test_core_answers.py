"""Answers that are refused: each is named, counted, and changes nothing."""

from mlitb.core import messages as m
from tests.core_world import World


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
    a, b = world.crowd(2)
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
        {"type": "fully_connected", "units": 16_000},
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
