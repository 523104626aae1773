"""Projects: data and labels, growth, settings, start, pause, reboot, remove, many at once."""

from typing import Any

import pytest

from mlitb.core import messages as m
from mlitb.core.events import Attached, Broadcast, Created, Forget, Initialise, Save, Send, Step
from mlitb.core.refusal import Refusal
from tests.core_world import LAYERS, World, manifest

FIXED = (LAYERS[0], {"type": "fully_connected", "units": 2}, LAYERS[2])


@pytest.fixture
def world() -> World:
    """Give a running project with data and one browser that trains: T = 1 s."""
    world = World()
    world.create(period=1.0)
    world.attach()
    world.worker()
    return world


def test_a_project_waits_for_data_then_for_its_owner_then_for_a_worker() -> None:
    world = World()
    world.create(running=False)
    assert (world.project().state, world.master.status("p", 0).why) == ("paused", "it has no data yet")
    browser = world.connect()
    world.join(browser)
    assert browser.assigns[1].shards == ()
    world.attach()
    assert world.master.status("p", 0).why == "it waits for its owner to start it"
    assert len(browser.assigns[1].shards) == 4
    world.unpack(browser)
    assert "p" not in browser.orders
    world.control("start")
    assert browser.orders["p"].iteration == 0
    world.drop(browser)
    assert world.master.status("p", 0).why == "it waits for somebody to add a worker"


def test_the_first_cut_fills_in_the_normalisation() -> None:
    world = World()
    world.create()
    world.attach()
    assert world.vectors["p"].layers[0] == {**LAYERS[0], "mean": [0.3], "std": [0.4]}
    assert world.project().labels == ("a", "b")
    world.attach("second", ["b", "c"])
    assert world.project().labels == ("a", "b", "c")


def test_a_new_label_grows_the_network_at_the_close_while_training_runs(world: World) -> None:
    browser = world.browsers[1]
    world.feed_attach("more", ["z", "a"], [16])
    assert world.project().labels == ("a", "b")
    world.answer(browser)
    world.tick()
    assert isinstance(world.vectors["p"].under_way, Step)
    world.finish("p")
    growing = world.vectors["p"].under_way
    assert isinstance(growing, Initialise)
    assert (growing.grow_from, growing.labels) == (2, 3)
    world.finish("p")
    assert browser.networks["p"].labels == ("a", "b", "z")
    world.unpack(browser)
    [new] = [shard for shard in browser.assigns[1].shards if shard.cut == "more"]
    assert new.labels == (2, 0)
    world.answer(browser)
    assert browser.refused == []


def test_a_newer_version_of_a_data_set_takes_the_older_ones_place(world: World) -> None:
    browser = world.browsers[1]
    world.unpack(browser)
    old = manifest("c", ["a", "b"], [32] * 4)
    new = manifest("newer", ["a", "b", "new"], [20])
    kept, gone = manifest("c", new["labels"], [32] * 4)["shards"][1:], old["shards"][0]["hash"]
    before = browser.assigns[1]
    world.feed(Attached("p", {**new, "dataset": old["dataset"], "shards": kept + new["shards"]}))
    world.close()
    pool = world.project().crew.pool
    assert (pool.vectors, gone in pool.shards) == (3 * 32 + 20, False)
    assert world.project().labels == ("a", "b", "new")
    assert [cut.id for cut in world.project().cuts] == ["newer"]
    now = {shard.hash: shard for shard in browser.assigns[1].shards}
    assert gone not in now
    assert [now[shard.hash].labels for shard in before.shards if shard.hash in now] == [(0, 1, 2)] * 3
    world.answer(browser)
    assert browser.refused == []


def test_two_data_sets_with_one_shard_are_refused(world: World) -> None:
    other = {**manifest("other", ["a", "b"], [32]), "shards": manifest("c", ["a", "b"], [32])["shards"]}
    with pytest.raises(Refusal, match="holds already"):
        world.feed(Attached("p", other))


def test_what_waits_for_a_close_is_admitted_together(world: World) -> None:
    world.feed_attach("more", ["c"], [16])
    world.feed_attach("even more", ["d", "c"], [16])
    world.close()
    assert world.project().labels == ("a", "b", "c", "d")
    assert world.project().crew.pool.vectors == 128 + 32


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"width": 5}, 409, "cut c2 has 5×4×1 pictures, the network's input takes 4×4×1"),
        ({"cut": "c"}, 409, "p uses cut c already"),
        ({"shards": []}, 422, "cut c2 holds no data vectors"),
        ({"shards": [{"hash": "no hash", "count": 1, "bytes": 1, "labels": [1]}]}, 422, "the manifest cannot be read"),
        ({"shards": [{"hash": "0" * 64, "count": 0, "bytes": 1, "labels": [0]}]}, 422, "has 0 vectors"),
        (
            {"shards": [{"hash": "0" * 64, "count": 3, "bytes": 1, "labels": [4]}]},
            422,
            "has 3 vectors, and label counts",
        ),
        ({"mean": [0.1, 0.2]}, 422, "1 channels, but mean and std of 2 and 1"),
        ({"labels": None}, 422, "the manifest cannot be read"),
        ({"shards": manifest("c", ["a"], [32])["shards"]}, 409, "has a shard that p holds already"),
    ],
)
def test_a_cut_that_does_not_fit_is_refused_and_changes_nothing(
    world: World, change: dict[str, object], status: int, sentence: str
) -> None:
    before = world.master.project("p")
    with pytest.raises(Refusal, match=sentence) as caught:
        world.feed(Attached("p", {**manifest("c2", ["a"], [8]), **change}))
    assert caught.value.status == status
    world.close()
    assert {**world.master.project("p"), "status": 0, "iteration": 0} == {**before, "status": 0, "iteration": 0}


def test_a_network_of_fixed_size_refuses_more_labels() -> None:
    world = World()
    world.create(layers=FIXED)
    world.attach()
    with pytest.raises(Refusal, match="2 outputs and cannot learn 3 labels"):
        world.feed(Attached("p", manifest("more", ["c"], [8])))


def test_wishes_for_what_is_not_there() -> None:
    world = World()
    for event in (Attached("nowhere", {}),):
        with pytest.raises(Refusal, match="there is no project 'nowhere'"):
            world.feed(event)
    with pytest.raises(Refusal, match="there is no project"):
        world.control("start", "nowhere")
    with pytest.raises(Refusal, match="there is no project"):
        world.master.project("nowhere")
    world.create()
    with pytest.raises(Refusal, match="there is a project 'p' already"):
        world.feed(Created("p", "P", LAYERS, {}, 1))
    with pytest.raises(Refusal, match=r"period must be a number of seconds from 0\.2 to 60"):
        world.feed(Created("q", "Q", LAYERS, {"period": 0.1}, 1))
    with pytest.raises(Refusal, match="the last layer"):
        world.feed(Created("q", "Q", LAYERS[:2], {}, 1))
    assert world.master.projects() == ("p",)


# ---------------------------------------------------------------------------------------------------------- settings
def test_settings_change_at_the_next_close_and_what_decayed_stays_decayed(world: World) -> None:
    world.control("set", learning_rate=0.5, decay=0.5, decay_interval=1)
    browser = world.browsers[1]

    def rate() -> float:
        world.answer(browser)
        world.tick()
        step = world.vectors["p"].under_way
        assert isinstance(step, Step)
        world.step()
        return step.learning_rate

    assert rate() == 0.01
    assert [rate(), rate()] == [0.5, 0.25]
    world.control("set", learning_rate=1.0)
    assert rate() == 0.125
    assert rate() == 0.125
    assert world.master.project("p")["settings"]["learning_rate"] == 1.0


def test_a_new_period_begins_with_the_next_iteration(world: World) -> None:
    world.control("set", period=3.0)
    assert world.tick() == pytest.approx(1.1)
    world.step()
    assert world.tick() == pytest.approx(3.0)


def test_rate_decay_and_freezing_of_a_layer_change_at_the_next_close(world: World) -> None:
    layer, browser = "fully_connected1", world.browsers[1]
    world.control("set", period=2.0, layers={layer: {"learning_rate": 0.5}})
    world.control("set", layers={layer: {"frozen": True}})
    world.answer(browser)
    world.tick()
    step = world.vectors["p"].under_way
    assert isinstance(step, Step)
    assert {row[2] for row in step.settings["multipliers"]} == {1.0}, "this iteration was computed before"
    world.finish("p")
    assert world.project().layers[1] == {**LAYERS[1], "learning_rate": 0.5, "frozen": True}
    assert browser.networks["p"].layers[1]["frozen"], "whoever computes knows"
    assert world.project().settings.period == 2.0
    world.answer(browser)
    world.tick()
    step = world.vectors["p"].under_way
    assert isinstance(step, Step)
    assert {row[2] for row in step.settings["multipliers"]} == {0.0}
    world.finish("p")
    assert browser.refused == []


def test_layers_change_before_there_is_data_and_keep_what_it_brings() -> None:
    world = World()
    world.create(period=1.0)
    world.control("set", layers={"fully_connected1": {"l2": 0.0}})
    world.attach()
    browser = world.worker()
    world.control("set", layers={"fully_connected1": {"l2": 2.0}})
    world.feed_attach("more", ["c"], [16])
    world.answer(browser)
    world.close()
    assert world.project().layers == ({**LAYERS[0], "mean": [0.3], "std": [0.4]}, {**LAYERS[1], "l2": 2.0}, LAYERS[2])
    assert browser.networks["p"].layers == world.project().layers
    assert len(browser.networks["p"].labels) == 3


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"period": 61}, "period"),
        ({"period": 3.0, "layers": {"softmax2": {"frozen": True}}}, "'softmax2' is no layer with parameters"),
        ({"grace": -1}, "grace"),
        ({"seed": 1.5}, "seed"),
        ({"vectors": -1}, "vectors"),
        ({"close_when_saturated": 1}, "close_when_saturated"),
        ({"multipliers": []}, "per-layer rates belong to the layers"),
        ({"colour": "red"}, "there is no setting 'colour'"),
    ],
)
def test_wrong_settings_are_named(world: World, settings: dict[str, Any], sentence: str) -> None:
    before = world.project().settings
    with pytest.raises(Refusal, match=sentence):
        world.control("set", **settings)
    world.close()
    assert world.project().settings == before


def test_a_step_that_diverged_pauses_the_project_with_a_sentence(world: World) -> None:
    rate = world.project().learning_rate
    world.answer(world.browsers[1])
    world.tick()
    world.finish("p", finite=False)
    assert world.project().state == "paused"
    assert "lower the learning rate" in world.master.status("p", 0).why
    assert world.project().learning_rate == rate
    world.control("start")
    assert world.project().state == "running"


# ---------------------------------------------------------------------------------------------------------- wishes
def test_pause_keeps_what_was_answered_and_makes_the_rest_stale(world: World) -> None:
    a, b = world.browsers[1], world.worker()
    world.close()
    world.unpack(b)
    world.close()
    world.answer(a)
    late = world.good_answer(b, "p")
    steps = world.vectors["p"].steps
    world.control("pause")
    world.step()
    assert (world.project().state, world.vectors["p"].steps) == ("paused", steps + 1)
    world.say(b, *late)
    assert b.refused[-1].status == 409
    assert not world.project().crew.browsers[b.number].silent
    world.control("start")
    assert world.project().state == "running"
    assert b.orders["p"].iteration == world.project().iteration


def test_reboot_goes_back_to_the_seed_and_trains_on(world: World) -> None:
    world.control("set", seed=99, decay=0.5, decay_interval=1)
    world.close()
    world.answer(world.browsers[1])
    world.close()
    number = world.project().iteration
    world.control("reboot")
    begun = world.vectors["p"].under_way
    assert isinstance(begun, Initialise)
    assert (begun.grow_from, begun.seed, begun.learning_rate) == (0, 99, 0.01)
    world.step()
    assert world.project().state == "running"
    assert world.project().iteration > number
    assert world.browsers[1].networks["p"].seed == 99


def test_reboot_while_a_step_is_under_way_waits_for_it(world: World) -> None:
    world.answer(world.browsers[1])
    world.tick()
    world.control("reboot")
    assert isinstance(world.vectors["p"].under_way, Step)
    world.finish("p")
    assert isinstance(world.vectors["p"].under_way, Initialise)


def test_remove_at_any_moment_tells_everyone_and_frees_the_workers(world: World) -> None:
    browser = world.browsers[1]
    world.answer(browser)
    world.tick()
    effects = world.control("remove")
    assert [type(e.message) for e in effects if isinstance(e, Send)] == [m.Removed]
    assert Forget in map(type, effects)
    world.create("q")
    world.attach(name="q")
    world.join(browser, name="q")
    assert browser.orders["q"].iteration == 0


def test_a_restored_project_goes_on_where_it_was() -> None:
    world = World()
    world.create("first")
    created = Created("p", "P", LAYERS, {"learning_rate": 0.5}, 7, ("a", "b"), 41, 0.125, running=True)
    world.vectors["p"] = type(world.vectors["first"])(layers=LAYERS, labels=2)
    world.feed(created)
    world.feed(Attached("p", manifest("c", ["a", "b"], [32] * 4)))
    assert world.vectors["p"].under_way is None
    browser = world.worker()
    assert browser.orders["p"].iteration == 41
    world.answer(browser)
    world.tick()
    step = world.vectors["p"].under_way
    assert isinstance(step, Step)
    assert step.learning_rate == 0.125


def test_the_view_holds_what_a_checkpoint_needs(world: World) -> None:
    view = world.master.project("p")
    assert view["labels"] == ("a", "b")
    assert view["datasets"] == ["d-c"]
    assert view["input"] == {"width": 4, "height": 4, "channels": 1}
    assert view["parameters"] == 16 * 2 + 2
    assert {"iteration", "learning_rate", "seed", "settings", "layers", "running", "status"} <= view.keys()


# ---------------------------------------------------------------------------------------------------------- many
def test_projects_keep_their_own_time() -> None:
    world = World()
    for name, period in (("p", 1.0), ("q", 0.7)):
        world.create(name, period=period)
        world.attach(name=name)
    workers = {name: world.worker(name) for name in ("p", "q")}
    while world.now < 20.25:
        for name, browser in workers.items():
            project = world.project(name)
            if project.open and not project.crew.browsers[browser.number].answered:
                world.answer(browser, name)
        world.tick()
        for name in workers:
            world.step(name)
    assert world.vectors["p"].steps == 20
    assert world.vectors["q"].steps == 29


def test_a_project_that_reduces_for_long_does_not_hold_up_another() -> None:
    world = World()
    for name in ("p", "q"):
        world.create(name, period=1.0)
        world.attach(name=name)
    big, small = world.worker("p"), world.worker("q")
    world.answer(big, "p")
    world.answer(small, "q")
    world.tick()
    assert world.vectors["p"].under_way is not None
    for _ in range(5):
        world.step("q")
        world.answer(small, "q")
        assert world.tick() == pytest.approx(1.0)
    assert world.vectors["p"].steps == 0


def test_a_worker_belongs_to_one_project_and_a_browser_may_serve_two() -> None:
    world = World()
    for name in ("p", "q"):
        world.create(name, period=1.0)
        world.attach(name=name)
    browser = world.worker("p")
    world.say(browser, m.Join("q", 1))
    assert "belongs to one project" in browser.refused[-1].reason
    world.join(browser, 2, "q")
    assert set(browser.orders) == {"p", "q"}
    assert [order.worker for order in browser.orders["q"].orders] == [2]


def test_a_paused_worker_keeps_its_shards_for_a_while(world: World) -> None:
    browser, other = world.browsers[1], world.worker()
    world.say(browser, m.Tune(1, paused=True))
    world.close()
    held = browser.assigns[1].shards
    assert held
    assert world.project().open is None or not world.project().crew.browsers[browser.number].orders
    for _ in range(70):
        if world.project().open and not world.project().crew.browsers[other.number].answered:
            world.answer(other)
        world.close()
        world.unpack(other)
    assert browser.assigns[1].shards == ()
    world.say(browser, m.Tune(1, paused=False))
    assert browser.assigns[1].shards


def test_a_join_out_of_bounds_is_refused(world: World) -> None:
    browser = world.connect()
    for join in (m.Join("p", 1, capacity_vectors=0), m.Join("p", 1, intensity=1.5), m.Join("p", 1, capacity_bytes=-1)):
        world.say(browser, join)
        assert browser.refused[-1].status == 422
    world.say(browser, m.Join("nowhere", 1))
    assert browser.refused[-1].status == 404
    world.join(browser)
    world.say(browser, m.Join("p", 1))
    assert browser.refused[-1].status == 409
    world.say(browser, m.Ready(1, 50, ()))
    assert browser.refused[-1].status == 422
    world.say(browser, m.Ready(1, browser.assigns[1].assignment, ("0" * 64,)))
    assert browser.refused[-1].status == 422
    world.say(browser, m.Holds(("0" * 64,) * 20_001))
    assert browser.refused[-1].status == 413


def test_one_broadcast_an_iteration(world: World) -> None:
    browsers = [world.browsers[1], *(world.worker() for _ in range(3))]
    for _ in range(5):
        for browser in browsers:
            world.unpack(browser)
            inside = world.project().crew.browsers[browser.number]
            if world.project().open and inside.orders and not inside.answered:
                world.answer(browser)
        world.tick()
        effects = world.finish("p")
        assert sum(isinstance(effect, Broadcast) for effect in effects) == 1
        assert sum(isinstance(effect, Save) for effect in effects) <= 1
